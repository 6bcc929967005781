"""Damaged and hostile files: a model that predicts, or one clear error, and nothing else.

Every file here goes through `outcome`, which holds the reader to that.
"""

from __future__ import annotations

import copy
import itertools
import json
import math
import os
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convlet import Sequential, losses, metrics, optimizers
from convlet.layers import (
    Activation,
    Add,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    Layer,
    MaxPooling2D,
    Rescaling,
)
from convlet.layers.structures import leaves
from convlet.models import Model, load_model
from convlet.preprocessing import Preprocessing

LONGEST_MESSAGE = 1000
DAMAGED = "not a .safetensors file, or a damaged one: "


# --- what the tests share ---


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def small_model() -> Sequential:
    """Return a model whose file is short, so that each of its bytes can be tried."""
    model = Sequential([Input((2,)), Dense(1)])
    model.compile(optimizers.SGD(momentum=0.5), "mse")
    model.train_on_batch(np.ones((1, 2)), np.ones((1, 1)))
    return model


def large_model() -> Sequential:
    """Return a model with a bit of everything, so that each place of its description is there."""
    inner = Sequential([Conv2D(2, 3, groups=2, activation="relu"), MaxPooling2D(2, strides=1)])
    model = Sequential(
        [
            Input((6, 6, 2)),
            Rescaling([1.0, 2.0], offset=0.5),
            inner,
            GlobalAveragePooling2D(keepdims=True),
            Flatten(),
            Activation("tanh"),
            Dropout(0.5, seed=3),
            Dense(3, activation="softmax", kernel_initializer="he_normal"),
        ]
    )
    model.compile(
        optimizers.SGD(0.1, momentum=0.9),
        losses.CategoricalCrossentropy(label_smoothing=0.1),
        metrics=["accuracy", metrics.TopKCategoricalAccuracy(2)],
        weighted_metrics=["mse"],
    )
    model.train_on_batch(np.ones((2, 6, 6, 2)), np.eye(3)[:2])
    model.class_names = ["a", "b", "c"]
    model.preprocessing = Preprocessing(6, 6, 3, 0, 1)
    return model


def graph_model() -> Model:
    """Return a graph with a shared layer, a model inside, and several inputs and outputs."""
    a, b = Input((4, 4, 1), name="a"), Input((6,), name="b")
    inner = Sequential([Conv2D(6, 3, activation="relu")], name="inner")
    x, shared = inner(a, training=False), Dense(6, name="shared")
    x = Add()([shared(x), shared(shared(x)), b])
    main = Dense(3, activation="softmax", name="main")(GlobalAveragePooling2D()(x))
    model = Model({"a": a, "b": b}, [main, Flatten(name="aux")(Concatenate(1)([x, x]))])
    losses_of = ["sparse_categorical_crossentropy", "mse"]
    model.compile(
        optimizers.SGD(0.1, momentum=0.9),
        losses_of,
        metrics=[["accuracy"], None],
        loss_weights=[1.0, 0.3],
    )
    x = {"a": np.ones((2, 4, 4, 1)), "b": np.ones((2, 6))}
    model.train_on_batch(x, [np.arange(2), np.ones((2, 48))])
    return model


