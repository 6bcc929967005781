"""Reads an ONNX file's graph: nodes in order, constants as arrays; every size is checked first.

Protobuf has no bombs of its own, since a message is as large as what it becomes. What remains are
sizes that arrays claim to have, and *external data*: an array may lie in another file, whose name
is in this one. Such a file must lie in the same folder, or below it, and no link may lead there.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convlet import arguments
from convlet.saving.onnx.requirement import package

_MOST_BYTES = 2**31 - 1  # of a protobuf message
_MOST_NODES = 100_000  # ResNet-152 has 500
_MOST_AXES = 8
_OPSETS = range(9, 27)
_FLOATS = ("float16", "float32", "float64")
_DTYPES = (*_FLOATS, "int32", "int64", "bool")


@dataclass(frozen=True)
class FileNode:
    """A node as it stands in a file.

    Parameters
    ----------
    operator : str
    name : str
        What messages call it.
    reads, writes : tuple of str
        Names of values; an empty one stands for what is left out.
    attributes : mapping
        Numbers, lists of numbers, strings and arrays.
    """

    operator: str
    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    attributes: Mapping[str, Any]

    @property
    def owner(self) -> str:
        """Operator and name, as messages call it."""
        return f"{self.operator} {self.name!r}"


@dataclass(frozen=True)
class FileGraph:
    """A graph as it stands in a file.

    Parameters
    ----------
    nodes : list of FileNode
        Each behind those whose values it reads.
    constants : dict of str to ndarray
    inputs : dict of str to tuple
        The sizes of each input, its batch axis included; None for one that is left open.
    outputs : list of str
    opset : int
        The version of the operators.
    producer : str
        The program that wrote the file.
    """

    nodes: list[FileNode]
    constants: dict[str, np.ndarray]
    inputs: dict[str, tuple[int | None, ...]]
    outputs: list[str]
    opset: int
    producer: str


def read_graph(path: Path) -> FileGraph:
    """Return the graph in a file.

    Raises
    ------
    FileNotFoundError, PermissionError, IsADirectoryError
        If there is no file that may be read.
    ImportError
        If ``onnx`` is not installed.
    ValueError
        If the file is damaged, or holds what is not read: functions, graphs inside nodes, sparse
        arrays, operators of other domains, external data elsewhere.
    """
    onnx = package(str(path))
    model = _parsed(onnx, path)
    if model.functions or model.graph.sparse_initializer or model.training_info:
        raise ValueError("functions, sparse arrays and training graphs are not read")
    if len(model.graph.node) > _MOST_NODES:
        raise ValueError(
            f"it has {len(model.graph.node):,} nodes; at most {_MOST_NODES:,} are read"
        )
    constants: dict[str, np.ndarray] = {}
    for tensor in model.graph.initializer:
        name = _text(tensor.name)
        if name in constants:
            raise ValueError(f"there are two arrays named {name!r}")
        constants[name] = _array(onnx, tensor, path.parent)
    opset = _opset(model)
    nodes = [_node(onnx, node, path.parent, opset) for node in model.graph.node]
    inputs = {
        _text(value.name): _sizes(onnx, value)
        for value in model.graph.input
        if _text(value.name) not in constants
    }
    _check_order(nodes, {*constants, *inputs})
    outputs = [_text(value.name) for value in model.graph.output]
    return FileGraph(nodes, constants, inputs, outputs, opset, _text(model.producer_name))


def _parsed(onnx: Any, path: Path) -> Any:
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size > _MOST_BYTES:
            raise ValueError("it is larger than the 2 GB that an ONNX file may have")
        data = file.read()
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's, of which `onnx` says nothing
        raise ValueError(f"not an ONNX file, or a damaged one: {error}") from None
    if not model.graph.node or not model.graph.output:
        raise ValueError("not an ONNX file, or one without nodes and outputs")
    return model


def _opset(model: Any) -> int:
    versions = [opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx")]
    if len(versions) != 1 or versions[0] not in _OPSETS:
        raise ValueError(
            f"its operators must be of one version from {_OPSETS[0]} to {_OPSETS[-1]}, "
            f"got {versions}"
        )
    return versions[0]


def _sizes(onnx: Any, value: Any) -> tuple[int | None, ...]:
    """Return an input's sizes, None for one that is left open."""
    tensor = value.type.tensor_type
    if tensor.elem_type != onnx.TensorProto.FLOAT or not tensor.HasField("shape"):
        raise ValueError(f"input {_text(value.name)!r} must be an array of float32 of known rank")
    sizes = [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]
    if not 2 <= len(sizes) <= _MOST_AXES:
        raise ValueError(
            f"input {_text(value.name)!r} must have a batch axis and 1 to {_MOST_AXES - 1} more, "
            f"got {len(sizes)} in all"
        )
    return tuple(n if n and n > 0 else None for n in sizes)


