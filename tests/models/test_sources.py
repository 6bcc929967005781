"""fit, evaluate and predict with memory-mapped arrays, data sets and generators."""

import os
import re
import signal
import threading
import time

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from convlet import Input, Model, Sequential, layers, utils
from convlet.augmentation import RandomFlip
from convlet.callbacks import Callback
from convlet.utils import BalancedSampler, PyDataset
from networks import blobs, small_network

X, Y = blobs(70)
QUIET = {"verbose": 0}
PLAIN = {"verbose": 0, "shuffle": False}


class Batches(PyDataset):
    """X and Y in batches of 16, the last one smaller; notes what is asked of it."""

    def __init__(self, weights=None, delay=0.0, **options):
        super().__init__(**options)
        self.weights, self.delay, self.asked, self.told = weights, delay, [], []

    def __len__(self):
        return 5

    def __getitem__(self, index):
        self.asked.append(index)
        time.sleep(self.delay * (index % 2 == 0))
        rows = slice(16 * index, 16 * index + 16)
        return (
            (X[rows], Y[rows]) if self.weights is None else (X[rows], Y[rows], self.weights[rows])
        )

    def on_epoch_begin(self):
        self.told.append(f"begin {self.epoch}")

    def on_epoch_end(self):
        self.told.append(f"end {self.epoch}")


def generator(epochs=1, size=16, weights=None):
    for _ in range(epochs):
        for start in range(0, len(X), size):
            rows = slice(start, start + size)
            yield (X[rows], Y[rows]) if weights is None else (X[rows], Y[rows], weights[rows])


def compiled(**options):
    utils.set_random_seed(7)
    model = small_network()
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return model


def trained(*data, **options):
    """Return history and weights after a run of `fit`."""
    model = compiled()
    history = model.fit(*data, **(PLAIN | options))
    return history.history, model.get_weights()


def assert_same(one, other):
    assert one[0] == other[0]
    for a, b in zip(one[1], other[1], strict=True):
        np.testing.assert_array_equal(a, b)


def data_threads():
    return [t for t in threading.enumerate() if t.name.startswith("convlet-data")]


@pytest.fixture
def mapped(tmp_path):
    """Return a function that writes an array to a file and opens it memory-mapped."""

    def write(array, name="x"):
        np.save(tmp_path / f"{name}.npy", array)
        return np.load(tmp_path / f"{name}.npy", mmap_mode="r")

    return write


# --- data sets ---


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_data_set_trains_as_arrays_do(workers):
    expected = trained(X, Y, batch_size=16, epochs=3)
    dataset = Batches(workers=workers, delay=0.002, max_queue_size=3)
    assert_same(trained(dataset, epochs=3), expected)
    # the first is also looked at before training
    assert sorted(dataset.asked) == sorted([0, *list(range(5)) * 3])
    assert dataset.told == [f"{when} {epoch}" for epoch in range(3) for when in ("begin", "end")]


def test_sample_weights_of_a_data_set():
    weights = np.linspace(0, 2, len(X))
    expected = trained(X, Y, batch_size=16, sample_weight=weights)
    assert_same(trained(Batches(weights)), expected)
    assert_same(trained(generator(weights=weights)), expected)


def test_shuffling_a_data_set_takes_its_batches_in_another_order():
    orders = []
    for _ in range(2):
        dataset = Batches()
        compiled().fit(dataset, epochs=2, **QUIET)
        orders.append(dataset.asked[1:])
    assert orders[0] == orders[1]
    assert orders[0][:5] != orders[0][5:]
    assert sorted(orders[0][:5]) == sorted(orders[0][5:]) == list(range(5))


def test_data_set_for_evaluation_and_prediction():
    model = compiled()
    expected = model.evaluate(X, Y, batch_size=16, **QUIET)
    assert model.evaluate(Batches(workers=3), **QUIET) == expected
    np.testing.assert_array_equal(
        model.predict(Batches(), **QUIET), model.predict(X, batch_size=16, **QUIET)
    )


