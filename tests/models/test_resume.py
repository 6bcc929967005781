"""A run that is killed and started again ends with the bits of one that was never stopped."""

import errno
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import convlet
from convlet import callbacks, layers, metrics, optimizers
from convlet.augmentation import GaussianNoise
from convlet.callbacks import BackupAndRestore, Callback, EarlyStopping
from convlet.models.resume import place_in
from convlet.saving import read_checkpoint, write_checkpoint
from convlet.utils import PyDataset

KILLS = 10

SCRIPT = '''
"""Trains a tiny network with everything that remembers something; kills itself if told to."""
import os
import signal
import sys

import numpy as np

import convlet
from convlet import callbacks, layers, optimizers

KILL_IN_FSYNC = int(sys.argv[1])  # the number of the call during which to be killed; 0 for none
calls, fsync = 0, os.fsync


def deadly(handle):
    global calls
    calls += 1
    if calls == KILL_IN_FSYNC:
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(handle)


os.fsync = deadly
convlet.utils.set_random_seed(3)
rng = np.random.default_rng(0)
x = rng.normal(size=(70, 6, 6, 1)).astype(np.float32)
y = (x.sum((1, 2, 3)) > 0).astype(int)
model = convlet.Sequential([
    layers.Input((6, 6, 1)),
    layers.Conv2D(3, 3, activation="relu"),
    layers.BatchNormalization(),
    layers.Flatten(),
    layers.Dropout(0.3),
    layers.Dense(2, activation="softmax"),
])
model.compile(optimizers.SGD(0.05, 0.9), "sparse_categorical_crossentropy", ["accuracy"])


class Counter(callbacks.Callback):
    """Prints a line a step, for whoever kills this run by them."""

    def on_train_batch_end(self, batch, logs=None):
        print("step", flush=True)


history = model.fit(x, y, 8, 16, 0, [
    callbacks.BackupAndRestore("backup", save_freq=3),
    callbacks.EarlyStopping(patience=12, restore_best_weights=True),
    callbacks.ReduceLROnPlateau(patience=1, factor=0.7),
    callbacks.CSVLogger("log.csv"),
    callbacks.ModelCheckpoint("best.safetensors", save_best_only=True),
    callbacks.TensorBoard("events", update_freq=3),
    Counter(),
], validation_split=0.2)
model.save("model.safetensors")
with open("history.txt", "w") as file:
    print(history.epoch, sorted(history.history.items()), convlet.random.next_seed(), file=file)
'''
COMPARED = ("model.safetensors", "best.safetensors", "log.csv", "history.txt")


