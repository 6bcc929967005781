"""Damaged and hostile `.keras` files: a model or one clear error, and nothing executed or followed.

Every file here goes through `outcome`, which holds the reader to that. What Keras's own files hold
is in `test_keras_files.py`.
"""

from __future__ import annotations

import copy
import io
import json
import random
import re
import stat
import struct
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convlet import Model, Sequential, load_model, optimizers
from convlet.layers import Activation, Dense, Dropout, Input

h5py = pytest.importorskip("h5py")

LONGEST_MESSAGE = 1000
WEIGHTS = "model.weights.h5"
NOT_PLAIN = "is external, virtual or compressed; Keras writes arrays as they are"


# --- what the tests share ---


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.keras"


def small_model() -> Sequential:
    model = Sequential([Input((2,)), Dense(1), Activation("tanh"), Dropout(0.5)])
    model.compile(optimizers.SGD(momentum=0.5), "mse", metrics=["mae"])
    model.train_on_batch(np.ones((1, 2)), np.ones((1, 1)))
    return model


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the members of a small model's file."""
    path = tmp_path_factory.mktemp("small") / "model.keras"
    small_model().save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


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


def outcome(path: Path, content: bytes) -> Any:
    """Return what a file gives: a model, which has predicted, or the message of the one error."""
    path.write_bytes(content)
    try:
        model = load_model(path)
    except ValueError as refusal:
        return message_of(refusal, path)
    model.predict(np.zeros((2, 2)), verbose=0)
    return model


def with_config(members: dict[str, bytes], change: Callable[[Any], Any]) -> bytes:
    """Return a file with another configuration: what a function returns, or leaves of the old."""
    config = json.loads(members["config.json"])
    changed = change(config)
    text = json.dumps(config if changed is None else changed)
    return zipped({**members, "config.json": text.encode()})


def with_weights(members: dict[str, bytes], change: Callable[[Any], None]) -> bytes:
    """Return a file whose HDF5 file a function has changed."""
    buffer = io.BytesIO(members[WEIGHTS])
    with h5py.File(buffer, "a") as file:
        change(file)
    return zipped({**members, WEIGHTS: buffer.getvalue()})


def peak_of(action: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# --- the archive ---


def test_the_file_itself_is_read(path: Path, members: dict[str, bytes]):
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        assert isinstance(outcome(path, zipped(members, compression)), Sequential)


def test_a_file_cut_off_anywhere_is_damaged(path: Path, members: dict[str, bytes]):
    content = zipped(members)
    for length in range(0, len(content), 61):
        assert outcome(path, content[:length]).startswith("no zip archive, or a damaged one: ")


def test_any_byte_may_be_another(path: Path, members: dict[str, bytes]):
    content, places = zipped(members), random.Random(0)
    for _ in range(200):
        changed = bytearray(content)
        changed[places.randrange(len(content))] ^= 1 << places.randrange(8)
        outcome(path, bytes(changed))


def test_any_byte_of_the_weights_may_be_another(path: Path, members: dict[str, bytes]):
    places = random.Random(0)
    for _ in range(80):
        changed = bytearray(members[WEIGHTS])
        changed[places.randrange(len(changed))] ^= 1 << places.randrange(8)
        outcome(path, zipped({**members, WEIGHTS: bytes(changed)}))


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + b"\0" * 18, b"\x89HDF\r\n\x1a\n" * 9])
def test_other_files_are_no_models(path: Path, content: bytes):
    assert isinstance(outcome(path, content), str)


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "a/../../evil", "a//b", "./evil", "..\\evil", "a\\b"]
)
def test_names_that_leave_the_archive_are_refused(path: Path, members: dict[str, bytes], name: str):
    assert outcome(path, zipped({**members, name: b""})).endswith("which is no plain name")
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_members_that_mean_nothing_are_refused(path: Path, members: dict[str, bytes]):
    content = zipped({**members, "assets/vocabulary.txt": b"a"})
    assert outcome(path, content) == (
        "the archive holds 'assets/vocabulary.txt', which has no meaning here"
    )