def bytes_of(model: Model, folder: Path) -> bytes:
    path = folder / "original.safetensors"
    model.save(path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return bytes_of(small_model(), tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return bytes_of(large_model(), tmp_path_factory.mktemp("large"))


@pytest.fixture(scope="module", params=["chain", "graph"])
def any_large(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    model = large_model() if request.param == "chain" else graph_model()
    return bytes_of(model, tmp_path_factory.mktemp(request.param))


def packed(header: object, data: bytes = b"") -> bytes:
    """Return a file with a header: what JSON says of it, or these very bytes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def unpacked(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return header and data of a file."""
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def description_of(content: bytes) -> dict[str, Any]:
    return json.loads(unpacked(content)[0]["__metadata__"]["convlet"])


def with_text(content: bytes, text: str) -> bytes:
    """Return a file with another description."""
    header, data = unpacked(content)
    return packed({**header, "__metadata__": {"convlet": text}}, data)


def with_description(content: bytes, description: object) -> bytes:
    return with_text(content, json.dumps(description))


def message_of(refusal: ValueError, path: Path) -> str:
    """Return what an error says of a file, having seen that it is one error and one line."""
    assert type(refusal) is ValueError
    assert refusal.__cause__ is None
    assert refusal.__suppress_context__
    file, colon, message = str(refusal).partition(": ")
    assert file + colon == f"{path}: "
    assert len(message) <= LONGEST_MESSAGE
    assert message.isprintable()
    return message


def outcome(path: Path, content: bytes, read: Callable[[Path], Any] = load_model) -> Any:
    """Return what a file gives: a model, which has predicted, or the message of the one error."""
    path.write_bytes(content)
    try:
        model = read(path)
    except ValueError as refusal:
        return message_of(refusal, path)
    shapes = [[size or 6 for size in shape[1:]] for shape in leaves(model.input_shape)]
    if sum(map(math.prod, shapes)) < 10_000:  # a file may ask for larger images than there are
        images = [np.zeros((2, *shape)) for shape in shapes]
        with np.errstate(invalid="ignore"):  # or have a weight that is no number
            given = model.predict(images if len(images) > 1 else images[0], verbose=0)
        assert all(len(array) == 2 for array in leaves(given))
    return model


# --- damaged files ---


def test_the_models_themselves_are_read(path: Path, small: bytes, large: bytes):
    for content in (small, large):
        assert isinstance(outcome(path, content), Sequential)
        assert isinstance(outcome(path, packed(*unpacked(content))), Sequential)
        same = with_description(content, description_of(content))
        assert isinstance(outcome(path, same), Sequential)


def test_a_file_cut_off_anywhere_is_damaged(path: Path, small: bytes):
    for length in range(len(small)):
        assert outcome(path, small[:length]).startswith(DAMAGED), length


def test_a_large_file_cut_off_is_damaged(path: Path, large: bytes):
    for length in range(0, len(large), 13):
        assert outcome(path, large[:length]).startswith(DAMAGED), length


@pytest.mark.parametrize("more", [b"\0", b" ", b"x" * 1000])
def test_a_file_with_something_after_it_is_damaged(path: Path, small: bytes, more: bytes):
    assert outcome(path, small + more).startswith(DAMAGED)
    assert outcome(path, more + small).startswith(DAMAGED)


def test_every_byte_may_be_another(path: Path, small: bytes):
    for place in range(len(small)):
        changed = bytearray(small)
        changed[place] ^= 1 << place % 8
        outcome(path, bytes(changed))


@pytest.mark.slow
def test_every_bit_may_be_another(path: Path, small: bytes):
    for place, bit in itertools.product(range(len(small)), range(8)):
        changed = bytearray(small)
        changed[place] ^= 1 << bit
        outcome(path, bytes(changed))


NO_MODEL = "the file holds no model, perhaps weights alone; see load_weights"
ESCAPE_CODES = b'{"a":{"dtype":"\\u001b[2J","shape":[],"data_offsets":[0,0]}}'
NAMED_FILES = {
    "empty": (b"", DAMAGED),
    "zip": (b"PK\x03\x04" + b"\0" * 100, DAMAGED),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, DAMAGED),
    "pickle": (b"\x80\x04\x95cos\nsystem\n(S'true'\ntR.", DAMAGED),
    "NumPy": (b"\x93NUMPY\x01\0v\0{'descr': '<f4'}", DAMAGED),
    "zeros": (b"\0" * 100, DAMAGED),
    "a header without end": (b"\xff" * 8, DAMAGED),
    "a header of 100 MB": ((10**8).to_bytes(8, "little") + b"{" * 92, DAMAGED),
    "no header": (packed(b""), DAMAGED),
    "no JSON": (packed(b"x" * 50), DAMAGED),
    "a header cut off": (packed(b'{"a'), DAMAGED),
    "a header that is no UTF-8": (packed(b'{"\xff": {}}'), DAMAGED),
    "a header that is a list": (packed([]), DAMAGED),
    "a deep header": (packed(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), DAMAGED),
    "a header with escape codes": (packed(ESCAPE_CODES), DAMAGED),
    "nothing inside": (packed({}), NO_MODEL),
}


@pytest.mark.parametrize("name", NAMED_FILES)
def test_other_files_are_no_models(path: Path, name: str):
    content, message = NAMED_FILES[name]
    assert outcome(path, content).startswith(message)


def test_what_is_no_file_is_said_by_the_system(tmp_path: Path):
    with pytest.raises(IsADirectoryError, match=re.escape(str(tmp_path))):
        load_model(tmp_path)
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "none"))):
        load_model(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=re.escape(str(tmp_path / "file/none"))):
        load_model(tmp_path / "file" / "none")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read_is_said_by_the_system(path: Path, small: bytes):
    path.write_bytes(small)
    path.chmod(0)
    with pytest.raises(PermissionError, match=re.escape(str(path))):
        load_model(path)


