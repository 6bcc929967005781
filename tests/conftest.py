"""Settings of the whole suite.

Slow tests run only when asked for, as `make test-all` does. Each test begins with the same random
seed, whatever ran before it: one that fails fails again.
"""

import importlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from convlet.utils import set_random_seed


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="slow: make test-all runs it")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.hookimpl(tryfirst=True)  # before the fixtures, those of a module included
def pytest_runtest_setup() -> None:
    set_random_seed(0)


@pytest.fixture
def listens_to_ctrl_c() -> Iterator[None]:
    """React to Ctrl-C as Python does by itself; a run in the background begins by ignoring it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def load_example(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Return a function that imports a module of examples/ by its name."""
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[1] / "examples")
    return importlib.import_module
