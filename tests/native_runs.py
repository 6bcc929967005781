"""Running a program in the C++ core and in the reference, and holding one against the other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convlet import _native, losses
from convlet.engine import Buffer, Builder, Program, Variable, plan, reference
from convlet.engine.native import NativeProgram
from numerics import add_dense

INSTRUCTION_SETS = _native.available_instruction_sets()
BEST = INSTRUCTION_SETS[-1]
LANES = (1, 16, 32, 64)
BATCHES = (1, 2, 15, 16, 17, 33, 65)
"""Below, at and above a block of 16, 32 and 64 images."""

Network = Callable[[Builder, Buffer], Buffer]


def small_integers(*shape: int, seed: int = 0, largest: int = 2) -> np.ndarray:
    """Return small integers as floats: their sums and products are exact, and ties are frequent."""
    numbers = np.random.default_rng([seed, *shape]).integers(-largest, largest + 1, shape)
    return numbers.astype(np.float32)


def integer_variable(name: str, *shape: int, trainable: bool = True) -> Variable:
    """Return a variable of small integers, others for each name."""

    def draw(shape: tuple[int, ...], dtype: str, seed: int) -> np.ndarray:
        return small_integers(*shape, seed=seed)

    return Variable(name, shape, "float32", draw, sum(name.encode()), trainable)


class Pull:
    """A loss whose gradient by the prediction is its targets, so that integers stay integers."""

    output_activation: str | None = None

    def call(self, targets: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):  # of infinity times 0
            return (targets * prediction).sum(axis=-1)

    def gradient(self, targets: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        return targets.astype(prediction.dtype)

    def from_logits_twin(self) -> object:
        return None


def program_of(
    network: Network, shape: tuple[int, ...], loss: object = None, training: bool = True
) -> Program:
    """Return input -> ``network`` as a program for training with ``loss``, `Pull` if left out."""
    builder = Builder(training)
    output = network(builder, builder.feed("input", shape))
    return plan(builder, output, (loss or Pull()) if training else None)


def behind_dense(network: Network, channels: int) -> Network:
    """Return the network behind a dense layer, so that the gradient by its input is asked for."""

    def both(builder: Builder, x: Buffer) -> Buffer:
        kernel = integer_variable("before", x.shape[-1], channels)
        return network(builder, add_dense(builder, x, kernel))

    return both


def integer_feeds(program: Program, images: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Return small integers for everything that a program wants to be fed."""
    output = program.buffers[program.output].shape
    feeds = {
        "input": small_integers(images, *program.buffers["input"].shape, seed=seed),
        "targets": small_integers(images, *output, seed=seed + 1),
        "weights": np.ones(images, np.float32),
        "random": np.array([5, 3], np.uint64),
    }
    return {name: feeds[name] for name in program.feeds}


def normal_feeds(program: Program, images: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Return normal numbers for everything that a program wants to be fed."""
    generator = np.random.default_rng([seed, images])
    output = program.buffers[program.output].shape
    feeds = {
        "input": generator.normal(size=(images, *program.buffers["input"].shape)),
        "targets": generator.normal(size=(images, *output)),
        "weights": generator.uniform(0.5, 1.5, images) / images,
    }
    feeds = {name: array.astype(np.float32) for name, array in feeds.items()}
    feeds["random"] = np.array([seed, 3], np.uint64)
    return {name: feeds[name] for name in program.feeds}


def run_natively(
    program: Program, feeds: dict[str, np.ndarray], instruction_set: str = BEST, lanes: int = 0
) -> dict[str, np.ndarray]:
    """Return what the C++ core computes; 0 lanes are as many as it chooses."""
    native = NativeProgram(program, len(feeds[program.inputs[0]]), instruction_set, lanes or None)
    assert native.plan.instruction_set == instruction_set
    return native.run(feeds)


def assert_equal(
    program: Program, feeds: dict[str, np.ndarray], instruction_set: str = BEST, lanes: int = 0
) -> None:
    """Hold all that a program results in against the reference: exactly, NaN included."""
    expected = reference.run(program, feeds)
    results = run_natively(program, feeds, instruction_set, lanes)
    assert set(results) == set(expected)
    for name, array in expected.items():
        message = f"{name}, {instruction_set}, {lanes} lanes"
        assert results[name].dtype == array.dtype, message
        np.testing.assert_array_equal(results[name], array, message)


def largest_of(array: np.ndarray) -> float:
    """Return the largest finite number's absolute value, 0 if there is none."""
    finite = np.abs(array[np.isfinite(array)])
    return float(finite.max()) if finite.size else 0.0


def assert_near(
    program: Program,
    feeds: dict[str, np.ndarray],
    instruction_set: str = BEST,
    lanes: int = 0,
    tolerance: float = 2e-5,
) -> None:
    """Hold all that a program results in against the reference, relative to the largest number.

    Sums may cancel, so the error of an array whose numbers are small counts against a hundredth of
    the largest number of all.
    """
    expected = reference.run(program, feeds)
    results = run_natively(program, feeds, instruction_set, lanes)
    assert set(results) == set(expected)
    sizes = {name: largest_of(array) for name, array in expected.items()}
    for name, array in expected.items():
        scale = max(sizes[name], 0.01 * max(sizes.values()))
        np.testing.assert_allclose(
            results[name],
            array,
            rtol=tolerance,
            atol=tolerance * scale,
            err_msg=f"{name}, {instruction_set}, {lanes} lanes",
        )


def squared_error() -> losses.MeanSquaredError:
    """Return a loss that the C++ core computes itself, in the same phase as the network."""
    return losses.MeanSquaredError()
