"""L-BFGS: loss and gradient of a whole data set as SciPy is given them, and what it reaches."""

import sys

import numpy as np
import pytest
from scipy.optimize import approx_fprime

import convlet
from convlet import NonFiniteLossError
from convlet.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten, Input
from convlet.losses import SparseCategoricalCrossentropy
from convlet.models import Objective, minimize_lbfgs
from convlet.regularizers import L2, KLSparsity

GENERATOR = np.random.default_rng(5)
X, Y = GENERATOR.standard_normal((20, 4, 4, 1)), GENERATOR.integers(3, size=20)


def network(dtype="float64", **of_kernel):
    convlet.utils.set_random_seed(0)
    model = convlet.Sequential(
        [
            Input((4, 4, 1), dtype=dtype),
            Conv2D(
                2, 3, activation="sigmoid", activity_regularizer=KLSparsity(0.2, 0.1), dtype=dtype
            ),
            Flatten(dtype=dtype),
            Dense(3, activation="softmax", kernel_regularizer=L2(0.01), dtype=dtype, **of_kernel),
        ],
        dtype=dtype,
    )
    model.compile(loss="sparse_categorical_crossentropy")
    return model


def test_gradient():
    objective = Objective(network(), X, Y, sample_weight=GENERATOR.random(20))
    _, gradient = objective(objective.weights)
    numeric = approx_fprime(objective.weights, lambda w: objective(w)[0], 1e-7)
    assert gradient.dtype == np.float64
    np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-6)


def test_loss_is_that_of_evaluate():
    model = network("float32")
    objective = Objective(model, X, Y)
    loss, _ = objective(objective.weights)
    assert loss == pytest.approx(model.evaluate(X, Y, batch_size=20, verbose=0), rel=1e-6)


def test_batches_add_up_to_the_whole():
    model = network()
    model.layers[0].activity_regularizer = None
    whole, parts = Objective(model, X, Y), Objective(model, X, Y, batch_size=7)
    for found, expected in zip(parts(parts.weights), whole(whole.weights), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_weights_of_several_losses():
    given = Input((3,), dtype="float64")
    outputs = [Dense(n, dtype="float64", name=f"of_{n}")(given) for n in (1, 2)]
    model = convlet.Model(given, outputs)
    model.compile(loss="mean_squared_error", loss_weights=[3.0, 0.25])
    x, y = GENERATOR.standard_normal((9, 3)), [GENERATOR.standard_normal((9, n)) for n in (1, 2)]
    objective = Objective(model, x, y)
    loss, gradient = objective(objective.weights)
    first, second = (np.square(p - t).mean() for p, t in zip(model.predict(x), y, strict=True))
    assert loss == pytest.approx(3 * first + 0.25 * second, rel=1e-12)
    numeric = approx_fprime(objective.weights, lambda w: objective(w)[0], 1e-7)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "has"),
    [
        ({"reduction": "sum"}, "reduction='sum'"),
        ({"reduction": "mean_with_sample_weight"}, "reduction='mean_with_sample_weight'"),
        ({"ignore_class": 2}, "an ignore_class"),
    ],
)
def test_losses_that_batches_do_not_add_up_to_are_computed_at_once(settings, has):
    model = network()
    model.compile(loss=SparseCategoricalCrossentropy(**settings))
    message = (
        "^minimize_lbfgs: batch_size must be None where a loss is no mean over all samples; "
        f"'sparse_categorical_crossentropy' has {has}$"
    )
    with pytest.raises(ValueError, match=message):
        Objective(model, X, Y, batch_size=7)
    objective = Objective(model, X, Y)
    expected = model.evaluate(X, Y, batch_size=20, verbose=0)
    assert objective(objective.weights)[0] == pytest.approx(expected, rel=1e-12)


def test_minimum_of_least_squares():
    x = GENERATOR.standard_normal((30, 4))
    y = GENERATOR.standard_normal((30, 2))
    model = convlet.Sequential(
        [Input((4,), dtype="float64"), Dense(2, dtype="float64")], dtype="float64"
    )
    model.compile(loss="mean_squared_error")
    steps = []
    result = minimize_lbfgs(
        model, x, y, callback=lambda step, loss: steps.append((step, loss)), ftol=0, gtol=1e-10
    )
    expected = np.linalg.lstsq(np.column_stack([x, np.ones(30)]), y)[0]
    found = np.vstack(model.get_weights())
    # the loss knows 16 digits, the weights at its minimum half as many
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert [step for step, _ in steps] == [*range(1, result.nit + 1)]
    assert steps[-1][1] == result.fun == model.evaluate(x, y, batch_size=30, verbose=0)


