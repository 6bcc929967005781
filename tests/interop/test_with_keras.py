"""Files between convlet and real Keras; skipped where it is not installed: see `make interop`."""

import io
import json
import zipfile

import numpy as np
import pytest

from convlet import Model, Sequential, layers, load_model, losses, metrics, optimizers
from convlet.saving.keras_classes import LAYERS
from networks import EXAMPLES, MERGING, SHARED, merging_network

keras = pytest.importorskip("keras")
h5py = pytest.importorskip("h5py")

# each draws in its own way
RANDOM = ("AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout")
MODELS = ("Sequential", "Functional")
KNOWN = [n for n in EXAMPLES if n in (*LAYERS, *MODELS) and n != "Conv3DTranspose"]

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.keras"


def normal(*shape):
    return np.random.default_rng(7).normal(size=shape).astype("float32")


def trained(model, x, y):
    """Return a model that has made a step, so that there are velocities."""
    model.compile(optimizers.SGD(0.1, momentum=0.9, nesterov=True), "mse", metrics=["mae"])
    model.train_on_batch(x, y)
    return model


def network(name):
    """Return an example behind a convolution's input and before a head, with data, trained."""
    make, shape = EXAMPLES[name]
    given = layers.Input(shape)
    head = layers.Dense(3, activation="softmax")(layers.Flatten()(make()(given)))
    x, y = normal(4, *shape), normal(4, 3)
    return trained(Model(given, head), x, y), x, y


def without_noise(described):
    """Return a description without what Keras writes about itself."""
    noise = ("shared_object_id", "kwargs", "jit_compile", "learning_rate", "axis")
    if isinstance(described, dict):
        return {k: without_noise(v) for k, v in described.items() if k not in noise}
    if isinstance(described, list):
        return [without_noise(item) for item in described]
    return described


def parts(path):
    """Return a file's description, and the names, types and shapes of its arrays."""
    with zipfile.ZipFile(path) as archive:
        described = json.loads(archive.read("config.json"))
        file = h5py.File(io.BytesIO(archive.read("model.weights.h5")))
    arrays = {}
    file.visititems(lambda name, item: arrays.update({name: getattr(item, "shape", None)}))
    return without_noise(described), arrays


def assert_keras_agrees(model, path, x, y, steps=True):
    """Save a model, open it in Keras, predict, make a step, and let Keras save it again."""
    model.save(path)
    theirs = keras.models.load_model(path)
    np.testing.assert_allclose(theirs.predict(x, verbose=0), model.predict(x, verbose=0), atol=2e-6)
    theirs.save(path.with_name("again.keras"))
    (ours_config, ours), (their_config, arrays) = parts(path), parts(path.with_name("again.keras"))
    assert ours_config == their_config
    assert ours == arrays
    if steps:
        scores = theirs.train_on_batch(x, y), model.train_on_batch(x, y)
        np.testing.assert_allclose(np.ravel(scores[0]), np.ravel(scores[1]), rtol=1e-5)
        np.testing.assert_allclose(
            theirs.predict(x, verbose=0), model.predict(x, verbose=0), atol=5e-6
        )


@pytest.mark.parametrize("name", KNOWN)
def test_keras_opens_every_layer_that_it_has(path, name):
    model, x, y = network(name)
    assert_keras_agrees(model, path, x, y, steps=not name.startswith(RANDOM))


def test_keras_opens_a_transposed_convolution_of_volumes(path):
    model = Sequential(
        [
            layers.Input((2, 3, 2, 2)),
            layers.Conv3DTranspose(4, 2, dilation_rate=2, output_padding=None),
            layers.Conv3DTranspose(1, 3, 2, "same", output_padding=1, algorithm="direct"),
            layers.Flatten(),
        ]
    )
    x = normal(2, 2, 3, 2, 2)
    y = normal(*model.predict(x, verbose=0).shape)
    assert_keras_agrees(trained(model, x, y), path, x, y)


