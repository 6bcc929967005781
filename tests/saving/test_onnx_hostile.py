"""ONNX files that are damaged or made to do harm: one sentence each, and nothing allocated."""

import os
import sys

import numpy as np
import pytest
from onnx_cases import helper, images, node, onnx, write

from convlet.models import load_model

WEIGHTS = {"w": images((4, 2, 3, 3)), "k": images((8, 5)), "b": images((5,))}
CONV = node("Conv", ["x", "w"])


def refused(path, *words):
    with pytest.raises(ValueError, match=r"^[^\n]*$") as caught:
        load_model(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert all(word in message for word in words), message


def changed(path, change, nodes=(CONV,), shape=("n", 2, 5, 5), constants=None):
    """Write a file of a good graph that a function has changed."""
    model = write(path, list(nodes), list(shape), constants or {"w": WEIGHTS["w"]})
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


# --- damage ---


@pytest.mark.parametrize("content", [b"", b"no ONNX file", bytes(1000), b"\x0a\xff\xff\xff\x7f"])
def test_what_is_no_onnx_file(content, tmp_path):
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    refused(path, "not an ONNX file")


def test_any_file_that_is_cut_off_is_refused(tmp_path):
    path = tmp_path / "x.onnx"
    write(path, [CONV], ["n", 2, 5, 5], {"w": WEIGHTS["w"]})
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        refused(path)


def test_any_byte_that_is_changed_gives_a_model_or_a_sentence(tmp_path):
    path = tmp_path / "x.onnx"
    write(path, [CONV], ["n", 2, 5, 5], {"w": WEIGHTS["w"][:, :, :1, :1]})
    whole, messages = path.read_bytes(), []
    for place in range(0, len(whole), 2):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            load_model(path)
        except ValueError as error:
            messages.append(str(error))
    assert len(messages) > 10
    assert all(message.startswith(f"{path}: ") for message in messages)


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "x.onnx")
    os.mkfifo(tmp_path / "pipe.onnx")
    refused(tmp_path / "pipe.onnx", "no file, but a pipe or a device")


def test_a_file_larger_than_the_format_allows(tmp_path):
    with (tmp_path / "x.onnx").open("wb") as file:
        file.truncate(2**31)
    refused(tmp_path / "x.onnx", "it is larger than the 2 GB that an ONNX file may have")


def test_without_the_package_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    write(tmp_path / "x.onnx", [CONV], ["n", 2, 5, 5], {"w": WEIGHTS["w"]})
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"need the package onnx; pip install 'convlet\[onnx\]'"):
        load_model(tmp_path / "x.onnx")


# --- graphs ---


def test_an_operator_that_is_not_read_is_named_with_its_node(tmp_path):
    nodes = [node("Einsum", ["x"], name="strange", equation="ijkl->ijkl")]
    write(tmp_path / "x.onnx", nodes, ["n", 2, 5, 5])
    refused(tmp_path / "x.onnx", "Einsum 'strange': this operator is not read; those are")
    write(tmp_path / "x.onnx", [node("Strange", ["x"])], ["n", 2, 5, 5])
    refused(tmp_path / "x.onnx", "Strange 'y': version 20 has no such operator")


def test_cycles_and_wrong_orders(tmp_path):
    path = tmp_path / "x.onnx"
    write(path, [node("Add", ["x", "b"], "a"), node("Relu", ["a"], "b")], ["n", 4])
    refused(path, "Add 'a': nothing before it gives 'b'; the nodes are in a wrong order or")
    write(path, [node("Relu", ["x"], "x")], ["n", 4])
    refused(path, "Relu 'x': 'x' is there already")


def test_too_many_nodes(tmp_path, monkeypatch):
    monkeypatch.setattr("convlet.saving.onnx.graph_file._MOST_NODES", 2)
    write(tmp_path / "x.onnx", [node("Relu", ["x"], f"y{n}") for n in range(3)], ["n", 4])
    refused(tmp_path / "x.onnx", "it has 3 nodes; at most 2 are read")


def test_graphs_within_nodes_functions_and_other_domains(tmp_path):
    inner = helper.make_graph([node("Relu", ["x"], "z")], "inner", [], [])
    nodes = [node("If", ["x"], name="if", then_branch=inner, else_branch=inner)]
    write(tmp_path / "a.onnx", nodes, ["n", 4])
    refused(tmp_path / "a.onnx", "If 'if': an attribute of type GRAPH is not read")
    write(tmp_path / "a.onnx", [node("Relu", ["x"])], ["n"])
    refused(tmp_path / "a.onnx", "input 'x' must have a batch axis and 1 to 7 more, got 1 in all")
    write(tmp_path / "b.onnx", [node("Relu", ["x"], domain="com.example")], ["n", 4])
    refused(tmp_path / "b.onnx", "Relu 'y': operators of 'com.example' are not known")
    opset = [helper.make_opsetid("", 20)]
    function = helper.make_function("d", "F", ["x"], ["y"], [node("Relu", ["x"])], opset)
    write(tmp_path / "c.onnx", [node("Relu", ["x"])], ["n", 4], functions=[function])
    refused(tmp_path / "c.onnx", "functions, sparse arrays and training graphs are not read")


