"""The packages that ONNX files need, and the one sentence for who has not got them."""

from __future__ import annotations

import importlib
from typing import Any

SUFFIX = ".onnx"


def package(owner: str, name: str = "onnx") -> Any:
    """Return the module ``onnx`` or ``onnxruntime``.

    Raises
    ------
    ImportError
        If it is not installed, with the command that does it.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise ImportError(
            f"{owner}: ONNX files need the package {name}; pip install 'convlet[onnx]'"
        ) from None
