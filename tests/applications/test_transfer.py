"""Transfer: a named network up to an inner layer, frozen, with a new head for other classes."""

import numpy as np
import pytest

from convlet import Model, applications, datasets, load_model, optimizers, utils
from convlet.layers import Dense, GlobalAveragePooling2D, Input

LOSS = "sparse_categorical_crossentropy"


def digits(classes):
    """Return images and labels of some digits, the labels counted from 0."""
    data = datasets.open_dataset("digits")
    chosen = np.isin(data.y_train, classes)
    return data.x_train[chosen] / 16, np.searchsorted(classes, data.y_train[chosen])


@pytest.fixture(scope="module")
def trained():
    """Return a small residual network that tells the digits 0 to 4 apart."""
    utils.set_random_seed(0)
    x, labels = digits(range(5))
    model = applications.CIFARResNet(8, input_shape=(8, 8, 1), classes=5, width=0.5)
    model.compile(optimizers.SGD(0.05, momentum=0.9), LOSS)
    model.fit(x, labels, epochs=6, verbose=0)
    return model


def with_new_head(model, classes=5):
    """Return the model up to its last block, frozen, and a model of it with a new head."""
    features = Model(model.input, model.get_layer("conv4_block1_out").output, name="features")
    features.trainable = False
    image = Input((8, 8, 1))
    pooled = GlobalAveragePooling2D()(features(image))
    return features, Model(image, Dense(classes, activation="softmax", name="head")(pooled))


def test_only_the_head_learns(trained):
    features, model = with_new_head(trained)
    assert [v.name for v in model.trainable_weights] == ["kernel", "bias"]
    x, labels = digits(range(5, 10))
    before, maps = features.get_weights(), features.predict(x[:20], verbose=0)
    model.compile(optimizers.SGD(0.1, momentum=0.9), LOSS, ["accuracy"])
    _, guessed = model.evaluate(x, labels, verbose=0)
    model.fit(x, labels, epochs=8, verbose=0)
    _, accuracy = model.evaluate(x, labels, verbose=0)
    assert guessed < 0.5
    assert accuracy > 0.85
    # not even the moving averages of the normalizations have moved
    for a, b in zip(before, features.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(features.predict(x[:20], verbose=0), maps)


def test_features_that_were_learned_are_better_than_random_ones(trained):
    x, labels = digits(range(5, 10))
    losses = []
    utils.set_random_seed(0)
    random = applications.CIFARResNet(8, input_shape=(8, 8, 1), classes=5, width=0.5)
    for base in (trained, random):
        utils.set_random_seed(1)
        _, model = with_new_head(base)
        model.compile(optimizers.SGD(0.1, momentum=0.9), LOSS)
        model.fit(x, labels, epochs=3, verbose=0)
        losses.append(model.evaluate(x, labels, verbose=0))
    assert losses[0] < losses[1] / 2


def test_a_thawed_block_learns_on(trained, tmp_path):
    features, model = with_new_head(trained)
    block = features.get_layer("conv4_block1_2_conv")
    block.trainable = True
    x, labels = digits(range(5, 10))
    before = block.get_weights()[0]
    model.compile("sgd", LOSS)
    model.train_on_batch(x[:32], labels[:32])
    assert (block.get_weights()[0] != before).any()
    model.save(tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors")
    names = [v.shape for v in loaded.trainable_weights]
    assert names == [v.shape for v in model.trainable_weights]
    expected = model.predict(x[:5], verbose=0)
    np.testing.assert_array_equal(loaded.predict(x[:5], verbose=0), expected)
