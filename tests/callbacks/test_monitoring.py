"""EarlyStopping and ReduceLROnPlateau: which epochs count, and what then happens."""

import math

import numpy as np
import pytest
from scripted import Tell, same, train

from convlet.callbacks import EarlyStopping, ReduceLROnPlateau

# --- EarlyStopping ---


def stopped_after(values, **options):
    """Return how many epochs are trained, and the callback."""
    stopping = EarlyStopping(**options)
    model = train(Tell(val_loss=values, val_accuracy=values), stopping, epochs=len(values))
    return len(model.history.epoch), stopping


@pytest.mark.parametrize(
    ("values", "options", "epochs"),
    [
        # by hand, after the rule in Keras's documentation
        ([5, 4, 3, 2], {}, 4),
        ([5, 4, 4, 2], {}, 3),
        ([5, 6, 4, 5, 5, 5], {"patience": 1}, 2),
        ([5, 6, 4, 5, 5, 5], {"patience": 2}, 5),
        ([5, 6, 4, 5, 5, 5], {"patience": 3}, 6),
        ([5, 4.5, 4, 3.5], {"patience": 2, "min_delta": 0.6}, 4),
        ([5, 4.5, 4, 3.5], {"patience": 1, "min_delta": 0.6}, 2),
        ([5, 4.5, 4, 3.5], {"patience": 1, "min_delta": -0.6}, 2),
        ([5, 6, 7, 8], {"mode": "max"}, 4),
        ([5, 4, 7, 8], {"mode": "max"}, 2),
        ([5, 6, 5, 8], {"monitor": "val_accuracy"}, 3),
        ([1, 2, 3, 2, 1, 2, 3], {"start_from_epoch": 3}, 6),
        ([5, 4, 3, 2, 1], {"baseline": 4.5, "patience": 2}, 5),
        # better than the epochs before, and not than the baseline: patience runs on
        ([5, 4, 3.5, 3.4, 3.6, 3.7], {"baseline": 2, "patience": 2}, 5),
        ([math.nan, math.nan, 1], {"patience": 2}, 2),
    ],
)
def test_when_training_stops(values, options, epochs):
    assert stopped_after(values, **options)[0] == epochs


def test_best_weights_come_back():
    tell = Tell(val_loss=[3, 1, 2, 2.5])
    stopping = EarlyStopping(patience=2, restore_best_weights=True)
    model = train(tell, stopping, epochs=4)
    assert (stopping.best, stopping.best_epoch, stopping.stopped_epoch) == (1, 1, 3)
    assert same(model.get_weights(), tell.weights[1])
    assert not same(model.get_weights(), tell.weights[3])


def test_the_best_epoch_is_known_without_its_weights():
    stopping = EarlyStopping(patience=2)
    train(Tell(val_loss=[3, 1, 2, 2.5]), stopping, epochs=4)
    assert (stopping.best, stopping.best_epoch, stopping.best_weights) == (1, 1, None)


def test_best_weights_come_back_when_the_epochs_run_out():
    tell = Tell(val_loss=[3, 1, 2])
    model = train(tell, EarlyStopping(patience=9, restore_best_weights=True), epochs=3)
    assert same(model.get_weights(), tell.weights[1])


def test_weights_stay_unless_asked_for():
    tell = Tell(val_loss=[3, 1, 2])
    model = train(tell, EarlyStopping(patience=1), epochs=3)
    assert same(model.get_weights(), tell.weights[2])


def test_a_second_run_begins_anew():
    stopping = EarlyStopping()
    for _ in range(2):
        model = train(Tell(val_loss=[2, 1, 1, 0]), stopping, epochs=4)
        assert len(model.history.epoch) == 3


def test_what_it_prints(capsys):
    stopped_after([1, 2], verbose=1, restore_best_weights=True)
    assert capsys.readouterr().out == (
        "Epoch 2: early stopping\nThe weights are those of epoch 1, the best\n"
    )


# --- ReduceLROnPlateau ---


def rates(values, **options):
    """Return the learning rates of the epochs, from 1, and the model's history."""
    tell = Tell(val_loss=values)
    model = train(tell, ReduceLROnPlateau(**options), epochs=len(values), learning_rate=1.0)
    assert model.history.history["learning_rate"] == tell.rates
    return tell.rates


