"""Which kernels run: every instruction set is there, is used, and knows every operator."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from convlet import _native, config
from convlet.engine import lowering, stages
from convlet.engine.native import NativeProgram
from convlet.engine.operators import OPERATORS
from convlet.ops.activations import ELEMENTWISE
from native_runs import BEST, INSTRUCTION_SETS, program_of
from networks import small_network
from numerics import add_dense, variable

X86 = platform.machine() in ("x86_64", "AMD64")


def flags():
    """Return what the processor says that it can do."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return set(next(line for line in lines if line.startswith("flags")).split())


@pytest.mark.skipif(not X86 or not sys.platform.startswith("linux"), reason="asks /proc/cpuinfo")
def test_a_machine_has_the_levels_that_its_processor_has():
    expected = ["x86-64"]
    if {"avx2", "fma", "bmi1", "bmi2"} <= flags():
        expected.append("x86-64-v3")
        if {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"} <= flags():
            expected.append("x86-64-v4")
    assert expected == INSTRUCTION_SETS
    assert _native.best_instruction_set() == expected[-1]


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
def test_a_plan_uses_the_instruction_set_that_was_asked_for(instruction_set):
    program = small_network().program("predict", (6, 6, 1))
    plan = NativeProgram(program, 3, instruction_set).plan
    assert plan.instruction_set == instruction_set


def test_an_instruction_set_that_no_machine_has_is_refused():
    program = small_network().program("predict", (6, 6, 1))
    with pytest.raises(ValueError, match="this machine has no instruction set vax"):
        NativeProgram(program, 3, "vax")


PREDICTION = """
import sys
sys.path[:0] = {path!r}
import convlet, numpy as np
from networks import small_network
model = small_network()
model.predict(np.zeros((3, 6, 6, 1)), verbose=0)
(executable,) = model.program("predict", (6, 6, 1)).executables.values()
print(executable.plan.instruction_set, convlet.config.instruction_set())
print(convlet.show_config()["instruction set in use"])
"""


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
def test_the_environment_chooses(instruction_set):
    result = subprocess.run(
        [sys.executable, "-c", PREDICTION.format(path=sys.path)],
        env={**os.environ, "CONVLET_ISA": instruction_set},
        check=True,
        capture_output=True,
        text=True,
    )
    assert set(result.stdout.split()) == {instruction_set}


def test_choosing_another_one_takes_effect_at_once():
    model, x = small_network(), np.ones((3, 6, 6, 1))
    for instruction_set in INSTRUCTION_SETS:
        config.set_instruction_set(instruction_set)
        model.predict(x, verbose=0)
    config.set_instruction_set(BEST)
    plans = model.program("predict", (6, 6, 1)).executables.values()
    assert [p.plan.instruction_set for p in plans] == INSTRUCTION_SETS


@pytest.mark.skipif(len(INSTRUCTION_SETS) < 2, reason="there is one instruction set")
def test_instruction_sets_differ_where_a_product_and_a_sum_are_fused():
    """They would give the same bits if one of them ran in the other's place."""

    def network(builder, x):
        return add_dense(builder, x, variable("kernel", 64, 8, dtype="float32"))

    program = program_of(network, (64,), training=False)
    x = np.random.default_rng(0).normal(size=(16, 64)).astype(np.float32)
    baseline, fused = (
        NativeProgram(program, 16, name).run({"input": x})[program.output]
        for name in INSTRUCTION_SETS[:2]
    )
    assert (baseline != fused).any()


def test_every_operator_has_stages_or_is_pythons_or_costs_nothing():
    known = {
        *stages.WRITERS,
        *lowering._PYTHON,
        *lowering._RESHAPES,
        *lowering._ON_WEIGHTS,
    }
    assert set(OPERATORS) == known


def test_every_activation_has_a_kernel():
    assert {a.name for a in _native.Activation} == {*ELEMENTWISE, "linear"}