def test_versions_that_are_not_known(tmp_path):
    write(tmp_path / "x.onnx", [CONV], ["n", 2, 5, 5], {"w": WEIGHTS["w"]}, opset=5)
    refused(tmp_path / "x.onnx", "its operators must be of one version from 9 to 26, got [5]")


def test_outputs_and_operands_that_are_not_there(tmp_path):
    write(tmp_path / "x.onnx", [node("Relu", ["x"])], ["n", 4], outputs=("z",))
    refused(tmp_path / "x.onnx", "output 'z' does not depend on the images")
    write(tmp_path / "x.onnx", [node("Conv", ["x", ""])], ["n", 2, 5, 5])
    refused(tmp_path / "x.onnx", "Conv 'y': the kernel is missing")
    write(tmp_path / "x.onnx", [node("Relu", ["w"])], ["n", 4], WEIGHTS)
    refused(tmp_path / "x.onnx", "Relu 'y': input 0 must depend on the images")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (node("Relu", []), "Relu 'y': it must have 1 to 1 inputs, got 0"),
        (node("Elu", ["x"], alpha=[1.0]), "'alpha' must be of type FLOAT, got FLOATS"),
        (node("Elu", ["x"], alpha=float("nan")), "attribute 'alpha' must be finite, got nan"),
        (node("Elu", ["x"], beta=1.0), "Elu 'y': it has no attribute 'beta'"),
        (node("ReduceMean", ["x", "b"]), "axes must be a list of integers"),
    ],
)
def test_operands_and_attributes_of_another_form(made, words, tmp_path):
    write(tmp_path / "x.onnx", [made], ["n", 2, 5, 5], WEIGHTS)
    refused(tmp_path / "x.onnx", words)


def test_constants_that_grow_with_every_node(tmp_path):
    nodes = [node("Concat", [f"c{n}"] * 2, f"c{n + 1}", axis=0) for n in range(60)]
    write(tmp_path / "x.onnx", nodes, ["n", 4], {"c0": np.zeros(1, np.int64)})
    refused(tmp_path / "x.onnx", "Concat 'c11': constants of at most 1024 numbers are worked out")


# --- sizes ---


def test_arrays_that_claim_more_than_is_there(tmp_path):
    def grow(model):
        model.graph.initializer[0].dims[0] = 2**40

    words = "array 'w' claims 79164837199872 bytes, and 288 are there"
    refused(changed(tmp_path / "x.onnx", grow), words)

    def negative(model):
        model.graph.initializer[0].dims[0] = -4

    refused(changed(tmp_path / "x.onnx", negative), "array 'w' has a negative size")

    def typed(model):
        array = model.graph.initializer[0]
        array.ClearField("raw_data")
        array.float_data.extend([1.0, 2.0])

    refused(changed(tmp_path / "x.onnx", typed), "array 'w' is damaged")

    def of_text(model):
        model.graph.initializer[0].data_type = onnx.TensorProto.STRING

    words = "array 'w' must hold one of float16, float32, float64, int32, int64, bool"
    refused(changed(tmp_path / "x.onnx", of_text), words)


