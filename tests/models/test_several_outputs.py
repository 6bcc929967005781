"""Training, evaluation and prediction with several inputs and outputs."""

import re

import numpy as np
import pytest

from convlet import Model, NonFiniteLossError, losses, random
from convlet.callbacks import Callback
from convlet.layers import Add, Concatenate, Dense, Dropout, Input
from numerics import normal

SAMPLES = 40


def network(dropout=0.0):
    """Return a model of the inputs a and b and of the outputs main, classes, and aux, a number."""
    random.set_random_seed(1)
    a, b = Input((4,), name="a"), Input((3,), name="b")
    both = Concatenate()([a, b])
    x = Dropout(dropout)(Dense(5, activation="tanh")(both))
    main = Dense(3, activation="softmax", name="main")(x)
    return Model([a, b], [main, Dense(1, name="aux")(x)])


def data(samples=SAMPLES):
    x = [normal(samples, 4, dtype="float32"), normal(samples, 3, dtype="float32")]
    return x, [np.arange(samples) % 3, normal(samples, 1, seed=2, dtype="float32")]


def compiled(**options):
    model = network()
    options = {"loss": ["sparse_categorical_crossentropy", "mse"]} | options
    model.compile("sgd", **options)
    return model


def predicted(model, x):
    return model.predict(x, verbose=0)


# --- Keras's names ---

NAMES = [
    ({}, ["loss", "main_loss", "aux_loss"]),
    (
        {"metrics": [["accuracy"], ["mae"]]},
        ["loss", "main_loss", "aux_loss", "main_accuracy", "aux_mae"],
    ),
    (
        {"metrics": ["accuracy", "mae"]},
        ["loss", "main_loss", "aux_loss", "main_accuracy", "aux_mae"],
    ),
    (
        {"metrics": {"aux": ["mae"]}, "weighted_metrics": [None, "mse"]},
        ["loss", "main_loss", "aux_loss", "aux_mae", "aux_mse"],
    ),
    ({"loss": {"main": "sparse_categorical_crossentropy", "aux": None}}, ["loss"]),
]


@pytest.mark.parametrize(("options", "names"), NAMES)
def test_scores_have_keras_s_names(options, names):
    """As Keras 3.15 writes them in a history."""
    model = compiled(**options)
    x, y = data()
    history = model.fit(x, y, validation_data=(x, y), verbose=0).history
    assert list(history) == [*names, *(f"val_{name}" for name in names)]
    assert model.metrics_names == names
    assert list(model.evaluate(x, y, verbose=0, return_dict=True)) == names
    assert np.size(model.evaluate(x, y, verbose=0)) == len(names)


def test_a_loss_that_stands_alone_counts_for_all_outputs():
    x = Input((3,))
    model = Model(x, [Dense(1, name="p")(x), Dense(2, name="q")(x)])
    model.compile("sgd", "mse")
    assert [type(loss) for loss in model.loss] == [losses.MeanSquaredError] * 2
    scores = model.test_on_batch(np.ones((2, 3)), [np.ones((2, 1)), np.ones((2, 2))])
    np.testing.assert_allclose(scores[0], scores[1] + scores[2])


# --- the numbers ---


def expected_losses(model, x, y):
    main, aux = predicted(model, x)
    crossentropy = -np.log(main[np.arange(len(main)), y[0]])
    return crossentropy, ((aux - y[1]) ** 2)[:, 0]


def test_losses_are_weighted_and_added_up():
    model = compiled(loss_weights={"aux": 0.3})
    x, y = data()
    main, aux = expected_losses(model, x, y)
    scores = model.evaluate(x, y, batch_size=7, verbose=0, return_dict=True)
    np.testing.assert_allclose(scores["main_loss"], main.mean(), rtol=1e-5)
    np.testing.assert_allclose(scores["aux_loss"], aux.mean(), rtol=1e-5)
    np.testing.assert_allclose(scores["loss"], main.mean() + 0.3 * aux.mean(), rtol=1e-5)