def test_a_pipe_is_not_waited_for(path: Path):
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)  # so that this test would fail rather than wait
    try:
        with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: no file, but a pipe or "):
            load_model(path)
    finally:
        os.close(writer)


# --- headers that lie ---


def entry(dtype: object, shape: object, begin: object, end: object) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def weights(
    kernel: object = entry("F32", [2, 1], 0, 8), bias: object = entry("F32", [1], 8, 12)
) -> dict[str, object]:
    """Return the header of the small model's weights: 2 numbers and 1, together 12 bytes."""
    return {"dense/kernel": kernel, "dense/bias": bias}


def repeated(header: dict[str, object], key: str, value: object) -> bytes:
    """Return a header in which a key stands a second time, before the first."""
    return f'{{"{key}": {json.dumps(value)}, {json.dumps(header)[1:]}'.encode()


HEADERS: dict[str, tuple[object, str]] = {
    "as they are": (weights(), ""),
    "a kernel twice": (repeated(weights(), "dense/kernel", entry("F32", [1], 0, 4)), ""),
    "metadata twice": (
        repeated({**weights(), "__metadata__": {}}, "__metadata__", {}),
        DAMAGED,
    ),
    "one too few": ({"dense/kernel": entry("F32", [2, 1], 4, 12)}, DAMAGED),
    "a hole": (weights(kernel=entry("F32", [1, 1], 0, 4)), DAMAGED),
    "an overlap": (weights(bias=entry("F32", [2], 4, 12)), DAMAGED),
    "both at one place": (weights(bias=entry("F32", [2], 0, 8)), DAMAGED),
    "beyond the end": (weights(bias=entry("F32", [2], 8, 16)), DAMAGED),
    "far beyond the end": (weights(bias=entry("F32", [1], 2**62, 2**62 + 4)), DAMAGED),
    "backwards": (weights(bias=entry("F32", [1], 12, 8)), DAMAGED),
    "a negative place": (weights(bias=entry("F32", [1], -4, 0)), DAMAGED),
    "more than its bytes": (weights(kernel=entry("F32", [10**9, 1], 0, 8)), DAMAGED),
    "an overflow": (weights(kernel=entry("F32", [2**62, 2**62], 0, 8)), DAMAGED),
    "a negative size": (weights(kernel=entry("F32", [-2, -1], 0, 8)), DAMAGED),
    "a fraction of a size": (weights(kernel=entry("F32", [2.0, 1], 0, 8)), DAMAGED),
    "a type that is none": (weights(bias=entry("F31", [1], 8, 12)), DAMAGED),
    "a type that is no string": (weights(bias=entry(32, [1], 8, 12)), DAMAGED),
    "a key missing": (weights(bias={"dtype": "F32", "shape": [1]}), DAMAGED),
    "metadata that is no dict": ({**weights(), "__metadata__": "x"}, DAMAGED),
    "metadata that is no text": ({**weights(), "__metadata__": {"convlet": {}}}, DAMAGED),
    "a type that NumPy has not": (
        weights(bias=entry("BF16", [2], 8, 12)),
        "array 'dense/bias' has type BF16, which NumPy does not know",
    ),
    "integers": (
        weights(bias=entry("I32", [1], 8, 12)),
        "weight 'dense/bias' has type int32, needed is a float type",
    ),
    "another shape": (
        weights(kernel=entry("F32", [1, 2], 0, 8)),
        "weight 'dense/kernel' has shape (1, 2), needed is (2, 1)",
    ),
    "an enormous shape of nothing": (
        weights(kernel=entry("F32", [3], 0, 12), bias=entry("F32", [0, 2**60], 12, 12)),
        "weight 'dense/kernel' has shape (3,), needed is (2, 1)",
    ),
    "another name": (
        {"dense/kernel": entry("F32", [2, 1], 0, 8), "dense/../bias": entry("F32", [1], 8, 12)},
        "there is no weight 'dense/bias'; there are 'dense/../bias', 'dense/kernel'",
    ),
    "a long name": (
        {"dense/kernel": entry("F32", [2, 1], 0, 8), "z" * 10_000: entry("F32", [1], 8, 12)},
        "there is no weight 'dense/bias'; there are 'dense/kernel', 'zzz",
    ),
    "one array more": (
        {**weights(), "\x1b[2J": entry("U8", [0], 12, 12)},
        "the model has no weights for '\\x1b[2J'",
    ),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_must_be_that_of_the_weights(path: Path, name: str):
    header, message = HEADERS[name]
    model = Sequential([Input((2,)), Dense(1)])
    before = [variable.value for variable in model.weights]

    def read(path: Path) -> Model:
        model.load_weights(path)
        return model

    result = outcome(path, packed(header, b"\0" * 12), read)
    if not message:
        assert result is model
        return
    assert result.startswith(message)
    for variable, value in zip(model.weights, before, strict=True):
        assert variable.value is value


STATES: dict[str, tuple[dict[str, dict], str]] = {
    "of another shape": (
        {"optimizer state/dense/bias/momentum": entry("F32", [1, 1], 0, 4)},
        "'optimizer state/dense/bias/momentum' has type float32 and shape (1, 1), "
        "needed are float32 and (1,)",
    ),
    "of another type": (
        {"optimizer state/dense/bias/momentum": entry("I32", [1], 0, 4)},
        "'optimizer state/dense/bias/momentum' has type int32 and shape (1,), "
        "needed are float32 and (1,)",
    ),
    "of another name": (
        {"optimizer state/dense/bias/velocity": entry("F32", [1], 0, 4)},
        "the optimizer remembers nothing of the kind of 'optimizer state/dense/bias/velocity'",
    ),
    "of another weight": (
        {"optimizer state/dense_1/bias/momentum": entry("F32", [1], 0, 4)},
        "the optimizer remembers nothing of the kind of 'optimizer state/dense_1/bias/momentum'",
    ),
    "of nothing": (
        {"optimizer state/": entry("F32", [1], 0, 4)},
        "the optimizer remembers nothing of the kind of 'optimizer state/'",
    ),
}


@pytest.mark.parametrize("name", STATES)
def test_the_optimizer_s_state_must_be_that_of_the_weights(path: Path, small: bytes, name: str):
    state, message = STATES[name]
    arrays = weights(entry("F32", [2, 1], 4, 12), entry("F32", [1], 12, 16))
    metadata = unpacked(small)[0]["__metadata__"]
    content = packed({**state, **arrays, "__metadata__": metadata}, b"\0" * 16)
    assert outcome(path, content) == message
    # without the optimizer, what it would remember is of no concern
    result = outcome(path, content, lambda path: load_model(path, compile=False))
    assert isinstance(result, Sequential)


def test_the_optimizer_s_state_must_be_whole(path: Path, small: bytes):
    class Two(optimizers.SGD):
        """An optimizer that remembers two arrays."""

        def slots(self, value: np.ndarray) -> dict[str, np.ndarray]:
            return {"first": value, "momentum": value}

    description = json.dumps(description_of(small)).replace('"SGD", "config"', '"Two", "config"')
    result = outcome(
        path, with_text(small, description), lambda path: load_model(path, {"Two": Two})
    )
    assert result == "there is no 'optimizer state/dense/kernel/first', which the optimizer needs"


# --- descriptions that lie ---


WRONG = "the model's description is damaged: "
WRONG_KEYS = WRONG + "its keys are not those of a model"
TEXTS = {
    "": WRONG + "Expecting value",
    "{": WRONG + "Expecting property name",
    "{}}": WRONG + "Extra data",
    "[" * 100_000: WRONG,
    '{"a":' * 100_000: WRONG,
    "[" * 300 + "]" * 300: WRONG + "it is nested more than 100 levels deep",
    "1" * 5000: WRONG + "Exceeds the limit",
    "NaN": WRONG + "it holds NaN",
    '{"format": Infinity}': WRONG + "it holds Infinity",
    '{"format": -Infinity}': WRONG + "it holds -Infinity",
    '{"format": 1e999}': WRONG + "it holds 1e999, which is no finite number",
    f"1{'0' * 999}.0": WRONG + "it holds 10000000000000000000, which is no finite number",
    '{"format": 1, "format": 1}': WRONG + "the key 'format' stands twice",
    '{"a": [{"b": 1, "b": 2}]}': WRONG + "the key 'b' stands twice",
    "null": WRONG_KEYS,
    "1": WRONG_KEYS,
    "{}": WRONG_KEYS,
    '{"format": 1}': WRONG_KEYS,
    '{"format": 2}': "the file has format 2, this convlet reads up to 1",
    '{"format": 17, "new": 1}': "the file has format 17, this convlet reads up to 1",
}


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:20])
def test_what_is_no_description_is_refused(path: Path, small: bytes, text: str):
    assert outcome(path, with_text(small, text)).startswith(TEXTS[text])


