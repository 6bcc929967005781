"""Networks along one axis: the papers' layers, numbers of weights, and what they refuse."""

import numpy as np
import pytest

from convlet import load_model
from convlet.applications import BY_NAME, SERIES, SeriesFCN, SmallM5
from convlet.layers import Conv1D, Rescaling


def convolutions(model):
    return [
        (layer.filters, *layer.kernel_size, *layer.strides)
        for layer in model.layers
        if isinstance(layer, Conv1D)
    ]


def test_fcn_is_the_papers():
    """Wang et al., figure 1(b): 128, 256 and 128 filters of 8, 5 and 3 taps."""
    model = SeriesFCN((150, 3), 5)
    assert convolutions(model) == [(128, 8, 1), (256, 5, 1), (128, 3, 1)]
    normalizations = 4 * (128 + 256 + 128)
    kernels = 3 * 8 * 128 + 128 * 5 * 256 + 256 * 3 * 128
    assert model.count_params() == kernels + normalizations + 129 * 5
    assert SeriesFCN((1, 1)).output_shape == (None, 10)


def test_m5_pools_by_four_behind_each_convolution():
    model = SmallM5()
    assert convolutions(model) == [(32, 64, 4), (64, 5, 1), (128, 5, 1), (128, 5, 1)]
    normalizations = 4 * (32 + 64 + 128 + 128)
    kernels = 64 * 32 + 5 * (32 * 64 + 64 * 128 + 128 * 128)
    assert model.count_params() == kernels + normalizations + 129 * 10
    assert SmallM5((1021, 2)).output_shape == (None, 10)
    with pytest.raises(ValueError, match=r"MaxPooling1D .*: the window spans 4"):
        SmallM5((1020, 2))


@pytest.mark.parametrize("name", sorted(SERIES))
def test_every_network(name, tmp_path):
    assert BY_NAME[name] is SERIES[name]
    plain, scaled = (SERIES[name]((1100, 2), 3, scale) for scale in (None, 0.25))
    assert (plain.name, plain.output_shape) == (name, (None, 3))
    assert isinstance(scaled.layers[0], Rescaling)
    scaled.set_weights(plain.get_weights())
    scaled.save(tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors")
    assert loaded.name == name
    x = np.random.default_rng(0).normal(size=(2, 1100, 2)).astype(np.float32)
    y = loaded.predict(x, verbose=0)
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(y, plain.predict(x * 0.25, verbose=0))
