"""convlet: convolutional networks one can see through, on the computer one has."""

# isort: off
from convlet import config  # before all others: it sees whether the compiled core fits

# isort: on
from convlet import (
    applications,
    augmentation,
    callbacks,
    constraints,
    datasets,
    initializers,
    inspection,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    preprocessing,
    regularizers,
    utils,
)
from convlet._native import version as __version__
from convlet.layers import Input, Layer
from convlet.models import Model, NonFiniteLossError, Sequential, clone_model, load_model
from convlet.utils import show_config

__all__ = [
    "Input",
    "Layer",
    "Model",
    "NonFiniteLossError",
    "Sequential",
    "__version__",
    "applications",
    "augmentation",
    "callbacks",
    "clone_model",
    "config",
    "constraints",
    "datasets",
    "initializers",
    "inspection",
    "layers",
    "load_model",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "preprocessing",
    "regularizers",
    "show_config",
    "utils",
]
