"""What fit, evaluate and predict accept, and what they refuse in one sentence."""

import re

import numpy as np
import pytest

from convlet import Sequential, layers, metrics
from networks import blobs, small_network

X, Y = blobs(8)


@pytest.fixture(scope="module")
def model():
    model = small_network()
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def replaced(array, index, value):
    array = array.astype(np.float64)
    array[index] = value
    return array


BAD_X = [
    (X[..., 0], "x must have shape (samples, 6, 6, 1), got (8, 6, 6); add the channel axis with "),
    (X[0], "x must have shape (samples, 6, 6, 1), got (6, 6, 1); a single sample needs a batch "),
    (X[:, :5], "x must have shape (samples, 6, 6, 1), got (8, 5, 6, 1)"),
    (np.zeros((8, 6, 6, 3)), "x must have shape (samples, 6, 6, 1), got (8, 6, 6, 3)"),
    (np.zeros((0, 6, 6, 1)), "x must hold at least one sample, got shape (0, 6, 6, 1)"),
    (X.astype(complex), "x must be an array of numbers, got one of complex128"),
    (X.astype(str), "x must be an array of numbers, got one of <U"),
    (X.astype(object), "x must be an array of numbers, got one of object"),
    ([[1, 2], [3]], "x must be an array of numbers, got rows of different shapes"),
    (None, "x must be an array of numbers, got one of object"),
    (
        replaced(X, (3, 1, 2, 0), np.nan),
        "x must be finite numbers of float32, x[3, 1, 2, 0] is nan",
    ),
    (
        replaced(X, (7, 5, 5, 0), -np.inf),
        "x must be finite numbers of float32, x[7, 5, 5, 0] is -inf",
    ),
    (
        replaced(X, (0, 0, 0, 0), 1e300),
        "x must be finite numbers of float32, x[0, 0, 0, 0] is 1e+300",
    ),
]


@pytest.mark.parametrize(("x", "message"), BAD_X)
def test_bad_inputs(model, x, message):
    before = model.get_weights()
    calls = {
        "fit": lambda: model.fit(x, Y, verbose=0),
        "evaluate": lambda: model.evaluate(x, Y, verbose=0),
        "predict": lambda: model.predict(x, verbose=0),
        "train_on_batch": lambda: model.train_on_batch(x, Y),
        "test_on_batch": lambda: model.test_on_batch(x, Y),
        "predict_on_batch": lambda: model.predict_on_batch(x),
    }
    for name, call in calls.items():
        with pytest.raises(ValueError, match=re.escape(f"{name}: {message}")):
            call()
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


def test_a_model_without_an_input_shape_refuses_what_is_no_array_of_numbers():
    model = Sequential([layers.Dense(2)])
    for x in ([[1, 2], [3]], None, "images"):
        with pytest.raises(ValueError, match="predict: x must "):
            model.predict(x)


BAD_Y = [
    (Y[:7], "x and y must have as many samples, got 8 in x and 7 in y"),
    (None, "y must be given, one target for each sample of x"),
    (replaced(Y, 5, 3), "y_true[5] is 3.0, labels must be whole numbers from 0 to 2"),
    (replaced(Y, 2, -1), "y_true[2] is -1.0, labels must be whole numbers from 0 to 2"),
    (replaced(Y, 2, 0.5), "y_true[2] is 0.5, labels must be whole numbers from 0 to 2"),
    (replaced(Y, 2, np.nan), "y_true[2] is nan, labels must be whole numbers from 0 to 2"),
    (
        np.eye(3)[Y],
        "y_true must have the shape (8,) or (8, 1), got (8, 3); one-hot targets go with",
    ),
    (np.array(["a"] * 8), "y must be an array of numbers, got one of <U1"),
]


@pytest.mark.parametrize(("y", "message"), BAD_Y)
def test_bad_targets(model, y, message):
    for name, call in {"fit": model.fit, "evaluate": model.evaluate}.items():
        with pytest.raises(ValueError, match=re.escape(f"{name}: {message}")):
            call(X, y, verbose=0)


