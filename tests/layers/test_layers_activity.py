"""Penalties on what layers give: values, gradients, both executors, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import special

from convlet import Model, Sequential, config, layers, load_model, optimizers, random
from convlet.layers import ActivityRegularization, Conv2D, Dense, Flatten, Input, MaxPooling2D
from convlet.regularizers import L1, L1L2, L2, KLSparsity, Regularizer
from numerics import central_difference, normal

X, Y = normal(5, 4, 4, 2, dtype="float32"), normal(5, 3, seed=1, dtype="float32")


class Spread(Regularizer):
    """The variance of what is given, times the number of samples."""

    def call(self, x: np.ndarray) -> np.ndarray:
        return len(x) * x.var()

    def gradient(self, x: np.ndarray) -> np.ndarray:
        return len(x) * 2 * (x - x.mean()) / x.size


def network(regularizer: object, dtype: str = "float32") -> Sequential:
    """Return a network with a penalty on the output of a convolution, which pooling follows."""
    random.set_random_seed(0)
    told = {"dtype": dtype}
    return Sequential(
        [
            Input((4, 4, 2), **told),
            Conv2D(3, 2, activation="sigmoid", activity_regularizer=regularizer, **told),
            MaxPooling2D(2, **told),
            Flatten(**told),
            Dense(3, **told),
        ]
    )


def by_hand(model: Sequential, penalty: object) -> float:
    """Return the mean squared error and the penalty, divided by the samples, of a batch."""
    conv = Model(model.inputs, model.layers[0].output)
    loss = ((model.predict(X, verbose=0) - Y) ** 2).mean()
    return float(loss + penalty(conv.predict(X, verbose=0)) / len(X))


PENALTIES = [
    (L1L2(0.3, 0.2), lambda a: 0.3 * np.abs(a).sum() + 0.2 * (a**2).sum()),
    (
        KLSparsity(0.1, 2.0),
        lambda a: (
            len(a)
            * 2.0
            * sum(special.kl_div(p, q).sum() for p, q in divergences(a.mean(axis=(0, 1, 2))))
        ),
    ),
    (Spread(), lambda a: len(a) * a.var()),
]


def divergences(means: np.ndarray) -> list[tuple[float, np.ndarray]]:
    return [(0.1, means), (0.9, 1 - means)]


@pytest.mark.parametrize("executor", ["reference", "native"])
@pytest.mark.parametrize(("regularizer", "penalty"), PENALTIES)
def test_every_reported_loss_holds_the_penalty(
    executor: str, regularizer: Regularizer, penalty: object, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(config, "_executor", executor)
    model = network(regularizer)
    model.compile(optimizers.SGD(0.0), "mse")
    expected = pytest.approx(by_hand(model, penalty), rel=1e-5)
    assert model.evaluate(X, Y, verbose=0) == expected
    assert model.train_on_batch(X, Y) == expected
    assert model.fit(X, Y, verbose=0).history["loss"] == [expected]


@pytest.mark.parametrize("regularizer", [case[0] for case in PENALTIES])
def test_a_step_follows_the_gradient_of_both(regularizer: Regularizer):
    model = network(regularizer, "float64")
    model.compile(optimizers.SGD(1.0), "mse")
    before = model.get_weights()

    def loss(kernel: np.ndarray) -> float:
        model.set_weights([kernel, *before[1:]])
        return model.test_on_batch(X, Y)

    expected = central_difference(loss, before[0])
    model.set_weights(before)
    model.train_on_batch(X, Y)
    step = before[0] - model.get_weights()[0]
    np.testing.assert_allclose(step, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("regularizer", [case[0] for case in PENALTIES])
def test_both_executors_make_the_same_step(
    regularizer: Regularizer, monkeypatch: pytest.MonkeyPatch
):
    weights = []
    for executor in ("reference", "native"):
        monkeypatch.setattr(config, "_executor", executor)
        model = network(regularizer)
        model.compile(optimizers.SGD(0.5), "mse")
        for _ in range(3):
            model.train_on_batch(X, Y)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_sparse_autoencoder_s_units_become_as_rare_as_wished():
    """Lecture 001; mean activations begin at about a half."""
    random.set_random_seed(3)
    x = normal(64, 8, dtype="float32")
    hidden = Dense(6, activation="sigmoid", activity_regularizer=KLSparsity(0.1, 3.0))
    model = Sequential([Input((8,)), hidden, Dense(8)])
    model.compile(optimizers.SGD(0.1, momentum=0.9), "mse")
    model.fit(x, x, batch_size=64, epochs=150, verbose=0)
    means = hidden(x).mean(axis=0)
    np.testing.assert_allclose(means, 0.1, atol=0.03)


def test_a_layer_that_is_called_twice_is_penalized_twice():
    given = Input((2,))
    shared = layers.Activation("tanh", activity_regularizer=L1(0.5))
    model = Model(given, shared(shared(given)))
    model.compile("sgd", "mse")
    x = normal(4, 2, dtype="float32")
    once = np.tanh(x)
    twice = np.tanh(once)
    penalty = 0.5 * (np.abs(once).sum() + np.abs(twice).sum()) / 4
    assert model.test_on_batch(x, twice) == pytest.approx(penalty, rel=1e-5)


def test_activity_regularization_is_a_layer_too():
    model = Sequential([Input((2,)), ActivityRegularization(0.25, 0.5), Dense(1)])
    model.compile("sgd", "mse")
    x = np.float32([[1, -2], [0, 4]])
    y = model.predict(x, verbose=0)
    assert model.test_on_batch(x, y) == pytest.approx((0.25 * 7 + 0.5 * 21) / 2)
    np.testing.assert_array_equal(ActivityRegularization(1.0)(x), x)
    assert "activity_regularizer" not in ActivityRegularization(1.0).get_config()


def test_predictions_know_of_no_penalty():
    model = network(L2(0.1))
    model.compile("sgd", "mse")
    operators = {
        mode: [i.operator for i in model.program(mode, (4, 4, 2)).instructions]
        for mode in ("predict", "evaluate", "train")
    }
    assert "penalty" not in operators["predict"]
    assert "penalty" in operators["evaluate"]
    assert "penalty_gradient" in operators["train"]
    plain = network(None)
    plain.compile("sgd", "mse")
    assert len(plain.program("train", (4, 4, 2)).phases) == 1


@pytest.mark.parametrize("suffix", [".safetensors", ".keras"])
def test_both_kinds_of_files_hold_it(tmp_path: Path, suffix: str):
    if suffix == ".keras":
        pytest.importorskip("h5py")
    model = network("l2")
    model.add(Dense(2, activity_regularizer=L1(0.5)))
    path = tmp_path / f"model{suffix}"
    model.save(path)
    read = load_model(path)
    assert read.get_config() == model.get_config()
    assert read.layers[0].activity_regularizer.l2 == 0.01
    assert read.layers[-2].activity_regularizer is None


def test_keras_has_no_kl_sparsity(tmp_path: Path):
    pytest.importorskip("h5py")
    model = network(KLSparsity())
    model.save(tmp_path / "model.safetensors")
    assert load_model(tmp_path / "model.safetensors").get_config() == model.get_config()
    with pytest.raises(ValueError, match="Conv2D 'conv2d': Keras has no regularizer KLSparsity; "):
        model.save(tmp_path / "model.keras")


def test_what_is_refused():
    with pytest.raises(ValueError, match="Flatten 'flatten': activity_regularizer: regularizer: "):
        Flatten(activity_regularizer="l3")
    with pytest.raises(ValueError, match="Model: unknown argument 'activity_regularizer'"):
        Model(activity_regularizer="l2")
    with pytest.raises(ValueError, match="ActivityRegularization: l1 must be a number of at least"):
        ActivityRegularization(-1)
    model = network("orthogonal_regularizer")
    model.compile("sgd", "mse")
    message = r"Conv2D 'conv2d': OrthogonalRegularizer needs weights of 2 axes, got shape \(0, 3,"
    with pytest.raises(ValueError, match=message):
        model.test_on_batch(X, Y)
