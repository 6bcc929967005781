"""What fit, evaluate and the batch functions do."""

import os
import signal
import threading

import numpy as np
import pytest

from convlet import NonFiniteLossError, Sequential, layers, losses, metrics, optimizers, utils
from convlet.callbacks import Callback, ProgressBar
from networks import blobs, small_network

X, Y = blobs(96)


def compiled(learning_rate=0.1, **options):
    model = small_network(dropout=options.pop("dropout", 0.0))
    model.compile(
        optimizers.SGD(learning_rate, momentum=0.9),
        options.pop("loss", "sparse_categorical_crossentropy"),
        metrics=["accuracy"],
        **options,
    )
    return model


def same(one, other):
    return all((a == b).all() for a, b in zip(one, other, strict=True))


def test_it_learns():
    utils.set_random_seed(0)
    model = compiled(0.05)
    history = model.fit(X, Y, epochs=12, verbose=0, validation_data=blobs(60, seed=1))
    assert history.history["val_accuracy"][-1] > 0.95
    assert history.epoch == list(range(12))
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert model.history is history
    loss, accuracy = model.evaluate(*blobs(60, seed=1), verbose=0)
    assert loss == pytest.approx(history.history["val_loss"][-1])
    assert accuracy == pytest.approx(history.history["val_accuracy"][-1])


def test_the_same_seed_gives_the_same_bits():
    results = []
    for _ in range(2):
        utils.set_random_seed(5)
        model = compiled(dropout=0.3)
        model.fit(X, Y, epochs=2, verbose=0)
        results.append(model.get_weights())
    assert same(*results)
    utils.set_random_seed(6)
    model = compiled(dropout=0.3)
    model.fit(X, Y, epochs=2, verbose=0)
    assert not same(results[0], model.get_weights())


def test_two_fits_of_one_epoch_are_one_of_two():
    utils.set_random_seed(5)
    at_once = compiled(dropout=0.3)
    at_once.fit(X, Y, epochs=2, verbose=0)
    utils.set_random_seed(5)
    in_turn = compiled(dropout=0.3)
    in_turn.fit(X, Y, epochs=1, verbose=0)
    in_turn.fit(X, Y, epochs=1, verbose=0)
    assert same(at_once.get_weights(), in_turn.get_weights())


