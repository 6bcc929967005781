"""What fit does with an augmentation."""

import numpy as np
import pytest

from convlet import Input, Model, Sequential, config, layers, load_model, utils
from convlet.augmentation import (
    Augmentation,
    MixUp,
    Pipeline,
    RandomCrop,
    RandomElasticTransform,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
)
from convlet.models import distortion
from networks import blobs, small_network

X, Y = blobs(96)
DISTORT = [RandomRotation(0.1), RandomTranslation(0.2, 0.2), RandomElasticTransform(4, 2)]


class Recorder(Augmentation):
    """Keeps the numbers and the samples that it is shown, and turns samples to zeros."""

    def __init__(self):
        super().__init__()
        self.numbers, self.seen = [], []

    def apply(self, samples, draws):
        self.numbers.append(samples.numbers)
        self.seen.append(samples.x)
        return type(samples)(0 * samples.x, samples.y, samples.numbers)


def compiled(loss="sparse_categorical_crossentropy", **options):
    utils.set_random_seed(1)
    model = small_network(**options)
    model.compile("sgd", loss, metrics=["accuracy"])
    return model


def same(one, other):
    return all((a == b).all() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("shuffle", [True, False])
def test_samples_of_training_are_distorted_and_those_of_validation_are_not(shuffle):
    recorder, model = Recorder(), compiled()
    model.fit(
        X, Y, batch_size=20, epochs=2, verbose=0, shuffle=shuffle, validation_split=0.25,
        augmentation=recorder,
    )  # fmt: skip
    assert [len(numbers) for numbers in recorder.numbers] == [20, 20, 20, 12] * 2
    for epoch in (recorder.numbers[:4], recorder.numbers[4:]):
        numbers = np.concatenate(epoch)
        assert sorted(numbers) == list(range(72))
        assert (list(numbers) == list(range(72))) is not shuffle
    np.testing.assert_array_equal(recorder.seen[0], X[recorder.numbers[0]].astype(np.float32))


class ZerosBySample(Recorder):
    by_sample = True


def test_small_batches_are_distorted_several_at_once_where_no_sample_depends_on_others():
    recorder, model = ZerosBySample(), compiled()
    model.fit(X, Y, batch_size=32, epochs=2, verbose=0, augmentation=recorder)
    assert [len(numbers) for numbers in recorder.numbers] == [96] * 2
    assert all(sorted(numbers) == list(range(96)) for numbers in recorder.numbers)


def test_batches_distorted_at_once_or_one_by_one_give_the_same_bits(monkeypatch):
    def trained():
        model = compiled()
        model.fit(X, Y, batch_size=7, epochs=2, verbose=0, augmentation=DISTORT)
        return model.get_weights()

    at_once = trained()
    monkeypatch.setattr(distortion, "_AT_ONCE", 1)
    assert same(at_once, trained())


def test_batches_of_several_sizes_are_distorted_apart():
    class Sizes(utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return np.ones((3, 6 + index // 2, 6, 1), np.float32), np.zeros((3, 1))

    model = Sequential([Input((None, None, 1)), layers.Conv2D(1, 3)])
    model.add(layers.GlobalAveragePooling2D())
    model.compile("sgd", "mse")
    recorder = ZerosBySample()
    model.fit(Sizes(), verbose=0, shuffle=False, augmentation=recorder)
    assert [x.shape for x in recorder.seen] == [(6, 6, 6, 1), (6, 7, 6, 1)]


def test_training_sees_what_the_augmentation_gives():
    by_nothing = compiled()
    by_nothing.fit(0 * X, Y, verbose=0)
    by_zeros = compiled()
    by_zeros.fit(X, Y, verbose=0, augmentation=Recorder())
    assert same(by_nothing.get_weights(), by_zeros.get_weights())


def test_each_epoch_has_distortions_of_its_own_that_follow_from_the_seed():
    class Last(Recorder):
        def apply(self, samples, draws):
            super().apply(samples, draws)
            return samples

    seen = []
    for _ in range(2):
        recorder, model = Last(), compiled()
        model.fit(X, Y, 96, 2, verbose=0, shuffle=False, augmentation=[*DISTORT, recorder])
        seen.append(recorder.seen)
    assert (seen[0][0] != seen[0][1]).any()
    np.testing.assert_array_equal(seen[0], seen[1])
    distorted = Pipeline([*DISTORT, Last()])(X, seed=model.state.seed, epoch=1)
    np.testing.assert_array_equal(seen[0][1], distorted)


def test_weights_have_the_same_bits_with_any_threads_and_after_a_resume(tmp_path):
    before, results = config.threads(), []
    try:
        for threads in (1, 3):
            config.set_threads(threads)
            model = compiled()
            model.fit(X, Y, epochs=2, verbose=0, augmentation=DISTORT)
            results.append(model.get_weights())
    finally:
        config.set_threads(before)
    model = compiled()
    model.fit(X, Y, epochs=1, verbose=0, augmentation=DISTORT)
    model.save(tmp_path / "model.safetensors")
    resumed = load_model(tmp_path / "model.safetensors")
    resumed.fit(X, Y, epochs=1, verbose=0, augmentation=DISTORT)
    results.append(resumed.get_weights())
    assert same(results[0], results[1])
    assert same(results[0], results[2])
    model = compiled()
    model.fit(X, Y, epochs=2, verbose=0)
    assert not same(results[0], model.get_weights())


def test_mixing_changes_targets_too():
    model = compiled("categorical_crossentropy")
    history = model.fit(X, utils.to_categorical(Y), verbose=0, augmentation=[*DISTORT, MixUp(0.4)])
    assert np.isfinite(history.history["loss"]).all()
    model, mixed = compiled("categorical_crossentropy"), compiled("categorical_crossentropy")
    one_hot = utils.to_categorical(Y)
    mixed.fit(X, one_hot, 96, verbose=0, shuffle=False, augmentation=MixUp(1.0))
    x, y = MixUp(1.0)(X, one_hot, seed=mixed.state.seed, epoch=0)
    model.fit(x, y, 96, verbose=0, shuffle=False)
    assert same(model.get_weights(), mixed.get_weights())


def test_a_model_in_float64_gets_its_type():
    model = compiled(dtype="float64")
    model.fit(X, Y, verbose=0, augmentation=RandomFlip())
    assert model.get_weights()[0].dtype == np.float64


def test_a_network_for_any_size_takes_crops():
    model = Sequential(
        [Input((None, None, X.shape[3])), layers.Conv2D(4, 3), layers.GlobalMaxPooling2D(),
         layers.Dense(3, activation="softmax")]
    )  # fmt: skip
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(X, Y, verbose=0, augmentation=RandomCrop(4, 5))


def test_mistakes_are_named_and_nothing_is_changed():
    model = compiled()
    before = model.get_weights()
    size = X.shape[1:]
    wrong = [
        ("flip", "fit: augmentation must be an Augmentation or a list of them, got str"),
        ([], r"Pipeline: layers must be one augmentation at least, got \[\]"),
        (RandomCrop(4, 4), r"fit: augmentation must give samples that the model takes, "
         rf"\({size[0]}, {size[1]}, {size[2]}\), got \(4, 4, {size[2]}\)"),
        (MixUp(), r"fit: augmentation that mixes targets needs one output and targets of its shape,"
         r" \(96, 3\), got \(96,\); use utils.to_categorical and categorical_crossentropy"),
    ]  # fmt: skip
    for augmentation, message in wrong:
        with pytest.raises(ValueError, match=message):
            model.fit(X, Y, verbose=0, augmentation=augmentation)
    assert same(before, model.get_weights())
    assert model.state.epochs == 0
    one, two = Input((4, 4, 1)), Input((4, 4, 1))
    both = Model([one, two], layers.Flatten()(layers.Add()([one, two])))
    both.compile("sgd", "mean_squared_error")
    images = np.zeros((2, 4, 4, 1))
    with pytest.raises(ValueError, match="fit: augmentation goes with models of one input, got 2"):
        both.fit([images, images], np.zeros((2, 16)), verbose=0, augmentation=RandomFlip())
