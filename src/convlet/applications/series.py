"""Networks along one axis: for waveforms, and for series of sensors' values and the like."""

from __future__ import annotations

from collections.abc import Sequence

from convlet.layers import (
    BatchNormalization,
    Conv1D,
    Dense,
    Dropout,
    GlobalAveragePooling1D,
    Input,
    MaxPooling1D,
    ReLU,
    Rescaling,
)
from convlet.models import Sequential

_MOMENTUM = 0.9  # statistics follow within tens of steps, as many as small data sets have


def _begun(name: str, input_shape: Sequence[int], scale: float | None) -> Sequential:
    """Return a network that multiplies its input by ``scale``, if given, and does nothing more."""
    first = [] if scale is None else [Rescaling(scale)]
    return Sequential([Input(input_shape), *first], name=name)


def _add_convolution(model: Sequential, filters: int, taps: int, stride: int = 1) -> None:
    """Add a convolution, batch normalization and relu."""
    model.add(Conv1D(filters, taps, strides=stride, padding="same", use_bias=False))
    model.add(BatchNormalization(momentum=_MOMENTUM))
    model.add(ReLU())


def SmallM5(  # noqa: N802 - called like a class, as Keras's applications are
    input_shape: Sequence[int] = (8000, 1), classes: int = 10, scale: float | None = None
) -> Sequential:
    """Return a network for raw waveforms, of four convolutions that are each pooled by 4.

    The first one has 32 channels, 64 taps and stride 4, the others 64, 128 and 128 channels and 5
    taps; all with batch normalization and relu. The mean over time, dropout, softmax. It has
    137,866 weights for one channel and 10 classes, 704 of them the normalizations' statistics.

    Parameters
    ----------
    input_shape : tuple of int
        Steps and channels; at least 1,021 steps.
    classes : int
        Number of outputs.
    scale : float, optional
        What inputs are multiplied by first.

    Raises
    ------
    ValueError
        If an argument is not of its form, or the waveforms are too short.

    Notes
    -----
    Source: W. Dai et al., *Very deep convolutional neural networks for raw waveforms*, 2017, whose
    M5 has 128 to 512 channels, for recordings of 4 s.
    """
    model = _begun("small-m5", input_shape, scale)
    for filters, taps, stride in ((32, 64, 4), (64, 5, 1), (128, 5, 1), (128, 5, 1)):
        _add_convolution(model, filters, taps, stride)
        model.add(MaxPooling1D(4))
    model.add(GlobalAveragePooling1D())
    model.add(Dropout(0.3))
    model.add(Dense(classes, activation="softmax"))
    return model


def SeriesFCN(  # noqa: N802
    input_shape: Sequence[int] = (128, 1), classes: int = 10, scale: float | None = None
) -> Sequential:
    """Return a network for series of any length: three convolutions and the mean over time.

    128, 256 and 128 channels, 8, 5 and 3 taps, with batch normalization and relu, no pooling;
    softmax. It has 266,506 weights for one channel and 10 classes, 1,024 of them the
    normalizations' statistics.

    Parameters
    ----------
    input_shape : tuple of int
        Steps and channels.
    classes : int
        Number of outputs.
    scale : float, optional
        What inputs are multiplied by first.

    Raises
    ------
    ValueError
        If an argument is not of its form.

    Notes
    -----
    Source: Z. Wang, W. Yan and T. Oates, *Time series classification from scratch with deep neural
    networks: a strong baseline*, 2017, where it is called FCN.
    """
    model = _begun("series-fcn", input_shape, scale)
    for filters, taps in ((128, 8), (256, 5), (128, 3)):
        _add_convolution(model, filters, taps)
    model.add(GlobalAveragePooling1D())
    model.add(Dense(classes, activation="softmax"))
    return model