def test_data_set_of_ones_own_without_the_base():
    class Duck:
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return X[index::2], Y[index::2]

        def on_epoch_end(self):
            pass

    scores = compiled().evaluate(Duck(), **QUIET)
    assert scores == pytest.approx(compiled().evaluate(X, Y, **QUIET))


def test_subclass_that_does_not_call_init():
    class Bare(PyDataset):
        def __init__(self):
            pass

        def __len__(self):
            return 1

        def __getitem__(self, index):
            return X, Y

    assert_same(trained(Bare()), trained(X, Y, batch_size=70))


def test_data_set_without_end():
    class Endless(Batches):
        num_batches = None

        def __getitem__(self, index):
            return super().__getitem__(index % 5)

    expected = trained(X, Y, batch_size=16, epochs=2)
    assert_same(trained(Endless(), epochs=2, steps_per_epoch=5), expected)
    message = "fit: the data set has no end, so the number of steps must be given"
    with pytest.raises(ValueError, match=f"^{message}$"):
        compiled().fit(Endless(), **QUIET)


def test_model_is_built_from_the_first_batch():
    for data in (Batches(), generator()):
        model = Sequential([layers.Flatten(), layers.Dense(3, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.fit(data, **QUIET)
        assert model.input_shape == (None, 6, 6, 1)


def test_several_inputs_and_outputs():
    one, two = Input((6, 6, 1), name="one"), Input((2,), name="two")
    joined = layers.Concatenate()([layers.Flatten()(one), two])
    outputs = [layers.Dense(3, activation="softmax", name="a")(joined), layers.Dense(1)(joined)]
    model = Model([one, two], outputs)
    model.compile("sgd", ["sparse_categorical_crossentropy", "mse"])
    batch = ([X, X[:, 0, :2, 0]], [Y, Y.astype(float)])
    expected = model.evaluate(*batch, batch_size=70, **QUIET)
    assert model.evaluate(iter([batch]), **QUIET) == expected
    predicted = model.predict(iter([(batch[0],)]), **QUIET)
    for got, whole in zip(predicted, model.predict(batch[0], **QUIET), strict=True):
        np.testing.assert_array_equal(got, whole)


def test_balanced_batches_can_be_repeated():
    runs = [trained(BalancedSampler(X, Y, seed=1), epochs=2) for _ in range(2)]
    assert_same(*runs)


def test_batches_are_augmented_alike_for_any_number_of_workers():
    flip = RandomFlip("horizontal")
    runs = [
        trained(Batches(workers=workers, delay=0.002), epochs=2, augmentation=flip)
        for workers in (1, 4)
    ]
    assert_same(*runs)
    assert runs[0][0] != trained(Batches(), epochs=2)[0]
    assert_same(trained(generator(), augmentation=flip), trained(Batches(), augmentation=flip))


# --- generators and steps ---


def test_generator_trains_as_arrays_do():
    expected = trained(X, Y, batch_size=16, epochs=3)
    assert_same(trained(generator(3), epochs=3, steps_per_epoch=5), expected)
    assert_same(trained(generator(1)), trained(X, Y, batch_size=16))


def test_generator_is_not_read_beyond_its_steps():
    batches = generator(2)
    trained(batches, steps_per_epoch=5)
    x, _ = next(batches)
    np.testing.assert_array_equal(x, X[:16])


def test_generator_that_ends_early_ends_training():
    model = compiled()
    with pytest.warns(UserWarning, match=r"^fit: the data ended after 2 of 4 batches$"):
        history = model.fit(generator(2), epochs=5, steps_per_epoch=4, **QUIET)
    assert history.epoch == [0, 1, 2]
    assert model.state.iterations == 10
    with pytest.warns(UserWarning, match=r"^fit: the data ended after 0 batches$"):
        history = model.fit(generator(), epochs=2, **QUIET)
    assert history.epoch == [0]
    assert model.state.epochs == 4


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("data", [(X, Y), (Batches(),)])
def test_short_epochs_go_on_where_the_one_before_ended(data, shuffle):
    options = {"shuffle": shuffle} | ({"batch_size": 16} if len(data) == 2 else {})
    long = trained(*data, epochs=4, **options)
    short = trained(*data, epochs=10, steps_per_epoch=2, **options)
    assert_same(({}, long[1]), ({}, short[1]))
    assert len(short[0]["loss"]) == 10


def test_steps_of_evaluation_and_prediction():
    model = compiled()
    expected = model.evaluate(X[:32], Y[:32], batch_size=16, **QUIET)
    options = QUIET | {"steps": 2}
    for data in ((X, Y, 16), (Batches(),), (generator(),)):
        assert model.evaluate(*data, **options) == expected
    for data in (X, Batches(), generator()):
        size = 16 if data is X else None
        np.testing.assert_array_equal(
            model.predict(data, batch_size=size, **options), model.predict(X[:32], **QUIET)
        )
    for data in (Batches(), generator()):
        with pytest.warns(UserWarning, match=r"^evaluate: the data ended after 5 of 9 batches$"):
            model.evaluate(data, steps=9, **QUIET)


def test_predictions_of_several_shapes():
    model = Sequential([Input((None, 1)), layers.Conv1D(2, 1)])
    batches = iter([np.ones((1, 3, 1)), np.ones((1, 4, 1))])
    message = "predict: all batches must give predictions of one shape, got (3, 2) and (4, 2); "
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        model.predict(batches, **QUIET)


# --- validation ---


def test_validation_of_every_kind():
    expected = trained(X, Y, epochs=2, validation_data=(X, Y), validation_batch_size=16)
    options = {"epochs": 2, "validation_steps": 5}
    assert_same(trained(X, Y, validation_data=Batches(workers=2), epochs=2), expected)
    assert_same(trained(X, Y, validation_data=generator(2), **options), expected)


def test_validation_steps_are_the_first_ones_each_time():
    few = trained(X, Y, epochs=2, validation_data=(X[:32], Y[:32]), validation_batch_size=16)
    options = {"epochs": 2, "validation_steps": 2}
    whole = trained(X, Y, validation_data=(X, Y), validation_batch_size=16, **options)
    assert_same(whole, few)
    assert_same(trained(X, Y, validation_data=Batches(), **options), few)
    part = trained(X, Y, epochs=2, validation_split=0.5)
    assert_same(trained(X, Y, validation_split=0.5, **options), part)


@pytest.mark.parametrize(("frequency", "count"), [(1, 5), (2, 2), (6, 0), ([1, 4, 9], 2)])
def test_validation_frequency(frequency, count):
    history, _ = trained(X, Y, epochs=5, validation_data=(X, Y), validation_freq=frequency)
    assert len(history.get("val_loss", [])) == count
    assert len(history["loss"]) == 5


# --- memory-mapped arrays ---


def test_memory_mapped_arrays_train_as_others_do(mapped):
    data = mapped(X), mapped(Y, "y")
    for options in ({}, {"shuffle": True}, {"validation_split": 0.3}, {"class_weight": {0: 2}}):
        assert_same(trained(*data, epochs=2, **options), trained(X, Y, epochs=2, **options))
    model = compiled()
    assert model.evaluate(*data, **QUIET) == model.evaluate(X, Y, **QUIET)
    np.testing.assert_array_equal(model.predict(data[0], **QUIET), model.predict(X, **QUIET))
    expected = model.predict_on_batch(X[3:7])
    np.testing.assert_array_equal(model.predict_on_batch(data[0][3:7]), expected)


def test_memory_mapped_arrays_are_read_by_batches(mapped, monkeypatch):
    sizes = []
    isfinite = np.isfinite
    monkeypatch.setattr(
        np, "isfinite", lambda x, *a, **k: (sizes.append(np.size(x)), isfinite(x, *a, **k))[1]
    )
    compiled().fit(mapped(X.astype(np.float64)), mapped(Y, "y"), batch_size=8, **QUIET)
    assert sizes.count(8 * 36) == 8
    assert len(X) * 36 not in sizes


@pytest.mark.parametrize("shuffle", [False, True])
def test_non_finite_sample_is_named_when_it_is_read(mapped, shuffle):
    x = X.copy()
    x[67, 2, 3, 0] = np.nan
    message = re.escape("fit: x must be finite numbers of float32, x[67, 2, 3, 0] is nan")
    with pytest.raises(ValueError, match=f"^{message}$"):
        compiled().fit(mapped(x), Y, batch_size=8, verbose=0, shuffle=shuffle)
    with pytest.raises(ValueError, match=f"^{message}$"):
        compiled().fit(mapped(x), Y, batch_size=8, validation_split=0.5, **QUIET)
    message = re.escape("predict: x must be finite numbers of float32, x[67, 2, 3, 0] is nan")
    with pytest.raises(ValueError, match=f"^{message}$"):
        compiled().predict(mapped(x), **QUIET)


def test_shape_of_a_memory_mapped_array_is_checked_at_once(mapped):
    with pytest.raises(
        ValueError, match=r"^fit: x must have shape \(samples, 6, 6, 1\), got \(70,"
    ):
        compiled().fit(mapped(X[..., 0]), Y, **QUIET)
    with pytest.raises(
        ValueError, match=r"^fit: x and y must have as many samples, got 70 in x an"
    ):
        compiled().fit(mapped(X), mapped(Y[:9], "y"), **QUIET)


def test_memory_mapped_dense_targets(mapped):
    model = Sequential([Input((4, 1)), layers.Conv1D(1, 1)])
    model.compile("sgd", "mse")
    x = np.arange(40.0).reshape(10, 4, 1)
    y = x**2
    expected = model.evaluate(x, y, batch_size=3, **QUIET)
    assert model.evaluate(mapped(x), mapped(y, "y"), batch_size=3, **QUIET) == expected
    y[7, 2] = np.inf
    message = re.escape("evaluate (samples 6, 7, 8, ...): y_true[1, 2, 0] is inf")
    with pytest.raises(ValueError, match=f"^{message}"):
        model.evaluate(x, mapped(y, "y"), batch_size=3, **QUIET)


# --- class weights ---


def test_balanced_class_weights_are_scikit_learns():
    y = np.repeat([0, 1, 2], [50, 15, 5])
    weights = compute_class_weight("balanced", classes=np.arange(3), y=y)
    expected = trained(X, y, class_weight=dict(enumerate(weights)))
    assert_same(trained(X, y, class_weight="balanced"), expected)
    assert expected[1][0].tolist() != trained(X, y)[1][0].tolist()


def test_class_weights_of_batches():
    expected = trained(X, Y, batch_size=16, class_weight={0: 3.0})
    assert_same(trained(Batches(), class_weight={0: 3.0}), expected)
    message = "^fit: class_weight='balanced' goes with arrays; for batches give a dict of class to"
    with pytest.raises(ValueError, match=message):
        compiled().fit(Batches(), class_weight="balanced", **QUIET)


# --- what goes wrong ---


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"y": Y}, "y must be left out where x, a Batches, gives batches"),
        ({"sample_weight": Y}, "sample_weight must be left out where x, a Batches, gives batches"),
        ({"batch_size": 5}, "batch_size must be left out where x, a Batches, gives batches"),
        ({"validation_split": 0.1}, "validation_split goes with arrays; for batches use validatio"),
        ({"steps_per_epoch": 0}, "steps_per_epoch must be an integer of at least 1, got 0"),
        ({"validation_steps": 0}, "validation_steps must be an integer of at least 1, got 0"),
        ({"validation_batch_size": 0}, "validation_batch_size must be an integer of at least 1,"),
        ({"validation_freq": 0}, "validation_freq must be an integer of at least 1, got 0"),
        (
            {"validation_freq": [0]},
            "validation_freq's epochs must be an integer of at least 1, got",
        ),
        (
            {"validation_data": X},
            "validation_data must be a tuple (x, y) or (x, y, sample_weight),",
        ),
        ({"validation_data": generator(), "epochs": 2}, "validation_steps must be given where val"),
    ],
)
def test_arguments_that_will_not_do(options, message):
    with pytest.raises(ValueError, match=f"^fit: {re.escape(message)}"):
        compiled().fit(Batches(), **(QUIET | options))