class Recorder(layers.Layer):
    """Writes down the first number of each sample that it sees while training."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def compute_output_shape(self, input_shape):
        return input_shape

    def call(self, x):
        self.seen.append(x[:, 0].tolist())
        return x

    def gradient(self, x, y, output_gradient):
        return output_gradient


def orders_of_two_epochs(**options):
    x = np.arange(5.0).reshape(5, 1)
    recorder = Recorder()
    model = Sequential([layers.Input((1,)), recorder, layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, x, batch_size=2, epochs=2, verbose=0, **options)
    return recorder.seen[:3], recorder.seen[3:]


def test_samples_keep_their_order_without_shuffling():
    for order in orders_of_two_epochs(shuffle=False):
        assert order == [[0, 1], [2, 3], [4]]


def test_every_epoch_has_all_samples_in_an_order_of_its_own():
    utils.set_random_seed(0)
    first, second = (np.concatenate(order).tolist() for order in orders_of_two_epochs())
    assert sorted(first) == sorted(second) == [0, 1, 2, 3, 4]
    assert first != second


def test_validation_split_takes_the_last_samples_before_shuffling():
    utils.set_random_seed(1)
    one = compiled()
    one.fit(X, Y, epochs=2, verbose=0, validation_split=0.25)
    utils.set_random_seed(1)
    other = compiled()
    other.fit(X[:72], Y[:72], epochs=2, verbose=0, validation_data=(X[72:], Y[72:]))
    assert same(one.get_weights(), other.get_weights())
    assert one.history.history == other.history.history


def test_class_weights_are_sample_weights_by_class():
    utils.set_random_seed(1)
    one = compiled()
    one.fit(X, Y, epochs=1, verbose=0, class_weight={0: 3.0, 2: 0.5})
    utils.set_random_seed(1)
    other = compiled()
    other.fit(X, Y, epochs=1, verbose=0, sample_weight=np.array([3.0, 1.0, 0.5])[Y])
    assert same(one.get_weights(), other.get_weights())


def test_class_weights_of_one_hot_and_of_binary_targets():
    for targets, loss, units in [
        (np.eye(3)[Y], "categorical_crossentropy", 3),
        ((Y == 2).astype(float), "binary_crossentropy", 1),
    ]:
        model = Sequential([layers.Flatten(), layers.Dense(units, activation="sigmoid")])
        model.compile("sgd", loss)
        classes = targets.argmax(axis=-1) if units > 1 else targets
        expected = model.test_on_batch(X, targets, sample_weight=np.where(classes == 1, 5.0, 1.0))
        assert model.train_on_batch(X, targets, class_weight={1: 5.0}) == pytest.approx(expected)


def test_the_loss_of_weighted_samples_is_divided_by_their_number():
    model = compiled(weighted_metrics=["sparse_categorical_accuracy"])
    weights = np.where(Y == 0, 2.0, 0.0)
    scores = model.evaluate(X, Y, sample_weight=weights, verbose=0, return_dict=True)
    rows = Y == 0
    only = model.evaluate(X[rows], Y[rows], verbose=0, return_dict=True)
    assert scores["loss"] == pytest.approx(2 * only["loss"] * rows.mean(), rel=1e-5)
    # a weighted metric is divided by the sum of the weights, an unweighted one sees all samples
    assert scores["sparse_categorical_accuracy"] == pytest.approx(only["accuracy"])
    all_samples = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert scores["accuracy"] == all_samples["accuracy"]


def dice(y, p):
    """One value for each sample, though predictions have positions."""
    return 1 - (y * p).mean(axis=(1, 2, 3))


def dice_gradient(y, p):
    return -y / p[0].size


def test_a_loss_with_one_value_for_each_sample():
    x = np.random.default_rng(0).normal(size=(4, 3, 2, 1))
    targets = np.ones((4, 3, 2, 1))
    model = Sequential([layers.Conv2D(1, 1, use_bias=False, input_shape=(3, 2, 1))])
    model.compile(optimizers.SGD(1.0), losses.CustomLoss(dice, dice_gradient))
    weights = np.array([1.0, 2.0, 0.0, 0.5])
    kernel = model.get_weights()[0]
    loss = model.train_on_batch(x, targets, sample_weight=weights)
    per_sample = 1 - x.mean(axis=(1, 2, 3)) * kernel.item()
    assert loss == pytest.approx((weights * per_sample).mean())
    # the derivative of that mean by the one number in the kernel
    step = (weights * x.mean(axis=(1, 2, 3))).mean()
    assert model.get_weights()[0].item() == pytest.approx(kernel.item() + step, rel=1e-5)
    with pytest.raises(ValueError, match="there must be one weight for each, got weights of shape"):
        model.train_on_batch(x, targets, sample_weight=np.ones((4, 3, 2)))


def test_weights_of_samples_and_classes_multiply_at_every_position():
    x = np.random.default_rng(0).normal(size=(4, 3, 2, 1))
    y = np.random.default_rng(1).integers(0, 2, (4, 3, 2))
    model = Sequential([layers.Conv2D(2, 1, activation="softmax", input_shape=(3, 2, 1))])
    model.compile("sgd", "sparse_categorical_crossentropy")
    of_sample, of_class = np.array([1.0, 2.0, 0.0, 0.5]), np.array([3.0, 1.0])
    product = of_sample[:, None, None] * of_class[y]
    expected = model.test_on_batch(x, y, sample_weight=product)
    given = model.train_on_batch(x, y, sample_weight=of_sample, class_weight={0: 3.0})
    assert given == pytest.approx(expected)


def test_a_batch_smaller_than_the_others_counts_by_its_samples():
    model = compiled()
    whole = model.evaluate(X, Y, batch_size=96, verbose=0)
    np.testing.assert_allclose(model.evaluate(X, Y, batch_size=36, verbose=0), whole, rtol=1e-6)


def test_predictions_do_not_depend_on_the_batch_size():
    model = compiled()
    whole = model.predict(X, batch_size=96, verbose=0)
    for size in (1, 7, 32):
        part = model.predict(X, batch_size=size, verbose=0)
        np.testing.assert_allclose(part, whole, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(model.predict_on_batch(X), whole)


def test_the_batch_functions_return_the_batch_s_own_values():
    model = compiled()
    expected = model.evaluate(X[:32], Y[:32], verbose=0)
    assert model.test_on_batch(X[:32], Y[:32]) == pytest.approx(expected)
    before = model.get_weights()
    assert model.train_on_batch(X[:32], Y[:32]) == pytest.approx(expected)
    assert not same(before, model.get_weights())
    assert set(model.train_on_batch(X, Y, return_dict=True)) == {"loss", "accuracy"}


class Hooks(Callback):
    """Writes down which hooks were called."""

    def __init__(self):
        self.calls = []

    def __getattribute__(self, name):
        if name.startswith("on_"):
            calls = object.__getattribute__(self, "calls")
            return lambda *args: calls.append(name.removeprefix("on_"))
        return object.__getattribute__(self, name)


def test_the_hooks_are_called_in_keras_s_order():
    hooks = Hooks()
    model = compiled()
    model.fit(X[:4], Y[:4], batch_size=2, verbose=0, callbacks=[hooks], validation_split=0.25)
    batch = ["train_batch_begin", "train_batch_end"]
    validation = ["test_begin", "test_batch_begin", "test_batch_end", "test_end"]
    expected = ["train_begin", "epoch_begin", *batch, *batch, *validation, "epoch_end", "train_end"]
    assert hooks.calls == expected
    hooks.calls.clear()
    model.evaluate(X[:2], Y[:2], verbose=0, callbacks=[hooks])
    assert hooks.calls == validation
    hooks.calls.clear()
    model.predict(X[:2], verbose=0, callbacks=[hooks])
    assert hooks.calls == [call.replace("test", "predict") for call in validation]


class Stop(Callback):
    """Stops after some batches."""

    def __init__(self, batches):
        self.left = batches

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            self.model.stop_training = True


def test_a_callback_stops_training_after_the_batch():
    model = compiled()
    history = model.fit(X, Y, epochs=5, batch_size=32, verbose=0, callbacks=[Stop(4)])
    assert model.state.iterations == 4
    assert history.epoch == [0, 1]


class PressCtrlC(Callback):
    """Presses Ctrl-C in the middle of a step."""

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 1:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.usefixtures("listens_to_ctrl_c")
def test_ctrl_c_waits_for_the_batch_and_keeps_what_was_learned():
    model, hooks = compiled(), Hooks()
    before = model.get_weights()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, batch_size=32, verbose=0, callbacks=[PressCtrlC(), hooks])
    assert model.state.iterations == 2
    assert not same(before, model.get_weights())
    assert hooks.calls[-2:] == ["train_batch_end", "train_end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    model.fit(X, Y, verbose=0)  # and training goes on


class PressCtrlCInValidation(Callback):
    """Presses Ctrl-C when the last epoch's validation begins, or in its last batch."""

    def __init__(self, hook):
        setattr(self, hook, lambda *args: os.kill(os.getpid(), signal.SIGINT))