@pytest.mark.parametrize("value", [True, 1.0, "1", None, [1], 0, -1])
def test_the_format_is_an_integer(path: Path, small: bytes, value: object):
    changed = {**description_of(small), "format": value}
    assert outcome(path, with_description(small, changed)) == WRONG_KEYS


Places = tuple[str | int, ...]


def places(node: object, place: Places = ()) -> Iterator[Places]:
    """Yield where in a description there is anything."""
    yield place
    if isinstance(node, (dict, list)):
        for key in node if isinstance(node, dict) else range(len(node)):
            yield from places(node[key], (*place, key))


def at(node: Any, place: Places) -> Any:
    for key in place:
        node = node[key]
    return node


def replaced(description: object, place: Places, value: object) -> object:
    """Return a description with something else in one place."""
    if not place:
        return value
    result = copy.deepcopy(description)
    at(result, place[:-1])[place[-1]] = value
    return result


def deep_list(levels: int) -> list:
    value: list = []
    for _ in range(levels):
        value = [value]
    return value


VALUES = [
    None,
    True,
    False,
    -1,
    0,
    2,
    1.5,
    1e30,
    "x",
    "\x1b[2J\ud800",
    "y" * 10_000,
    [],
    [None],
    {},
    {"class_name": "Dense", "config": {}},
    10**30,
    10**4000,
    [10**30],
    deep_list(20),
    deep_list(800),
]


