"""Convolutional layers of any rank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convlet import arguments, initializers
from convlet.engine import Buffer, Builder
from convlet.layers.activation import activation_name, trace_activation
from convlet.layers.layer import Shape
from convlet.layers.window import WindowLayer

ALGORITHMS = ("auto", "direct", "fft", "winograd")
WINOGRAD_TAPS = 5  # along an axis at most: what native/kernels/winograd.hpp has


class WeightedWindow(WindowLayer):
    """A window of weights that slides over a grid of ``rank`` axes; then a bias and an activation.

    What all convolutional layers share: subclasses make their kernels in `build` and use them in
    `trace`.
    """

    paddings: Sequence[str] = ("valid", "same")
    regularized: tuple[str, ...] = ("kernel", "bias")

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        *,
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: str | None = None,
        use_bias: bool = True,
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        owner, rank = self.owner, self.rank
        self.window = arguments.per_axis(owner, "kernel_size", kernel_size, rank)
        self.strides = arguments.per_axis(owner, "strides", strides, rank)
        self.padding = self.read_padding(padding, self.paddings)
        self.dilation_rate = arguments.per_axis(owner, "dilation_rate", dilation_rate, rank)
        self.activation = activation_name(owner, activation)
        self.use_bias = arguments.boolean(owner, "use_bias", use_bias)
        self.bias_initializer = self.read_initializer("bias_initializer", bias_initializer)
        self._built_for: int | None = None
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{owner}: strides above 1 cannot go with dilation_rate above 1, "
                f"got strides={self.strides} and dilation_rate={self.dilation_rate}"
            )

    @property
    def kernel_size(self) -> tuple[int, ...]:
        """Size of the kernel, in taps."""
        return self.window

    def channels_of(self, input_shape: Shape) -> int:
        """Return the number of input channels, checked."""
        self.check_input_shape(input_shape)
        channels = input_shape[-1]
        assert channels is not None
        if self.built and channels != self._built_for:
            raise ValueError(
                f"{self.owner}: the input must have {self._built_for} "
                f"channels, for which the kernel was made, got {channels}"
            )
        return channels

    def filters_of(self, channels: int) -> int:
        """Return the number of output channels for a number of input channels."""
        raise NotImplementedError

    def build(self, input_shape: Shape) -> None:
        """Make kernels and bias."""
        self._built_for = self.channels_of(input_shape)
        self.make_kernels(self._built_for)
        if self.use_bias:
            shape = (self.bias_size(self._built_for),)
            terms = self.terms_of("bias")
            self.bias = self.add_weight(shape, self.bias_initializer, name="bias", **terms)

    def bias_size(self, channels: int) -> int:
        """Return the number of biases for a number of input channels."""
        return self.filters_of(channels)

    def bias_buffer(self, builder: Builder) -> Buffer:
        """Return the bias of each output channel."""
        return builder.parameter(self.bias)

    def make_kernels(self, channels: int) -> None:
        """Make the kernels for a number of input channels."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, *output grid, filters)."""
        filters = self.filters_of(self.channels_of(input_shape))
        return (input_shape[0], *self.output_grid(input_shape[1:-1]), filters)

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append convolution, bias and activation."""
        y = self.convolve(builder, x)
        if self.use_bias:
            y = builder.apply("add_bias", y, self.bias_buffer(builder), shape=y.shape)
        return trace_activation(builder, y, self.activation)

    def convolve(self, builder: Builder, x: Buffer) -> Buffer:
        """Append what comes before the bias."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {
            **super().get_config(),
            "kernel_size": list(self.window),
            "strides": list(self.strides),
            "padding": self.padding,
            "dilation_rate": list(self.dilation_rate),
            "activation": self.activation,
            "use_bias": self.use_bias,
            "bias_initializer": initializers.serialize(self.bias_initializer),
        }