BAD_OPTIONS = [
    ({"batch_size": 0}, "fit: batch_size must be an integer of at least 1, got 0"),
    ({"batch_size": 2.5}, "fit: batch_size must be an integer of at least 1, got 2.5"),
    ({"epochs": -1}, "fit: epochs must be an integer of at least 0, got -1"),
    ({"epochs": True}, "fit: epochs must be an integer of at least 0, got True"),
    ({"initial_epoch": -1}, "fit: initial_epoch must be an integer of at least 0, got -1"),
    ({"verbose": 3}, "fit: verbose must be 'auto', 0, 1 or 2, got 3"),
    ({"shuffle": "batch"}, "fit: shuffle must be True or False, got 'batch'"),
    ({"validation_split": 1.0}, "fit: validation_split must be a number of at least 0 and below 1"),
    (
        {"validation_split": 0.99},
        "fit: validation_split must leave samples on both sides, got 0.99",
    ),
    (
        {"validation_data": X},
        "fit: validation_data must be a tuple (x, y) or (x, y, sample_weight)",
    ),
    (
        {"validation_data": (X[:3], Y)},
        "fit (validation_data): x and y must have as many samples, got 3 in x and 8 in y",
    ),
    ({"class_weight": {3: 1.0}}, "fit: class_weight's classes must be from 0 to 2, got 3"),
    ({"class_weight": {"a": 1.0}}, "fit: class_weight's classes must be an integer of at least 0"),
    (
        {"class_weight": {0: -1}},
        "fit: class_weight[0] must be a number of at least 0 and of at most 3.40282e+38, got -1",
    ),
    ({"class_weight": [1, 2, 3]}, "fit: class_weight must be a dict of class to weight, got"),
    ({"sample_weight": np.ones(7)}, "fit: sample_weight must have the shape (8,)"),
    ({"sample_weight": [[1], [2, 3]]}, "fit: sample_weight must be an array of numbers, got rows"),
    (
        {"sample_weight": -np.ones(8)},
        "fit: sample_weight must be from 0 to the largest number of float32, got -1.0 to",
    ),
    (
        {"sample_weight": np.full(8, 1e39)},
        "fit: sample_weight must be from 0 to the largest number",
    ),
    ({"class_weight": {0: 1e39}}, "fit: class_weight[0] must be a number of at least 0 and of at"),
    ({"sample_weight": np.full(8, np.nan)}, "fit: sample_weight[0] is nan"),
    ({"callbacks": ["x"]}, "callbacks: each of them must be a Callback, got 'x'"),
]


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS)
def test_bad_options(model, options, message):
    before = model.get_weights()
    with pytest.raises(ValueError, match=re.escape(message)):
        model.fit(X, Y, **{"verbose": 0, **options})
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


COMPILE = [
    (("adamant", "mse"), "optimizer: unknown 'adamant'; known are adadelta, adagrad, adam, "),
    ((None, "mse"), "optimizer: expected a name, an Optimizer or a dict"),
    (("sgd", "msee"), "loss: unknown 'msee'; known are binary_crossentropy"),
    (
        ("sgd", lambda y, p: 0),
        "loss: a function needs its gradient, too: CustomLoss(value, gradient)",
    ),
    (("sgd", None), "loss: expected a name, a Loss or a dict"),
    (("sgd", metrics.Mean()), "loss: expected a name, a Loss or a dict"),
    (("sgd", "mse", ["acuracy"]), "metric: unknown 'acuracy'; known are accuracy"),
    (("sgd", "mse", 1), "compile: metrics must be a list of names or Metrics, got 1"),
    (("sgd", "mse", {"a": 1}), "compile: metrics must be given for 'dense'; there is no 'a'"),
]