def start(folder, kill_in_fsync=0):
    (folder / "script.py").write_text(SCRIPT)
    return subprocess.Popen(
        [sys.executable, "script.py", str(kill_in_fsync)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ
        | {"PYTHONPATH": str(Path(convlet.__file__).parents[1]), "OPENBLAS_NUM_THREADS": "1"},
    )


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory):
    """Return a folder with what a run leaves that was never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    process = start(folder)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert not (folder / "backup").exists()
    return folder


def assert_same_results(folder, expected):
    for name in COMPARED:
        assert (folder / name).read_bytes() == (expected / name).read_bytes(), name
    for part in ("train", "validation"):  # a run killed before its first checkpoint leaves a file
        sizes = [
            max(path.stat().st_size for path in (f / "events" / part).iterdir())
            for f in (folder, expected)
        ]
        assert sizes[0] == sizes[1]


def test_killed_at_random_moments(never_stopped, tmp_path):
    """Moments are a number of steps and a few milliseconds: a fast machine is killed as well."""
    moments = random.Random(2)
    checkpoint = tmp_path / "backup/checkpoint.safetensors"
    killed = resumed = 0
    for _ in range(KILLS):
        process = start(tmp_path)
        for _ in range(moments.randint(0, 5)):
            process.stdout.readline()
        time.sleep(moments.uniform(0, 0.004))
        process.kill()
        process.communicate(timeout=60)
        if process.returncode == 0:
            break
        killed += 1
        if checkpoint.exists():
            resumed += 1
            place_in(checkpoint)  # whole, whatever was going on
    else:
        process = start(tmp_path)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert killed >= 3  # all ten, unless this process was kept waiting again and again
    assert resumed >= 1
    assert_same_results(tmp_path, never_stopped)
    assert not (tmp_path / "backup").exists()


def test_killed_while_writing(never_stopped, tmp_path):
    for call in (1, 12, 26):
        process = start(tmp_path, call)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
    _, errors = start(tmp_path).communicate(timeout=60)
    assert errors == ""
    assert_same_results(tmp_path, never_stopped)


# --- within this process: stopped by an error in a callback, and a new model as in a new script ---

rng = np.random.default_rng(1)
X = rng.normal(size=(20, 4)).astype(np.float32)
Y = (X.sum(axis=1) > 0).astype(int)


class StoppedError(Exception):
    pass


class StopAfter(Callback):
    """Raises an error after a number of steps, or after an epoch."""

    def __init__(self, steps=None, epoch=None):
        self.steps, self.epoch = steps, epoch

    def on_train_batch_begin(self, batch, logs=None):
        if self.model.state.iterations == self.steps:
            raise StoppedError

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise StoppedError


def compiled(units=3, **options):
    convlet.utils.set_random_seed(0)
    model = convlet.Sequential(
        [layers.Input((4,)), layers.Dense(units), layers.Dropout(0.5), layers.Dense(2)]
    )
    loss = convlet.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        options.get("optimizer", optimizers.SGD(0.1, 0.9)),
        loss,
        options.get("metrics", ["accuracy"]),
    )
    return model


def fit(model, *more, x=X, y=Y, batch_size=4, epochs=4, **options):
    return model.fit(x, y, batch_size, epochs, 0, list(more), **options)


def same(model, other):
    pairs = zip(model.get_weights(), other.get_weights(), strict=True)
    slots = [m.state.slots for m in (model, other)]
    return all(np.array_equal(a, b) for a, b in pairs) and all(
        np.array_equal(slots[0][path][name], slots[1][path][name])
        for path in slots[0]
        for name in slots[0][path]
    )


@pytest.mark.parametrize("save_freq", ["epoch", 2, 5, 7])
@pytest.mark.parametrize("stop", [{"steps": 1}, {"steps": 13}, {"epoch": 2}])
def test_goes_on_where_it_stopped(tmp_path, save_freq, stop):
    expected = compiled()
    record = fit(expected)
    with pytest.raises(StoppedError):
        fit(compiled(), BackupAndRestore(tmp_path / "b", save_freq), StopAfter(**stop))
    model = compiled()
    resumed = fit(model, BackupAndRestore(tmp_path / "b", save_freq))
    assert same(model, expected)
    assert (resumed.epoch, resumed.history) == (record.epoch, record.history)
    assert model.state.get_config() == expected.state.get_config()
    assert not (tmp_path / "b").exists()


def test_a_checkpoint_of_the_last_step_of_all(tmp_path):
    backup = BackupAndRestore(tmp_path, 20, delete_checkpoint=False)
    expected, model = compiled(), compiled()
    record = fit(expected, backup)
    resumed = fit(model, backup)  # one epoch's end is left to be done
    assert place_in(backup.path)[:2] == (3, 5)
    assert same(model, expected)
    assert resumed.history == record.history


def test_a_finished_run_is_finished(tmp_path):
    backup = BackupAndRestore(tmp_path, delete_checkpoint=False)
    stopping = EarlyStopping("loss", patience=0, min_delta=100, restore_best_weights=True)
    expected, model = compiled(), compiled()
    record = fit(expected, stopping, backup)
    assert record.epoch == [0, 1]
    again = fit(model, EarlyStopping("loss", min_delta=100, restore_best_weights=True), backup)
    assert again.history == record.history
    assert same(model, expected)


def test_more_epochs_go_on_behind_a_finished_run(tmp_path):
    expected, model = compiled(), compiled()
    fit(expected, epochs=6)
    fit(compiled(), BackupAndRestore(tmp_path, delete_checkpoint=False), epochs=4)
    fit(model, BackupAndRestore(tmp_path), epochs=6)
    assert same(model, expected)


def test_fewer_epochs_than_were_made_give_the_checkpoint_s_weights(tmp_path):
    with pytest.raises(StoppedError):
        fit(compiled(), BackupAndRestore(tmp_path, save_freq=2), StopAfter(steps=13))
    expected, model = compiled(), compiled()
    with pytest.raises(StoppedError):
        fit(expected, StopAfter(steps=12))
    fit(model, BackupAndRestore(tmp_path, save_freq=2), epochs=2)
    assert model.state.iterations == 12
    assert same(model, expected)


def test_learning_rates_of_callbacks_are_restored(tmp_path):
    def schedule():
        return callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5)

    expected, model = compiled(), compiled()
    fit(expected, schedule())
    with pytest.raises(StoppedError):
        fit(compiled(), schedule(), BackupAndRestore(tmp_path, 2), StopAfter(steps=13))
    fit(model, schedule(), BackupAndRestore(tmp_path, 2))
    assert model.optimizer.learning_rate == expected.optimizer.learning_rate == 0.1 / 16
    assert same(model, expected)


def test_distortions_are_those_of_the_run(tmp_path):
    def model():
        convlet.utils.set_random_seed(0)
        given = convlet.Sequential([layers.Input((2, 2, 1)), layers.Flatten(), layers.Dense(2)])
        given.compile("sgd", convlet.losses.SparseCategoricalCrossentropy(from_logits=True))
        return given

    images = X.reshape(-1, 2, 2, 1)
    options = {"x": images, "augmentation": [GaussianNoise(0.5)]}
    expected, resumed = model(), model()
    fit(expected, **options)
    with pytest.raises(StoppedError):
        fit(model(), BackupAndRestore(tmp_path, 3), StopAfter(steps=8), **options)
    with pytest.raises(ValueError, match="by a script with other augmentation; undo the change"):
        fit(model(), BackupAndRestore(tmp_path, 3), x=images)
    fit(resumed, BackupAndRestore(tmp_path, 3), **options)
    assert same(resumed, expected)


class Seen(Callback):
    """Remembers things of all kinds."""

    def __init__(self):
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append((batch, float("nan"), None, "x", {"a": np.array([batch, 1.5])}))

    def get_state(self):
        return {"seen": self.seen}

    def set_state(self, state):
        self.seen = state["seen"]


def test_callbacks_of_ones_own_take_part(tmp_path):
    with pytest.raises(StoppedError):
        fit(compiled(), Seen(), BackupAndRestore(tmp_path, 3), StopAfter(steps=7))
    seen = Seen()
    fit(compiled(), seen, BackupAndRestore(tmp_path, 3), epochs=2)
    assert [row[0] for row in seen.seen] == [0, 1, 2, 3, 4] * 2
    assert all(np.isnan(row[1]) and row[2] is None and row[3] == "x" for row in seen.seen)
    for row in seen.seen:
        np.testing.assert_array_equal(row[4]["a"], [row[0], 1.5])


def test_what_a_file_cannot_hold(tmp_path):
    class Odd(Seen):
        def get_state(self):
            return {"what": {1, 2}}

    message = "a checkpoint holds numbers, .*; callbacks/0/what is of type set"
    with pytest.raises(ValueError, match=message):
        fit(compiled(), Odd(), BackupAndRestore(tmp_path))


def test_losses_that_no_file_holds_can_be_resumed(tmp_path):
    def model():
        given = compiled()
        squares = convlet.losses.CustomLoss(
            lambda y, p: ((p - y[:, None]) ** 2).mean(-1), lambda y, p: p - y[:, None]
        )
        given.compile(optimizers.SGD(0.01), squares)
        return given

    expected, resumed = model(), model()
    fit(expected)
    with pytest.raises(StoppedError):
        fit(model(), BackupAndRestore(tmp_path), StopAfter(steps=11))
    fit(resumed, BackupAndRestore(tmp_path))
    assert same(resumed, expected)


def test_metrics_without_a_state_say_so(tmp_path):
    class Last(metrics.Metric):
        def reset_state(self):
            self.value = 0.0

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.value = float(np.mean(y_pred))

        def result(self):
            return self.value

    fit(compiled(metrics=[Last()]), BackupAndRestore(tmp_path))  # between epochs there is none
    with pytest.raises(NotImplementedError, match="Last must name in state_names"):
        fit(compiled(metrics=[Last()]), BackupAndRestore(tmp_path, 3))


# --- what is refused ---


@pytest.fixture
def stopped(tmp_path):
    """Return the folder of a run that was stopped after 7 steps."""
    with pytest.raises(StoppedError):
        fit(compiled(), BackupAndRestore(tmp_path, 3), StopAfter(steps=7), validation_split=0.2)
    return tmp_path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": X[:15], "y": Y[:15]}, "other samples to train on: 16 then, 12 now"),
        ({"batch_size": 3}, "other batch size: 4 then, 3 now"),
        ({"x": X + 1}, "other data;"),
        ({"y": 1 - Y}, "other data;"),
        ({"shuffle": False}, "other shuffle: True then, False now"),
        ({"validation_split": 0.1}, "other samples to train on"),
        ({"model": {"units": 5}}, "other architecture;"),
        ({"model": {"optimizer": optimizers.SGD(0.2, 0.9)}}, "other optimizer, loss or metrics;"),
        ({"model": {"metrics": ["acc"]}}, "other optimizer, loss or metrics;"),
        ({"callback": Seen()}, r"other callbacks: \['History'\] then, \['Seen', 'History'\] now"),
    ],
)
def test_another_script_is_refused(stopped, change, message):
    model = compiled(**change.pop("model", {}))
    more = [change.pop("callback")] if "callback" in change else []
    before = model.get_weights()
    kept = (stopped / "checkpoint.safetensors").read_bytes()
    expected = (
        rf"checkpoint\.safetensors: the checkpoint was written by a script with {message}(?s:.*); "
        if not message.endswith(";")
        else rf"checkpoint\.safetensors: the checkpoint was written by a script with {message} "
    )
    with pytest.raises(ValueError, match=expected + "undo the change to go on, or delete the file"):
        fit(model, *more, BackupAndRestore(stopped, 3), **{"validation_split": 0.2} | change)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))
    assert (stopped / "checkpoint.safetensors").read_bytes() == kept


def test_another_call_of_fit_is_refused(stopped):
    model = compiled()
    fit(model, epochs=1)
    with pytest.raises(ValueError, match="other steps made before fit: 0 then, 5 now"):
        fit(model, BackupAndRestore(stopped, 3), validation_split=0.2)


def test_two_of_them():
    with pytest.raises(ValueError, match="fit: callbacks must hold at most one BackupAndRestore"):
        fit(compiled(), BackupAndRestore("a"), BackupAndRestore("b"))
    assert not Path("a").exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[: len(data) // 2], "not a .safetensors file, or a damaged one"),
        (lambda data: b"", "not a .safetensors file, or a damaged one"),
        (lambda data: data[:-5] + bytes([data[-5] ^ 1]) + data[-4:], "its checksum does not fit"),
        (lambda data: data.replace(b'epoch\\":1', b'epoch\\":2'), "its checksum does not fit"),
    ],
)
def test_damaged_files(stopped, damage, message):
    path = stopped / "checkpoint.safetensors"
    damaged = damage(path.read_bytes())
    assert damaged != path.read_bytes()
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=rf"checkpoint\.safetensors: .*{message}"):
        fit(compiled(), BackupAndRestore(stopped, 3), validation_split=0.2)


def test_a_model_is_no_checkpoint(stopped):
    compiled().save(stopped / "checkpoint.safetensors")
    with pytest.raises(ValueError, match="the file holds no checkpoint"):
        fit(compiled(), BackupAndRestore(stopped, 3), validation_split=0.2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epoch": "first"}, "epoch must be an integer of at least 0, got 'first'"),
        ({"step": -1}, "step must be an integer of at least 0, got -1"),
        ({"random": {"seed": "x", "drawn": 0}}, "seed must be an integer of at least 0, got 'x'"),
        ({"random": 3}, "the file holds no checkpoint of fit"),
        ({"random": {}}, "the state of convlet.random must hold seed and drawn, got {}"),
        ({"training": None}, "the file holds no checkpoint of fit"),
        ({"training": {}}, "iterations must be an integer of at least 0, got None"),
        ({"more": 3}, "the file holds no checkpoint of fit"),
        ({"weights": {}}, "the checkpoint does not fit the script: KeyError"),
        ({"scores": []}, "the checkpoint does not fit the script: TypeError"),
        ({"callbacks": []}, "zip"),
        ({"callbacks": [{}]}, "the checkpoint does not fit the script: KeyError"),
        ({"optimizer": {"speed": 1}}, "the checkpoint does not fit the script: KeyError"),
    ],
)
def test_forged_checkpoints(stopped, change, message):
    path = stopped / "checkpoint.safetensors"
    write_checkpoint(path, read_checkpoint(path) | change)
    with pytest.raises(ValueError, match=message):
        fit(compiled(), BackupAndRestore(stopped, 3), validation_split=0.2)


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    expected, model = compiled(), compiled()
    fit(expected)
    calls, fsync = [], os.fsync

    def full(handle):
        calls.append(handle)
        if len(calls) > 4:  # two for each file: its own and its folder's
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        fit(compiled(), BackupAndRestore(tmp_path, 3))
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]
    assert place_in(tmp_path / "checkpoint.safetensors") == (1, 1, 0)
    fit(model, BackupAndRestore(tmp_path, 3))
    assert same(model, expected)


@pytest.mark.usefixtures("listens_to_ctrl_c")
def test_ctrl_c_leaves_the_checkpoint(tmp_path):
    class PressCtrlC(Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.state.iterations == 8:
                signal.raise_signal(signal.SIGINT)

    expected, model = compiled(), compiled()
    fit(expected)
    with pytest.raises(KeyboardInterrupt):
        fit(compiled(), PressCtrlC(), BackupAndRestore(tmp_path, 3))
    assert place_in(tmp_path / "checkpoint.safetensors") == (1, 1, 0)
    fit(model, BackupAndRestore(tmp_path, 3))
    assert same(model, expected)


def test_what_else_is_in_the_folder_stays(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / ".convlet-0123.tmp").write_text("left by a kill")
    fit(compiled(), BackupAndRestore(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("save_freq", [0, -1, 1.5, True, "batch", None])
def test_frequencies_that_are_none(save_freq):
    message = "BackupAndRestore: save_freq must be 'epoch' or an integer of at least 1, got "
    with pytest.raises(ValueError, match=message):
        BackupAndRestore("b", save_freq)


class Pairs(PyDataset):
    """Batches of four samples; the numbers of the batches that were asked for are noted."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def __len__(self):
        return len(X) // 4

    def __getitem__(self, index):
        self.asked.append(index)
        return X[4 * index : 4 * index + 4], Y[4 * index : 4 * index + 4]