@pytest.mark.usefixtures("listens_to_ctrl_c")
@pytest.mark.parametrize("hook", ["on_test_begin", "on_test_end", "on_epoch_end"])
def test_ctrl_c_during_validation_is_not_lost(hook):
    model = compiled()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, verbose=0, callbacks=[PressCtrlCInValidation(hook)], validation_split=0.25)
    assert model.state.iterations == 3


def test_callbacks_that_are_none():
    with pytest.raises(ValueError, match="callbacks: they must be a Callback or a list of them"):
        compiled().fit(X, Y, verbose=0, callbacks=3)


def test_the_names_of_what_evaluate_returns():
    model = compiled(weighted_metrics=[metrics.TopKCategoricalAccuracy(2, name="top")])
    assert model.metrics_names == ["loss", "accuracy", "top"]


def test_fit_works_outside_the_main_thread():
    model = compiled()
    thread = threading.Thread(target=lambda: model.fit(X, Y, verbose=0))
    thread.start()
    thread.join()
    assert model.state.iterations == 3


class WeightsOfLosses(Callback):
    """Keeps the weights with which each loss was computed."""

    def __init__(self):
        self.weights = []

    def on_train_batch_begin(self, batch, logs=None):
        self.weights.append(self.model.get_weights())


def test_a_loss_that_is_not_finite_stops_training_and_keeps_the_last_good_weights():
    model = Sequential([layers.Input((4,)), layers.Dense(1, kernel_initializer="ones")])
    model.compile(optimizers.SGD(1e8, momentum=0.5), "mse")
    x = np.full((40, 4), 10.0)
    recorder = WeightsOfLosses()
    with pytest.raises(NonFiniteLossError) as caught:
        model.fit(x, np.zeros(40), batch_size=4, verbose=0, callbacks=[recorder])
    message = str(caught.value)
    assert "fit: the loss became inf at epoch 1, step 3; training stopped" in message
    assert "A smaller learning rate (now 1e+08)" in message
    # the third loss was not finite, so the weights are those of the second
    assert same(model.get_weights(), recorder.weights[1])
    assert np.isfinite(model.evaluate(x, np.zeros(40), verbose=0))


