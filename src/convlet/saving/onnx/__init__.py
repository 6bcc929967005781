"""ONNX files: models for other tools, and models from them."""

from convlet.saving.onnx.export import export_model

__all__ = ["export_model"]
