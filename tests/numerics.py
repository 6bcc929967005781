"""What the numerical tests share: slow, certain definitions, and small cases to try things on."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from convlet.engine import Buffer, Builder, Variable
from convlet.ops import TakeTable, TapTable, tap_table


def normal(*shape: int, seed: int = 0, dtype: str = "float64") -> np.ndarray:
    """Return standard normal numbers, the same ones for the same shape and seed."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def distinct(*shape: int, seed: int = 0) -> np.ndarray:
    """Return numbers that are 1 apart, shuffled: small steps never change which is largest."""
    count = int(np.prod(shape))
    return np.random.default_rng([seed, *shape]).permutation(count).reshape(shape) - count / 2


def central_difference(
    function: Callable[[np.ndarray], float], x: np.ndarray, step: float = 1e-5
) -> np.ndarray:
    """Return the gradient of a scalar function: (f(x + h) - f(x - h)) / 2h, element by element."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[index] += step
        below[index] -= step
        gradient[index] = (function(above) - function(below)) / (2 * step)
    return gradient


def read_through(table: TapTable, output: tuple[int, ...], tap: tuple[int, ...]) -> tuple | None:
    """Return the input position that an output reads through a tap, None for padding."""
    position = tuple(
        o * axis.stride + t * axis.dilation - axis.begin
        for axis, o, t in zip(table.axes, output, tap, strict=True)
    )
    inside = all(0 <= p < axis.size for axis, p in zip(table.axes, position, strict=True))
    return position if inside else None


def conv_by_loops(
    x: np.ndarray, kernel: np.ndarray, table: TapTable, groups: int = 1
) -> np.ndarray:
    """Return lecture 000's formula 20, one multiplication at a time."""
    *_, channels, filters = kernel.shape
    y = np.zeros((len(x), *table.output_shape, filters), x.dtype)
    for output, tap in itertools.product(
        np.ndindex(table.output_shape), np.ndindex(table.kernel_shape)
    ):
        position = read_through(table, output, tap)
        if position is None:
            continue
        for image, u, r in itertools.product(range(len(x)), range(channels), range(filters)):
            first_channel = r // (filters // groups) * channels
            y[(image, *output, r)] += (
                kernel[(*tap, u, r)] * x[(image, *position, first_channel + u)]
            )
    return y


def windows_by_loops(x: np.ndarray, table: TapTable) -> dict[tuple[int, ...], list]:
    """Return, for each image, output and channel, the pairs (number of the tap, value read)."""
    windows = {}
    for image, channel in itertools.product(range(len(x)), range(x.shape[-1])):
        for output in np.ndindex(table.output_shape):
            read = []
            for number, tap in enumerate(np.ndindex(table.kernel_shape)):
                position = read_through(table, output, tap)
                if position is not None:
                    read.append((number, x[(image, *position, channel)]))
            windows[(image, *output, channel)] = read
    return windows


@st.composite
def tables(draw: st.DrawFn, ranks: tuple[int, ...] = (1, 2, 3)) -> TapTable:
    """Draw a tap table of any stride, dilation and padding, smaller the more axes it has."""
    rank = draw(st.sampled_from(ranks))
    largest_size, largest_kernel = ((9, 4), (9, 4), (6, 3), (4, 3), (3, 2))[rank]
    largest_stride, largest_dilation = (4, 3) if rank < 3 else (2, 2)

    def per_axis(largest: int) -> list[int]:
        return draw(st.lists(st.integers(1, largest), min_size=rank, max_size=rank))

    shape, kernel = per_axis(largest_size), per_axis(largest_kernel)
    strides, dilation = per_axis(largest_stride), per_axis(largest_dilation)
    pair = st.tuples(st.integers(0, 6), st.integers(0, 6))
    padding = draw(
        st.sampled_from(["valid", "same", "causal"]) | st.lists(pair, min_size=rank, max_size=rank)
    )
    if padding != "same":  # there must be room for one window
        shape = [max(n, d * (k - 1) + 1) for n, d, k in zip(shape, dilation, kernel, strict=True)]
    return tap_table(shape, kernel, strides, padding, dilation)


@st.composite
def take_tables(draw: st.DrawFn, widths: tuple[int, ...] = (1, 2, 5)) -> TakeTable:
    """Draw a take table of runs of constants and of numbers taken never, once or several times."""
    groups, width = draw(st.integers(1, 12)), draw(st.sampled_from(widths))
    run = st.tuples(st.integers(-1, groups - 1), st.integers(1, 6))
    sources: list[int] = []
    for first, length in draw(st.lists(run, min_size=1, max_size=8)):
        sources += [-1] * length if first < 0 else range(first, min(first + length, groups))
    places = np.array(sources, np.int32)
    offsets = (np.where(places < 0, -1, places * width), np.arange(width, dtype=np.int32))
    return TakeTable((groups, width), offsets)


class SumOfSquares:
    """The loss of the fewest lines, over the last axis."""

    output_activation: str | None = None

    def call(self, targets: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        return ((prediction - targets) ** 2).sum(axis=-1)

    def gradient(self, targets: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        return 2 * (prediction - targets)

    def from_logits_twin(self) -> object:
        return None


def variable(name: str, *shape: int, trainable: bool = True, dtype: str = "float64") -> Variable:
    """Return a variable of standard normal numbers, others for each name."""

    def draw(shape: tuple[int, ...], dtype: str, seed: int) -> np.ndarray:
        return normal(*shape, seed=seed, dtype=dtype)

    return Variable(name, shape, dtype, draw, sum(name.encode()), trainable)


def add_dense(builder: Builder, x: Buffer, kernel: Variable) -> Buffer:
    """Append a fully connected layer without a bias, named after its kernel."""
    with builder.scope(kernel.name):
        shape = (*x.shape[:-1], kernel.shape[-1])
        return builder.apply("dense", x, builder.parameter(kernel), shape=shape)


def add_conv(
    builder: Builder,
    x: Buffer,
    kernel: Variable,
    groups: int = 1,
    algorithm: str = "direct",
    **window: object,
) -> Buffer:
    """Append a convolution, named after its kernel; ``window`` is what `tap_table` takes."""
    with builder.scope(kernel.name):
        table = tap_table(x.shape[:-1], kernel.shape[:-2], **window)
        shape = (*table.output_shape, kernel.shape[-1])
        operand = builder.parameter(kernel)
        return builder.apply(
            "conv", x, operand, shape=shape, table=table, groups=groups, algorithm=algorithm
        )


def add_flatten(builder: Builder, x: Buffer) -> Buffer:
    """Append a reshaping to one axis."""
    shape = (int(np.prod(x.shape)),)
    return builder.apply("reshape", x, shape=shape, input_shape=x.shape, output_shape=shape)