@pytest.mark.parametrize("name", MERGING)
def test_keras_opens_every_layer_that_merges(path, name):
    model = merging_network(name)
    x = [normal(4, *shape[1:]) for shape in model.input_shape]
    y = normal(*model.predict(x, verbose=0).shape)
    assert_keras_agrees(trained(model, x, y), path, x, y)


def two_outputs(form):
    """Return a network with two outputs in a list or a dict, their losses and metrics."""
    a, b = layers.Input((4,), name="a"), layers.Input((6,), name="b")
    shared = layers.Dense(6, "tanh", kernel_initializer="tanh_uniform", name="shared")
    x = layers.Add()([shared(a), b, shared(layers.Dense(4)(b))])
    main = layers.Dense(3, activation="softmax", name="main")(x)
    aux = layers.Dense(1, name="aux")(x)
    model = Model([a, b], {"main": main, "aux": aux} if form is dict else [main, aux])
    model.compile(
        optimizers.SGD(0.1),
        {"main": losses.SparseCategoricalCrossentropy(), "aux": "mse"},
        metrics={"main": ["accuracy", metrics.SparseTopKCategoricalAccuracy(2)], "aux": "mae"},
        loss_weights={"aux": 0.3},
    )
    return model


@pytest.mark.parametrize("form", [list, dict])
def test_several_outputs_are_compiled_in_keras_as_here(path, form):
    model = two_outputs(form)
    x, y = [normal(8, 4), normal(8, 6)], {"main": np.arange(8) % 3, "aux": normal(8, 1)}
    y = y if form is dict else [y["main"], y["aux"]]
    model.save(path)
    theirs = keras.models.load_model(path)
    ours = model.evaluate(x, y, verbose=0, return_dict=True)
    for name, score in theirs.evaluate(x, y, verbose=0, return_dict=True).items():
        np.testing.assert_allclose(score, ours[name], rtol=1e-5, err_msg=name)
    assert np.isclose(theirs.train_on_batch(x, y)[0], ours["loss"], rtol=1e-5)


LOSSES = {
    "binary_focal_crossentropy": losses.BinaryFocalCrossentropy(True, 0.3, 1.5),
    "categorical_focal_crossentropy": losses.CategoricalFocalCrossentropy([0.1, 0.2, 0.3]),
    "dice": losses.Dice(),
    "huber": losses.Huber(0.3),
    "sum": losses.MeanAbsoluteError(reduction="sum"),
    "tversky": losses.Tversky(0.3, 0.6),
} | {
    name: losses.get(name)
    for name in (
        *("mape", "msle", "log_cosh", "kld", "poisson", "cosine_similarity"),
        *("hinge", "squared_hinge", "categorical_hinge"),
    )
}

METRICS = [
    metrics.AUC(31, curve="PR"),
    metrics.AUC(multi_label=True, label_weights=[1, 2, 3], name="by_label"),
    metrics.BinaryIoU([1]),
    metrics.F1Score("macro"),
    metrics.FBetaScore("weighted", 2.0, 0.4),
    metrics.LogCoshError(),
    metrics.OneHotMeanIoU(3),
    metrics.Precision(0.4, top_k=2),
    metrics.PrecisionAtRecall(0.4),
    metrics.R2Score("variance_weighted_average"),
    metrics.Recall(class_id=1),
    metrics.RootMeanSquaredError(),
    metrics.SensitivityAtSpecificity(0.4, 31),
    metrics.TruePositives(0.3),
]


