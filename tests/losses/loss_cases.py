"""Losses with small arrays, and what Keras computes of them."""

from __future__ import annotations

import numpy as np

from convlet import Sequential, layers, losses
from numerics import normal

# Small arrays to two digits, of two images of three positions and three channels.
PLACES = np.arange(18).reshape(2, 3, 3)
LABELS = np.array([[0, 2, 1], [1, 1, 0]])
WEIGHTS = np.array([[0.5, 2, 1], [0, 1, 3]])
LOGITS = np.round(2 * np.sin(PLACES * 1.7 + 0.3), 2)
ARRAYS = {
    "z": LOGITS,
    "y": np.round(2 * np.cos(PLACES * 0.9 + 0.1), 2),
    "q": np.round(1 / (1 + np.exp(-LOGITS)), 2),
    "t": np.eye(3)[LABELS],
    "lab": LABELS,
    "lab2": np.where(WEIGHTS == 3, 255, LABELS),
}

# loss, arguments, targets, predictions; what Keras 3.15 computes in float32: the mean, the sum, and
# with WEIGHTS the mean and the mean by weight, where it can
OF_KERAS = [
    ("MeanAbsoluteError", {}, "y", "z", (1.548889, 9.293333, 1.876945, 1.501556)),
    ("MeanAbsolutePercentageError", {}, "y", "z", (195.8607, 1175.164, 259.6814, 207.7451)),
    ("MeanSquaredLogarithmicError", {}, "q", "z", (0.06975628, 0.4185376, 0.08455306, 0.06764245)),
    ("Huber", {}, "y", "z", (1.126145, 6.756867, 1.373368, 1.098694)),
    ("Huber", {"delta": 0.3}, "y", "z", (0.4209556, 2.525733, 0.5073667, 0.4058934)),
    ("LogCosh", {}, "y", "z", (1.022872, 6.137231, 1.248667, 0.9989337)),
    ("KLDivergence", {}, "t", "q", (0.8948793, 5.369276, 0.6328707, 0.5062966)),
    ("Poisson", {}, "q", "q", (0.763948, 4.583688, 0.9794245, 0.7835396)),
    ("CosineSimilarity", {}, "y", "z", (-0.1581125, -0.9486747, -0.2004496, -0.1603597)),
    ("Hinge", {}, "t", "z", (1.277222, 7.663334, 1.284167, 1.027333)),
    ("SquaredHinge", {}, "t", "z", (3.082161, 18.49297, 3.156214, 2.524971)),
    ("CategoricalHinge", {}, "t", "z", (2.56, 15.36, 2.425833, 1.940667)),
    ("BinaryFocalCrossentropy", {}, "t", "q", (0.5555772, 3.333463, 0.5712935, 0.4570348)),
    (
        "BinaryFocalCrossentropy",
        {"apply_class_balancing": True, "gamma": 1.5, "alpha": 0.3, "label_smoothing": 0.1},
        "t",
        "q",
        (0.3282715, 1.969629, 0.3717199, 0.2973759),
    ),
    (
        "BinaryFocalCrossentropy",
        {"from_logits": True},
        "t",
        "z",
        (0.5620484, 3.37229, 0.5783325, 0.462666),
    ),
    ("CategoricalFocalCrossentropy", {}, "t", "q", (0.1871199, 1.12272, 0.1310113, 0.104809)),
    (
        "CategoricalFocalCrossentropy",
        {"alpha": [0.1, 0.2, 0.3], "gamma": 1.5, "label_smoothing": 0.1},
        "t",
        "q",
        (0.1641789, 0.9850734, 0.1314244, 0.1051396),
    ),
    (
        "CategoricalFocalCrossentropy",
        {"from_logits": True},
        "t",
        "z",
        (0.3785547, 2.271328, 0.2787422, 0.2229938),
    ),
    ("Dice", {}, "t", "q", (0.6126482, 0.6126482, 0.7658103, 0.6126482)),
    ("Dice", {"axis": (1, 2)}, "t", "q", (0.6145977, 1.229195, None, None)),
    ("Dice", {"axis": (0, 1)}, "t", "q", (0.6015266, 1.80458, None, None)),
    ("Dice", {"axis": -2}, "t", "q", (0.6417581, 3.850549, None, None)),
    (
        "Tversky",
        {"alpha": 0.3, "beta": 0.6},
        "t",
        "q",
        (0.6132597, 0.6132597, 0.7665746, 0.6132597),
    ),
    (
        "Tversky",
        {"alpha": 0.3, "beta": 0.6, "axis": (1, 2)},
        "t",
        "q",
        (0.6157028, 1.231406, None, None),
    ),
    (
        "SparseCategoricalCrossentropy",
        {"ignore_class": 255},
        "lab2",
        "q",
        (1.409232, 7.046157, 1.007807, 1.119786),
    ),
    (
        "SparseCategoricalCrossentropy",
        {"ignore_class": 1, "from_logits": True},
        "lab",
        "z",
        (1.069412, 3.208236, 1.641978, 0.8956242),
    ),
]


def made(name: str, arguments: dict, **more: object) -> losses.Loss:
    return getattr(losses, name)(**arguments, **more)


X = normal(2, 3, 4, seed=5).astype(np.float32)


def dense_model(loss: losses.Loss, last: str | None, **compiled: object) -> Sequential:
    """Return a network of one prediction for each of three positions, with a known kernel."""
    model = Sequential([layers.Input((3, 4)), layers.Conv1D(3, 1, activation=last)])
    model.compile("sgd", loss, **compiled)
    model.optimizer.learning_rate = 1.0
    model.set_weights([normal(1, 4, 3, seed=6).astype(np.float32), np.zeros(3, np.float32)])
    return model
