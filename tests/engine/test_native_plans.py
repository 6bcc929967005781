"""Plans that are kept, for other batches, weights and inputs; and images of any type."""

import numpy as np
import pytest

from convlet import Sequential, config, layers
from convlet.engine import execute, native, reference
from networks import blobs, small_network


@pytest.fixture
def model():
    model = small_network()
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def by_reference(model, x):
    program = model.program("predict", x.shape[1:])
    return reference.run(program, {"input": np.asarray(x, np.float32)})[program.output]


def check(model, x):
    np.testing.assert_allclose(
        model.predict(x, verbose=0), by_reference(model, x), rtol=1e-5, atol=1e-6
    )


def test_a_plan_is_made_once_for_each_size_of_batch(model):
    x, _ = blobs(10)
    program = model.program("predict", x.shape[1:])
    first = native.executable(program, 10)
    assert native.executable(program, 10) is first
    assert native.executable(program, 9) is not first


def test_the_last_plans_are_kept_and_the_others_dropped(model):
    program = model.program("predict", (6, 6, 1))
    first = native.executable(program, 1)
    for images in range(2, 10):
        native.executable(program, images)
        native.executable(program, 1)
    assert native.executable(program, 1) is first
    assert len(program.executables) <= 8


def test_new_weights_are_used_at_once(model):
    x, y = blobs(20)
    check(model, x)
    model.train_on_batch(x, y)
    check(model, x)
    model.set_weights([w * 2 for w in model.get_weights()])
    check(model, x)
    model.layers[0].kernel.assign(np.ones_like(model.layers[0].kernel.value))
    check(model, x)


def test_the_same_arrays_are_packed_once_and_give_the_same(model):
    x, _ = blobs(20)
    first = model.predict(x, verbose=0)
    for _ in range(3):
        np.testing.assert_array_equal(model.predict(x, verbose=0), first)


def test_a_batch_that_does_not_divide_the_samples_changes_nothing(model):
    x, _ = blobs(70)
    expected = model.predict(x, verbose=0, batch_size=70)
    for size in (1, 3, 16, 32, 69):
        np.testing.assert_array_equal(model.predict(x, verbose=0, batch_size=size), expected)


IMAGES = np.random.default_rng(0).integers(0, 255, (5, 6, 6, 1))


@pytest.mark.parametrize(
    "x",
    [
        IMAGES.astype(np.uint8),
        IMAGES.astype(np.int64),
        IMAGES.astype(np.float64),
        IMAGES.astype(np.float16),
        IMAGES.astype(np.float32)[::-1, :, ::-1],
        np.asfortranarray(IMAGES.astype(np.float32)),
        IMAGES.astype(">f4"),
        np.frombuffer(b"?" + IMAGES.astype(np.float32).tobytes(), np.float32, offset=1).reshape(
            IMAGES.shape
        ),
        IMAGES.tolist(),
        np.broadcast_to(np.float32(3), IMAGES.shape),
    ],
    ids=lambda x: f"{type(x).__name__} {getattr(x, 'dtype', '')}",
)
def test_images_of_any_type_and_memory_order(model, x):
    check(model, np.asarray(x))
    contiguous = np.ascontiguousarray(np.asarray(x), np.float32)
    np.testing.assert_array_equal(model.predict(x, verbose=0), model.predict(contiguous, verbose=0))


def test_targets_and_weights_of_any_type_and_memory_order(model):
    x, y = blobs(20)
    weights = np.linspace(0, 1, 20)
    start = model.get_weights()
    expected = model.train_on_batch(x, y, sample_weight=weights)
    for targets in (y.astype(np.uint8), y.astype(np.float64), np.repeat(y, 2)[::2], list(y)):
        model.set_weights(start)
        loss = model.train_on_batch(x, targets, sample_weight=np.repeat(weights, 2)[::2])
        assert loss == expected


def test_what_was_passed_in_is_not_written_to(model):
    x, y = blobs(20)
    copies = x.copy(), y.copy()
    for array in (x, y):
        array.flags.writeable = False
    model.train_on_batch(x, y)
    model.predict(x, verbose=0)
    np.testing.assert_array_equal(x, copies[0])
    np.testing.assert_array_equal(y, copies[1])


def test_results_can_be_written_to_and_share_no_memory(model):
    x, _ = blobs(4)
    first, second = model.predict_on_batch(x), model.predict_on_batch(x)
    assert first.flags.writeable
    assert not np.shares_memory(first, second)


