"""Settings: what they are at first, what the environment says, and what is refused."""

import os
import re
import subprocess
import sys
import types

import pytest

import convlet
from convlet import config
from native_runs import BEST, INSTRUCTION_SETS


@pytest.fixture(autouse=True)
def settings_put_back():
    """Put back every setting that a test changes."""
    before = config.executor(), config.instruction_set(), config.threads(), config.floatx()
    yield
    config.set_executor(before[0])
    config.set_instruction_set(before[1])
    config.set_threads(before[2])
    config.set_floatx(before[3])


def asked(setting, **environment):
    """Return what a process of its own says to a question about its settings."""
    return subprocess.run(
        [sys.executable, "-c", f"import convlet; print(convlet.config.{setting}())"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("setting", "variable", "value"),
    [
        ("executor", "CONVLET_EXECUTOR", "reference"),
        ("executor", "CONVLET_EXECUTOR", "native"),
        ("instruction_set", "CONVLET_ISA", INSTRUCTION_SETS[0]),
        ("threads", "CONVLET_THREADS", "3"),
    ],
)
def test_the_environment_gives_the_first_value(setting, variable, value):
    assert asked(setting, **{variable: value}).stdout.strip() == value


@pytest.mark.parametrize(
    ("setting", "variable"),
    [
        ("executor", "CONVLET_EXECUTOR"),
        ("instruction_set", "CONVLET_ISA"),
        ("threads", "CONVLET_THREADS"),
    ],
)
def test_an_empty_variable_is_as_none(setting, variable):
    without = {name: value for name, value in os.environ.items() if name != variable}
    unset = subprocess.run(
        [sys.executable, "-c", f"import convlet; print(convlet.config.{setting}())"],
        env=without,
        capture_output=True,
        text=True,
    )
    assert asked(setting, **{variable: ""}).stdout == unset.stdout


@pytest.mark.parametrize(
    ("setting", "variable", "value", "requirement"),
    [
        ("executor", "CONVLET_EXECUTOR", "gpu", "one of 'native', 'reference'"),
        ("instruction_set", "CONVLET_ISA", "vax", f"one of {str(INSTRUCTION_SETS)[1:-1]}"),
        ("threads", "CONVLET_THREADS", "many", "an integer from 1 to 1024"),
        ("threads", "CONVLET_THREADS", "-1", "an integer from 1 to 1024"),
        ("threads", "CONVLET_THREADS", "2.5", "an integer from 1 to 1024"),
        ("threads", "CONVLET_THREADS", "0", "an integer from 1 to 1024"),
        ("threads", "CONVLET_THREADS", "1025", "an integer from 1 to 1024"),
    ],
)
def test_nonsense_in_the_environment_is_one_clear_sentence(setting, variable, value, requirement):
    last = asked(setting, **{variable: value}).stderr.strip().splitlines()[-1]
    assert last == f"ValueError: the environment: {variable} must be {requirement}, got {value!r}"


def test_nonsense_in_the_environment_does_not_keep_the_library_from_being_imported():
    environment = {**os.environ, "CONVLET_ISA": "vax", "CONVLET_THREADS": "x"}
    subprocess.run([sys.executable, "-c", "import convlet"], env=environment, check=True)


@pytest.mark.parametrize("value", ["gpu", "", None, 1])
def test_an_unknown_executor_is_refused(value):
    message = f"set_executor: value must be one of 'native', 'reference', got {value!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        config.set_executor(value)


@pytest.mark.parametrize("value", ["avx512", "", None, 4])
def test_an_instruction_set_that_this_machine_has_not_is_refused(value):
    known = ", ".join(map(repr, INSTRUCTION_SETS))
    message = f"set_instruction_set: value must be one of {known}, got {value!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        config.set_instruction_set(value)


@pytest.mark.parametrize("value", [0, -1, 1.5, "2", None, True, 1025, 10**30])
def test_a_number_of_threads_that_makes_no_sense_is_refused(value):
    message = f"set_threads: value must be an integer from 1 to 1024, got {value!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        config.set_threads(value)


@pytest.mark.parametrize("value", ["float16", "double", None])
def test_an_unknown_float_type_is_refused(value):
    message = f"set_floatx: value must be one of 'float32', 'float64', got {value!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        config.set_floatx(value)


def test_what_was_refused_changes_nothing():
    before = config.executor(), config.instruction_set(), config.threads()
    for refused in (config.set_executor, config.set_instruction_set, config.set_threads):
        with pytest.raises(ValueError, match="must be"):
            refused("nonsense")
    assert before == (config.executor(), config.instruction_set(), config.threads())


@pytest.mark.parametrize("value", INSTRUCTION_SETS)
def test_every_instruction_set_of_this_machine_may_be_chosen(value):
    config.set_instruction_set(value.upper())
    assert config.instruction_set() == value


def test_what_is_shown():
    config.set_threads(2)
    config.set_instruction_set(BEST)
    shown = convlet.show_config()
    assert shown["threads"] == "2"
    assert shown["instruction set in use"] == BEST
    assert shown["instruction sets"].split(", ") == INSTRUCTION_SETS


def test_a_core_that_is_older_than_the_sources_is_told_at_once():
    code = """
import sys, types
core = types.ModuleType("convlet._native")
core.interface, core.__file__ = 0, "old.so"
sys.modules["convlet._native"] = core
import convlet
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert told.returncode == 1
    assert re.search(
        r"ImportError: convlet: the core is older than the Python sources, interface 0 in old.so "
        r"and \d+ in .*; build and install both together",
        told.stderr,
    )


def test_sources_that_are_older_than_the_core_are_told_too():
    core = types.SimpleNamespace(interface=1 << 30, __file__="new.so")
    with pytest.raises(ImportError, match="the Python sources are older than the core"):
        config.check_core(core)