@pytest.mark.parametrize("name", LOSSES)
def test_keras_opens_every_loss_and_metric(path, name):
    model = Sequential([layers.Input((5,)), layers.Dense(3, activation="softmax")])
    model.compile(optimizers.SGD(0.1), LOSSES[name], metrics=METRICS)
    x, y = normal(12, 5), np.eye(3, dtype="float32")[np.arange(12) % 3]
    model.save(path)
    theirs = keras.models.load_model(path)
    expected = theirs.evaluate(x, y, verbose=0, return_dict=True)
    ours = model.evaluate(x, y, verbose=0, return_dict=True)
    assert set(ours) == set(expected)
    for score, value in expected.items():
        np.testing.assert_allclose(ours[score], value, rtol=1e-4, atol=1e-6, err_msg=score)
    theirs.train_on_batch(x, y)
    model.train_on_batch(x, y)
    np.testing.assert_allclose(
        theirs.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-4, atol=1e-6
    )
    theirs.save(path)
    again = load_model(path)
    assert losses.serialize(again.loss)["class_name"] == type(LOSSES[name]).__name__
    assert len(again.compilation.metrics[0]) == len(METRICS)


def keras_network():
    """Return a network of Keras's own with options that the files in shared/data have not."""
    of = keras.layers
    given, other = keras.Input((8, 10, 2), name="image"), keras.Input((4,), name="vector")
    inner = keras.Sequential([keras.Input((8, 10, 2)), of.Conv2D(4, 3, padding="same")], name="in")
    x = of.BatchNormalization(momentum=0.7, center=False)(inner(given))
    x = of.Concatenate()([x, inner(given)])
    x = of.SeparableConv2D(5, 3, strides=2, depth_multiplier=2, activation="gelu")(x)
    x = of.PReLU(shared_axes=(1, 2))(x)
    x = of.LayerNormalization(axis=(2, 3))(of.ZeroPadding2D(((1, 0), (0, 2)))(x))
    x = of.GroupNormalization(5)(of.UpSampling2D(2, interpolation="bilinear")(x))
    x = of.Activation("silu")(of.Conv2DTranspose(3, 2, 3, activation="leaky_relu")(x))
    x = of.Average()([of.GlobalMaxPooling2D()(x), of.Dense(3, activation="tanh")(other)])
    frozen = of.Dense(3, trainable=False, kernel_initializer=keras.initializers.RandomNormal(0, 1))
    return keras.Model([given, other], [of.Softmax()(x), frozen(x)])


def test_a_network_of_keras_s_own_goes_on_here(path):
    theirs = keras_network()
    x = [normal(4, 8, 10, 2), normal(4, 4)]
    y = [np.eye(3, dtype="float32")[[0, 1, 2, 0]], normal(4, 3)]
    theirs.compile(
        keras.optimizers.SGD(0.05, momentum=0.8),
        [keras.losses.CategoricalCrossentropy(label_smoothing=0.1), "mse"],
        metrics=[["accuracy"], [keras.metrics.MeanAbsoluteError()]],
        loss_weights=[1.0, 0.5],
    )
    theirs.train_on_batch(x, y)
    theirs.save(path)
    ours = load_model(path)
    for _ in range(2):
        for own, their in zip(
            ours.predict(x, verbose=0), theirs.predict(x, verbose=0), strict=True
        ):
            np.testing.assert_allclose(own, their, atol=1e-5)
        assert np.isclose(ours.train_on_batch(x, y)[0], theirs.train_on_batch(x, y)[0], rtol=1e-5)
    assert ours.state.iterations == 3