def test_a_step_to_infinite_weights_is_not_made():
    model = Sequential([layers.Input((1,)), layers.Dense(1, kernel_initializer="ones")])
    model.compile(optimizers.SGD(1e38), "mse")
    before = model.get_weights()
    with pytest.raises(NonFiniteLossError, match="the step would make dense/kernel infinite"):
        model.train_on_batch(np.full((2, 1), 1e3), np.zeros(2))
    assert same(before, model.get_weights())


def test_no_epochs_change_nothing():
    model = compiled()
    before = model.get_weights()
    assert model.fit(X, Y, epochs=0, verbose=0).epoch == []
    assert model.fit(X, Y, epochs=2, initial_epoch=2, verbose=0).epoch == []
    assert same(before, model.get_weights())


def test_a_line_an_epoch_where_there_is_no_terminal(capsys):
    model = compiled()
    model.fit(X, Y, epochs=2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("Epoch 2/2  ")
    assert "loss" in lines[1]
    assert "accuracy" in lines[1]
    model.evaluate(X, Y)
    assert capsys.readouterr().out.startswith("Evaluate  ")
    model.predict(X)
    assert capsys.readouterr().out == ""


def test_a_bar_on_a_terminal():
    from io import StringIO

    from rich.console import Console

    text = StringIO()
    console = Console(file=text, force_terminal=True, width=120)
    model = compiled()
    model.fit(X, Y, epochs=1, callbacks=[ProgressBar(console=console)])
    assert "Epoch 1/1" in text.getvalue()
    assert "3/3" in text.getvalue()
    model.evaluate(X, Y, callbacks=[ProgressBar(console=console)])
    assert "Evaluate" in text.getvalue()
    model.predict(X, callbacks=[ProgressBar(console=console)])
    assert "Predict" in text.getvalue()


class Fail(Callback):
    """Fails in the middle."""

    def on_predict_batch_end(self, batch, logs=None):
        raise OSError("disk full")


def test_a_bar_gives_the_terminal_back_when_something_fails():
    from io import StringIO

    from rich.console import Console

    text = StringIO()
    bar = ProgressBar(console=Console(file=text, force_terminal=True, width=120))
    with pytest.raises(OSError, match="disk full"):
        compiled().predict(X, callbacks=[bar, Fail()])
    hide_cursor, show_cursor = "\x1b[?25l", "\x1b[?25h"
    assert text.getvalue().rfind(show_cursor) > text.getvalue().rfind(hide_cursor) >= 0


def test_metrics_of_one_name_are_refused():
    model = small_network()
    with pytest.raises(ValueError, match="compile: the metrics' names must differ"):
        model.compile("sgd", "mse", metrics=["accuracy"], weighted_metrics=["accuracy"])


def test_class_weights_do_not_count_in_validation():
    utils.set_random_seed(0)
    model = compiled(0.0)
    weights = dict.fromkeys(range(3), 100.0)
    split = model.fit(X, Y, validation_split=0.5, class_weight=weights, verbose=0).history
    given = model.fit(X, Y, validation_data=(X[48:], Y[48:]), verbose=0).history
    assert split["val_loss"] == pytest.approx(given["val_loss"])
    assert split["loss"][0] > 50 * given["loss"][0]


def test_weights_that_somebody_set_are_not_taken_back():
    model = Sequential([layers.Input((4,)), layers.Dense(3)])
    model.compile("sgd", "mse")
    model.train_on_batch(np.ones((2, 4)), np.zeros((2, 3)))
    model.set_weights([np.full((4, 3), 7.0), np.zeros(3)])
    with pytest.raises(
        NonFiniteLossError, match="train_on_batch: the loss became inf; the weights"
    ):
        model.train_on_batch(np.full((2, 4), 3e38), np.zeros((2, 3)))
    assert (model.get_weights()[0] == 7).all()


def test_a_new_head_begins_without_the_old_one_s_momentum():
    x = np.ones((2, 4))
    model = Sequential([layers.Input((4,)), layers.Dense(1)])
    model.compile(optimizers.SGD(0.1, momentum=0.9), "mse")
    model.train_on_batch(x, np.zeros((2, 1)))
    model.pop()
    model.add(layers.Dense(3))
    before = model.get_weights()
    model.train_on_batch(x, model.predict(x, verbose=0))  # nothing to learn: no gradient
    np.testing.assert_allclose(model.get_weights()[0], before[0], atol=1e-7)


class EvaluatesMeanwhile(Callback):
    """Evaluates the model within training."""

    def on_train_batch_end(self, batch, logs=None):
        self.model.evaluate(X[:3], Y[:3], verbose=0)


def test_evaluating_within_training_does_not_disturb_it():
    histories = []
    for callbacks in ([], EvaluatesMeanwhile()):
        utils.set_random_seed(2)
        histories.append(compiled().fit(X, Y, verbose=0, callbacks=callbacks).history)
    assert histories[0] == histories[1]


def test_threads_that_evaluate_at_once_do_not_disturb_each_other():
    model, results = compiled(), []
    expected = model.evaluate(X, Y, verbose=0)
    threads = [
        threading.Thread(target=lambda: results.append(model.evaluate(X, Y, verbose=0)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 8


class CompilesMeanwhile(Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.model.compile("sgd", "mse")


def test_a_model_is_not_compiled_while_it_is_trained():
    with pytest.raises(RuntimeError, match="a model cannot be compiled while it is trained"):
        compiled().fit(X, Y, verbose=0, callbacks=CompilesMeanwhile())


class Remarks(Callback):
    """Adds to the logs, looks at what was predicted, and counts by Keras's other names."""

    def __init__(self):
        self.batches, self.outputs, self.last = 0, [], None

    def on_batch_end(self, batch, logs=None):
        self.batches += 1

    def on_epoch_end(self, epoch, logs=None):
        logs["rate"] = 0.5

    def on_train_end(self, logs=None):
        self.last = logs

    def on_predict_batch_end(self, batch, logs=None):
        self.outputs.append(logs["outputs"])


def test_what_callbacks_add_to_the_logs_is_kept():
    model, remarks = compiled(), Remarks()
    history = model.fit(X, Y, verbose=0, callbacks=[remarks])
    assert history.history["rate"] == [0.5]
    assert remarks.batches == 3
    assert remarks.last["rate"] == 0.5
    prediction = model.predict(X, verbose=0, callbacks=[remarks])
    np.testing.assert_array_equal(np.concatenate(remarks.outputs), prediction)


class OneNumber(losses.Loss):
    """Returns the mean itself, as one might for Keras."""

    def call(self, y_true, y_pred):
        return ((y_pred - y_true) ** 2).mean()


class ThinGradient(losses.MeanSquaredError):
    def gradient(self, y_true, y_pred):
        return super().gradient(y_true, y_pred)[:, :1]


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (OneNumber(), r"OneNumber: call must return one value for each target, shape \(2,\), or"),
        (ThinGradient(), r"ThinGradient: gradient must return the predictions' shape \(2, 3\)"),
    ],
)
def test_what_a_loss_of_one_s_own_returns_is_checked(loss, message):
    model = Sequential([layers.Input((4,)), layers.Dense(3)])
    model.compile("sgd", loss)
    with pytest.raises(ValueError, match=message):
        model.train_on_batch(np.ones((2, 4)), np.ones((2, 3)))
