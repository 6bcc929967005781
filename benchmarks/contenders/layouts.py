"""Keras's weights for the libraries that name the channels before the rows and columns."""

from __future__ import annotations

import numpy as np

from networks import (
    BatchNorm,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    Network,
    has_bias,
)


def channels_first(network: Network, weights: list[np.ndarray]) -> list[np.ndarray]:
    """Return the weights with axes (out, in, rows, columns) and (out, in).

    A dense layer behind a flattening reads its inputs in the order channel, row, column.
    """
    remaining, result, flattened = iter(weights), [], None
    for layer, before, _ in network.shapes():
        match layer:
            case Flatten():
                flattened = before
            case Conv():
                order = (2, 3, 0, 1) if isinstance(layer, DepthwiseConv) else (3, 2, 0, 1)
                result += [np.ascontiguousarray(next(remaining).transpose(order))]
                result += [next(remaining)] if has_bias(layer) else []
            case BatchNorm():
                result += [next(remaining) for _ in range(4)]
            case Dense():
                kernel = next(remaining)
                if flattened:
                    by_place = kernel.reshape(*flattened, -1).transpose(2, 0, 1, 3)
                    kernel, flattened = by_place.reshape(kernel.shape), None
                result += [np.ascontiguousarray(kernel.T), next(remaining)]
    return result