def test_maxiter_and_the_lowest_loss():
    model = network()
    result = minimize_lbfgs(model, X, Y, maxiter=3)
    assert (result.nit, result.success) == (3, False)
    assert model.evaluate(X, Y, batch_size=20, verbose=0) == pytest.approx(result.fun)


def test_frozen_weights_stay_and_dropout_keeps_its_draws():
    model = convlet.Sequential([Input((4, 4, 1)), Flatten(), Dense(8), Dropout(0.5), Dense(3)])
    model.compile(loss="mean_squared_error")
    model.layers[1].trainable = False
    before = model.get_weights()
    objective = Objective(model, X, np.zeros((20, 3)))
    assert len(objective.weights) == 8 * 3 + 3
    assert objective(objective.weights)[0] == objective(objective.weights)[0]
    minimize_lbfgs(model, X, np.zeros((20, 3)), maxiter=2)
    for old, new in zip(before[:2], model.get_weights()[:2], strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_best_weights_stay_when_the_loss_is_not_finite(monkeypatch):
    model = network("float32")
    objective = Objective(model, X, Y)
    best = objective.weights

    def diverging(function, weights, **settings):
        function(weights)
        function(np.full_like(weights, 1e30))

    monkeypatch.setattr("scipy.optimize.minimize", diverging)
    with pytest.raises(NonFiniteLossError, match=r"^minimize_lbfgs: the loss became (inf|nan); "):
        minimize_lbfgs(model, X, Y)
    np.testing.assert_array_equal(Objective(model, X, Y).weights, best)


def test_refuses():
    with pytest.raises(
        ValueError, match=r"^minimize_lbfgs: maxiter must be an integer of at least 1, got 0"
    ):
        minimize_lbfgs(network(), X, Y, maxiter=0)
    with pytest.raises(
        ValueError, match=r"^minimize_lbfgs: callback must be a function or None, got 3"
    ):
        minimize_lbfgs(network(), X, Y, callback=3)
    with pytest.raises(
        ValueError, match=r"^minimize_lbfgs: batch_size must be an integer .*, got 0"
    ):
        minimize_lbfgs(network(), X, Y, batch_size=0)
    with pytest.raises(ValueError, match=r"^minimize_lbfgs: dense\w*/kernel has a constraint, "):
        minimize_lbfgs(network(kernel_constraint="max_norm"), X, Y)
    frozen = network()
    frozen.trainable = False
    with pytest.raises(ValueError, match=r"^minimize_lbfgs: the model has no weights to train$"):
        minimize_lbfgs(frozen, X, Y)
    with pytest.raises(ValueError, match=r"^minimize_lbfgs: .*20.*7"):
        minimize_lbfgs(network(), X, Y[:7])


def test_a_vector_that_does_not_fit_leaves_the_model_as_it_was():
    model = network("float32")
    objective, before = Objective(model, X, Y), model.get_weights()
    too_large = np.ones_like(objective.weights)
    too_large[-1] = 1e300
    with pytest.raises(ValueError, match=r"^minimize_lbfgs: weights must be a vector of 47 numb"):
        objective(np.ones(46))
    with pytest.raises(ValueError, match="float32 cannot hold numbers that large"):
        objective(too_large)
    for array, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, expected)


def test_refuses_moving_statistics_unless_frozen():
    model = convlet.Sequential([Input((4, 4, 1)), BatchNormalization(), Flatten(), Dense(1)])
    model.compile(loss="mean_squared_error")
    with pytest.raises(ValueError, match=r"training keeps statistics in batch_n\w+/moving_mean"):
        minimize_lbfgs(model, X, Y)
    model.layers[0].trainable = False
    minimize_lbfgs(model, X, Y, maxiter=1)


def test_without_scipy(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ImportError, match=r"minimize_lbfgs needs SciPy: pip install 'convlet\[l"):
        minimize_lbfgs(network(), X, Y)