def test_outputs_are_written_where_the_last_ones_were_once_nobody_holds_them(model):
    x, _ = blobs(10)
    program = model.program("predict", x.shape[1:])

    def outputs(images):
        runner = native.executable(program, len(images))
        return runner.run({"input": np.asarray(images, np.float32)})[program.output]

    held = outputs(x)
    before, part = held.copy(), held[2:5, 1:]  # a view of what was returned holds it, too
    place = held.ctypes.data
    for _ in range(3):
        assert outputs(x + 1).ctypes.data != place
    np.testing.assert_array_equal(held, before)
    del held
    assert outputs(x + 1).ctypes.data != place
    np.testing.assert_array_equal(part, before[2:5, 1:])
    last = outputs(x)
    place = last.ctypes.data
    del last
    assert outputs(x).ctypes.data == place


def test_a_model_that_only_reshapes():
    model = Sequential([layers.Input((2, 3)), layers.Flatten()])
    x = np.arange(12.0).reshape(2, 2, 3)
    np.testing.assert_array_equal(model.predict(x, verbose=0), x.reshape(2, 6))


def test_a_float64_model_runs_on_the_reference(monkeypatch):
    monkeypatch.setattr(native, "executable", None)  # nobody asks for it
    model = small_network("float64")
    assert model.predict(blobs(3)[0], verbose=0).dtype == np.float64
    assert execute.executor_for(model.program("predict", (6, 6, 1)), "float64") == "reference"


def test_the_reference_runs_everything_if_it_is_told_to(model, monkeypatch):
    x, _ = blobs(5)
    monkeypatch.setattr(native, "executable", None)
    config.set_executor("reference")
    try:
        np.testing.assert_array_equal(model.predict(x, verbose=0), by_reference(model, x))
    finally:
        config.set_executor("native")


def test_inputs_of_several_sizes():
    model = Sequential(
        [layers.Input((None, None, 1)), layers.Conv2D(3, 3), layers.GlobalMaxPooling2D()]
    )
    generator = np.random.default_rng(1)
    for shape in ((3, 3), (5, 9), (4, 4), (3, 3)):
        check(model, generator.normal(size=(17, *shape, 1)).astype(np.float32))


def test_frozen_layers_keep_their_weights_and_the_others_learn(model):
    x, y = blobs(20)
    model.layers[0].trainable = False
    before = model.get_weights()
    model.train_on_batch(x, y)
    changed = [(a != b).any() for a, b in zip(before, model.get_weights(), strict=True)]
    assert changed == [False, False, True, True]


def normalized_chain(convolutions):
    """Return a compiled chain of convolutions of 32 channels, each with batch normalization."""
    model = Sequential([layers.Input((6, 6, 32))])
    for algorithm in convolutions:
        model.add(layers.Conv2D(32, 3, padding="same", algorithm=algorithm))
        model.add(layers.BatchNormalization())
        model.add(layers.ReLU())
    model.add(layers.MaxPooling2D(2))
    model.add(layers.Flatten())
    model.add(layers.Dense(3, activation="softmax"))
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def test_packed_kernels_share_their_memory_in_training():
    def kept(convolutions, mode):
        program = normalized_chain(convolutions).program(mode, (6, 6, 32))
        return native.executable(program, 64).plan.memory()[2]

    of_kernel = 4 * 9 * 32 * 32  # bytes; laid out twice in training, once for predictions
    shards = 8 * of_kernel  # of a kernel's gradient
    more = kept(["direct"] * 6, "train") - kept(["direct"] * 3, "train")
    assert 3 * shards < more < 3 * (shards + of_kernel)
    assert kept(["direct"] * 6, "predict") - kept(["direct"] * 3, "predict") >= 3 * of_kernel


def test_kernels_in_shared_memory_are_each_packed_before_they_are_used():
    x = np.random.default_rng(0).standard_normal((33, 6, 6, 32)).astype(np.float32)
    y = np.arange(33) % 3
    model = normalized_chain(["direct", "fft", "auto", "fft", "direct"])
    before = model.get_weights()
    losses = [model.train_on_batch(x, y) for _ in range(2)]
    model.set_weights(before)
    config.set_executor("reference")
    try:
        by_reference = [model.train_on_batch(x, y) for _ in range(2)]
    finally:
        config.set_executor("native")
    np.testing.assert_allclose(losses, by_reference, rtol=1e-5)
