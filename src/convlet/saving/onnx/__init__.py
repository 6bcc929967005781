"""ONNX files: models for other tools, and models from them.

What translates is imported when it is needed: it is a fifth of the library.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any


def export_model(model: Any, filepath: str | PathLike[str], overwrite: bool = True) -> None:
    """Write what predicts as an ONNX file; see `convlet.Model.export`."""
    from convlet.saving.onnx import export

    export.export_model(model, filepath, overwrite)


def load_onnx(path: Path) -> Any:
    """Return the model of an ONNX file; see `convlet.load_model`."""
    from convlet.saving.onnx import load

    return load.load_onnx(path)


__all__ = ["export_model", "load_onnx"]
