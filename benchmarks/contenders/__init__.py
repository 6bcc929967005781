"""The contenders: who they are and what to start them with. Importing this imports none of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Entry:
    """A contender in the list.

    Parameters
    ----------
    name : str
        What the report calls it.
    module : str
        The module of this package that holds its class, which is called ``Contender``.
    kinds : tuple of str
        The kinds of cases that it takes part in.
    arguments : mapping
        What its class is given.
    environment : mapping
        Environment variables that have to be set before its process starts.
    chains_only : bool
        Whether it is written for chains of layers alone.
    """

    name: str
    module: str
    kinds: tuple[str, ...] = ("training", "inference", "fit")
    arguments: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    chains_only: bool = False


def _keras(name: str, backend: str, **arguments: Any) -> Entry:
    return Entry(name, "keras", arguments=arguments, environment={"KERAS_BACKEND": backend})


_ALL = ("training", "inference", "fit", "operators")
_STEPS = ("training", "inference")
_LAST = {"channels_last": True}

OURS = "convlet"
CONTENDERS = (
    Entry(OURS, "convlet", _ALL),
    Entry("PyTorch", "pytorch", _ALL),
    Entry("PyTorch channels_last", "pytorch", _ALL, _LAST),
    Entry("PyTorch compiled", "pytorch", _STEPS, {"compiled": True}),
    Entry("PyTorch compiled channels_last", "pytorch", _STEPS, {"compiled": True, **_LAST}),
    _keras("Keras on TensorFlow", "tensorflow"),
    # Keras lets XLA compile by default, which on a CPU is often the slower way.
    _keras("Keras on TensorFlow, no XLA", "tensorflow", jit_compile=False),
    Entry("TensorFlow function", "tensorflow", _STEPS, chains_only=True),
    _keras("Keras on JAX", "jax"),
    Entry("ONNX Runtime", "onnxruntime", ("inference",)),
    Entry("OpenVINO", "openvino", ("inference",)),
)
PEAK_ENTRY = Entry("matrix product", "matmul", ("peak",))
