"""Transposed convolutions of any rank: from small grids to large ones, as decoders need them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convlet import arguments
from convlet.layers.convolution import Conv
from convlet.layers.layer import Shape
from convlet.ops import TapTable, transposed_tap_table
from convlet.ops.taps import output_paddings


class ConvTranspose(Conv):
    """A transposed convolution over a grid of ``rank`` axes; the public classes fix the rank."""

    operator = "conv_transpose"

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        output_padding: int | Sequence[int] | None = None,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        groups: int = 1,
        activation: str | None = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        *,
        algorithm: str = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters,
            kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            groups=groups,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            algorithm=algorithm,
            **kwargs,
        )
        output_paddings(self.owner, output_padding, self.strides)
        self.output_padding = (
            None
            if output_padding is None
            else arguments.per_axis(self.owner, "output_padding", output_padding, self.rank, 0)
        )

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        """Return (*window, filters / groups, channels), of the convolution that it transposes."""
        return (*self.window, self.filters // self.groups, channels)

    def table(self, grid: Sequence[int]) -> TapTable:
        """Return the table for a grid; its inputs are this layer's outputs."""
        return transposed_tap_table(
            grid,
            self.window,
            self.strides,
            self.padding,
            self.output_padding,
            self.dilation_rate,
            self.owner,
        )

    def output_grid(self, grid: Shape) -> Shape:
        """Return the sizes of the output grid, None where the input's is."""
        sizes = self.table([1 if n is None else n for n in grid]).input_shape
        return tuple(None if n is None else size for n, size in zip(grid, sizes, strict=True))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        added = self.output_padding
        return {**super().get_config(), "output_padding": None if added is None else list(added)}


class Conv1DTranspose(ConvTranspose):
    """Transposed convolution over one axis.

    What the input gradient of a `Conv1D` computes, forward: every input is spread out over the
    outputs that the convolution would read it from.

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size : int or tuple of int
        Size of the kernel along each axis, in taps.
    strides : int or tuple of int
        Distance at which neighbouring inputs are spread out, in output positions.
    padding : {"valid", "same"}
        "valid": every output that some input reaches; "same": ``size * stride`` outputs.
    output_padding : int or tuple of int, optional
        Positions added at the end, fewer than the stride; by default as many as give the sizes
        above. With it, "valid" makes ``(size - 1) * stride + extent + output_padding`` outputs,
        "same" ``(size - 1) * stride + extent % 2 + output_padding``, the extent being
        ``dilation_rate * (kernel_size - 1) + 1``.
    data_format : None or "channels_last"
        Channels always come last.
    dilation_rate : int or tuple of int
        Distance of neighbouring taps, in output positions. Above 1 only with strides of 1.
    groups : int
        Input channels and filters are cut into as many groups that do not see each other.
    activation : str, optional
        One of `convlet.layers.ACTIVATIONS`.
    use_bias : bool
        Whether each filter adds a bias.
    kernel_initializer, bias_initializer : str or Initializer
        How the first values are drawn.
    kernel_regularizer, bias_regularizer, kernel_constraint, bias_constraint
        As in `Conv1D`.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it meets its input, if that has another number of
        axes or of channels.

    Notes
    -----
    Input (batch, steps, channels), output (batch, new steps, filters), kernel (taps, filters /
    groups, channels). Sizes are those of Keras 3. Source: lecture 001, the input gradient; Zeiler
    et al., Deconvolutional networks, 2010.
    """

    rank = 1


class Conv2DTranspose(ConvTranspose):
    """Transposed convolution over two axes; arguments and errors are those of `Conv1DTranspose`."""

    rank = 2


class Conv3DTranspose(ConvTranspose):
    """Transposed convolution over three axes; arguments and errors as for `Conv1DTranspose`."""

    rank = 3