@pytest.mark.parametrize(("arguments", "message"), COMPILE)
def test_bad_arguments_of_compile(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        small_network().compile(*arguments)


def test_compile_changes_all_or_nothing():
    model = small_network()
    model.compile("sgd", "mse")
    loss, optimizer = model.loss, model.optimizer
    with pytest.raises(ValueError, match="loss: unknown"):
        model.compile("sgd", "nope")
    assert model.loss is loss
    assert model.optimizer is optimizer


def test_a_metric_that_does_not_fit_is_refused_before_any_step():
    model = small_network()
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["categorical_accuracy"])
    with pytest.raises(ValueError, match="y_true must have the predictions' shape"):
        model.fit(X, Y, verbose=0)
    assert model.state.iterations == 0


def test_a_failed_first_fit_leaves_the_model_unbuilt():
    model = Sequential([layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="x and y must have as many samples"):
        model.fit(np.ones((5, 8, 8, 1)), Y, verbose=0)
    model.fit(np.ones((8, 8, 8, 3)), Y, verbose=0)  # other data, another shape
    assert model.input_shape == (None, 8, 8, 3)


def test_class_weights_need_classes():
    model = Sequential([layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mse")
    for targets in (Y - 1.0, Y + 0.5):
        with pytest.raises(ValueError, match="class_weight goes with targets that are classes"):
            model.fit(X, targets, class_weight={0: 1.0}, verbose=0)
    model.fit(X, 7.0 * Y, class_weight={0: 2.0}, verbose=0)  # classes not named have weight 1


def test_training_needs_compile():
    model = small_network()
    message = r"Sequential 'sequential': call compile\(optimizer, loss\) first"
    with pytest.raises(RuntimeError, match=message):
        model.fit(X, Y)
    assert model.predict(X, verbose=0).shape == (8, 3)


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


FORMS = {
    "list": lambda x: x.tolist(),
    "float64": lambda x: x.astype(np.float64),
    "big-endian": lambda x: x.astype(">f4"),
    "read-only": read_only,
    "Fortran order": np.asfortranarray,
    "negative stride": lambda x: x[::-1].copy()[::-1],
    "every second of a larger array": lambda x: np.repeat(x, 2, axis=0)[::2],
    "transposed": lambda x: x.transpose(0, 2, 1, 3).copy().transpose(0, 2, 1, 3),
}


@pytest.mark.parametrize("form", FORMS)
def test_arrays_of_any_form_give_the_same_result(model, form):
    given = FORMS[form](X)
    np.testing.assert_array_equal(model.predict(given, verbose=0), model.predict(X, verbose=0))
    assert model.evaluate(given, Y, verbose=0) == model.evaluate(X, Y, verbose=0)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, ">i4", np.bool_, np.float16])
def test_numbers_of_any_type_are_converted(model, dtype):
    given = (np.arange(X.size).reshape(X.shape) % 2).astype(dtype)
    expected = model.predict(given.astype(np.float32), verbose=0)
    np.testing.assert_array_equal(model.predict(given, verbose=0), expected)


def test_the_caller_s_arrays_stay_as_they_are(model):
    x, y = X.copy(), Y.copy()
    model.fit(x, y, verbose=0, sample_weight=np.ones(8))
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, Y)


def test_a_float64_model_keeps_float64():
    model = small_network("float64")
    assert model.predict(X, verbose=0).dtype == np.float64
    assert all(w.dtype == np.float64 for w in model.get_weights())


def test_sizes_left_open_take_images_of_any_size():
    model = Sequential(
        [
            layers.Input((None, None, 1)),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    for size in [(6, 6), (1, 1), (9, 4)]:
        x = np.ones((8, *size, 1))
        model.fit(x, Y, verbose=0)
        assert model.predict(x, verbose=0).shape == (8, 3)
    with pytest.raises(ValueError, match=re.escape("x must have shape (samples, any, any, 1)")):
        model.predict(np.ones((8, 6, 6, 2)), verbose=0)