def bad_batches(item, place=3):
    for number, batch in enumerate(generator()):
        yield item if number == place else batch


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ((X[:4, 1:], Y[:4]), "x must have shape (samples, 6, 6, 1), got (4, 5, 6, 1)"),
        ((X[:4], Y[:3]), "x and y must have as many samples, got 4 in x and 3 in y"),
        ((X[:4], Y[:4] + 9), "y_true[0] is "),
        ((X[:4] * np.nan, Y[:4]), "x must be finite numbers of float32, x[0, 0, 0, 0] is nan"),
        ((X[:4],), "y must be given, one target for each sample of x"),
        (
            (X[:4], Y[:4], 1, 2),
            "a batch must be x, (x, y) or (x, y, sample_weight), got a tuple of",
        ),
        ("text", "x must be an array of numbers, got one of <U4"),
    ],
)
@pytest.mark.parametrize("place", [0, 3])
def test_batch_that_will_not_do_is_named(item, message, place):
    with pytest.raises(ValueError, match=f"^{re.escape(f'fit (batch {place}): {message}')}"):
        compiled().fit(bad_batches(item, place), **QUIET)
    assert data_threads() == []


def test_what_gives_an_iterator_and_is_none():
    class Loader:
        def __len__(self):
            return 5

        def __iter__(self):
            return generator()

    message = "x must be arrays, a PyDataset or an iterator of batches, got a Loader; iter(x) is an"
    with pytest.raises(ValueError, match=f"^fit: {re.escape(message)}"):
        compiled().fit(Loader(), **QUIET)
    with pytest.raises(ValueError, match=f"^predict: {re.escape(message)}"):
        compiled().predict(Loader(), **QUIET)
    assert len(compiled().fit(iter(Loader()), **QUIET).epoch) == 1


