"""ONNX files: models for other tools, and models from them."""

from convlet.saving.onnx.export import export_model
from convlet.saving.onnx.load import load_onnx

__all__ = ["export_model", "load_onnx"]