def test_a_step_goes_down_the_weighted_sum_of_gradients():
    steps = []
    for weights in ([1, 0], [0, 1], [1, 1], [0.5, 2]):
        model = compiled(loss_weights=weights)
        before = model.get_weights()
        model.train_on_batch(*data())
        steps.append([b - a for a, b in zip(before, model.get_weights(), strict=True)])
    for first, second, both, weighted in zip(*steps, strict=True):
        np.testing.assert_allclose(both, first + second, rtol=1e-3, atol=1e-7)
        np.testing.assert_allclose(weighted, 0.5 * first + 2 * second, rtol=1e-3, atol=1e-7)


def test_one_output_with_a_weight():
    x = Input((3,))
    model = Model(x, Dense(1)(x))
    model.compile("sgd", "mse")
    given = normal(4, 3), normal(4, 1)
    unweighted = model.evaluate(*given, verbose=0)
    model.compile("sgd", ["mse"], loss_weights=[0.5])
    np.testing.assert_allclose(model.evaluate(*given, verbose=0), 0.5 * unweighted)


def test_sample_weights_for_all_outputs_and_for_each():
    model = compiled(weighted_metrics=[None, "mae"])
    x, y = data()
    weights = np.linspace(0, 2, SAMPLES)
    main, aux = expected_losses(model, x, y)
    of_all = model.evaluate(x, y, sample_weight=weights, verbose=0)
    np.testing.assert_allclose(of_all[1:3], [(weights * v).mean() for v in (main, aux)], rtol=1e-5)
    for given in ([None, weights], {"main": None, "aux": weights}):
        scores = model.evaluate(x, y, sample_weight=given, verbose=0)
        np.testing.assert_allclose(scores[1:3], [main.mean(), (weights * aux).mean()], rtol=1e-5)
    error = np.abs(predicted(model, x)[1] - y[1])[:, 0]
    np.testing.assert_allclose(scores[3], (weights * error).sum() / weights.sum(), rtol=1e-5)


def test_inputs_and_targets_by_name_are_those_in_order():
    x, y = data()
    by_name = {"a": x[0], "b": x[1]}, {"aux": y[1], "main": y[0]}
    histories = []
    for given in ((x, y), by_name, (tuple(x), tuple(y))):
        model = compiled()
        fitted = model.fit(*given, epochs=2, validation_split=0.25, verbose=0)
        histories.append((fitted.history, [array.tolist() for array in predicted(model, given[0])]))
    assert histories[0] == histories[1] == histories[2]


def test_targets_of_an_output_without_a_loss_may_be_left_out():
    model = compiled(loss=["sparse_categorical_crossentropy", None])
    x, y = data()
    before = model.get_layer("aux").get_weights()
    model.fit(x, {"main": y[0]}, verbose=0)
    model.fit(x, [y[0], None], verbose=0)
    assert all(
        (a == b).all() for a, b in zip(before, model.get_layer("aux").get_weights(), strict=True)
    )


def test_predictions_come_as_the_outputs_were_given():
    a, b = Input((2,), name="a"), Input((2,), name="b")
    y = Add()([a, b])
    x = {"a": np.ones((3, 2), np.float32), "b": np.ones((3, 2), np.float32)}
    single = Model([a, b], [y]).predict(x, verbose=0)
    np.testing.assert_array_equal(single, np.full((3, 2), 2.0))
    by_name = Model([a, b], {"sum": y, "first": a}).predict(x, batch_size=2, verbose=0)
    assert list(by_name) == ["first", "sum"]
    np.testing.assert_array_equal(by_name["first"], x["a"])
    assert not np.may_share_memory(by_name["first"], x["a"])
    seen = []
    watch = Callback()
    watch.on_predict_batch_end = lambda batch, logs=None: seen.append(logs["outputs"])
    Model([a, b], [y, a]).predict(x, batch_size=2, callbacks=[watch], verbose=0)
    assert [[array.shape for array in outputs] for outputs in seen] == [[(2, 2)] * 2, [(1, 2)] * 2]


def test_one_image_in_a_list_or_by_name():
    x = Input((2, 2), name="x")
    model = Model([x], Dense(1)(x))
    image = np.ones((1, 2, 2), np.float32)
    expected = model.predict_on_batch(image)
    for given in ([image], {"x": image}, image.tolist()):
        np.testing.assert_array_equal(model.predict_on_batch(given), expected)