def check_everywhere(path: Path, content: bytes, values_at: Callable[[int], list]) -> None:
    """Put values in each place of a description in turn."""
    description = description_of(content)
    for number, place in enumerate(places(description)):
        for value in values_at(number):
            outcome(path, with_description(content, replaced(description, place, value)))


def test_each_place_of_a_description_may_hold_something_else(path: Path, any_large: bytes):
    count = len(VALUES)
    check_everywhere(path, any_large, lambda n: [VALUES[(7 * n + k) % count] for k in (0, 3, 8)])


@pytest.mark.slow
def test_each_place_of_a_description_may_hold_anything(path: Path, any_large: bytes):
    check_everywhere(path, any_large, lambda n: VALUES)


def test_each_place_of_a_description_may_hold_what_stands_elsewhere(path: Path, small: bytes):
    description = description_of(small)
    found = [at(description, place) for place in places(description)]
    check_everywhere(path, small, lambda n: [found[(5 * n + k) % len(found)] for k in (1, 2)])


def test_each_key_of_a_description_may_be_missing(path: Path, any_large: bytes):
    description = description_of(any_large)
    for *place, key in filter(None, places(description)):
        changed = copy.deepcopy(description)
        del at(changed, tuple(place))[key]
        outcome(path, with_description(any_large, changed))