class Conv(WeightedWindow):
    """A convolution over a grid of ``rank`` axes; `Conv1D`, `Conv2D` and `Conv3D` fix the rank.

    What networks call convolution is cross-correlation; see `convlet.ops.conv` for the formula and
    its gradients.
    """

    operator = "conv"

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
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
            kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            bias_initializer=bias_initializer,
            **kwargs,
        )
        self.filters = arguments.integer(self.owner, "filters", filters)
        self.groups = arguments.integer(self.owner, "groups", groups)
        self.kernel_initializer = self.read_initializer("kernel_initializer", kernel_initializer)
        if self.filters % self.groups:
            raise arguments.invalid(
                self.owner, "filters", f"a multiple of groups ({self.groups})", self.filters
            )
        self.algorithm = arguments.choice(self.owner, "algorithm", algorithm, ALGORITHMS)
        self._check_algorithm()

    def _check_algorithm(self) -> None:
        by_tiles = self.algorithm in ("fft", "winograd")
        if by_tiles and (max(self.strides) > 1 or self.groups > 1):
            raise ValueError(
                f"{self.owner}: algorithm {self.algorithm!r} needs strides and groups of 1, "
                f"got strides={self.strides} and groups={self.groups}"
            )
        if self.algorithm == "winograd" and not 1 < max(self.window) <= WINOGRAD_TAPS:
            raise ValueError(
                f"{self.owner}: algorithm 'winograd' is for windows of 2 to {WINOGRAD_TAPS} taps "
                f"along an axis, got kernel_size={self.window}"
            )

    def channels_of(self, input_shape: Shape) -> int:
        """Return the number of input channels, checked."""
        channels = super().channels_of(input_shape)
        if channels % self.groups:
            raise ValueError(
                f"{self.owner}: groups must divide the input's channels, "
                f"got groups={self.groups} and {channels} channels"
            )
        return channels

    def filters_of(self, channels: int) -> int:
        """Return ``filters``."""
        return self.filters

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        """Return (*window, channels / groups, filters)."""
        return (*self.window, channels // self.groups, self.filters)

    def make_kernels(self, channels: int) -> None:
        """Make the kernel."""
        shape, terms = self.kernel_shape(channels), self.terms_of("kernel")
        self.kernel = self.add_weight(shape, self.kernel_initializer, name="kernel", **terms)

    def convolve(self, builder: Builder, x: Buffer) -> Buffer:
        """Append one instruction."""
        table = self.table(x.shape[:-1])
        grid = tuple(n for n in self.output_grid(x.shape[:-1]) if n is not None)
        shape, kernel = (*grid, self.filters), builder.parameter(self.kernel)
        return builder.apply(
            self.operator,
            x,
            kernel,
            shape=shape,
            table=table,
            groups=self.groups,
            algorithm=self.algorithm,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "groups": self.groups,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "algorithm": self.algorithm,
        }


class Conv1D(Conv):
    """Convolution over one axis: sound and other signals.

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size : int or tuple of int
        Size of the kernel along each axis, in taps.
    strides : int or tuple of int
        Distance of neighbouring outputs, in input positions.
    padding : {"valid", "same", "causal"}
        "valid": only where the kernel lies inside the input; "same": zeros around it, so that
        ``ceil(size / stride)`` outputs are left; "causal": zeros before it, so that no output
        depends on a later input.
    data_format : None or "channels_last"
        Channels always come last.
    dilation_rate : int or tuple of int
        Distance of neighbouring taps, in input positions. Above 1 only with strides of 1.
    groups : int
        Input channels and filters are cut into as many groups that do not see each other.
    activation : str, optional
        One of `convlet.layers.ACTIVATIONS`.
    use_bias : bool
        Whether each filter adds a bias.
    kernel_initializer, bias_initializer : str or Initializer
        How the first values are drawn.
    kernel_regularizer, bias_regularizer : str or Regularizer, optional
        What the weights add to the loss.
    kernel_constraint, bias_constraint : str or Constraint, optional
        What the weights must be after every step of training.
    algorithm : {"auto", "direct", "fft", "winograd"}
        Sums as they stand; by fast Fourier transform, or by Winograd's filtering of windows of at
        most 5 taps, which need strides and groups of 1; or whichever is estimated to be faster,
        from shapes and batch size, for predictions from shapes alone. Both transforms' errors are
        of the order of the largest numbers near by, and NaN and infinity spread over everything
        near by. Winograd's is the C++ core's; the reference takes the sums as they stand.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it meets its input, if that has another number of
        axes, channels that groups do not divide, or is smaller than the kernel.

    Notes
    -----
    Input (batch, steps, channels), output (batch, new steps, filters), kernel (taps, channels /
    groups, filters). Source: lecture 004, part two.
    """

    rank = 1
    paddings = ("valid", "same", "causal")


class Conv2D(Conv):
    """Convolution over two axes: images, spectrograms.

    Arguments and errors are those of `Conv1D`, with "valid" and "same" padding.

    Notes
    -----
    Input (batch, height, width, channels), output (batch, new height, new width, filters), kernel
    (rows, columns, channels / groups, filters). Source: lectures 000, formula 20, and 003.
    """

    rank = 2


class Conv3D(Conv):
    """Convolution over three axes: volumes, video.

    Arguments and errors are those of `Conv1D`, with "valid" and "same" padding.

    Notes
    -----
    Input (batch, depth, height, width, channels), output likewise with filters in place of
    channels, kernel (depth, rows, columns, channels / groups, filters). Source: lecture 004, part
    three.
    """

    rank = 3
