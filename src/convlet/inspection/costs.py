"""What an image costs: how often a weight is multiplied by a number of the image and added up.

Counted are the products of convolutions and fully connected layers, those with padding, too, as
tables of networks count them: lecture 000 has more than 265 million from 13x13x384 numbers to 4096.
Poolings, activations, normalizations and merging are not counted, nor what layers of one's own do.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from convlet import arguments
from convlet.engine import Buffer, Builder
from convlet.layers.layer import Layer
from convlet.layers.structures import leaves, mapped


def multiply_adds(layer: Layer, input_shape: Sequence[Any] | None = None) -> int:
    """Return how many multiply-adds a layer or a model does for one image going forward.

    Parameters
    ----------
    layer : Layer
        A model is one, too. It is built if need be.
    input_shape : tuple, optional
        Without the batch; a list of them for several inputs. By default the shape of a model's
        input.

    Raises
    ------
    ValueError
        If the shape is not given, leaves sizes open, or the layer cannot take it.

    Examples
    --------
    >>> from convlet.inspection import multiply_adds
    >>> from convlet.layers import Conv2D
    >>> multiply_adds(Conv2D(384, 3, padding="same"), (13, 13, 384))
    224280576
    """
    return sum(multiply_adds_by_layer(layer, input_shape).values())


def multiply_adds_by_layer(layer: Layer, input_shape: Sequence[Any] | None = None) -> Counter[str]:
    """Return the multiply-adds of a model's layers by their names; see `multiply_adds`.

    A layer that is called several times counts as often. A model inside counts under its own name,
    and what is not in a model under "".
    """
    shapes = _shapes(layer, input_shape)
    layer.ensure_built(mapped(lambda shape: (None, *shape), shapes))
    builder, numbers = Builder(), iter(range(len(leaves(shapes))))
    layer.trace(builder, mapped(lambda s: builder.feed(f"input:{next(numbers)}", s), shapes))
    counts: Counter[str] = Counter()
    kernels = {
        i.writes[0]: int((i.attributes["index"] >= 0).sum())
        for i in builder.instructions
        if i.operator == "tie"
    }
    for instruction in builder.instructions:
        x, *others = (builder.buffers[name] for name in instruction.reads)
        uses = _uses(instruction.operator, x, builder.buffers[instruction.writes[0]])
        if uses:
            kernel = others[0]
            weights = kernels.get(kernel.name, math.prod(kernel.shape))
            counts[instruction.layer.split("/")[0]] += uses * weights
    return counts


def _shapes(layer: Layer, input_shape: Any) -> Any:
    """Return the inputs' shapes, without the batch, with all sizes known."""
    owner = "multiply_adds"
    if input_shape is None:
        given = getattr(layer, "input_shape", None)
        if given is None:
            raise ValueError(f"{owner}: {layer.owner} needs an input_shape")
        input_shape = mapped(lambda shape: shape[1:], given)
    return mapped(lambda shape: arguments.shape(owner, "input_shape", shape), input_shape)


def _uses(operator: str, x: Buffer, y: Buffer) -> int:
    """Return how often an operator uses each number of its kernel for an image, 0 without one."""
    if operator == "conv":
        return math.prod(y.shape[:-1])
    if operator in ("dense", "conv_transpose"):
        return math.prod(x.shape[:-1])
    return int(operator == "local_conv")
