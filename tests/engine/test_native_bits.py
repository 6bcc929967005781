"""The same bits: for any number of threads, alone or in any batch, in blocks of any width."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from convlet import Sequential, config, layers, random
from convlet.engine.lanes import lanes_for
from convlet.engine.native import NativeProgram
from native_runs import BATCHES, BEST, INSTRUCTION_SETS, LANES

SHAPE = (9, 8, 2)


def network():
    """Return a network with a step of every kind."""
    random.set_random_seed(3)
    model = Sequential(
        [
            layers.Input(SHAPE),
            layers.Rescaling(0.5, 0.1),
            layers.Conv2D(7, 3, activation="relu"),
            layers.MaxPooling2D(2, padding="same"),
            layers.BatchNormalization(),
            layers.Conv2D(6, 2, groups=1, dilation_rate=2, padding="same", activation="gelu"),
            layers.AveragePooling2D(2, 1),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.Dense(150, activation="tanh"),
            layers.BatchNormalization(),
            layers.Dense(5, activation="softmax"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def images(count):
    return np.random.default_rng(4).normal(size=(count, *SHAPE)).astype(np.float32)


def labels(count):
    return np.random.default_rng(5).integers(0, 5, count)


@pytest.fixture
def threads():
    """Set the number of threads, and put it back afterwards."""
    before = config.threads()
    yield config.set_threads
    config.set_threads(before)


def predictions(program, x, instruction_set, lanes=None):
    return NativeProgram(program, len(x), instruction_set, lanes).run({"input": x})[program.output]


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
def test_an_image_alone_is_predicted_as_in_any_batch_and_any_block(instruction_set):
    program, x = network().program("predict", SHAPE), images(65)
    alone = np.concatenate([predictions(program, one[None], instruction_set) for one in x[:20]])
    for count in (*BATCHES, 18, 40):
        for lanes in (None, *LANES):
            batch = predictions(program, x[:count], instruction_set, lanes)
            np.testing.assert_array_equal(batch[:20], alone[:count], f"{count} in {lanes} lanes")


def test_an_images_place_in_the_batch_does_not_matter():
    model, x = network(), images(33)
    order = np.random.default_rng(6).permutation(33)
    there = model.predict(x, verbose=0)
    np.testing.assert_array_equal(model.predict(x[order], verbose=0), there[order])
    np.testing.assert_array_equal(model.predict(x, verbose=0, batch_size=7), there)


def feeds_for(count):
    return {
        "input": images(count),
        "targets": labels(count),
        "weights": np.full(count, 1 / count, np.float32),
        "random": np.array([1, 2], np.uint64),
    }


def fingerprint(arrays):
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def gradients(program, count, instruction_set=BEST, lanes=None):
    results = NativeProgram(program, count, instruction_set, lanes).run(feeds_for(count))
    return fingerprint(results[name] for name in sorted(results))


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("count", [1, 2, 9, 33, 100, 500])
def test_gradients_do_not_depend_on_the_number_of_threads(count, instruction_set, threads):
    program = network().program("train", SHAPE)
    found = set()
    for number in (1, 2, 4):
        threads(number)
        found.add(gradients(program, count, instruction_set))
    assert len(found) == 1


@pytest.mark.parametrize("lanes", LANES)
def test_neither_in_blocks_of_any_width(lanes, threads):
    program = network().program("train", SHAPE)
    found = set()
    for number in (1, 2, 4):
        threads(number)
        found.add(gradients(program, 130, lanes=lanes))
    assert len(found) == 1


def trained(count=80, batch_size=33):
    model = network()
    model.fit(images(count), labels(count), batch_size=batch_size, epochs=2, verbose=0)
    return fingerprint(model.get_weights())


def test_training_gives_the_same_weights_with_any_number_of_threads(threads):
    found = set()
    for number in (1, 2, 4):
        threads(number)
        found |= {trained(), trained()}
    assert len(found) == 1


TRAINING = """
import os, sys
sys.path[:0] = {path!r}
pinned, threads = sys.argv[1:]
if pinned == "pinned":
    os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})
import test_native_bits as bits
if threads:
    bits.config.set_threads(int(threads))
print(bits.config.threads(), bits.trained())
"""


def in_a_process(pinned="", threads=""):
    """Return how many threads a process of its own used, and the weights it ended with."""
    command = [sys.executable, "-c", TRAINING.format(path=sys.path), pinned, threads]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return result.stdout.split()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone can pin a process")
def test_a_process_on_one_core_uses_one_thread_and_gives_the_same_weights():
    here = trained()
    assert in_a_process("pinned") == ["1", here]
    assert in_a_process("pinned", "4") == ["4", here]
    assert in_a_process()[1] == here


def test_the_width_of_a_block_does_not_depend_on_the_number_of_threads(threads):
    program, found = network().program("train", SHAPE), set()
    for number in (1, 2, 8):
        threads(number)
        found.add(tuple(lanes_for(program, count, 8) for count in range(1, 600, 23)))
    assert len(found) == 1
