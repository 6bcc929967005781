"""scikit-learn's way in: its own checks, its tools, and the same numbers as without it."""

import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_digits, make_regression
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import convlet
from convlet import NonFiniteLossError, Sequential, applications, layers, optimizers, utils
from convlet.estimators import ConvletClassifier, ConvletRegressor

CLASSIFIER, REGRESSOR = ConvletClassifier(seed=0), ConvletRegressor(seed=0)
NAMES = ", ".join(map(repr, applications.BY_NAME))
EXPECTED_TO_FAIL = {
    (ConvletRegressor, "check_regressor_multioutput"): "Got float32 instead",  # as it is computed
    # samples of weight 0 take places in batches, as in Model.fit and scikit-learn's own networks
    (ConvletClassifier, "check_sample_weight_equivalence_on_dense_data"): "Comparing the output",
    (ConvletRegressor, "check_sample_weight_equivalence_on_dense_data"): "Comparing the output",
}


def dense(shape, outputs):
    return Sequential(
        [layers.Input(shape), layers.Flatten(), layers.Dense(outputs, activation="softmax")]
    )


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    return data.images[:400] / 16, data.target[:400]


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(estimator, check, id=f"{type(estimator).__name__}-{check.func.__name__}")
        for owner in (CLASSIFIER, REGRESSOR)
        for estimator, check in estimator_checks_generator(owner)
    ],
)
def test_scikit_learns_checks(estimator, check):
    expected = EXPECTED_TO_FAIL.get((type(estimator), check.func.__name__))
    if expected:
        with pytest.raises(AssertionError, match=expected):
            check(estimator)
    else:
        check(estimator)


# --- the same as without scikit-learn ---


