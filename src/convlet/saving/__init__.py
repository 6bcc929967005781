"""Models and weights as files that are safe to open."""

from convlet.saving.checkpoint import read_checkpoint, write_checkpoint
from convlet.saving.formats import load_model, load_weights, save_model, save_weights
from convlet.saving.onnx import export_model

__all__ = [
    "export_model",
    "load_model",
    "load_weights",
    "read_checkpoint",
    "save_model",
    "save_weights",
    "write_checkpoint",
]
