"""LeNet-5 as of 1998: the paper's numbers of weights and connections, and both its losses."""

import numpy as np
import pytest

from convlet import Model, datasets, load_model, losses, optimizers, utils
from convlet.applications import LeNet5
from convlet.applications.lenet5 import _CONNECTIONS


def test_the_paper_s_numbers_of_weights():
    """Section II B: 156, 12, 1,516, 32, 48,120 and 10,164, in all 60,000 trainable parameters."""
    model = LeNet5()
    counts = {name: model.get_layer(name).count_params() for name in ("C1", "S2", "C3", "S4")}
    assert counts == {"C1": 156, "S2": 12, "C3": 1_516, "S4": 32}
    assert model.get_layer("C5").count_params() == 48_120
    assert model.get_layer("F6").count_params() == 10_164
    assert sum(variable.size for variable in model.trainable_weights) == 60_000
    assert [v.shape for v in model.non_trainable_weights] == [(10, 84)]


def test_the_paper_s_sizes():
    """Figure 2; lecture 000 has 4,704 units in C1 and, with kernels of 5x5, 1,600 in C3."""
    model = LeNet5()
    shapes = {
        layer.name: shapes[0][1:]
        for layer, shapes in zip(model.layers, model.layer_shapes(), strict=True)
    }
    sizes = [shapes[name] for name in ("C1", "S2", "C3", "S4", "C5", "F6", "output")]
    assert sizes == [
        (28, 28, 6),
        (14, 14, 6),
        (10, 10, 16),
        (5, 5, 16),
        (1, 1, 120),
        (84,),
        (10,),
    ]
    assert np.prod(sizes[0]) == 4_704
    assert np.prod(sizes[2]) == 1_600


def test_the_table_of_connections():
    """Section II B: six maps see 3 neighbours, six see 4, three see two pairs, the last all."""
    table = np.array([[mark == "#" for mark in row] for row in _CONNECTIONS])
    neighbours = [{(k + n) % 6 for n in range(3)} for k in range(6)]
    neighbours += [{(k + n) % 6 for n in range(4)} for k in range(6)]
    neighbours += [{0, 1, 3, 4}, {1, 2, 4, 5}, {0, 2, 3, 5}, set(range(6))]
    assert [set(np.flatnonzero(column)) for column in table.T] == neighbours


def test_units_are_the_paper_s_scaled_tanh():
    """f(1) = 1 and f(-1) = -1, the largest is 1.7159."""
    model = LeNet5()
    before, after = (
        Model(model.input, model.get_layer(name).output) for name in ("F6", "F6_amplitude")
    )
    x = np.random.default_rng(0).normal(size=(4, 32, 32, 1))
    a = before.predict(x, verbose=0)
    expected = 1.7159 * np.tanh(2 / 3 * a)
    np.testing.assert_allclose(after.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6)
    assert 1.7159 * np.tanh(2 / 3) == pytest.approx(1, abs=1e-4)


def test_both_losses_are_those_of_the_paper(tmp_path):
    """Formula 8 by way of F6, and formula 9 without rubbish, on the same weights."""
    model = LeNet5()
    f6 = Model(model.input, model.get_layer("F6_amplitude").output)
    codes = model.get_layer("output").centers.value
    assert set(codes.ravel()) == {-1, 1}
    x = np.random.default_rng(0).normal(size=(5, 32, 32, 1))
    labels = np.array([3, 1, 4, 1, 5])
    distances = ((f6.predict(x, verbose=0)[:, None] - codes) ** 2).sum(axis=-1)
    right = distances[np.arange(5), labels]
    f6.compile("sgd", "mean_squared_error")
    assert 84 * f6.test_on_batch(x, codes[labels]) == pytest.approx(right.mean(), rel=1e-5)
    model.compile("sgd", losses.SparseCategoricalCrossentropy())
    map_loss = right + np.log(np.exp(-distances).sum(axis=1))
    assert model.test_on_batch(x, labels) == pytest.approx(map_loss.mean(), rel=1e-4)
    model.save(tmp_path / "lenet5.safetensors")
    loaded = load_model(tmp_path / "lenet5.safetensors")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_it_learns_by_the_squared_loss():
    """The digits, four times as large: trained on the codes, read by the nearest code."""
    utils.set_random_seed(0)
    data = datasets.open_dataset("digits")
    x, labels = data.x_train[:400].reshape(-1, 8, 8, 1), data.y_train[:400]
    x = np.kron(x, np.ones((1, 4, 4, 1))) * (1.275 / 16) - 0.1  # the paper's -0.1 to 1.175
    model = LeNet5()
    f6 = Model(model.input, model.get_layer("F6_amplitude").output)
    f6.compile(optimizers.SGD(0.05, momentum=0.9), "mean_squared_error")
    codes = model.get_layer("output").centers.value
    f6.fit(x, codes[labels], epochs=6, verbose=0)
    accuracy = (model.predict(x, verbose=0).argmax(axis=1) == labels).mean()
    assert accuracy > 0.9
    np.testing.assert_array_equal(model.get_layer("output").centers.value, codes)


def test_without_the_output_units():
    assert LeNet5(include_top=False).output_shape == (None, 84)
    with pytest.raises(ValueError, match=r"^LeNet5: include_top must be True or False, got 0$"):
        LeNet5(0)
    with pytest.raises(ValueError, match="window spans 5 positions"):
        LeNet5(input_shape=(32, 31, 1))
