"""CSVLogger: what stands in the file."""

import csv

import numpy as np
import pytest
from scripted import Tell, X, Y, train

from convlet.callbacks import Callback, CSVLogger


def rows(path, **options):
    with path.open(newline="") as file:
        return list(csv.reader(file, **options))


def test_a_row_for_each_epoch(tmp_path):
    path = tmp_path / "log.csv"
    model = train(CSVLogger(path), validation_split=0.25)
    heading, *table = rows(path)
    assert heading == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"]
    assert [row[0] for row in table] == ["0", "1", "2"]
    for column, name in enumerate(heading[1:], 1):
        # text from which Python reads the same number again
        assert [float(row[column]) for row in table] == model.history.history[name]


@pytest.mark.parametrize(
    "options", [{"validation_split": 0.25}, {"validation_data": (X, Y)}], ids=["split", "data"]
)
def test_validation_that_begins_later_has_its_columns(tmp_path, options):
    path = tmp_path / "log.csv"
    model = train(CSVLogger(path), epochs=4, validation_freq=2, **options)
    heading, *table = rows(path)
    assert heading == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"]
    assert [row[3:] for row in (table[0], table[2])] == [["NA", "NA"]] * 2
    found = [float(row[4]) for row in (table[1], table[3])]
    assert found == model.history.history["val_loss"]


def test_separator_and_rows_that_are_there_already(tmp_path):
    path = tmp_path / "log.csv"
    for _ in range(2):
        train(CSVLogger(path, ";", append=True), epochs=2)
    assert [row[0] for row in rows(path, delimiter=";")] == ["epoch", "0", "1", "0", "1"]
    train(CSVLogger(path), epochs=1)
    assert [row[0] for row in rows(path)] == ["epoch", "0"]


def test_what_is_there_is_kept_until_the_first_row(tmp_path):
    class Fail(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            raise ArithmeticError

    path = tmp_path / "log.csv"
    path.write_text("hours of work\n")
    with pytest.raises(ArithmeticError):
        train(CSVLogger(path), Fail())
    assert path.read_text() == "hours of work\n"


def test_cells_of_all_kinds(tmp_path):
    class Drop(Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch:
                del logs["accuracy"]

    path = tmp_path / "log.csv"
    told = Tell(a=[np.array([1, 2]), (3,)], b=["left, right", np.array(5)])
    train(Drop(), told, CSVLogger(path), epochs=2)
    heading, first, second = rows(path)
    assert heading == ["epoch", "a", "accuracy", "b", "loss"]
    assert first[1] == '"[1, 2]"'
    assert first[3] == "left, right"
    assert second[1:4] == ['"[3]"', "NA", "5"]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        train(CSVLogger(tmp_path / "no/log.csv"))


@pytest.mark.parametrize("separator", ["", ",,", '"', "\n", 3])
def test_separators_that_are_none(separator):
    with pytest.raises(ValueError, match="CSVLogger: separator must be one character"):
        CSVLogger("log.csv", separator)


def test_going_on_cuts_off_later_rows_and_keeps_the_columns(tmp_path):
    path = tmp_path / "log.csv"
    logger = CSVLogger(path)
    train(logger, epochs=2)
    state = logger.get_state()
    train(CSVLogger(path, append=True), epochs=3)
    logger.on_train_begin()
    logger.set_state(state)
    assert [row[0] for row in rows(path)] == ["epoch", "0", "1"]
    logger.on_epoch_end(2, {"loss": 0.5, "speed": 3})
    logger.close()
    assert rows(path)[3:] == [["2", "NA", "0.5"]]


def test_a_file_that_lost_rows_is_not_gone_on_with(tmp_path):
    logger = CSVLogger(tmp_path / "log.csv")
    train(logger)
    state = logger.get_state()
    (tmp_path / "log.csv").write_text("")
    logger.on_train_begin()
    with pytest.raises(
        ValueError, match=r"log\.csv must hold the \d+ bytes that it had when .* 0$"
    ):
        logger.set_state(state)
    logger.close()