@pytest.mark.parametrize("name", ["config.json", WEIGHTS])
def test_a_member_that_is_missing_is_named(path: Path, members: dict[str, bytes], name: str):
    content = zipped({n: c for n, c in members.items() if n != name})
    assert outcome(path, content) == f"the archive holds no {name!r}"


def test_a_member_must_not_stand_twice(path: Path, members: dict[str, bytes]):
    buffer = io.BytesIO(zipped(members))
    with zipfile.ZipFile(buffer, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.json", b"{}")
    assert outcome(path, buffer.getvalue()) == (
        "the member 'config.json' stands twice in the archive"
    )


def as_member(members: dict[str, bytes], name: str, **attributes: Any) -> bytes:
    """Return a file in which a member has other attributes in the archive's own tables."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for known, content in members.items():
            info = zipfile.ZipInfo(known)
            if known == name:
                for attribute, value in attributes.items():
                    setattr(info, attribute, value)
            archive.writestr(info, content)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(path: Path, members: dict[str, bytes], kind: int):
    content = as_member(members, "config.json", external_attr=(kind | 0o644) << 16)
    assert outcome(path, content) == (
        "'config.json' in the archive is a link or a device, and no plain file"
    )


def test_an_encrypted_member_is_refused(path: Path, members: dict[str, bytes]):
    content = bytearray(zipped(members))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    assert outcome(path, bytes(content)).endswith("in the archive is encrypted")


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_to_compress_are_refused(
    path: Path, members: dict[str, bytes], compression: int
):
    assert outcome(path, zipped(members, compression)).endswith(
        "in the archive is compressed in a way that is not known"
    )


@pytest.mark.parametrize("name", ["config.json", "metadata.json", WEIGHTS])
def test_a_bomb_is_not_unpacked(path: Path, members: dict[str, bytes], name: str):
    content = zipped({**members, name: b" " * 100_000_000}, zipfile.ZIP_DEFLATED)
    assert len(content) < 200_000
    messages: list[str] = []
    assert peak_of(lambda: messages.append(outcome(path, content))) < 5_000_000
    assert "has 100000000 bytes, and" in messages[0]


def test_a_member_that_is_longer_than_it_says_is_not_read_on(path: Path, members: dict[str, bytes]):
    bomb = zipped({"config.json": b" " * 50_000_000}, zipfile.ZIP_DEFLATED)
    changed = bytearray(bomb)
    for signature, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", changed, changed.index(signature) + place, 100)
    messages: list[str] = []
    assert peak_of(lambda: messages.append(outcome(path, bytes(changed)))) < 5_000_000
    assert messages[0].startswith("'config.json' in the archive is damaged or encrypted: Bad CRC")


# --- the texts ---

TEXTS = {
    "nothing": (b"", "config.json: Expecting value"),
    "no UTF-8": (b"\xff\xfe{", "config.json: "),
    "a list": (b"[]", "config.json: it must hold a dict, got []"),
    "NaN": (b'{"a": NaN}', "config.json: it holds NaN"),
    "infinity": (b'{"a": -Infinity}', "config.json: it holds -Infinity"),
    "too large a number": (b'{"a": 1e999}', "config.json: it holds 1e999, which is no finite"),
    "a long integer": (b'{"a": ' + b"9" * 10_000 + b"}", "config.json: "),
    "a key twice": (b'{"config": 1, "config": 2}', "config.json: the key 'config' stands twice"),
    "deep": (b'{"a":' + b"[" * 100_000, "config.json: "),
    "101 levels": (b'{"a":' * 101 + b"1" + b"}" * 101, "config.json: it is nested more than 100"),
    "an empty dict": (b"{}", "a layer must be a dict of class_name and config, got {}"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_configuration_is_plain_json(path: Path, members: dict[str, bytes], name: str):
    text, message = TEXTS[name]
    assert outcome(path, zipped({**members, "config.json": text})).startswith(message)


def test_a_file_of_keras_2_is_told(path: Path, members: dict[str, bytes]):
    content = zipped({**members, "metadata.json": b'{"keras_version": "2.15.0"}'})
    assert outcome(path, content) == (
        "the file is of Keras 2.15.0, and Keras 3's are read; open it there and save it"
    )


@pytest.mark.parametrize(
    "ours", [[], {"class_names": None}, {"class_names": 1, "preprocessing": 2, "training": 3}]
)
def test_what_we_wrote_ourselves_is_not_trusted_either(
    path: Path, members: dict[str, bytes], ours: object
):
    text = json.dumps({"keras_version": "3.15.1", "convlet": ours}).encode()
    assert isinstance(outcome(path, zipped({**members, "metadata.json": text})), str | Sequential)


# --- classes ---


def dense(config: Any) -> Any:
    return config["config"]["layers"][1]


def changed_entry(**keys: object) -> Callable[[Any], None]:
    def change(config: Any) -> None:
        dense(config).update(keys)

    return change


def changed_dense(**keys: object) -> Callable[[Any], None]:
    def change(config: Any) -> None:
        dense(config)["config"].update(keys)

    return change


def changed_compile(**keys: object) -> Callable[[Any], None]:
    def change(config: Any) -> None:
        config["compile_config"].update(keys)

    return change


def changed_optimizer(**keys: object) -> Callable[[Any], None]:
    def change(config: Any) -> None:
        config["compile_config"]["optimizer"]["config"].update(keys)

    return change


def keras_object(name: str, module: str = "keras", /, **config: object) -> dict[str, object]:
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


FUNCTION = keras_object("function", "builtins")
LAMBDA = {
    "class_name": "__lambda__",
    "config": {"value": "4wEAAAAAAAAA", "defaults": None, "closure": None},
}
CONFIGS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a Lambda": (
        changed_entry(class_name="Lambda"),
        "the file asks for the layer 'Lambda', which convlet has not",
    ),
    "an unknown layer": (
        changed_entry(class_name="MultiHeadAttention"),
        "the file asks for the layer 'MultiHeadAttention', which convlet has not",
    ),
    "a layer that we have and Keras has not": (
        changed_entry(class_name="L2Pooling2D"),
        "the file asks for the layer 'L2Pooling2D', which convlet has not",
    ),
    "another module": (
        changed_entry(module="never_imported"),
        "the layer 'Dense' is of 'never_imported', and no class of Keras's own",
    ),
    "a module that looks like Keras": (
        changed_entry(module="keras_evil.layers"),
        "the layer 'Dense' is of 'keras_evil.layers', and no class of Keras's own",
    ),
    "a module that is none": (
        changed_entry(module=None),
        "a layer's class_name and module must be strings",
    ),
    "a stranger's class": (
        changed_entry(registered_name="Evil>Dense"),
        "the layer 'Dense' is registered as 'Evil>Dense', by a stranger",
    ),
    "a function as class": (
        changed_entry(module="os", class_name="system", config={"command": "true"}),
        "the layer 'system' is of 'os', and no class of Keras's own",
    ),
    "a class_name that is none": (changed_entry(class_name=["Dense"]), "a layer's class_name and"),
    "a config that is none": (
        changed_entry(config="x"),
        "the layer 'Dense' must have a dict as its config, got 'x'",
    ),
    "another key": (
        changed_entry(build_fn="x"),
        "the layer 'Dense' has 'build_fn', which is not known",
    ),
    "a lambda as activation": (changed_dense(activation=LAMBDA), "Dense 'dense': activation must"),
    "a layer as activation": (
        changed_dense(activation=keras_object("ReLU", "keras.layers")),
        "Dense 'dense': activation must",
    ),
    "an unknown argument": (changed_dense(lora_rank=4), "layer Dense: unknown config key 'lora_"),
    "an unknown regularizer": (
        changed_dense(kernel_regularizer=keras_object("L3", l3=0.1)),
        "the file asks for the regularizer 'L3', which convlet has not",
    ),
    "a regularizer's negative factor": (
        changed_dense(kernel_regularizer=keras_object("L2", l2=-0.1)),
        "Dense 'dense': kernel_regularizer: L2: l2 must be a number of at least 0, got -0.1",
    ),
    "a constraint along no axis of the weights": (
        changed_dense(bias_constraint=keras_object("MaxNorm", max_value=1, axis=1)),
        "Dense 'dense': weight 'bias': MaxNorm: axis must be axes of the weights that differ, ",
    ),
    "a regularizer that is a function": (
        changed_dense(kernel_regularizer=LAMBDA),
        "the file asks for the regularizer '__lambda__', which convlet has not",
    ),
    "an unknown initializer": (
        changed_dense(kernel_initializer=keras_object("STFT")),
        "the file asks for the initializer 'STFT', which convlet has not",
    ),
    "a function as initializer": (
        changed_dense(kernel_initializer=FUNCTION),
        "the initializer 'function' is of 'builtins', and no class of Keras's own",
    ),
    "mixed precision": (
        changed_dense(dtype=keras_object("DTypePolicy", name="mixed_float16")),
        "Dense 'dense': dtype must be",
    ),
    "a quantized policy": (
        changed_dense(dtype=keras_object("QuantizedDTypePolicy", name="float32", mode="int8")),
        "the float type 'QuantizedDTypePolicy' is not supported",
    ),
    "no layers": (lambda c: c["config"].pop("layers") and None, "Sequential: the config's layers"),
    "a layer for a model": (
        lambda c: {**dense(c)},
        "the file holds a layer, Dense 'dense', and not a model",
    ),
    "a layer in two models": (
        lambda c: (
            c["config"]["layers"].append({**copy.deepcopy(dense(c)), "shared_object_id": 7})
            or dense(c).update(shared_object_id=7)
        ),
        "a layer 'Dense' is shared by two models, which is not supported",
    ),
    "another optimizer": (
        changed_compile(optimizer=keras_object("Ftrl", "keras.optimizers")),
        "the file asks for the optimizer 'Ftrl', which convlet has not",
    ),
    "a schedule of a stranger's": (
        changed_optimizer(learning_rate=keras_object("ExponentialDecay", "builtins")),
        "the schedule 'ExponentialDecay' is of 'builtins', and no class of Keras's own",
    ),
    "a schedule that Keras has not": (
        changed_optimizer(learning_rate=keras_object("OneCycle")),
        "the file asks for the schedule 'OneCycle', which convlet has not",
    ),
    "a schedule without end": (
        changed_optimizer(
            learning_rate=keras_object(
                "ExponentialDecay",
                initial_learning_rate=0.1,
                decay_steps=0,
                decay_rate=0.5,
                name="ExponentialDecay",
            )
        ),
        "ExponentialDecay: decay_steps must be a number above 0, got 0",
    ),
    "two ways of clipping": (
        changed_optimizer(clipnorm=1.0, clipvalue=1.0),
        "SGD: only one of clipnorm, clipvalue and global_clipnorm may be given, got clipnorm and",
    ),
    "a scaled loss": (
        changed_optimizer(loss_scale_factor=2.0),
        "SGD: loss_scale_factor is not supported, got 2.0",
    ),
    "a function as loss": (
        changed_compile(loss=FUNCTION),
        "the loss 'function' is of 'builtins', and no class of Keras's own",
    ),
    "another axis": (
        changed_compile(loss=keras_object("BinaryCrossentropy", axis=1)),
        "BinaryCrossentropy: axis is not supported, got 1",
    ),
    "an unknown reduction": (
        changed_compile(loss=keras_object("MeanSquaredError", reduction="product")),
        "MeanSquaredError: reduction must be one of",
    ),
    "no reduction": (
        changed_compile(loss=keras_object("MeanSquaredError", reduction=None)),
        "compile: a loss must be one number to be trained on",
    ),
    "an unknown metric": (
        changed_compile(metrics=[keras_object("PearsonCorrelation")]),
        "the file asks for the metric 'PearsonCorrelation', which convlet has not",
    ),
    "an array of nothing": (
        changed_compile(
            metrics=[keras_object("AUC", label_weights={"class_name": "__tensor__", "config": 3})]
        ),
        "AUC: label_weights must be a list of numbers, got {",
    ),
    "another key of compile": (
        changed_compile(callbacks=[]),
        "compile_config has 'callbacks', which is not known",
    ),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_only_what_we_have_is_made(path: Path, members: dict[str, bytes], name: str):
    change, message = CONFIGS[name]
    assert outcome(path, with_config(members, change)).startswith(message)
    assert "never_imported" not in sys.modules


def test_a_chain_without_end_is_not_made(path: Path, members: dict[str, bytes]):
    def change(config: Any) -> None:
        config["config"]["layers"] += [keras_object("Flatten", "keras.layers")] * 20_000

    assert outcome(path, with_config(members, change)) == "the model has more than 10000 layers"


def test_how_a_model_was_compiled_may_be_left_out(path: Path, members: dict[str, bytes]):
    change = changed_compile(optimizer=keras_object("Ftrl", "keras.optimizers"))
    content = with_config(members, change)
    assert outcome(path, content).endswith("; compile=False leaves out how the model was trained")
    assert not load_model(path, compile=False).compiled


def input_of(batch_shape: object, **more: object) -> Callable[[Any], None]:
    def change(config: Any) -> None:
        config["config"]["layers"][0]["config"].update(batch_shape=batch_shape, **more)

    return change


INPUTS = {
    "another batch": (
        input_of(["8", 2]),
        "InputLayer: batch_shape must be [null, ...], got ['8', ",
    ),
    "no shape": (input_of(None), "InputLayer: batch_shape must be [null, ...], got None"),
    "a negative size": (input_of([None, -2]), "InputLayer 'input_layer': shape must"),
    "sparse": (input_of([None, 2], sparse=True), "InputLayer: sparse is not supported, got True"),
    "optional": (input_of([None, 2], optional=True), "InputLayer: optional is not supported"),
}


@pytest.mark.parametrize("name", INPUTS)
def test_inputs_are_dense_and_open(path: Path, members: dict[str, bytes], name: str):
    change, message = INPUTS[name]
    assert outcome(path, with_config(members, change)).startswith(message)


@pytest.mark.parametrize("units", [10**9, 10**30, 2**63])
def test_absurd_shapes_allocate_nothing(path: Path, members: dict[str, bytes], units: int):
    content = with_config(members, changed_dense(units=units))
    messages: list[str] = []
    assert peak_of(lambda: messages.append(outcome(path, content))) < 2_000_000
    assert "has shape (2, 1), needed is (2, " in messages[0]


# --- HDF5 ---


def replaced(file: Any, put: Callable[[Any], Any], name: str = "layers/dense/vars/0") -> None:
    """Put something else in the place of an array."""
    holder, _, last = name.rpartition("/")
    del file[name]
    put(file[holder])
    assert file[holder].id.links.exists(last.encode())


def external_storage(group: Any) -> None:
    group.create_dataset("0", (2, 1), "f4", external=[("/etc/passwd", 0, 8)])


def virtual(group: Any) -> None:
    layout = h5py.VirtualLayout((2, 1), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (2, 1))
    group.create_virtual_dataset("0", layout)


def put(**keywords: Any) -> Callable[[Any], None]:
    def change(group: Any) -> None:
        group.create_dataset("0", **keywords)

    return change


def link(made: Callable[[], Any]) -> Callable[[Any], None]:
    def change(group: Any) -> None:
        group["0"] = made()

    return change


ARRAYS: dict[str, tuple[Callable[[Any], None], str]] = {
    "an external link": (
        link(lambda: h5py.ExternalLink("/etc/passwd", "/x")),
        "'0' in the weights file is a ExternalLink, and leads away",
    ),
    "a soft link": (
        link(lambda: h5py.SoftLink("/layers/dense/vars/1")),
        "'0' in the weights file is a SoftLink, and leads away",
    ),
    "a soft link to nothing": (
        link(lambda: h5py.SoftLink("/none")),
        "'0' in the weights file is a SoftLink, and leads away",
    ),
    "external storage": (
        external_storage,
        f"'layers/dense/vars/0' in the weights file {NOT_PLAIN}",
    ),
    "a virtual array": (virtual, f"'layers/dense/vars/0' in the weights file {NOT_PLAIN}"),
    "a compressed array": (
        put(data=np.ones((2, 1), "f4"), compression="gzip"),
        f"'layers/dense/vars/0' in the weights file {NOT_PLAIN}",
    ),
    "chunks": (
        put(data=np.ones((2, 1), "f4"), chunks=(1, 1)),
        f"'layers/dense/vars/0' in the weights file {NOT_PLAIN}",
    ),
    "a bomb": (
        put(shape=(10**6, 10**5), dtype="f4", chunks=(1000, 1000), compression="gzip"),
        f"'layers/dense/vars/0' in the weights file {NOT_PLAIN}",
    ),
    "an array that was never written": (
        put(shape=(10**6, 10**5), dtype="f4"),
        "'layers/dense/vars/0' is not in the weights file, which is too short for it",
    ),
    "another shape": (
        put(data=np.ones((1, 2), "f4")),
        "weight 'dense/kernel' has shape (1, 2), needed is (2, 1)",
    ),
    "integers": (
        put(data=np.ones((2, 1), "i4")),
        "weight 'dense/kernel' has type int32, needed is a float type",
    ),
    "strings": (
        put(data=[["a"], ["b"]], dtype=h5py.string_dtype()),
        "'layers/dense/vars/0' in the weights file holds no numbers",
    ),
    "references": (
        put(shape=(2, 1), dtype=h5py.ref_dtype),
        "'layers/dense/vars/0' in the weights file holds no numbers",
    ),
    "an empty array": (
        put(data=h5py.Empty("f4")),
        "'layers/dense/vars/0'",
    ),
    "a group": (
        lambda group: group.create_group("0"),
        "'layers/dense/vars/0' in the weights file is no array",
    ),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_lie_in_the_file_itself(path: Path, members: dict[str, bytes], name: str):
    change, message = ARRAYS[name]
    content = with_weights(members, lambda file: replaced(file, change))
    messages: list[str] = []
    assert peak_of(lambda: messages.append(outcome(path, content))) < 5_000_000
    assert messages[0].startswith(message)


def moved(file: Any, old: str, new: str) -> None:
    file.move(old, new)


GROUPS: dict[str, tuple[Callable[[Any], None], str]] = {
    "a soft link for a group": (
        lambda f: (moved(f, "layers", "moved"), f.__setitem__("layers", h5py.SoftLink("/moved"))),
        "'layers' in the weights file is a SoftLink, and leads away",
    ),
    "an external link for a group": (
        lambda f: (
            moved(f, "layers/dense/vars", "moved"),
            f.__setitem__("layers/dense/vars", h5py.ExternalLink("/etc/passwd", "/x")),
        ),
        "'vars' in the weights file is a ExternalLink, and leads away",
    ),
    "a layer more": (
        lambda f: f.create_group("layers/dense_1"),
        "the model has no layer for 'layers/dense_1'",
    ),
    "a layer less": (
        lambda f: f.__delitem__("layers/dense"),
        "the weights file has 0 arrays for 'dense', needed are 2",
    ),
    "an array more": (
        lambda f: f.create_dataset("layers/dense/vars/2", data=1.0),
        "the weights file has 3 arrays for 'dense', needed are 2",
    ),
    "other names": (
        lambda f: moved(f, "layers/dense/vars/0", "layers/dense/vars/kernel"),
        "'layers/dense/vars' in the weights file must hold arrays 0, 1, ...",
    ),
    "a part more": (
        lambda f: f.create_group("layers/dense/lora"),
        "'layers/dense/lora' in the weights file has no meaning here",
    ),
    "an array for a group": (
        lambda f: (f.__delitem__("layers"), f.create_dataset("layers", data=1.0)),
        "'layers' in the weights file is no group",
    ),
    "a group in itself": (
        lambda f: (f.__delitem__("layers/dense/vars"), f.__setitem__("layers/dense/vars", f["/"])),
        "'layers/dense/vars' in the weights file must hold arrays 0, 1, ...",
    ),
    "another optimizer's state": (
        lambda f: f.create_dataset("optimizer/vars/4", data=1.0),
        "the optimizer's state has 5 arrays, needed are 4; compile=False leaves it unread",
    ),
    "steps that are no integer": (
        lambda f: (f.__delitem__("optimizer/vars/0"), f.__setitem__("optimizer/vars/0", 1.5)),
        "optimizer/vars/0 has type float64 and shape (), needed is shape ()",
    ),
    "a negative number of steps": (
        lambda f: (f.__delitem__("optimizer/vars/0"), f.__setitem__("optimizer/vars/0", -1)),
        "the state of training: iterations must",
    ),
    "a learning rate that is none": (
        lambda f: (f.__delitem__("optimizer/vars/1"), f.__setitem__("optimizer/vars/1", np.nan)),
        "SGD: learning_rate must",
    ),
}


@pytest.mark.parametrize("name", GROUPS)
def test_groups_are_those_of_the_layers(path: Path, members: dict[str, bytes], name: str):
    change, message = GROUPS[name]
    assert outcome(path, with_weights(members, change)).startswith(message)


def test_many_weights_cannot_be_the_same_bytes(tmp_path: Path):
    """100 layers that all point to one array would be 100 times the file."""
    path, model = tmp_path / "model.weights.h5", Sequential([Input((200,))])
    for _ in range(100):
        model.add(Dense(200, use_bias=False))
    model.save_weights(path)
    with h5py.File(path) as old, h5py.File(tmp_path / "hostile", "w") as file:
        first = file.create_dataset("layers/dense/vars/0", data=old["layers/dense/vars/0"][()])
        for name in list(old["layers"])[1:]:
            file[f"layers/{name}/vars/0"] = first
    (tmp_path / "hostile").rename(path)
    message = r": 'layers/dense_\d+/vars/0' is not in the weights file, which is too short for it$"
    with pytest.raises(ValueError, match=message):
        model.load_weights(path)


def test_a_weights_file_that_is_too_long_is_not_read(tmp_path: Path):
    path = tmp_path / "model.weights.h5"
    with path.open("wb") as file:
        file.truncate(10**10)
    model = Sequential([Input((2,)), Dense(1)])
    with pytest.raises(
        ValueError, match=f"^{re.escape(str(path))}: the file has 10000000000 bytes"
    ):
        model.load_weights(path)


def test_weights_are_replaced_all_or_none(path: Path, members: dict[str, bytes]):
    model = small_model()
    before = model.get_weights()
    path.write_bytes(with_weights(members, lambda file: file.__delitem__("layers/dense/vars/1")))
    with pytest.raises(ValueError, match="has 1 arrays for 'dense'"):
        model.load_weights(path)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_without_h5py_it_is_said_what_is_missing(
    path: Path, members: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
):
    path.write_bytes(zipped(members))
    monkeypatch.setitem(sys.modules, "h5py", None)
    message = r"^Keras's files need h5py: pip install 'convlet\[keras\]', or pip install h5py$"
    with pytest.raises(ImportError, match=message):
        load_model(path)
    model: Model = Sequential([Input((2,)), Dense(1)])
    for name in ("model.keras", "model.weights.h5"):
        with pytest.raises(ImportError, match=message):
            (model.save if name.endswith(".keras") else model.save_weights)(path.with_name(name))
