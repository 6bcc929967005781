"""Models: layers put together, and how they are trained."""

from convlet.models.functional import Functional
from convlet.models.lbfgs import Objective, minimize_lbfgs
from convlet.models.model import Model
from convlet.models.sequential import Sequential, clone_model
from convlet.models.state import NonFiniteLossError
from convlet.saving import load_model

__all__ = [
    "Functional",
    "Model",
    "NonFiniteLossError",
    "Objective",
    "Sequential",
    "clone_model",
    "load_model",
    "minimize_lbfgs",
]
