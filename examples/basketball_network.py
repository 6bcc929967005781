"""The network of lecture 001's results on basketball scenes, and the same slid over whole frames.

A dense layer behind a map of 6x5 is a convolution of 6x5 that has one place to be at. On a larger
frame it has many, and answers for the window around each of them as the network does, but
neighbouring windows share what they have in common. Two poolings of 2 put the answers 4 pixels
apart.
"""

import basketball_scenes as scenes
import numpy as np

from convlet import Input, Sequential
from convlet.layers import Conv2D, Dense, Flatten, MaxPooling2D, Rescaling

STRIDE = 4  # pixels between the windows of two answers
APART = 3  # answers between two marks, at least


def classifier(frames):
    """Return the lecture's network for windows: 10 maps of 5x9, 30 of 5x5, then 900-20-2."""
    head = [Flatten(), Dense(20, activation="relu"), Dense(2, activation="softmax")]
    return _network((scenes.WINDOW, scenes.WINDOW, frames), head)


def detector(model):
    """Return a classifier's detector: for frames of any size, dense layers as convolutions."""
    head = [Conv2D(20, (6, 5), activation="relu"), Conv2D(2, 1, activation="softmax")]
    slid = _network((None, None, model.input_shape[-1]), head)
    weights = zip(model.get_weights(), slid.get_weights(), strict=True)
    slid.set_weights([dense.reshape(kernel.shape) for dense, kernel in weights])
    return slid


def _network(shape, head):
    """Return the convolutions and a head; the slides do not give the activations."""
    return Sequential(
        [
            Input(shape),
            Rescaling(1 / 64, offset=-2),
            Conv2D(10, (5, 9), activation="relu"),
            MaxPooling2D(2),
            Conv2D(30, 5, activation="relu"),
            MaxPooling2D(2),
            *head,
        ]
    )


def windows_of(frames):
    """Return the windows that a detector answers for, row by row, (n, 36, 36, channels)."""
    rows, columns = [(size - scenes.WINDOW) // STRIDE + 1 for size in frames.shape[:2]]
    corners = STRIDE * np.indices((rows, columns)).reshape(2, -1).T
    return scenes.cut(np.moveaxis(frames, -1, 0), corners + scenes.WINDOW // 2)


def marked(answers, threshold):
    """Return the middles of the windows above the threshold, (n, 2), the surest first.

    Of answers that are close together only the surest counts.
    """
    answers, places = answers.copy(), []
    while answers.max() >= threshold:
        y, x = np.unravel_index(answers.argmax(), answers.shape)
        places.append((y, x))
        answers[max(y - APART, 0) : y + APART + 1, max(x - APART, 0) : x + APART + 1] = -np.inf
    return STRIDE * np.array(places, int).reshape(-1, 2) + scenes.WINDOW // 2
