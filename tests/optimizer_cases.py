"""One optimizer of each kind, with what Keras makes of a few steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from convlet import optimizers
from convlet.optimizers import Optimizer, Weight, schedules

VALUES = ([1.0, -1.0, 0.5], [0.25])
GRADIENTS = (
    ([1.0, -2.0, 0.5], [0.25]),
    ([-0.5, 1.0, 0.5], [-4.0]),
    ([2.0, 0.0, -1.0], [0.5]),
    ([0.125, -1.0, 3.0], [1.0]),
)

# The weights after four steps from VALUES along GRADIENTS, as Keras 3.15.1 on JAX printed them.
KERAS: dict[str, tuple[str, dict[str, Any], list[float]]] = {
    "SGD": ("sgd", {}, [0.73750001, -0.80000001, 0.19999996, 0.47499999]),
    "momentum": (
        "sgd",
        {"momentum": 0.9},
        [0.39909995, -0.48320007, 0.082549989, 1.0530249],
    ),
    "Nesterov": (
        "sgd",
        {"momentum": 0.9, "nesterov": True},
        [0.19669001, -0.33488005, -0.17570493, 1.1977226],
    ),
    "Adam": ("adam", {}, [0.75056118, -0.81363648, 0.25610107, 0.28841928]),
    "AMSGrad": ("adam", {"amsgrad": True}, [0.75056118, -0.81364673, 0.25610107, 0.28841928]),
    "AdamW": ("adamw", {}, [0.74912971, -0.81218696, 0.25549844, 0.28806508]),
    "RMSprop": ("rmsprop", {}, [0.5308193, -0.68575096, -0.07678619, 0.12438172]),
    "RMSprop with all": (
        "rmsprop",
        {"momentum": 0.5, "centered": True},
        [0.16686583, -0.48500535, -0.48220164, 0.055408604],
    ),
    "Adagrad": ("adagrad", {}, [0.85582292, -0.90501899, 0.33784753, 0.25117221]),
    "Adadelta": (
        "adadelta",
        {"learning_rate": 1.0},
        [0.99741679, -0.99857014, 0.49625367, 0.2495251],
    ),
    "Adamax": ("adamax", {}, [0.80265272, -0.84158313, 0.27753735, 0.23813857]),
    "Nadam": ("nadam", {}, [0.82182109, -0.88064259, 0.29241198, 0.21963985]),
    "Lion": ("lion", {}, [0.79999995, -0.79999995, 0.30000001, 0.050000004]),
    "clipnorm, decay, averages": (
        "adam",
        {"use_ema": True, "ema_momentum": 0.5, "weight_decay": 0.1, "clipnorm": 1.0},
        [0.76872796, -0.85323513, 0.22595076, 0.17742603],
    ),
    "global_clipnorm, averages taken": (
        "sgd",
        {
            "use_ema": True,
            "ema_momentum": 0.5,
            "ema_overwrite_frequency": 2,
            "global_clipnorm": 1.0,
        },
        [0.89524162, -0.91011524, 0.45986891, 0.2555314],
    ),
    "clipvalue, decay": (
        "sgd",
        {"clipvalue": 0.5, "weight_decay": 0.1},
        [0.89908606, -0.91108608, 0.38227803, 0.16539654],
    ),
    "schedule": (
        "adam",
        {"learning_rate": schedules.ExponentialDecay(0.1, 2, 0.5)},
        [0.82811201, -0.85703504, 0.31487793, 0.23043534],
    ),
}


def made(name: str) -> Optimizer:
    """Return one of the optimizers of KERAS, with a learning rate of 0.1 unless it says another."""
    kind, settings, _ = KERAS[name]
    return type(optimizers.get(kind))(**{"learning_rate": 0.1, **settings})


def stepped(
    optimizer: Optimizer, weights: list[np.ndarray], gradients: list[list[np.ndarray]]
) -> list[Weight]:
    """Return some weights after a step along each list of gradients, with what is remembered."""
    after = [Weight(w, w, optimizer.all_slots(w)) for w in weights]
    for iterations, of_weights in enumerate(gradients):
        pairs = zip(after, of_weights, strict=True)
        before = [
            Weight(w.value, g, optimizer.all_slots(w.value, w.slots), optimizer.weight_decay != 0)
            for w, g in pairs
        ]
        steps = optimizer.update_all(before, iterations)
        assert all(step.is_finite for step in steps)
        after = [Weight(step.value, step.value, step.slots) for step in steps]
    return after