SCHEDULE = keras.optimizers.schedules.CosineDecay(0.01, 20, warmup_target=0.1, warmup_steps=2)
OPTIMIZERS = {
    "SGD": {"momentum": 0.9, "nesterov": True, "global_clipnorm": 1.0},
    "Adam": {"amsgrad": True, "use_ema": True, "clipnorm": 0.5, "learning_rate": SCHEDULE},
    "AdamW": {"ema_overwrite_frequency": 2, "use_ema": True},
    "RMSprop": {"momentum": 0.5, "centered": True, "use_ema": True},
    "Adagrad": {"clipvalue": 0.1},
    "Adadelta": {"learning_rate": 1.0},
    "Adamax": {},
    "Nadam": {"weight_decay": 0.1},
    "Lion": {"learning_rate": SCHEDULE},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_goes_on_here_and_there(path, name):
    theirs = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2)])
    settings = {"learning_rate": 0.01, **OPTIMIZERS[name]}
    theirs.compile(getattr(keras.optimizers, name)(**settings), "mse")
    x, y = normal(8, 4), normal(8, 2)
    for _ in range(3):
        theirs.train_on_batch(x, y)
    theirs.save(path)
    ours = load_model(path)
    for _ in range(3):
        assert np.isclose(ours.train_on_batch(x, y), theirs.train_on_batch(x, y), rtol=1e-4)
    ours.save(path)
    theirs = keras.saving.load_model(path)
    state = [np.asarray(v) for v in theirs.optimizer.variables]
    assert len(state) > 2
    for _ in range(3):
        assert np.isclose(ours.train_on_batch(x, y), theirs.train_on_batch(x, y), rtol=1e-4)
    assert ours.optimizer.learning_rate == pytest.approx(float(theirs.optimizer.learning_rate))


def test_a_network_that_was_built_by_its_first_data_is_read(path):
    inner = keras.Sequential([keras.layers.Dense(2, activation="relu")])
    theirs = keras.Sequential([keras.layers.Rescaling(np.array([1.0, 2, 3])), inner])
    theirs.compile("sgd", "mse", metrics=["mae"])
    x, y = normal(8, 3), normal(8, 2)
    theirs.fit(x, y, batch_size=4, verbose=0, shuffle=False)
    theirs.save(path)
    ours = load_model(path)
    x = normal(5, 3)
    np.testing.assert_allclose(ours.predict(x, verbose=0), theirs.predict(x, verbose=0), atol=1e-6)
    assert ours.state.iterations == 2


def test_dropout_drops_whatever_the_call_said(path):
    """Keras overrides a call's ``training`` in `fit`, and so a file's is of no effect."""
    given = keras.Input((1000,))
    keras.Model(given, keras.layers.Dropout(0.5)(given, training=False)).save(path)
    ones = np.ones((1, 1000), "float32")
    model = load_model(path)
    assert 300 < np.count_nonzero(model(ones, training=True)) < 700
    np.testing.assert_array_equal(model.predict(ones, verbose=0), ones)


def test_weights_go_both_ways(tmp_path):
    path = tmp_path / "model.weights.h5"
    model = Sequential([layers.Input((5, 2)), layers.Conv1D(3, 2), layers.BatchNormalization()])
    of = keras.layers
    theirs = keras.Sequential([keras.Input((5, 2)), of.Conv1D(3, 2), of.BatchNormalization()])
    x = normal(2, 5, 2)
    theirs.save_weights(path)
    model.load_weights(path)
    np.testing.assert_allclose(model.predict(x, verbose=0), theirs.predict(x, verbose=0), atol=1e-6)
    model.set_weights([weight + 1 for weight in model.get_weights()])
    model.save_weights(path)
    theirs.load_weights(path)
    np.testing.assert_allclose(model.predict(x, verbose=0), theirs.predict(x, verbose=0), atol=1e-6)


FILES = sorted(path.stem for path in (SHARED / "keras").glob("*.keras"))


@pytest.mark.parametrize("name", FILES)
def test_keras_opens_its_own_files_as_we_saved_them(path, name):
    expected = np.load(SHARED / f"keras/{name}.npz")
    model = load_model(SHARED / f"keras/{name}.keras")
    assert_keras_agrees(model, path, expected["x"], expected["y"])


def test_a_layer_of_keras_s_that_we_have_not_is_named(path):
    keras.Sequential([keras.Input((4, 2)), keras.layers.LSTM(3)]).save(path)
    with pytest.raises(ValueError, match=r": the file asks for the layer 'LSTM', which convlet "):
        load_model(path)