@pytest.mark.parametrize(
    ("nodes", "constants", "words"),
    [
        ([node("Pad", ["x", "p"])], {"p": [0, 0, 2**40, 0, 0, 0, 0, 0]}, "at most 2**27 numbers"),
        (
            [node("Resize", ["x", "", "s"], mode="nearest")],
            {"s": np.float32([1, 1, 2**30, 2**30])},
            "at most 2**27 numbers",
        ),
        ([node("Reshape", ["x", "s"])], {"s": [-1, 2**62]}, "cannot become"),
        ([node("Unsqueeze", ["x", "a"])], {"a": list(range(1, 60))}, "axes must be some of"),
        ([node("Conv", ["x", "w"], strides=[0, 1])], WEIGHTS, "must be at least 1"),
        ([node("Conv", ["x", "w"], pads=[-1, 0, 0, 0])], WEIGHTS, "negative padding is not read"),
        ([node("Conv", ["x", "w"], group=3)], WEIGHTS, "groups"),
        ([node("Conv", ["x", "w"], group=0)], WEIGHTS, "groups"),
        ([node("MaxPool", ["x"], kernel_shape=[9, 9])], {}, "the window spans 9 positions"),
        ([node("MaxPool", ["x"], kernel_shape=[2**40] * 2)], {}, "of less than 2**31 taps"),
        (
            [node("MaxPool", ["x"], kernel_shape=[999, 999], pads=[500, 500, 500, 500])],
            {},
            "padding of a maximum by more than 100 positions is not read",
        ),
        (
            [node("Add", ["x", "f"]), node("Flatten", ["x"], "f")][::-1],
            {},
            "what merges images of (2, 5, 5), (50,) is not read",
        ),
        ([node("MatMul", ["x", "k"])], WEIGHTS, "it takes 8 numbers, and is given 5"),
        ([node("Gather", ["k", "i"])], {**WEIGHTS, "i": [99]}, "Gather 'y'"),
        ([node("Transpose", ["x"], perm=[1, 0, 2, 3])], {}, "which moves the batch, is not read"),
        ([node("Softmax", ["x"], axis=0)], {}, "axes must be some of 1 to 3, got [0]"),
    ],
)
def test_sizes_and_places_that_no_image_has(nodes, constants, words, tmp_path):
    write(tmp_path / "x.onnx", nodes, ["n", 2, 5, 5], constants)
    refused(tmp_path / "x.onnx", f"{nodes[-1].op_type} ", words)


# --- external data ---


def external(path, location, **entries):
    """Write a file whose kernel lies in another one."""

    def move(model):
        array = model.graph.initializer[0]
        array.ClearField("raw_data")
        array.data_location = onnx.TensorProto.EXTERNAL
        for key, value in {"location": location, **entries}.items():
            array.external_data.add(key=key, value=str(value))

    return changed(path, move)


def test_external_data_beside_the_model_are_read(tmp_path):
    (tmp_path / "below").mkdir()
    data = tmp_path / "below/w.bin"
    data.write_bytes(b"12345678" + WEIGHTS["w"].tobytes())
    path = external(tmp_path / "x.onnx", "below/w.bin", offset=8, length=288)
    kernel = load_model(path).layers[1].kernel.value
    np.testing.assert_array_equal(kernel, np.moveaxis(WEIGHTS["w"], (0, 1), (3, 2)))


@pytest.mark.parametrize("route", ["..", "absolute", "link", "linked folder", "nothing", "zero"])
def test_external_data_elsewhere_are_refused(route, tmp_path):
    outside, folder = tmp_path / "outside", tmp_path / "model"
    outside.mkdir()
    folder.mkdir()
    secret = outside / "w.bin"
    secret.write_bytes(WEIGHTS["w"].tobytes())
    (folder / "link").symlink_to(secret)
    (folder / "folder").symlink_to(outside)
    location = {
        "..": "../outside/w.bin",
        "absolute": str(secret),
        "link": "link",
        "linked folder": "folder/w.bin",
        "nothing": "",
        "zero": "w\0.bin",
    }[route]
    path = external(folder / "x.onnx", location)
    refused(path, "array 'w': its data must lie in the model's own folder, with no link")


def test_external_data_of_two_names_or_in_a_pipe_are_refused(tmp_path):
    (tmp_path / "first").write_bytes(WEIGHTS["w"].tobytes())
    os.link(tmp_path / "first", tmp_path / "second")
    path = external(tmp_path / "x.onnx", "second")
    refused(path, "its data must lie in a plain file of one name")
    os.mkfifo(tmp_path / "pipe")
    refused(external(tmp_path / "x.onnx", "pipe"), "there is no file 'pipe' beside the model")


@pytest.mark.parametrize(
    "entries", [{"offset": 8}, {"length": 100}, {"offset": 2**63}, {"length": "-1"}]
)
def test_external_data_that_are_not_there(entries, tmp_path):
    (tmp_path / "w.bin").write_bytes(WEIGHTS["w"].tobytes())
    refused(external(tmp_path / "x.onnx", "w.bin", **entries), "array 'w'")


def test_external_data_of_a_constant_node_are_held_to_the_same(tmp_path):
    array = onnx.numpy_helper.from_array(WEIGHTS["b"], "b")
    array.ClearField("raw_data")
    array.data_location = onnx.TensorProto.EXTERNAL
    array.external_data.add(key="location", value="../b.bin")
    nodes = [node("Constant", [], "c", value=array), node("Add", ["x", "c"])]
    path = tmp_path / "x.onnx"
    model = write(path, [nodes[1]], ["n", 5], {"c": WEIGHTS["b"]})
    del model.graph.initializer[:]
    model.graph.node.insert(0, nodes[0])
    path.write_bytes(model.SerializeToString())
    refused(path, "its data must lie in the model's own folder")
