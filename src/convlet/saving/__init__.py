"""Models and weights as files that are safe to open."""

from convlet.saving.formats import load_model, load_weights, save_model, save_weights

__all__ = ["load_model", "load_weights", "save_model", "save_weights"]