def test_each_dict_of_a_description_refuses_a_key_that_it_does_not_know(
    path: Path, any_large: bytes
):
    description = description_of(any_large)
    for place in places(description):
        if isinstance(at(description, place), dict):
            for key in ("other", "__class__", "self", ""):
                changed = copy.deepcopy(description)
                at(changed, place)[key] = 1
                assert isinstance(outcome(path, with_description(any_large, changed)), str)


MODEL, LAYERS = ("model",), ("model", "config", "layers")
REFUSED: list[tuple[Places, object, str]] = [
    (
        MODEL,
        {"class_name": "Dense", "config": {"units": 1}},
        "the file holds a layer, Dense 'dense', and not a model",
    ),
    (
        MODEL,
        {"class_name": "Sequential", "config": {"layers": []}},
        WRONG + "it has no input shape",
    ),
    (
        (*LAYERS, 0),
        {"class_name": "Flatten", "config": {"name": "first"}},
        WRONG + "it has no input shape",
    ),
    (("compile",), None, WRONG + "compile and training do not go together"),
    (("compile",), {}, WRONG + "compile is not of its form"),
    (("compile", "undecayed"), ["first/kernel"], WRONG + "undecayed are no weights of the model"),
    (("compile", "undecayed"), [["kernel"]], WRONG + "undecayed are no weights of the model"),
    (("compile", "undecayed"), None, WRONG + "undecayed are no weights of the model"),
    (("training",), {}, "the state of training must hold iterations, epochs and seed, got {}"),
    (
        ("class_names",),
        {"a": 1},
        "Sequential 'sequential': class_names must be a list of strings, got {'a': 1}",
    ),
    (("class_names",), ["a"], "Sequential 'sequential': there are 1 class names for 3 outputs"),
    (("preprocessing",), [], "Preprocessing: config must be a dictionary, got []"),
    (
        ("preprocessing", "channels"),
        2,
        "Preprocessing: channels must be 1 (greyscale), 3 (RGB) or 4 (RGBA), got 2",
    ),
]


@pytest.mark.parametrize(("place", "value", "message"), REFUSED)
def test_what_is_wrong_with_a_description_is_said(
    path: Path, large: bytes, place: Places, value: object, message: str
):
    changed = replaced(description_of(large), place, value)
    assert outcome(path, with_description(large, changed)) == message


# --- nothing is run ---

NAMES = (
    "os.system builtins.eval eval exec __class__ __import__ __init__ object type Layer Model Conv "
    "Pooling Registry CustomLoss Lambda ../x convlet.layers.Dense numpy.load"
)
CLASSES: list[tuple[Places, str]] = [
    (MODEL, "layer"),
    ((*LAYERS, 3), "layer"),
    ((*LAYERS, 7, "config", "kernel_initializer"), "initializer"),
    (("compile", "loss"), "loss"),
    (("compile", "optimizer"), "optimizer"),
    (("compile", "metrics", 1), "metric"),
]


@pytest.mark.parametrize("name", [*NAMES.split(), "", " ", "Dense ", "Dense\0", "dense\N{SNOWMAN}"])
def test_a_class_is_not_looked_up_anywhere_else(path: Path, large: bytes, name: str):
    before = set(sys.modules)
    for place, kind in CLASSES:
        changed = replaced(description_of(large), (*place, "class_name"), name)
        assert f"{kind}: unknown {name!r}; known are " in outcome(
            path, with_description(large, changed)
        )
    assert set(sys.modules) == before


def test_a_configuration_is_handed_to_nothing_but_a_constructor(path: Path, large: bytes):
    # each of these would be an attribute of the object if configurations were taken as they are
    for key in ("__dict__", "call", "get_config", "built", "_weights", "from_config", "**kwargs"):
        changed = replaced(description_of(large), (*LAYERS, 7, "config", key), "os.system")
        result = outcome(path, with_description(large, changed))
        assert f"layer Dense: unknown config key {key!r}; known are " in result


# --- nothing is allocated that is not there ---

BYTES = 2_000_000  # what a small file may take, lazy imports included; what it claims is gigabytes