@pytest.mark.parametrize(
    ("values", "options", "expected"),
    [
        ([4, 3, 2, 1], {"patience": 1}, [1, 1, 1, 1]),
        ([4, 4, 4, 4], {"patience": 1, "factor": 0.5}, [1, 1, 0.5, 0.25]),
        ([4, 4, 4, 4], {"patience": 2, "factor": 0.5}, [1, 1, 1, 0.5]),
        ([4, 4, 4, 4, 4], {"patience": 1, "factor": 0.5, "cooldown": 2}, [1, 1, 0.5, 0.5, 0.25]),
        ([4, 4, 4, 4], {"patience": 1, "factor": 0.5, "min_lr": 0.4}, [1, 1, 0.5, 0.4]),
        ([4, 3.99995, 4, 4], {"patience": 1, "factor": 0.5}, [1, 1, 0.5, 0.25]),
        ([4, 3.99995, 3.9999, 3.9998], {"patience": 1, "factor": 0.5, "min_delta": 0}, [1] * 4),
        ([4, 5, 6, 5], {"mode": "max", "patience": 1, "factor": 0.5}, [1, 1, 1, 1]),
        ([1, 1, 1], {"patience": 0, "factor": 0.5}, [1, 1, 0.5]),
    ],
)
def test_learning_rates(values, options, expected):
    assert rates(values, **options) == expected


def test_it_says_what_it_does(capsys):
    rates([1, 1, 1], patience=1, verbose=1)
    assert capsys.readouterr().out == (
        "Epoch 2: the learning rate is now 0.1\nEpoch 3: the learning rate is now 0.01\n"
    )


# --- what both refuse ---


@pytest.mark.parametrize("kind", [EarlyStopping, ReduceLROnPlateau])
def test_a_quantity_that_is_not_there(kind):
    message = (
        f"^{kind.__name__}: there is no 'val_loss' to monitor; there are loss, accuracy; "
        "val_ ones need validation data$"
    )
    with pytest.raises(ValueError, match=message):
        train(kind())
    message = "there is no 'speed' to monitor; there are loss, accuracy, val_loss, val_accuracy$"
    with pytest.raises(ValueError, match=message):
        train(kind("speed", mode="max"), validation_split=0.25)


@pytest.mark.parametrize("kind", [EarlyStopping, ReduceLROnPlateau])
def test_a_quantity_of_several_numbers(kind):
    message = "'f1' must be one number to be monitored, got an array of shape \\(2,\\)$"
    with pytest.raises(ValueError, match=f"^{kind.__name__}: {message}"):
        train(Tell(f1=[np.ones(2)]), kind("f1", mode="max"))


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("val_loss", "min"),
        ("left_loss", "min"),
        ("mean_squared_error", "min"),
        ("val_categorical_crossentropy", "min"),
        ("accuracy_loss", "min"),
        ("acc", "max"),
        ("val_top_k_categorical_accuracy", "max"),
        ("auc_1", "max"),
        ("f1_score", "max"),
        ("mean_io_u", "max"),
    ],
)
def test_which_way_is_better(name, mode):
    assert EarlyStopping(name).mode == mode


def test_a_name_that_does_not_tell():
    message = "EarlyStopping: mode must be 'min' or 'max' for 'speed', whose name does not tell "
    with pytest.raises(ValueError, match=message):
        EarlyStopping("speed")


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (EarlyStopping, {"monitor": 3}, "monitor must be a string, got 3"),
        (EarlyStopping, {"mode": "up"}, "mode must be one of 'auto', 'min', 'max', got 'up'"),
        (EarlyStopping, {"patience": -1}, "patience must be an integer of at least 0, got -1"),
        (EarlyStopping, {"min_delta": "x"}, "min_delta must be a finite number, got 'x'"),
        (EarlyStopping, {"baseline": math.nan}, "baseline must be a finite number, got nan"),
        (EarlyStopping, {"verbose": 2}, "verbose must be 0 or 1, got 2"),
        (EarlyStopping, {"restore_best_weights": 1}, "restore_best_weights must be True or False"),
        (EarlyStopping, {"start_from_epoch": 1.5}, "start_from_epoch must be an integer of at lea"),
        (ReduceLROnPlateau, {"factor": 1.0}, "factor must be a number of at least 0 and below 1"),
        (ReduceLROnPlateau, {"cooldown": -1}, "cooldown must be an integer of at least 0, got -1"),
        (ReduceLROnPlateau, {"min_lr": -1}, "min_lr must be a number of at least 0, got -1"),
    ],
)
def test_arguments_that_will_not_do(kind, arguments, message):
    with pytest.raises(ValueError, match=f"^{kind.__name__}: {message}"):
        kind(**arguments)
