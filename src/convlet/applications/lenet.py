"""LeNets: two convolutions, each with a pooling, then fully connected layers."""

from __future__ import annotations

from collections.abc import Sequence

from convlet.layers import (
    AveragePooling2D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    Layer,
    MaxPooling2D,
    Rescaling,
)
from convlet.models import Sequential


def _network(
    name: str, input_shape: Sequence[int | None], scale: float | None, layers: Sequence[Layer]
) -> Sequential:
    """Return the layers as a model that multiplies its input by ``scale`` first, if given."""
    first = [] if scale is None else [Rescaling(scale)]
    return Sequential([Input(input_shape), *first, *layers], name=name)


def SmallLeNet(  # noqa: N802 - called like a class, as Keras's applications are
    input_shape: Sequence[int] = (8, 8, 1), classes: int = 10, scale: float | None = None
) -> Sequential:
    """Return a LeNet-style network for very small images, such as the digits data set's.

    Two 3x3 convolutions with zeros around them, of 32 and 64 channels, each with 2x2 max pooling;
    128 units; relu, dropout in between, softmax at the end. For 8x8x1 images and 10 classes it has
    53,002 weights.

    Parameters
    ----------
    input_shape : tuple of int
        Rows, columns, channels; at least 4 rows and columns.
    classes : int
        Number of outputs.
    scale : float, optional
        What inputs are multiplied by first, 1/16 for the digits data set.

    Raises
    ------
    ValueError
        If an argument is not of its form, or images are too small.

    Notes
    -----
    Source: Y. LeCun et al., *Gradient-based learning applied to document recognition*, 1998, for
    the arrangement; dropout (Srivastava et al., 2014), because such data sets are small.
    """
    return _network(
        "small-lenet",
        input_shape,
        scale,
        [
            Conv2D(32, 3, padding="same", activation="relu"),
            MaxPooling2D(2),
            Dropout(0.25),
            Conv2D(64, 3, padding="same", activation="relu"),
            MaxPooling2D(2),
            Dropout(0.25),
            Flatten(),
            Dense(128, activation="relu"),
            Dropout(0.5),
            Dense(classes, activation="softmax"),
        ],
    )


def LectureLeNet(  # noqa: N802
    input_shape: Sequence[int] = (28, 28, 1), classes: int = 10, scale: float | None = None
) -> Sequential:
    """Return the LeNet of lecture 003's listing: 6 and 16 channels, 120 and 84 units.

    5x5 convolutions without padding, 2x2 average pooling and tanh throughout, softmax at the end.
    For 28x28x1 images and 10 classes it has 44,426 weights.

    Parameters
    ----------
    input_shape : tuple of int
        Rows, columns, channels; at least 16 rows and columns.
    classes : int
        Number of outputs.
    scale : float, optional
        What inputs are multiplied by first, 1/255 for bytes.

    Raises
    ------
    ValueError
        If an argument is not of its form, or images are too small.

    Notes
    -----
    Source: lecture 003, after Y. LeCun et al., *Gradient-based learning applied to document
    recognition*, 1998.
    """
    return _network(
        "lecture-lenet",
        input_shape,
        scale,
        [
            Conv2D(6, 5, activation="tanh"),
            AveragePooling2D(2),
            Conv2D(16, 5, activation="tanh"),
            AveragePooling2D(2),
            Flatten(),
            Dense(120, activation="tanh"),
            Dense(84, activation="tanh"),
            Dense(classes, activation="softmax"),
        ],
    )


def LeNet20_50_500(  # noqa: N802
    input_shape: Sequence[int] = (28, 28, 1), classes: int = 10, scale: float | None = None
) -> Sequential:
    """Return the LeNet of lecture 001: 20 and 50 channels, 500 units.

    5x5 convolutions without padding, 2x2 max pooling, tanh, softmax at the end. For 28x28x1 images
    and 10 classes it has 431,080 weights.

    Parameters
    ----------
    input_shape : tuple of int
        Rows, columns, channels; at least 16 rows and columns.
    classes : int
        Number of outputs.
    scale : float, optional
        What inputs are multiplied by first, 1/255 for bytes.

    Raises
    ------
    ValueError
        If an argument is not of its form, or images are too small.

    Notes
    -----
    Source: lecture 001, "Practice on MNIST dataset", after the LISA lab's deep learning tutorial.
    The lecture gives no activation; tanh is the tutorial's. There it stands after the pooling,
    which for a monotonic function is the same. Weights are drawn uniformly within
    ±sqrt(6 / (fan_in + fan_out)), the lecture's rule for tanh, which is ``"glorot_uniform"``.
    """
    return _network(
        "lenet-20-50-500",
        input_shape,
        scale,
        [
            Conv2D(20, 5, activation="tanh"),
            MaxPooling2D(2),
            Conv2D(50, 5, activation="tanh"),
            MaxPooling2D(2),
            Flatten(),
            Dense(500, activation="tanh"),
            Dense(classes, activation="softmax"),
        ],
    )