def peak_of(function: Callable[[], object]) -> int:
    """Return the number of bytes that Python and NumPy allocate at most during a call."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def chain(*layers: dict[str, Any]) -> dict[str, Any]:
    """Return the description of a model from its layers, each its class name and its arguments."""
    entries = [
        {"class_name": layer.pop("class_name"), "config": layer} for layer in map(dict, layers)
    ]
    model = {"class_name": "Sequential", "config": {"layers": entries}}
    return {
        "format": 1,
        "model": model,
        "compile": None,
        "training": None,
        "class_names": None,
        "preprocessing": None,
    }


def input_of(*shape: int) -> dict[str, Any]:
    return {"class_name": "InputLayer", "shape": shape}


def dense(units: int) -> dict[str, Any]:
    return {"class_name": "Dense", "units": units}


def conv(filters: int, size: int, **options: Any) -> dict[str, Any]:
    return {"class_name": "Conv2D", "filters": filters, "kernel_size": size, **options}


HUGE: dict[str, dict[str, Any]] = {
    "units": chain(input_of(2), dense(10**9)),
    "units of many bits": chain(input_of(2), dense(10**4000)),
    "filters": chain(input_of(8, 8, 1), conv(10**9, 3)),
    "kernel_size": chain(input_of(8, 8, 1), conv(1, 30_000, padding="same")),
    "shape": chain(input_of(10**9, 10**9), dense(1), dense(10**9)),
    "channels": chain(input_of(8, 8, 10**9), conv(1, 3)),
    "flattened": chain(input_of(10**6, 10**6, 1), {"class_name": "Flatten"}, dense(1)),
    "a layer after another": chain(input_of(2), *[dense(10**6)] * 3),
    "an initializer": chain(
        input_of(2),
        {**dense(10**9), "kernel_initializer": {"class_name": "Ones", "config": {}}},
    ),
}


@pytest.mark.parametrize("name", HUGE)
def test_enormous_weights_are_refused_before_they_are_made(path: Path, small: bytes, name: str):
    content = with_description(small, HUGE[name])
    results = []
    assert peak_of(lambda: results.append(outcome(path, content))) < BYTES
    assert re.search("^(there is no weight|weight) '", results[0])


def test_reading_takes_memory_in_proportion_to_the_file(path: Path):
    model = Sequential([Input((1000,)), Dense(1000)])
    model.compile(optimizers.SGD(momentum=0.5), "mse")
    model.save(path)
    size = path.stat().st_size
    assert size > 4_000_000
    # the array, and the copy that the variable keeps; and as much for an optimizer's first slots
    assert peak_of(lambda: load_model(path)) < 4 * size


def test_a_long_list_of_arrays_is_not_repeated_in_the_error(path: Path, small: bytes):
    header, _ = unpacked(small)
    names = {f"{'x' * 100}{n}": entry("F32", [0], 0, 0) for n in range(10_000)}
    content = packed({**names, "__metadata__": header["__metadata__"]})
    assert outcome(path, content).endswith(", ...")


LIMITED = """
import resource, sys
from pathlib import Path
from convlet.models import load_model

used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 50_000_000, used + 50_000_000))
for path in sys.argv[1:]:
    try:
        load_model(path)
    except ValueError as error:
        print(str(error).startswith(path + ": "))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_hostile_files_are_refused_where_memory_is_short(tmp_path: Path, small: bytes):
    # 50 MB more than the program itself; what native code allocates counts here, too
    contents = [content for content, _ in NAMED_FILES.values()]
    contents += [packed(header, b"\0" * 12) for header, _ in HEADERS.values()]
    contents += [with_description(small, description) for description in HUGE.values()]
    paths = []
    for number, content in enumerate(contents):
        paths.append(tmp_path / f"{number}.safetensors")
        paths[-1].write_bytes(content)
    command = [sys.executable, "-c", LIMITED, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"] * len(paths)


# --- whatever else ---

EXAMPLES = settings(
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**9, 10**30, -(2**63), 2**64])
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["F32", "F64", "I64", "Dense", "Sequential", "relu", "same"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@EXAMPLES
@given(content=st.binary(max_size=200))
def test_random_bytes_are_no_model(path: Path, content: bytes):
    assert isinstance(outcome(path, content), str)
    assert isinstance(outcome(path, packed(content)), str)


@EXAMPLES
@given(header=st.dictionaries(st.text(max_size=5), JSON, max_size=4), data=st.binary(max_size=20))
def test_random_headers_are_no_model(path: Path, header: dict, data: bytes):
    assert isinstance(outcome(path, packed(header, data)), str)


@EXAMPLES
@given(data=st.data())
def test_random_values_in_random_places(path: Path, large: bytes, data: st.DataObject):
    description: object = description_of(large)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(list(places(description))))
        description = replaced(description, place, data.draw(JSON))
    outcome(path, with_description(large, description))


