"""The C++ core's steps against the NumPy formulas, on every instruction set; the same bits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from convlet import _native, config
from convlet.optimizers import Adam, Optimizer, Weight
from numerics import normal
from optimizer_cases import KERAS, made, stepped

# below, at and above registers of 4, 8 and 16 and the chunk of 16384, and prime
SIZES = [(1,), (3, 5), (16,), (2, 17), (16384,), (16411,), (40009,)]


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    before = config.instruction_set(), config.threads(), config.executor()
    yield
    config.set_instruction_set(before[0])
    config.set_threads(before[1])
    config.set_executor(before[2])


def course(seed: int) -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    """Return weights, and gradients for some steps."""
    draw = [normal(*shape, seed=seed + n, dtype="float32") for n, shape in enumerate(SIZES)]
    gradients = [[(w[::-1] * k).astype("float32") for w in draw] for k in (1.0, -0.3, 0.02)]
    gradients = [[np.ascontiguousarray(g) for g in of_step] for of_step in gradients]
    return draw, gradients


def results(optimizer: Optimizer, executor: str) -> list[np.ndarray]:
    config.set_executor(executor)
    after = stepped(optimizer, *course(3))
    return [array for weight in after for array in (weight.value, *weight.slots.values())]


@pytest.mark.parametrize("instruction_set", _native.available_instruction_sets())
@pytest.mark.parametrize("name", KERAS)
def test_the_core_follows_the_formulas(name: str, instruction_set: str):
    config.set_instruction_set(instruction_set)
    pairs = zip(results(made(name), "native"), results(made(name), "reference"), strict=True)
    for native, reference in pairs:
        np.testing.assert_allclose(native, reference, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    "name", ["momentum", "clipnorm, decay, averages", "global_clipnorm, averages taken"]
)
def test_the_same_bits_for_any_number_of_threads(name: str):
    found = []
    for threads in (1, 2, 3):
        config.set_threads(threads)
        found.append([array.tobytes() for array in results(made(name), "native")])
    assert found[0] == found[1] == found[2]


def test_spare_arrays_are_written_into():
    optimizer, value = Adam(), np.ones((3, 4), "float32")
    spare = [np.zeros((3, 4), "float32") for _ in range(2)]
    unfit = [np.zeros((4, 3), "float32"), np.zeros((3, 4)), np.zeros((4, 3), "float32").T]
    weight = Weight(value, value, optimizer.all_slots(value), True, [*unfit, *spare])
    (step,) = optimizer.update_all([weight], 0)
    (alone,) = optimizer.update_all([weight._replace(spare=())], 0)
    assert step.value is spare[0]
    assert step.slots["momentum"] is spare[1]
    np.testing.assert_array_equal(step.value, alone.value)
    np.testing.assert_array_equal(step.slots["velocity"], alone.slots["velocity"])
    assert not any(array.any() for array in unfit)


def test_slots_of_another_shape_or_type_never_reach_the_core():
    optimizer, value = Adam(), np.ones(3, "float32")
    slots = {name: slot.astype("float64") for name, slot in optimizer.slots(value).items()}
    (step,) = optimizer.update_all([Weight(value, value, slots)], 0)
    assert step.slots["momentum"].dtype == np.float64
    with pytest.raises(ValueError, match="broadcast"):
        optimizer.update_all([Weight(value, np.ones(4, "float32"), slots)], 0)
