"""The house itself: imports point one way, and importing the library brings nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import convlet

PACKAGE = Path(convlet.__file__).parent

# Each room may import the rooms listed for it, and itself; the order is that of the house.
FOUNDATION = {"arguments", "config", "random", "_native", "serialization"}
MAY_IMPORT = {
    "arguments": set(),
    "config": {"arguments", "_native"},
    "random": {"arguments"},
    "serialization": {"arguments"},
    "ops": {"arguments"},
    "engine": {"ops", "arguments", "config", "_native"},
    "initializers": FOUNDATION,
    "regularizers": FOUNDATION,
    "constraints": FOUNDATION,
    "npy": set(),
    "preprocessing": {"arguments", "npy"},
    "sources": {"arguments", "random", "preprocessing"},
    "datasets": {"arguments", "npy", "preprocessing", "sources"},
    "losses": FOUNDATION | {"ops"},
    "metrics": FOUNDATION | {"losses", "ops"},
    "optimizers": FOUNDATION,
    "augmentation": FOUNDATION | {"ops"},
    "callbacks": FOUNDATION,
    "layers": FOUNDATION | {"engine", "ops", "initializers", "regularizers", "constraints"},
    "inspection": FOUNDATION | {"engine", "layers", "ops"},
    "saving": FOUNDATION | {"layers", "npy", "preprocessing", "engine", "ops"},
    "models": FOUNDATION
    | {"saving", "layers", "engine", "callbacks", "losses", "metrics", "optimizers", "inspection"}
    | {"preprocessing", "augmentation", "sources"},
    "utils": FOUNDATION | {"sources"},
    "applications": {"models", "layers", "initializers", "arguments"},
    "estimators": FOUNDATION
    | {"applications", "models", "layers", "losses", "optimizers", "utils"},
    "cli": FOUNDATION
    | {"applications", "estimators", "models", "datasets", "preprocessing", "callbacks", "metrics"}
    | {"engine", "layers", "losses", "optimizers", "saving", "utils", "augmentation", "sources"},
}


def rooms():
    return {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()} - {
        "__init__",
        "__pycache__",
    }


def imported_rooms(room):
    path = PACKAGE / room
    files = path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "convlet":
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("convlet."):
                yield node.module.split(".")[1]
            elif isinstance(node, ast.Import):
                yield from (
                    alias.name.split(".")[1]
                    for alias in node.names
                    if alias.name.startswith("convlet.")
                )


def test_every_room_is_known():
    assert rooms() == set(MAY_IMPORT)


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_imports_point_one_way(room):
    known = {name for name in imported_rooms(room) if name in MAY_IMPORT or name == "_native"}
    assert known - {room} <= MAY_IMPORT[room]


def test_nobody_may_import_what_may_import_them():
    seen = {"_native"}
    for room, allowed in MAY_IMPORT.items():
        assert allowed - {room} <= seen, room
        seen.add(room)


def test_importing_the_library_brings_nothing_heavy():
    heavy = [
        "convlet.cli",
        "convlet.estimators",
        "sklearn",
        "scipy",
        "PIL",
        "h5py",
        "soundfile",
        "matplotlib",
        "pooch",
        "http.client",
        "zipfile",
        "tarfile",
        "hashlib",
        "logging",
        "onnx",
        "rich",
        "click",
        "safetensors",
    ]
    code = f"import sys, convlet; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_show_config_names_the_processor_s_instruction_sets():
    from convlet import _native

    shown = convlet.show_config()
    assert shown["convlet"] == convlet.__version__ == "0.1.0"
    assert _native.best_instruction_set() == _native.available_instruction_sets()[-1]
    assert shown["instruction sets"] == ", ".join(_native.available_instruction_sets())
    assert shown["instruction set in use"] == convlet.config.instruction_set()
    assert shown["executor"] == "native (C++)"
    assert shown["threads"] == str(convlet.config.threads())