def test_no_batches():
    for data in (iter(()), type("Nothing", (Batches,), {"__len__": lambda self: 0})()):
        message = f"fit: x, a {type(data).__name__}, must give at least one batch, got none"
        with pytest.raises(ValueError, match=f"^{message}$"):
            compiled().fit(data, **QUIET)


def test_multiprocessing_is_refused():
    message = "^Batches: use_multiprocessing must be False; workers are threads, got True$"
    with pytest.raises(ValueError, match=message):
        Batches(use_multiprocessing=True)


@pytest.mark.parametrize("workers", [1, 3])
def test_error_of_a_data_set_comes_with_its_own_traceback(workers):
    class Failing(Batches):
        def __getitem__(self, index):
            if index == 3:
                raise OSError("the disk is gone")
            return super().__getitem__(index)

    model = compiled()
    with pytest.raises(OSError, match="the disk is gone") as caught:
        model.fit(Failing(workers=workers), **PLAIN)
    assert any(entry.name == "__getitem__" for entry in caught.traceback)
    assert model.state.iterations == 3
    assert data_threads() == []


class StopAfter(Callback):
    """Does something after the second step."""

    def __init__(self, action):
        self.action = action

    def on_train_batch_end(self, batch, logs=None):
        if batch == 1:
            self.action(self.model)


@pytest.mark.parametrize("data", [(X, Y, 8), (Batches(workers=3),), (generator(),)])
def test_ending_early_leaves_no_threads(data):
    def stop(model):
        model.stop_training = True

    model = compiled()
    model.fit(*data, callbacks=[StopAfter(stop)], **PLAIN)
    assert model.state.iterations == 2
    assert data_threads() == []


@pytest.mark.usefixtures("listens_to_ctrl_c")
@pytest.mark.parametrize("data", [(X, Y, 8), (Batches(workers=3),), (generator(),)])
def test_ctrl_c_leaves_no_threads(data):
    def press(model):
        os.kill(os.getpid(), signal.SIGINT)

    model = compiled()
    with pytest.raises(KeyboardInterrupt):
        model.fit(*data, callbacks=[StopAfter(press)], **PLAIN)
    assert model.state.iterations == 2
    assert data_threads() == []