def test_fit_is_what_a_model_does(digits):
    x, y = digits
    optimizer = optimizers.SGD(0.5, momentum=0.5)
    estimator = ConvletClassifier(
        dense, optimizer=optimizer, learning_rate=0.1, epochs=2, batch_size=50, seed=7
    ).fit(x, y)

    utils.set_random_seed(7)
    model = dense((8, 8), 10)
    model.compile(optimizers.SGD(0.1, momentum=0.5), "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=50, epochs=2, verbose=0)

    np.testing.assert_array_equal(estimator.predict_proba(x), model.predict(x, verbose=0))
    np.testing.assert_array_equal(estimator.predict(x), model.predict(x, verbose=0).argmax(1))
    assert optimizer.learning_rate == 0.5  # parameters are read, not changed


def test_sample_weights_are_a_model_s(digits):
    x, y = digits
    weights = np.random.default_rng(0).uniform(0, 2, len(x))
    estimator = ConvletClassifier(dense, learning_rate=0.1, epochs=2, seed=7).fit(x, y, weights)
    utils.set_random_seed(7)
    model = dense((8, 8), 10)
    model.compile(optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=2, verbose=0, sample_weight=weights)
    np.testing.assert_array_equal(estimator.predict_proba(x), model.predict(x, verbose=0))


def test_samples_of_weight_zero_teach_nothing():
    """Half of the targets are wrong, and have no weight."""
    x = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    wrong = np.arange(200) % 2 == 1
    y = np.where(wrong, 100.0, x @ [1.0, -2.0, 0.5])
    regressor = ConvletRegressor(learning_rate=0.1, epochs=30, seed=0)
    regressor.fit(x, y, sample_weight=np.where(wrong, 0.0, 2.0))
    assert regressor.score(x[~wrong], y[~wrong]) > 0.95


def test_cross_validation_shares_weights_out(digits):
    x, y = digits
    estimator = ConvletClassifier(dense, learning_rate=0.1, epochs=1, seed=0)
    weights = np.where(y < 5, 1.0, 0.0)
    search = GridSearchCV(estimator, {"learning_rate": [0.1, 0.2]}, cv=2)
    search.fit(x, y, sample_weight=weights)
    assert (search.predict(x) < 5).all()  # the others' weight was 0


def test_a_seed_leaves_the_librarys_own_sequence_alone(digits):
    x, y = digits
    utils.set_random_seed(3)
    expected = convlet.random.next_seed()
    utils.set_random_seed(3)
    ConvletClassifier(epochs=1, seed=0).fit(x, y)
    assert convlet.random.next_seed() == expected


def test_without_a_seed_the_librarys_own_decides(digits):
    x, y = digits
    predictions = []
    for _ in range(2):
        utils.set_random_seed(3)
        predictions += [ConvletClassifier(epochs=1).fit(x, y).predict_proba(x) for _ in range(2)]
    np.testing.assert_array_equal(predictions[0], predictions[2])
    assert (predictions[0] != predictions[1]).any()


def test_labels_of_any_kind(digits):
    x, y = digits
    names = np.array(["b", "a", "c"])
    some = y < 3
    estimator = ConvletClassifier(epochs=30, learning_rate=0.1, seed=0)
    estimator.fit(x[some], names[y[some]])
    np.testing.assert_array_equal(estimator.classes_, ["a", "b", "c"])
    assert estimator.predict_proba(x[some]).shape == (some.sum(), 3)
    assert estimator.score(x[some], names[y[some]]) > 0.95


def test_a_one_hot_loss(digits):
    x, y = digits
    settings = {"epochs": 2, "seed": 0}
    one_hot = ConvletClassifier(loss="categorical_crossentropy", **settings).fit(x, y)
    sparse = ConvletClassifier(**settings).fit(x, y)
    np.testing.assert_allclose(one_hot.predict_proba(x), sparse.predict_proba(x), atol=1e-6)


@pytest.mark.parametrize("loss", ["categorical_focal_crossentropy", "mse", "categorical_hinge"])
def test_every_other_loss_gets_one_hot_targets(digits, loss):
    x, y = digits
    estimator = ConvletClassifier(
        dense, optimizer="adam", learning_rate=0.03, loss=loss, epochs=5, seed=0
    )
    assert estimator.fit(x, y).score(x, y) > 0.7


@pytest.mark.parametrize("axes", [2, 3])
def test_named_networks_take_images(digits, axes):
    x, y = digits
    images = x if axes == 2 else x[..., None]
    estimator = ConvletClassifier("small-lenet", epochs=1, seed=0).fit(images[:64], y[:64])
    assert estimator.model_.input_shape == (None, 8, 8, 1)
    assert estimator.predict(images[:5]).shape == (5,)


def test_named_networks_take_series(digits):
    x, y = digits
    rows = x.reshape(len(x), -1)
    estimator = ConvletClassifier("series-fcn", epochs=1, seed=0).fit(rows[:64], y[:64])
    assert estimator.model_.input_shape == (None, 64, 1)
    assert estimator.predict(rows[:5]).shape == (5,)
    estimator.fit(x[:64], y[:64])
    assert estimator.model_.input_shape == (None, 8, 8)


# --- scikit-learn's tools ---


def test_grid_search_finds_the_rate_that_learns(digits):
    x, y = digits
    search = GridSearchCV(
        ConvletClassifier(dense, epochs=20, seed=0), {"learning_rate": [1e-6, 0.3]}, cv=2
    ).fit(x, y)
    assert search.best_params_ == {"learning_rate": 0.3}
    assert search.best_score_ > 0.8


def test_pipeline_and_cross_validation(digits):
    x, y = digits
    pipeline = make_pipeline(
        StandardScaler(), ConvletClassifier(learning_rate=0.05, epochs=20, seed=0)
    )
    assert cross_val_score(pipeline, x.reshape(len(x), -1), y, cv=2).mean() > 0.8


def test_regression():
    x, y = make_regression(300, 5, n_informative=5, random_state=0)
    y = 1000 + y
    regressor = TransformedTargetRegressor(
        ConvletRegressor(learning_rate=0.05, epochs=30, seed=0), transformer=StandardScaler()
    )
    assert regressor.fit(x[:200], y[:200]).score(x[200:], y[200:]) > 0.95


def test_several_targets():
    x, y = make_regression(100, 5, n_targets=3, random_state=0)
    regressor = ConvletRegressor(learning_rate=0.01, epochs=3, seed=0).fit(x, y / 100)
    assert regressor.predict(x).shape == (100, 3)


def test_clone_and_parameters():
    estimator = ConvletClassifier(dense, learning_rate=0.2, seed=1)
    copied = clone(estimator).set_params(learning_rate=0.4)
    assert copied.get_params() == estimator.get_params() | {"learning_rate": 0.4}
    assert not hasattr(copied, "model_")


def test_a_trained_estimator_goes_to_another_process(digits):
    x, y = digits
    estimator = ConvletClassifier("small-lenet", epochs=1, seed=0).fit(x, y)
    again = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(again.predict_proba(x), estimator.predict_proba(x))


# --- what is refused ---


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"epochs": 0}, "ConvletClassifier: epochs must be an integer of at least 1, got 0"),
        ({"epochs": 1.5}, "ConvletClassifier: epochs must be an integer of at least 1, got 1.5"),
        ({"batch_size": 0}, "fit: batch_size must be an integer of at least 1, got 0"),
        ({"seed": -1}, "ConvletClassifier: seed must be an integer of at least 0, got -1"),
        ({"learning_rate": -1}, "SGD: learning_rate must be a number of at least 0, got -1"),
        (
            {"model": "vgg"},
            f"ConvletClassifier: model must be one of {NAMES}, a function of a sample's shape and "
            "the outputs, or None, got 'vgg'",
        ),
        (
            {"model": lambda shape, outputs: None},
            "ConvletClassifier: model must be a function that returns a Model, got None",
        ),
        (
            {"model": lambda shape, outputs: dense(shape, outputs + 1)},
            "ConvletClassifier: model must give 10 numbers for each sample, got an output of shape "
            "(None, 11)",
        ),
    ],
)
def test_parameters_that_will_not_do(digits, parameters, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        ConvletClassifier(**parameters).fit(*digits)


def test_named_networks_do_not_predict_numbers(digits):
    message = (
        "ConvletRegressor: model must be a function of a sample's shape and the outputs, or None, "
        "got 'small-lenet'"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ConvletRegressor("small-lenet").fit(*digits)


def test_one_class(digits):
    x, _ = digits
    message = "^ConvletClassifier: y must have at least two classes, got one class$"
    with pytest.raises(ValueError, match=message):
        ConvletClassifier().fit(x, np.zeros(len(x)))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            np.ones(399),
            "sample_weight must have a number for each of 400 samples, got shape (399,)",
        ),
        (np.ones((400, 1)), "sample_weight must have a number for each of 400 samples, got shape "),
        (np.zeros(400), "sample_weight must not be zero for all samples"),
        (["much"] * 400, "sample_weight must be an array of numbers, got one of <U4"),
    ],
)
def test_weights_that_will_not_do(digits, weights, message):
    with pytest.raises(ValueError, match=f"^{re.escape('ConvletClassifier: ' + message)}"):
        ConvletClassifier().fit(*digits, sample_weight=weights)


def test_prediction_before_training(digits):
    with pytest.raises(NotFittedError):
        ConvletRegressor().predict(digits[0])


def test_prediction_after_a_training_that_failed(digits):
    x, y = digits
    estimator = ConvletClassifier(dense, learning_rate=1e30, epochs=2, seed=0)
    with pytest.raises(NonFiniteLossError):
        estimator.fit(x * 1e10, y)
    with pytest.raises(NotFittedError):
        estimator.predict(x)


def test_a_training_that_failed_leaves_network_and_classes_alone(digits):
    x, y = digits
    estimator = ConvletClassifier(dense, epochs=1, seed=0).fit(x[y < 5], y[y < 5])
    before = estimator.predict(x)
    with pytest.raises(NonFiniteLossError):
        estimator.set_params(learning_rate=1e30).fit(x * 1e10, y + 7)
    np.testing.assert_array_equal(estimator.predict(x), before)


def test_missing_scikit_learn():
    code = (
        "import sys; sys.modules['sklearn.base'] = None\n"
        "try:\n    import convlet.estimators\n"
        "except ImportError as error:\n    print(error)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == (
        'convlet.estimators needs scikit-learn: pip install "convlet[learn]"\n'
    )