@EXAMPLES
@given(data=st.data())
def test_pieces_of_a_file_in_another_order(path: Path, small: bytes, data: st.DataObject):
    cut = st.integers(0, len(small))
    pieces = [small[slice(*sorted(data.draw(st.tuples(cut, cut))))] for _ in range(3)]
    outcome(path, b"".join(pieces))
    begin, end = sorted(data.draw(st.tuples(cut, cut)))
    outcome(path, small[:begin] + data.draw(st.binary(max_size=8)) + small[end:])


# --- layers of one's own ---


class Halved(Layer):
    """A layer of one's own that leaves its output's shape to be found by trying."""

    def build(self, input_shape: tuple) -> None:
        self.add_weight(input_shape[1:], "ones", name="factor")

    def call(self, x: np.ndarray, factor: np.ndarray) -> np.ndarray:
        return x * factor / 2


def read_halved(path: Path) -> Model:
    return load_model(path, {"Halved": Halved})


def test_what_a_layer_of_one_s_own_cannot_allocate_is_the_file_s_fault(path: Path, small: bytes):
    description = chain(input_of(10**15), {"class_name": "Halved"})
    assert outcome(path, with_description(small, description), read_halved) == (
        "the model's description asks for more memory than there is"
    )


# --- what is read can be used ---

POOLING = {"class_name": "MaxPooling2D", "padding": "same"}
BEYOND = {
    "a window": chain(input_of(4, 4, 1), {**POOLING, "pool_size": 10**4}),
    "a window of many bits": chain(input_of(4, 4, 1), {**POOLING, "pool_size": 10**30}),
    "a stride": chain(input_of(4, 4, 1), {**POOLING, "strides": 10**30}),
    "a dilation": chain(input_of(4, 4, 1), conv(1, 2, padding="same", dilation_rate=10**400)),
    "a padding": chain(input_of(4, 4, 1), {"class_name": "ZeroPadding2D", "padding": 10**30}),
    "an upsampling": chain(input_of(4, 4, 1), {"class_name": "UpSampling2D", "size": 10**4}),
    "a factor": chain(input_of(4, 4, 1), {"class_name": "Rescaling", "scale": 1e300}),
}


@pytest.mark.parametrize("name", BEYOND)
def test_a_model_that_is_read_can_predict(path: Path, name: str):
    arrays = {
        "conv2d/kernel": entry("F32", [2, 2, 1, 1], 0, 16),
        "conv2d/bias": entry("F32", [1], 16, 20),
    }
    metadata = {"__metadata__": {"convlet": json.dumps(BEYOND[name])}}
    needed = "Conv2D" in metadata["__metadata__"]["convlet"]
    outcome(path, packed({**metadata, **arrays}, b"\0" * 20) if needed else packed(metadata))


def test_a_model_that_is_read_can_be_trained(path: Path, small: bytes):
    changed = replaced(description_of(small), ("training", "iterations"), 2**63 - 1)
    model = outcome(path, with_description(small, changed))
    assert isinstance(model, Sequential)
    model.train_on_batch(np.ones((1, 2)), np.ones((1, 1)))


@pytest.mark.parametrize("value", [False, 0, "", [], {}])
def test_a_float_type_is_a_name_or_null(path: Path, small: bytes, value: object):
    place = (*LAYERS, 1, "config", "dtype")
    changed = replaced(description_of(small), place, value)
    assert isinstance(outcome(path, with_description(small, changed)), str)
