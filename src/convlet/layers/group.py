"""Group convolutions: the same filters in every orientation, their maps turning with the image.

Cohen and Welling, *Group equivariant convolutional networks*, 2016; lecture 004. The group p4 has
the four rotations by 90 degrees, p4m these and their reflections. A *lifting* convolution turns a
filter into every orientation g,

    y[g, r] = Σ_u x[u] ⋆ (g w[u, r])

and what follows convolves maps that have orientations themselves, which turn with the filter:

    y[g, r] = Σ_h Σ_u x[h, u] ⋆ (g w[g⁻¹ h, u, r])

Both are ordinary convolutions with a kernel in which each weight stands |G| times, so they are as
fast as those. Channels are ordered by orientation first: (batch, rows, columns, |G| * maps), so
that a reshape to (rows, columns, |G|, maps) makes the orientation an axis of the grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from convlet import arguments, initializers
from convlet.engine import Buffer, Builder
from convlet.layers.convolution import WeightedWindow
from convlet.layers.layer import Shape
from convlet.layers.orbit import OrbitPooling

ORDERS = {"p4": 4, "p4m": 8}
"""Number of orientations of each group."""


def _turned(array: np.ndarray, orientation: int) -> np.ndarray:
    """Return an array whose first two axes are turned: mirrored from 4 on, then rotated."""
    mirrored = array[:, ::-1] if orientation >= 4 else array
    return np.rot90(mirrored, orientation % 4)


def _quotient(g: int, h: int) -> int:
    """Return g⁻¹h. An orientation 4 m + r mirrors if m, and then rotates r times."""
    (mirrors, r), (mirrored, s) = divmod(g, 4), divmod(h, 4)
    rotation = (r - s) % 4 if mirrors else (s - r) % 4
    return 4 * (mirrors ^ mirrored) + rotation


def kernel_index(size: int, channels: int, filters: int, order: int, lifting: bool) -> np.ndarray:
    """Return which weight stands at each place of the kernel of the ordinary convolution.

    Weights have the shape (size, size, channels, filters), ``channels`` being those of the input:
    in a group convolution all orientations of its maps.
    """
    weights = np.arange(size * size * channels * filters).reshape(size, size, channels, filters)
    if lifting:
        turned = [_turned(weights, g) for g in range(order)]
    else:
        by_orientation = weights.reshape(size, size, order, channels // order, filters)
        turned = []
        for g in range(order):
            sources = [_quotient(g, h) for h in range(order)]
            turned.append(_turned(by_orientation[:, :, sources], g).reshape(weights.shape))
    return np.concatenate(turned, axis=-1)


class GroupConv2D(WeightedWindow):
    """Convolution with every filter in all orientations of a group of rotations and reflections.

    Turn the image by 90 degrees (or mirror it, with "p4m") and the output's maps turn with it, and
    change places among the orientations: exactly, up to rounding, wherever stride and padding keep
    the grid (an odd kernel, or "valid" padding, and strides that divide what is left).

    Parameters
    ----------
    filters : int
        Number of filters; each gives as many maps as the group has orientations.
    kernel_size : int
        Rows and columns of the kernel, which is a square.
    group : {"p4", "p4m"}
        The four rotations; or these and their reflections, eight in all.
    lifting : bool
        Whether the input is an ordinary image, as for the first layer of a network. Otherwise it
        is the output of another layer of the same group.
    strides, padding, data_format, dilation_rate, activation, use_bias
        As in `Conv2D`. All orientations of a filter share its bias.
    kernel_initializer, bias_initializer : str or Initializer
        How the first values are drawn.
    kernel_regularizer, bias_regularizer, kernel_constraint, bias_constraint
        As in `Conv2D`, of a filter once, not in every orientation.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        As `Conv2D`; for a group that is unknown, a kernel that is no square, strides or dilations
        that differ by axis; when it meets its input, if its channels are no multiple of the
        group's orientations and it is not lifting.

    Notes
    -----
    Input (batch, rows, columns, channels), output (batch, new rows, new columns, orientations *
    filters), channels and filters being ordered by orientation first; kernel (rows, columns,
    channels, filters). Source: Cohen and Welling, 2016; lecture 004.
    """

    rank = 2

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        group: str = "p4",
        lifting: bool = False,
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(kernel_size, strides=strides, padding=padding, **kwargs)
        self.filters = arguments.integer(self.owner, "filters", filters)
        self.group = arguments.choice(self.owner, "group", group, tuple(ORDERS))
        self.lifting = arguments.boolean(self.owner, "lifting", lifting)
        self.kernel_initializer = self.read_initializer("kernel_initializer", kernel_initializer)
        for name in ("kernel_size", "strides", "dilation_rate"):
            sizes = getattr(self, name)
            if sizes[0] != sizes[1]:
                requirement = "the same for rows and columns, since both are turned"
                raise arguments.invalid(self.owner, name, requirement, sizes)

    @property
    def order(self) -> int:
        """Number of orientations."""
        return ORDERS[self.group]

    def channels_of(self, input_shape: Shape) -> int:
        """Return the number of input channels, checked."""
        channels = super().channels_of(input_shape)
        if not self.lifting and channels % self.order:
            raise ValueError(
                f"{self.owner}: the input must have a multiple of {self.order} channels, its maps "
                f"in all orientations of {self.group}, got {channels}; lifting=True takes an "
                "ordinary image"
            )
        return channels

    def filters_of(self, channels: int) -> int:
        """Return ``orientations * filters``."""
        return self.order * self.filters

    def make_kernels(self, channels: int) -> None:
        """Make the kernel, (rows, columns, channels, filters)."""
        shape, terms = (*self.window, channels, self.filters), self.terms_of("kernel")
        self.kernel = self.add_weight(shape, self.kernel_initializer, name="kernel", **terms)

    def bias_size(self, channels: int) -> int:
        """Return the number of filters: all orientations share a bias."""
        return self.filters

    def bias_buffer(self, builder: Builder) -> Buffer:
        """Return the bias, once for each orientation."""
        return builder.tied(self.bias, np.tile(np.arange(self.filters), self.order))

    def convolve(self, builder: Builder, x: Buffer) -> Buffer:
        """Append a convolution with the filters in all orientations."""
        table, (size, _) = self.table(x.shape[:-1]), self.window
        index = kernel_index(size, x.shape[-1], self.filters, self.order, self.lifting)
        shape = (*table.output_shape, self.order * self.filters)
        kernel = builder.tied(self.kernel, index)
        return builder.apply("conv", x, kernel, shape=shape, table=table, groups=1)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "group": self.group,
            "lifting": self.lifting,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
        }


class GroupPooling2D(OrbitPooling):
    """The maximum or the mean of every map over its orientations.

    Behind group convolutions it leaves maps that turn with the image and have no orientation of
    their own; a global pooling behind it leaves numbers that are invariant.

    Parameters
    ----------
    group : {"p4", "p4m"}
        That of the layers before it.
    operation : {"max", "mean"}
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it meets its input, if its channels are no multiple
        of the group's orientations.

    Notes
    -----
    Input (batch, rows, columns, orientations * maps), output (batch, rows, columns, maps). Source:
    Cohen and Welling, 2016; lecture 000, proposition 1.
    """

    def __init__(self, group: str = "p4", operation: str = "max", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.group = arguments.choice(self.owner, "group", group, tuple(ORDERS))
        self.operation = arguments.choice(self.owner, "operation", operation, ("max", "mean"))
        self.orbit_size = ORDERS[self.group]
        self.operator = "max_pool" if self.operation == "max" else "average_pool"

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "group": self.group, "operation": self.operation}
