"""Event files: records taken apart by the formats' own documents, and what is in them."""

import struct

import numpy as np
import pytest
from scripted import Tell, train

from convlet.callbacks import TensorBoard
from convlet.callbacks.event_file import EventFile, histogram

# --- a reader written for this test, from the TFRecord and the protobuf documents ---


def crc32c(data):
    """CRC-32C bit by bit (RFC 3720, appendix B.4)."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0x82F63B78 * (register & 1))
    return register ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17) & 0xFFFFFFFF) + 0xA282EAD8) % 2**32


def records(path):
    data = path.read_bytes()
    while data:
        (length, crc_of_length) = struct.unpack_from("<QI", data)
        assert crc_of_length == masked(data[:8])
        record = data[12 : 12 + length]
        assert len(record) == length
        assert struct.unpack_from("<I", data, 12 + length) == (masked(record),)
        yield record
        data = data[16 + length :]


def varint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at


def message(data):
    """Return a protobuf message's fields, in order: number and raw value."""
    fields, at = [], 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 2:
            size, at = varint(data, at)
            value, at = data[at : at + size], at + size
        else:
            form = {1: "<d", 5: "<f"}[kind]
            (value,) = struct.unpack_from(form, data, at)
            at += struct.calcsize(form)
        fields.append((key >> 3, value))
    return fields


def events(folder):
    """Return (step, tag, fields of the value) for all values in the folder's only file."""
    (path,) = folder.glob("events.out.tfevents.*")
    first, *rest = [dict(message(record)) for record in records(path)]
    assert first[3] == b"brain.Event:2"
    found = []
    for event in rest:
        assert event[1] > 1.7e9  # seconds since 1970
        for number, value in message(event[5]):
            assert number == 1
            fields = dict(message(value))
            found.append((event[2], fields[1].decode(), fields))
    return found


def scalars(folder):
    return [(step, tag, fields[2]) for step, tag, fields in events(folder)]


def test_the_checksum_is_crc32c():
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C


# --- what is written ---


def test_scores_of_epochs(tmp_path):
    model = train(TensorBoard(tmp_path), validation_split=0.25)
    history = model.history.history | {"learning_rate": [0.1] * 3}
    for folder, prefix in (("train", ""), ("validation", "val_")):
        expected = [
            (epoch, f"epoch_{name}", np.float32(history[prefix + name][epoch]))
            for epoch in range(3)
            for name in ("loss", "accuracy", *(["learning_rate"] if folder == "train" else []))
        ]
        assert scalars(tmp_path / folder) == expected


def test_scores_of_steps(tmp_path):
    train(TensorBoard(tmp_path / "each", update_freq="batch"), epochs=2)
    train(TensorBoard(tmp_path / "some", update_freq=2), epochs=2)
    each = [row for row in scalars(tmp_path / "each/train") if row[1] == "batch_loss"]
    some = [row for row in scalars(tmp_path / "some/train") if row[1] == "batch_loss"]
    assert [row[0] for row in each] == [1, 2, 3, 4, 5, 6]
    assert some == each[1::2]
    assert not (tmp_path / "each/validation").exists()


def test_runs_of_one_second_have_files_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr("convlet.callbacks.event_file.time.time", lambda: 1.8e9)
    tensorboard = TensorBoard(tmp_path)
    for _ in range(3):
        train(tensorboard, epochs=1)
    files = sorted((tmp_path / "train").iterdir())
    assert len(files) == 3
    assert all(len(list(records(file))) == 2 for file in files)


def test_a_forged_state_names_no_file_elsewhere(tmp_path):
    elsewhere = tmp_path / "thesis.txt"
    elsewhere.write_text("years of work")
    for name, folder in (("../../thesis.txt", "train"), ("thesis.txt", "..")):
        with pytest.raises(ValueError, match="' is no event file"):
            TensorBoard(tmp_path / "logs").set_state({folder: {"name": name, "position": 0}})
    assert elsewhere.read_text() == "years of work"


def test_histograms_of_weights(tmp_path):
    tell = Tell()
    train(tell, TensorBoard(tmp_path, histogram_freq=2))
    found = [event for event in events(tmp_path / "train") if event[1].endswith("histogram")]
    assert [(step, tag) for step, tag, _ in found] == [
        (step, f"dense/{name}/histogram") for step in (0, 2) for name in ("kernel", "bias")
    ]
    for (step, tag, fields), n in zip(found, [0, 1, 0, 1], strict=True):
        weights = tell.weights[step][n].astype(float)
        spread = dict(message(fields[5]))
        moments = [weights.min(), weights.max(), weights.size, weights.sum(), (weights**2).sum()]
        np.testing.assert_allclose([spread[k] for k in range(1, 6)], moments, rtol=1e-12)
        limits, counts = (np.frombuffer(spread[k], "<f8") for k in (6, 7))
        assert len(limits) == len(counts) == 30
        assert np.all(np.diff(limits) > 0)
        for limit, below in zip(limits[:-1], np.cumsum(counts)[:-1], strict=True):
            # a number on a limit may be on either side
            assert (weights < limit - 1e-9).sum() <= below <= (weights < limit + 1e-9).sum(), tag
        assert counts.sum() == weights.size


def test_equal_numbers_have_a_histogram():
    fields = dict(message(dict(message(histogram("zero", np.zeros(4))))[5]))
    assert (fields[1], fields[2], fields[3]) == (0, 0, 4)
    assert np.frombuffer(fields[7], "<f8").sum() == 4


def test_scores_of_several_numbers_are_numbered(tmp_path):
    train(Tell(f1=[np.array([0.5, 0.25])]), TensorBoard(tmp_path), epochs=1)
    found = scalars(tmp_path / "train")
    assert [row for row in found if "f1" in row[1]] == [
        (0, "epoch_f1_0", 0.5),
        (0, "epoch_f1_1", 0.25),
    ]


def test_numbers_too_large_for_float32_are_infinite(tmp_path):
    train(Tell(huge=[1e300]), TensorBoard(tmp_path), epochs=1)
    assert (0, "epoch_huge", np.inf) in scalars(tmp_path / "train")


def test_long_steps_and_tags(tmp_path):
    file = EventFile(tmp_path)
    file.write(300_000_000, [histogram("x" * 200, np.arange(3.0))])
    file.close()
    ((step, tag, _),) = events(tmp_path)
    assert (step, tag) == (300_000_000, "x" * 200)


def test_going_on_cuts_off_what_came_later(tmp_path):
    file = EventFile(tmp_path)
    file.write(1, [histogram("a", np.arange(3.0))])
    position = file.position()
    file.write(2, [histogram("b", np.arange(3.0))])
    file.close()
    again = EventFile(tmp_path, file.name, position)
    again.write(3, [histogram("c", np.arange(3.0))])
    again.close()
    assert [event[:2] for event in events(tmp_path)] == [(1, "a"), (3, "c")]
    with pytest.raises(
        ValueError, match="must hold the 9999 bytes that it had when the checkpoint"
    ):
        EventFile(tmp_path, file.name, 9999)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"histogram_freq": -1}, "histogram_freq must be an integer of at least 0, got -1"),
        ({"update_freq": 0}, "update_freq must be 'epoch', 'batch' or an integer of at least 1"),
        ({"update_freq": "step"}, "update_freq must be 'epoch', 'batch' or an integer of at least"),
    ],
)
def test_arguments_that_will_not_do(arguments, message):
    with pytest.raises(ValueError, match=f"^TensorBoard: {message}"):
        TensorBoard(**arguments)
