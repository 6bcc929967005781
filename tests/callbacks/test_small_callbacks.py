"""LearningRateScheduler, LambdaCallback and TerminateOnNaN."""

import math

import numpy as np
import pytest
from scripted import X, Y, compiled, same, train

from convlet import NonFiniteLossError
from convlet.callbacks import (
    BackupAndRestore,
    Callback,
    LambdaCallback,
    LearningRateScheduler,
    TerminateOnNaN,
)

# --- LearningRateScheduler ---


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (lambda epoch, rate: rate / 2, [0.5, 0.25, 0.125]),
        (lambda epoch: 1 / (epoch + 1), [1, 1 / 2, 1 / 3]),
        (lambda epoch, rate=3: rate if epoch else 0.25, [0.25, 0.25, 0.25]),
    ],
)
def test_rates_of_a_schedule(schedule, expected):
    model = train(LearningRateScheduler(schedule), learning_rate=1.0)
    assert model.history.history["learning_rate"] == expected


def test_a_schedule_s_own_error_is_not_hidden():
    def schedule(epoch, rate):
        raise TypeError("a mistake")

    with pytest.raises(TypeError, match="a mistake"):
        train(LearningRateScheduler(schedule))


def test_a_schedule_that_prints(capsys):
    train(LearningRateScheduler(lambda epoch: 0.5, verbose=1), epochs=1)
    assert capsys.readouterr().out == "Epoch 1: the learning rate is 0.5\n"


@pytest.mark.parametrize("rate", [None, "fast", -1, math.nan])
def test_schedules_that_return_no_rate(rate):
    message = "LearningRateScheduler: what schedule returns must be a number of at least 0, got "
    with pytest.raises(ValueError, match=message):
        train(LearningRateScheduler(lambda epoch: rate))


def test_a_schedule_that_is_none():
    with pytest.raises(ValueError, match="LearningRateScheduler: schedule must be a function"):
        LearningRateScheduler(0.1)


# --- LambdaCallback ---

HOOKS = [name for name in vars(Callback) if name.startswith("on_")]


def test_functions_are_called_like_hooks():
    class Hooks(Callback):
        def __init__(self):
            self.seen = []

    recorder, seen = Hooks(), []

    def noting(log, name):
        return lambda *args: log.append((name, args[:-1]))

    # on_batch_begin and on_batch_end are what the two others call if they are left as they are
    names = [name for name in HOOKS if "train_batch" not in name]
    for name in names:
        setattr(recorder, name, noting(recorder.seen, name))
    functions = LambdaCallback(**{name: noting(seen, name) for name in names})
    model = train(recorder, functions, epochs=2, validation_split=0.25)
    model.predict(X, verbose=0, callbacks=[recorder, functions])
    assert seen == recorder.seen
    assert {name for name, _ in seen} == set(names)
    assert ("on_epoch_end", (1,)) in seen


def test_keras_s_arguments_in_their_order():
    seen = []
    hooks = [
        "on_epoch_begin",
        "on_epoch_end",
        "on_train_begin",
        "on_train_end",
        "on_train_batch_begin",
        "on_train_batch_end",
    ]
    functions = [lambda *args, name=name: seen.append(name) for name in hooks]
    train(LambdaCallback(*functions), epochs=1, batch_size=12)
    assert seen == [hooks[n] for n in (2, 0, 4, 5, 1, 3)]


def test_hooks_that_are_none():
    with pytest.raises(
        ValueError, match="LambdaCallback: each argument must be one of on_train_be"
    ):
        LambdaCallback(on_coffee=print)
    with pytest.raises(ValueError, match="LambdaCallback: on_epoch_end must be a function, got 3"):
        LambdaCallback(on_epoch_end=3)


# --- TerminateOnNaN ---

DIVERGING = 1e38


def test_training_ends_without_an_error(capsys):
    seen = []
    ended = LambdaCallback(on_train_end=lambda logs: seen.append(logs["loss"]))
    diverged = compiled(DIVERGING)
    with pytest.raises(NonFiniteLossError):
        diverged.fit(X * 1e4, Y, 4, 3, 0)
    model = compiled(DIVERGING)
    history = model.fit(X * 1e4, Y, 4, 3, 0, [TerminateOnNaN(), ended])
    assert model.stop_training
    assert math.isnan(history.history["loss"][-1])
    assert math.isnan(seen[0])
    assert same(model.get_weights(), diverged.get_weights())
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    assert "the loss became nan; training stopped\n" in capsys.readouterr().out


def test_it_lets_good_training_be():
    assert len(train(TerminateOnNaN()).history.epoch) == 3


def test_a_diverged_run_stays_one(tmp_path):
    backup = BackupAndRestore(tmp_path, 1, delete_checkpoint=False)
    records = []
    for _ in range(2):
        model = compiled(DIVERGING)
        records.append(model.fit(X * 1e4, Y, 4, 3, 0, [TerminateOnNaN(), backup]).history)
    assert math.isnan(records[0]["loss"][-1])
    np.testing.assert_equal(records[1], records[0])
