"""Normalization and whitening, judged by NumPy and scikit-learn; batches, files, bad data."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA

from convlet import Sequential, clone_model, config, layers, load_model
from convlet.layers import Normalization, Rescaling, Whitening
from numerics import normal

# far from 0, so that sums of squares would lose digits, and correlated
MIX = normal(6, 6, seed=3)
DATA = (normal(200, 6) @ MIX + np.arange(6) * 100).astype("float32")
IMAGES = (normal(40, 3, 4, 2) * [[[2.0, 5.0]]] + 7).astype("float32")


@pytest.fixture(params=["reference", "native"])
def executor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "_executor", request.param)


# --- normalization ---


@pytest.mark.usefixtures("executor")
@pytest.mark.parametrize("axis", [-1, 1, (1, 3), (3, 1), (1, 2, 3), None])
def test_data_is_brought_to_mean_0_and_variance_1_along_the_axes(axis: object):
    layer = Normalization(axis)
    layer.adapt(IMAGES)
    kept = {a % 4 for a in np.atleast_1d(axis)} if axis is not None else set()
    others = tuple({0, 1, 2, 3} - kept)
    exact = IMAGES.astype("float64")
    mean, variance = exact.mean(others, keepdims=True), exact.var(others, keepdims=True)
    expected = (exact - mean) / np.sqrt(variance)
    np.testing.assert_allclose(layer(IMAGES), expected, rtol=2e-5, atol=2e-6)
    for found, known in zip(layer.get_weights(), (mean, variance), strict=True):
        np.testing.assert_allclose(found, np.squeeze(known, others), rtol=1e-6)


@pytest.mark.usefixtures("executor")
@pytest.mark.parametrize("axis", [-1, [2, 1], None])
def test_inverting_gives_the_data_back(axis: object):
    layer, inverse = Normalization(axis), Normalization(axis, invert=True)
    for each in (layer, inverse):
        each.adapt(IMAGES)
    np.testing.assert_allclose(inverse(layer(IMAGES)), IMAGES, rtol=1e-5, atol=1e-5)


def test_keras_s_documentation_s_numbers():
    data = np.array([[0, 7, 4], [2, 9, 6], [0, 7, 4], [2, 9, 6]], np.float32)
    layer = Normalization(axis=-1)
    layer.adapt(data)
    np.testing.assert_allclose(layer(np.float32([[0, 7, 4]])), [[-1, -1, -1]])
    given = Normalization(mean=3.0, variance=2.0)
    np.testing.assert_allclose(
        given(np.float32([[1], [2], [3]])), [[-1.4142135], [-0.70710677], [0]], rtol=1e-6
    )
    inverse = Normalization(axis=-1, invert=True)
    inverse.adapt(data)
    np.testing.assert_allclose(inverse(np.float32([[1, 2, 3]])), [[2, 10, 8]], rtol=1e-6)


@pytest.mark.usefixtures("executor")
def test_numbers_that_never_change_become_0():
    data = np.stack([np.full(9, 3.5), np.arange(9.0)], axis=1).astype("float32")
    layer, inverse = Normalization(), Normalization(invert=True)
    layer.adapt(data)
    inverse.adapt(data)
    np.testing.assert_array_equal(layer(data)[:, 0], 0)
    np.testing.assert_allclose(inverse(np.ones((1, 2)))[0, 0], 3.5, rtol=1e-6)
    # 1e-7, Keras's epsilon, is what is divided by
    np.testing.assert_allclose(layer([[3.5 + 2.0**-20, 0]])[0, 0], 2.0**-20 * 1e7, rtol=1e-6)


def test_before_it_is_adapted_nothing_happens():
    np.testing.assert_allclose(Normalization()(DATA), DATA, rtol=1e-6)


def test_statistics_that_are_given_are_broadcast_from_the_right():
    layer = Normalization((1, 3), mean=[1.0, 2.0], variance=[4.0, 16.0])
    expected = (IMAGES - [1.0, 2.0]) / [2.0, 4.0]
    np.testing.assert_allclose(layer(IMAGES), expected, rtol=1e-5, atol=1e-6)
    assert layer.weights == []


# --- whitening ---


@pytest.mark.usefixtures("executor")
@pytest.mark.parametrize("components", [None, 4])
def test_pca_is_scikit_learn_s(components: int | None):
    layer = Whitening("pca", epsilon=0.0, components=components)
    layer.adapt(DATA)
    known = PCA(components, whiten=True, svd_solver="full").fit(DATA.astype("float64"))
    expected = known.transform(DATA.astype("float64"))
    signs = np.sign((layer(DATA) * expected).sum(axis=0))
    np.testing.assert_allclose(layer(DATA) * signs, expected, rtol=1e-3, atol=2e-4)
    largest = np.abs(layer.kernel.value).argmax(axis=0)
    assert (layer.kernel.value[largest, np.arange(len(largest))] > 0).all()


@pytest.mark.usefixtures("executor")
@pytest.mark.parametrize("method", ["pca", "zca"])
def test_what_is_whitened_has_the_identity_as_covariance(method: str):
    layer = Whitening(method, epsilon=0.0)
    layer.adapt(DATA)
    covariance = np.cov(layer(DATA).astype("float64"), rowvar=False)
    np.testing.assert_allclose(covariance, np.eye(6), atol=2e-3)


def test_zca_is_the_inverse_root_of_the_covariance_and_keeps_the_shape():
    layer = Whitening("zca", epsilon=0.1)
    layer.adapt(IMAGES)
    rows = IMAGES.reshape(40, 24).astype("float64")
    values, vectors = np.linalg.eigh(np.cov(rows, rowvar=False) + 0.1 * np.eye(24))
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    expected = ((rows - rows.mean(axis=0)) @ root).reshape(IMAGES.shape)
    np.testing.assert_allclose(layer(IMAGES), expected, rtol=1e-4, atol=1e-5)


def test_zca_of_some_components_projects_on_them():
    layer, pca = Whitening("zca", 0.0, components=2), Whitening("pca", 0.0, components=2)
    for each in (layer, pca):
        each.adapt(DATA)
    directions = pca.kernel.value / np.linalg.norm(pca.kernel.value, axis=0)
    expected = pca(DATA) @ directions.T
    np.testing.assert_allclose(layer(DATA), expected, rtol=1e-3, atol=1e-4)


def test_before_it_is_adapted_the_first_numbers_are_kept():
    np.testing.assert_allclose(Whitening(components=2)(DATA), DATA[:, :2], rtol=1e-6)


# --- both ---

FITTED = {
    "normalization": lambda: Normalization(-1),
    "of all numbers": lambda: Normalization(None),
    "pca": lambda: Whitening("pca", components=3),
    "zca": lambda: Whitening("zca"),
}


@pytest.mark.parametrize("name", FITTED)
def test_batches_give_what_the_whole_gives(name: str):
    whole = FITTED[name]()
    whole.adapt(DATA)
    cuts = np.split(DATA, [1, 50, 50, 130])
    for data in (cuts, iter(cuts), [(batch, None) for batch in cuts]):
        layer = FITTED[name]()
        layer.adapt(data)
        for one, other in zip(layer.get_weights(), whole.get_weights(), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6 * np.abs(other).max())


def test_a_large_array_is_gone_through_in_parts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("convlet.layers.moments._NUMBERS_AT_ONCE", 100)
    layer = Normalization()
    layer.adapt((DATA * 10).astype("uint8"))
    np.testing.assert_allclose(layer.adapt_mean.value, (DATA * 10).astype("uint8").mean(axis=0))


@pytest.mark.parametrize("name", FITTED)
def test_adapting_again_counts_for_programs_that_were_planned(name: str):
    layer = FITTED[name]()
    layer.adapt(DATA)
    model = Sequential([layers.Input((6,)), layer, layers.Dense(2)])
    model.compile("sgd", "mse")
    before = model.predict(DATA, verbose=0)
    statistics = layer.get_weights()
    model.fit(DATA[:32], np.zeros((32, 2)), verbose=0)
    for old, new in zip(statistics, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)  # training leaves them alone
    layer.adapt(DATA * 2 + 1)
    assert (model.predict(DATA, verbose=0) != before).any()
    fresh = FITTED[name]()
    fresh.adapt(DATA * 2 + 1)
    np.testing.assert_array_equal(layer(DATA), fresh(DATA))


def preprocessed() -> Sequential:
    normalization = Normalization()
    normalization.adapt(IMAGES)
    return Sequential(
        [
            layers.Input((3, 4, 2)),
            Rescaling([0.5, 2.0], [0.0, 1.0]),
            normalization,
            Normalization((1, 2), mean=1.0, variance=4.0, invert=True),
            layers.Conv2D(2, 2),
        ]
    )


def whitened() -> Sequential:
    model = preprocessed()
    images = model.predict(IMAGES, verbose=0)
    zca, pca = Whitening("zca", 0.01), Whitening("pca", components=3)
    zca.adapt(images)
    pca.adapt(images)
    model.add(zca)
    model.add(pca)
    return model


@pytest.mark.parametrize("suffix", [".safetensors", ".keras"])
def test_statistics_are_saved_with_the_model(tmp_path: Path, suffix: str):
    if suffix == ".keras":
        pytest.importorskip("h5py")
    model = preprocessed() if suffix == ".keras" else whitened()
    model.save(tmp_path / f"model{suffix}")
    read = load_model(tmp_path / f"model{suffix}")
    assert read.get_config() == model.get_config()
    np.testing.assert_array_equal(read.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0))
    assert clone_model(model).get_config() == model.get_config()


def test_keras_s_file_has_the_count_that_keras_expects(tmp_path: Path):
    h5py = pytest.importorskip("h5py")
    model = preprocessed()
    model.save_weights(tmp_path / "model.weights.h5")
    with h5py.File(tmp_path / "model.weights.h5") as file:
        arrays = file["layers/normalization/vars"]
        assert [arrays[n].shape for n in ("0", "1", "2")] == [(2,), (2,), ()]
        assert arrays["2"].dtype.kind == "i"
        assert len(file["layers/normalization_1/vars"]) == 0
    other = preprocessed()
    other.set_weights([array * 0 for array in other.get_weights()])
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(other.predict(IMAGES), model.predict(IMAGES))
    with h5py.File(tmp_path / "model.weights.h5", "a") as file:
        del file["layers/normalization/vars/2"]
    with pytest.raises(ValueError, match="has 2 arrays for 'normalization', needed are 3"):
        other.load_weights(tmp_path / "model.weights.h5")


def test_keras_has_no_whitening(tmp_path: Path):
    pytest.importorskip("h5py")
    with pytest.raises(ValueError, match="Keras has no layer Whitening; a "):
        whitened().save(tmp_path / "model.keras")


def test_onnx_holds_all_of_them(tmp_path: Path):
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    model = whitened()
    model.export(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (name,) = (given.name for given in session.get_inputs())
    (found,) = session.run(None, {name: IMAGES})
    np.testing.assert_allclose(found, model.predict(IMAGES, verbose=0), rtol=1e-3, atol=1e-3)


# --- what is refused ---


def adapted(layer: layers.Layer, data: object) -> None:
    layer.adapt(data)


REFUSED = [
    (lambda: Normalization(axis="1"), "Normalization 'normalization': axis must be an integer, a"),
    (
        lambda: Normalization(mean=1.0),
        "mean and variance must be given both, in one shape, or left",
    ),
    (
        lambda: Normalization(mean=[1.0], variance=[1.0, 2.0]),
        "in one shape, or left out, got mean=",
    ),
    (lambda: Normalization(mean=0.0, variance=-1.0), "variance must be of at least 0, got -1.0"),
    (lambda: Normalization(mean=np.nan, variance=1), "mean must be finite numbers, got nan"),
    (lambda: Normalization(invert=1), "invert must be True or False, got 1"),
    (
        lambda: Normalization(3)(np.ones((2, 4))),
        "axis must be one of the input's beside the batch's and of known size, got 3 and an input",
    ),
    (lambda: Normalization((1, -1))(np.ones((2, 4))), "axis must be axes that differ, got [1, -1]"),
    (lambda: Normalization()(np.ones(3)), "the input must have an axis beside the batch's, got"),
    (
        lambda: Normalization(mean=[1, 2], variance=[1, 2])(np.ones((2, 3))),
        "mean must be one number or have the shape of the input along axis -1, (3,), got shape",
    ),
    (
        lambda: adapted(Normalization(mean=0.0, variance=1.0), DATA),
        "Normalization 'normalization': adapt: there is nothing to find, since mean and variance",
    ),
    (lambda: adapted(Normalization(), [[1.0, 2.0]]), "an iterable of such arrays, got one of list"),
    (lambda: adapted(Normalization(), 3), "or an iterable of such arrays, got int"),
    (lambda: adapted(Normalization(), np.float64(3)), "or an iterable of such arrays, got float64"),
    (lambda: adapted(Normalization(), np.array(["a"])), "must be an array of numbers, got one of"),
    (lambda: adapted(Normalization(), np.zeros((0, 3))), "must hold at least one sample, got none"),
    (
        lambda: adapted(Normalization(), np.array([[np.inf]])),
        "adapt: data must hold finite numbers",
    ),
    (lambda: adapted(Normalization(), np.array([[1e200], [0]])), "numbers too large for its varia"),
    (
        lambda: adapted(Normalization(), np.array([[1e30], [0]])),
        "adapt: weight 'variance': float32 cannot hold numbers that large",
    ),
    (lambda: Whitening("ica"), "Whitening 'whitening': method must be one of 'pca', 'zca', got"),
    (lambda: Whitening(epsilon=-1), "epsilon must be a number of at least 0, got -1"),
    (lambda: Whitening(components=0), "components must be an integer of at least 1, got 0"),
    (
        lambda: Whitening(components=4)(np.ones((2, 3))),
        "components must be at most the 3 numbers of an input, got 4",
    ),
    (
        lambda: Whitening().compute_output_shape((None, None, 3)),
        "the input must have shape (batch, ...) with known sizes, got (None, None, 3)",
    ),
    (
        lambda: Whitening().build((None, 10**4, 10**4)),
        "Whitening 'whitening': the covariance must fit into the ",
    ),
    (lambda: adapted(Whitening(), DATA[:1]), "adapt: data must hold at least two samples, got 1"),
    (
        lambda: adapted(Whitening(epsilon=0), DATA[:4]),
        "epsilon must be above 0 for data that has no variance along 3 of 6 components, got 0",
    ),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_what_is_refused(make: object, message: str):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


@pytest.mark.parametrize("name", FITTED)
def test_data_that_is_refused_changes_nothing(name: str):
    layer = FITTED[name]()
    bad = [DATA, np.full((3, 6), np.nan)]
    with pytest.raises(ValueError, match="adapt: data must hold finite numbers"):
        layer.adapt(bad)
    assert not layer.built
    layer.adapt(DATA)
    before = layer.get_weights()
    for data in (bad, [DATA, np.full((2, 6), 1e300)], [DATA, IMAGES]):
        if name == "of all numbers" and data[-1] is IMAGES:  # which it takes in any shape
            continue
        with pytest.raises(ValueError, match=f"{layer.owner}: "):
            layer.adapt(data)
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