def test_a_loss_that_is_not_finite_stops_training():
    model = compiled()
    x, y = data()
    y[1] = y[1].copy() * np.float32(1e30)
    before = model.get_weights()
    with pytest.raises(NonFiniteLossError, match="the loss became inf at epoch 1, step 1"):
        model.fit(x, y, verbose=0)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


# --- what does not fit ---


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: ({"a": x[0]}, y), "fit: x must be given for 'a', 'b'; 'b' is missing"),
        (
            lambda x, y: (dict(zip("abc", [*x, 1], strict=True)), y),
            "fit: x must be given for 'a', 'b'; there is no 'c'",
        ),
        (
            lambda x, y: (x[:1], y),
            "fit: x must be a list of 2, or a dict, for 'a', 'b', got a list of 1",
        ),
        (
            lambda x, y: (x[0], y),
            "fit: x must be a list of 2, or a dict, for 'a', 'b', got one ndarray",
        ),
        (
            lambda x, y: ([x[0], x[1][:3]], y),
            "fit: all inputs must have as many samples, got [40, 3]",
        ),
        (
            lambda x, y: ([x[0], x[0]], y),
            "fit: x['b'] must have shape (samples, 3), got (40, 4)",
        ),
        (
            lambda x, y: ([x[0], x[1] * np.nan], y),
            "fit: x['b'] must be finite numbers of float32, x['b'][0, 0] is nan",
        ),
        (
            lambda x, y: (x, y[:1]),
            "fit: y must be a list of 2, or a dict, for 'main', 'aux', got a list of 1",
        ),
        (
            lambda x, y: (x, {"main": y[0]}),
            "fit: y must be given for 'main', 'aux'; 'aux' is missing",
        ),
        (
            lambda x, y: (x, [None, y[1]]),
            "fit (output 'main'): y must be given, one target for each sample of x",
        ),
        (
            lambda x, y: (x, [y[0], y[1][:3]]),
            "fit (output 'aux'): x and y must have as many samples, got 40 in x and 3 in y",
        ),
        (
            lambda x, y: (x, [y[0] + 1, y[1]]),
            "fit (output 'main'): y_true[2] is 3, labels must be whole numbers from 0 to 2",
        ),
    ],
)
def test_data_that_do_not_fit(change, message):
    model = compiled()
    before = model.get_weights()
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        model.fit(*change(*data()), verbose=0)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"sample_weight": np.ones(3)},
            "fit (output 'main'): sample_weight must have the shape (40,)",
        ),
        (
            {"sample_weight": {"main": np.ones(SAMPLES)}},
            "fit: sample_weight must be given for 'main', 'aux'; 'aux' is missing",
        ),
        (
            {"class_weight": {0: 1.0}},
            "fit: class_weight goes with models of one output, got 2 outputs; use sample_weight",
        ),
    ],
)
def test_weights_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        compiled().fit(*data(), verbose=0, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"loss": {"main": "mse"}},
            "compile: loss must be given for 'main', 'aux'; 'aux' is missing",
        ),
        ({"loss": [None, None]}, "compile: at least one output must have a loss"),
        (
            {"loss": ["mse"]},
            "compile: loss must be a list of 2, or a dict, for 'main', 'aux', got a list of 1",
        ),
        (
            {"loss_weights": {"x": 1}},
            "compile: loss_weights must be given for 'main', 'aux'; there is no 'x'",
        ),
        (
            {"loss_weights": [1, np.inf]},
            "compile: each of loss_weights must be a finite number, got inf",
        ),
        (
            {"metrics": ["mae"]},
            "compile: metrics must be a list of 2, or a dict, for 'main', 'aux', got a list of 1",
        ),
        (
            {"metrics": {"x": "mae"}},
            "compile: metrics must be given for 'main', 'aux'; there is no 'x'",
        ),
        (
            {"loss": ["mse", None], "metrics": {"aux": "mae"}},
            "compile: output 'aux' has metrics and no loss",
        ),
    ],
)
def test_what_does_not_go_with_the_outputs(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        compiled(**options)


def test_a_program_needs_a_shape_for_each_input():
    message = "'functional': program needs a shape for each input, 2, got 1"
    with pytest.raises(ValueError, match=message):
        network().program("predict", (4,))
