"""Writes a model as an ONNX file, and holds it against onnxruntime before it is there."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np

from convlet import config
from convlet.engine import Program
from convlet.engine.operators import OPERATORS
from convlet.layers.structures import leaves, packed
from convlet.saving.files import checked_path, write_atomically
from convlet.saving.onnx.requirement import SUFFIX, package
from convlet.saving.onnx.translators import TRANSLATORS
from convlet.saving.onnx.writer import LAST, Node, Writer

_OPSET, _IR_VERSION = 20, 10  # of 2023 and 2024: onnxruntime 1.17 and later
_MOST_BYTES = 2**31 - 1  # of a protobuf message
_TOLERANCE = 1e-4  # of the largest number of a prediction


def export_model(model: Any, filepath: str | PathLike[str], overwrite: bool = True) -> None:
    """Write a model as an ONNX file; see `Model.export`."""
    path = checked_path(filepath, (SUFFIX,), overwrite)
    onnx, runtime = package(model.owner), package(model.owner, "onnxruntime")
    shapes = _input_shapes(model)
    program = model.program("predict", *shapes)
    proto = _written(onnx, model, program)
    onnx.checker.check_model(proto, full_check=True)
    data = proto.SerializeToString(deterministic=True)
    _check_predictions(runtime, model, data, shapes)
    write_atomically(path, data)


def _input_shapes(model: Any) -> list[tuple[int, ...]]:
    if not model.built:
        raise ValueError(
            f"{model.owner}: there is nothing to export before the input's shape is known; "
            "call build or fit first"
        )
    shapes = [shape[1:] for shape in leaves(model.input_shape)]
    for shape in shapes:
        if None in shape:
            raise ValueError(
                f"{model.owner}: export needs an Input whose sizes are all known, got {shape}"
            )
    return shapes


def _check_size(model: Any, writer: Writer) -> None:
    size = sum(constant.nbytes for constant in writer.constants.values())
    if size > _MOST_BYTES:
        raise ValueError(
            f"{model.owner}: an ONNX file holds at most 2 GB, and the weights take "
            f"{size / 1e9:.3g} GB; save writes files of any size"
        )


# --- writing ---


def _written(onnx: Any, model: Any, program: Program) -> Any:
    """Return the program as a protobuf message."""
    writer = Writer(program, _weights(program))
    inputs = dict(zip(model.input_names, model.input_feeds, strict=True))
    for name, feed in inputs.items():
        writer.put(feed, name, LAST)
    for instruction in program.instructions:
        if not program.buffers[instruction.writes[0]].per_image:
            continue
        if instruction.operator not in TRANSLATORS:
            raise ValueError(
                f"{model.owner}: layer {instruction.layer!r} cannot be exported, since ONNX knows "
                "no Python code; put a built-in layer in its place"
            )
        writer.begin(instruction)
        TRANSLATORS[instruction.operator](writer, instruction)
    _check_size(model, writer)
    outputs = _named_outputs(writer, model, program)
    graph = onnx.helper.make_graph(
        [_node(onnx, node) for node in writer.nodes],
        "convlet",
        _values(onnx, program, inputs),
        _values(onnx, program, outputs),
        [onnx.numpy_helper.from_array(array, name) for name, array in writer.constants.items()],
    )
    return onnx.helper.make_model(
        graph,
        producer_name="convlet",
        ir_version=_IR_VERSION,
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
    )


def _node(onnx: Any, node: Node) -> Any:
    return onnx.helper.make_node(
        node.operator, node.reads, [node.write], name=node.write, **node.attributes
    )


def _weights(program: Program) -> dict[str, np.ndarray]:
    """Return the values of all buffers that do not depend on images, those computed included."""
    values = {name: variable.value for name, variable in program.variables.items()}
    for instruction in program.instructions:
        if not program.buffers[instruction.writes[0]].per_image:
            function = OPERATORS[instruction.operator].function
            made = function(*(values[name] for name in instruction.reads), **instruction.attributes)
            results = made if isinstance(made, tuple) else (made,)
            values |= dict(zip(instruction.writes, results, strict=True))
    return values


def _named_outputs(writer: Writer, model: Any, program: Program) -> dict[str, str]:
    """Give the outputs the model's names for them, and return which buffer each name stands for."""
    taken = {*model.input_names, *writer.constants, *(node.write for node in writer.nodes)}
    names: dict[str, str] = {}
    for name, buffer in zip(model.output_names, program.outputs, strict=True):
        while name in taken:
            name += "_output"
        writer.call(buffer, name)
        taken.add(name)
        names[name] = buffer
    return names


def _values(onnx: Any, program: Program, buffers: dict[str, str]) -> list[Any]:
    """Return the descriptions of inputs or outputs, given the buffer of each name; batches open."""
    return [
        onnx.helper.make_tensor_value_info(
            name, onnx.TensorProto.FLOAT, ["batch", *program.buffers[buffer].shape]
        )
        for name, buffer in buffers.items()
    ]


# --- holding it against onnxruntime ---


def _check_predictions(
    runtime: Any, model: Any, data: bytes, shapes: list[tuple[int, ...]]
) -> None:
    """Raise a ValueError unless onnxruntime predicts what the model does, for two random images."""
    generator = np.random.default_rng(0)
    images = [generator.standard_normal((2, *shape), np.float32) for shape in shapes]
    ours = leaves(model.predict(packed(model.input_form, images), verbose=0))
    named = dict(zip(model.input_names, images, strict=True))
    theirs = _run(runtime, model, data, named)
    for name, expected, computed in zip(model.output_names, ours, theirs, strict=True):
        largest = np.abs(expected[np.isfinite(expected)]).max(initial=0)
        with np.errstate(invalid="ignore"):
            close = np.abs(expected - computed) <= _TOLERANCE * largest
        same = (expected == computed) | (np.isnan(expected) & np.isnan(computed))
        if not (close | same).all():
            raise ValueError(
                f"{model.owner}: nothing was written, since onnxruntime computes output {name!r} "
                f"otherwise than convlet, by more than {_TOLERANCE:g} of its largest number"
            )


def _run(runtime: Any, model: Any, data: bytes, images: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Return what onnxruntime predicts."""
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # it also prints the error that it raises
    options.intra_op_num_threads = config.threads()
    try:
        session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        return session.run(None, images)
    except Exception as error:  # its errors have no base class of their own
        raise ValueError(
            f"{model.owner}: nothing was written, since onnxruntime cannot run it: {error}"
        ) from error