def _node(onnx: Any, node: Any, folder: Path, opset: int) -> FileNode:
    reads, writes = (tuple(map(_text, names)) for names in (node.input, node.output))
    operator, name = _text(node.op_type), _text(node.name) or next(iter(writes), "")
    owner = f"{operator} {name!r}"
    if node.domain not in ("", "ai.onnx"):
        raise ValueError(f"{owner}: operators of {node.domain!r} are not known")
    try:
        schema = onnx.defs.get_schema(operator, opset)
    except onnx.defs.SchemaError:
        raise ValueError(f"{owner}: version {opset} has no such operator") from None
    for count, least, most, what in (
        (len(node.input), schema.min_input, schema.max_input, "inputs"),
        (len(node.output), max(schema.min_output, 1), schema.max_output, "outputs"),
    ):
        if not least <= count <= most:
            raise ValueError(f"{owner}: it must have {least} to {most} {what}, got {count}")
    attributes = {_text(a.name): _attribute(onnx, owner, a, schema, folder) for a in node.attribute}
    return FileNode(operator, name, reads, writes, attributes)


def _text(value: Any) -> str:
    """Return a string; protobuf gives one that is no UTF-8 as bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _attribute(onnx: Any, owner: str, attribute: Any, schema: Any, folder: Path) -> Any:
    """Return an attribute of the type that the operator's description asks for."""
    name = _text(attribute.name)
    kind = onnx.AttributeProto.AttributeType.Name(attribute.type)
    if name not in schema.attributes:
        raise ValueError(f"{owner}: it has no attribute {name!r}")
    if schema.attributes[name].type.name != kind or attribute.ref_attr_name:
        wanted = schema.attributes[name].type.name
        raise ValueError(f"{owner}: attribute {name!r} must be of type {wanted}, got {kind}")
    if kind not in ("FLOAT", "INT", "STRING", "TENSOR", "FLOATS", "INTS", "STRINGS"):
        raise ValueError(f"{owner}: an attribute of type {kind} is not read")
    value = onnx.helper.get_attribute_value(attribute)
    if kind in ("FLOAT", "FLOATS") and not np.isfinite(value).all():
        raise ValueError(f"{owner}: attribute {name!r} must be finite, got {value}")
    if kind == "TENSOR":
        return _array(onnx, value, folder)
    return _text(value) if kind == "STRING" else value


def _check_order(nodes: list[FileNode], known: set[str]) -> None:
    """Raise a ValueError unless each value is written once, and before it is read."""
    for node in nodes:
        for name in node.reads:
            if name and name not in known:
                raise ValueError(
                    f"{node.owner}: nothing before it gives {name!r}; the nodes are in a wrong "
                    "order or in a cycle"
                )
        for name in node.writes:
            if name and name in known:
                raise ValueError(f"{node.owner}: {name!r} is there already")
            known.add(name)


# --- arrays ---


def _array(onnx: Any, tensor: Any, folder: Path) -> np.ndarray:
    """Return an array, whose claims are held against the bytes that are there."""
    owner, shape = f"array {_text(tensor.name)!r}", tuple(tensor.dims)
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
    except (KeyError, TypeError, ValueError):
        dtype = np.dtype(object)
    if dtype.name not in _DTYPES:
        raise ValueError(f"{owner} must hold one of {', '.join(_DTYPES)}, got {dtype.name}")
    if min(shape, default=1) < 0:
        raise ValueError(f"{owner} has a negative size, {shape}")
    size = math.prod(shape) * dtype.itemsize
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        arguments.fits_memory(owner, "its size", shape, dtype)
        data = _external(owner, tensor, folder, size)
        return np.frombuffer(data, dtype.newbyteorder("<")).reshape(shape).astype(dtype)
    if tensor.HasField("raw_data") and len(tensor.raw_data) != size:
        raise ValueError(f"{owner} claims {size} bytes, and {len(tensor.raw_data)} are there")
    try:
        return onnx.numpy_helper.to_array(tensor)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{owner} is damaged: {error}") from None


def _external(owner: str, tensor: Any, folder: Path, size: int) -> bytes:
    """Return an array's bytes from another file in the folder."""
    told = {_text(entry.key): _text(entry.value) for entry in tensor.external_data}
    path = _inside(owner, folder, told.get("location", ""))
    numbers = [told.get("offset", "0"), told.get("length", str(size))]
    if not all(number.isascii() and number.isdigit() and len(number) < 20 for number in numbers):
        raise ValueError(f"{owner}: offset and length must be integers, got {numbers}")
    offset, length = map(int, numbers)
    # a file that is a pipe would never answer, and one with a second name may lie elsewhere
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise ValueError(f"{owner}: its data must lie in a plain file of one name, got {path}")
        if length != size or offset + size > status.st_size:
            raise ValueError(
                f"{owner} claims {size} bytes, and its file has {length} of them at {offset}, "
                f"{status.st_size} in all"
            )
        file.seek(offset)
        return file.read(size)


def _inside(owner: str, folder: Path, location: str) -> Path:
    """Return the path of a file in a folder, which no route may leave."""
    here = Path(os.path.realpath(folder))
    wanted = here / location
    plain = location and "\0" not in location and ".." not in Path(location).parts
    if not plain or Path(location).is_absolute() or Path(os.path.realpath(wanted)) != wanted:
        raise ValueError(
            f"{owner}: its data must lie in the model's own folder, with no link and no '..' on "
            f"the way, got {location!r}"
        )
    if not wanted.is_file():
        raise ValueError(f"{owner}: there is no file {location!r} beside the model with its data")
    return wanted