def in_turn():
    """Yield other batches of four samples for ever."""
    for number in itertools.count():
        yield np.roll(X, number, axis=0)[:4], np.roll(Y, number)[:4]


@pytest.mark.parametrize("source", [Pairs, in_turn])
@pytest.mark.parametrize("stop", [{"steps": 7}, {"epoch": 1}])
def test_batches_of_ones_own_go_on_where_they_stopped(tmp_path, source, stop):
    def train(model, *more):
        return model.fit(source(), epochs=3, steps_per_epoch=5, verbose=0, callbacks=list(more))

    expected = compiled()
    record = train(expected)
    with pytest.raises(StoppedError):
        train(compiled(), BackupAndRestore(tmp_path / "b", 3), StopAfter(**stop))
    model = compiled()
    resumed = train(model, BackupAndRestore(tmp_path / "b", 3))
    assert same(model, expected)
    assert resumed.history == record.history
    assert model.state.get_config() == expected.state.get_config()


def test_a_data_set_is_not_asked_for_batches_that_are_done(tmp_path):
    with pytest.raises(StoppedError):
        compiled().fit(
            Pairs(), verbose=0, callbacks=[BackupAndRestore(tmp_path / "b", 1), StopAfter(steps=4)]
        )
    again = Pairs()
    steps = len(again)
    compiled().fit(again, verbose=0, callbacks=[BackupAndRestore(tmp_path / "b", 1)])
    assert len(again.asked) <= 1 + steps - 3  # the first one is looked at before training
