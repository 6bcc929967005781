"""Which convolutions the C++ core does in transformed tiles, and how large the tiles are.

`native/kernels/fourier.hpp` and `native/kernels/winograd.hpp` say how it works. It pays where
products of channels outnumber the transforms' points: many channels, many taps. A large tile wastes
less of itself at its borders, a small one stays in the cache and has fewer weights to transform.
Winograd's tiles are small, for windows of few taps.

The choice is by shapes and the batch's size alone; for predictions by shapes, as if images came one
at a time, so that an image's prediction has the same bits in any batch.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import NamedTuple

from convlet.engine.costs import direct_cost, kernel_shape
from convlet.engine.program import Instruction, Program
from convlet.engine.tables import native_axis
from convlet.ops import TapTable


class Tile(NamedTuple):
    """How a convolution is cut and transformed.

    Parameters
    ----------
    is_fourier : bool
        By Fourier transform; otherwise by Winograd's filtering.
    points : tuple of int
        Of a tile along each axis.
    """

    is_fourier: bool
    points: tuple[int, ...]

    @property
    def slots(self) -> int:
        """The real numbers that a transformed tile becomes: see native/kernels/fourier.hpp."""
        if not self.is_fourier:
            return math.prod(self.points)
        real = math.prod(1 if n == 1 else 2 for n in self.points)
        return real + (math.prod(self.points) - real) // 2 * 3

    @property
    def name(self) -> str:
        """For profiles and plans."""
        way = "FFT" if self.is_fourier else "Winograd"
        return f"{way}, tiles of {' x '.join(map(str, self.points))}"


_OPERATORS = ("conv", "conv_transpose", "conv_input_gradient", "conv_kernel_gradient")
_TRANSPOSED = ("conv_transpose", "conv_input_gradient")
_FOURIER_POINTS = (4, 6, 8, 12, 16, 24, 32)  # of an axis: what transform_tiles.hpp has
_MOST_ALONE = 64  # of the only axis
_MOST_POINTS = 1024  # of a tile: TILE_BUFFER of native/kernels.hpp
_MOST_AXES = 3
_WINOGRAD_POINTS = {2: (4, 6), 3: (4, 6), 4: (6,), 5: (6,)}  # by taps: what winograd.hpp has

# Costs, in multiply-adds of the best kernels. Of a tile's point, there or back, for a channel:
_DOUBLING = 3.5  # by Fourier transform, for each doubling of the points
_DOUBLING_ALONE = 2.5  # of an only axis
_LARGE, _LARGE_POINT = 512, 1.8  # points that outgrow the L1 cache, and how many times it is then
_WINOGRAD_POINT = (6.5, 7.0, 10.0)  # of one, two and three axes
_APART = 1.6  # times, where images side by side keep points apart,
_APART_ALONE = 2.2  # also by Fourier transform of an only axis
_BY_LANES = 2.0  # the transform of a delta that must be brought to images, times
_PRODUCT = 1.1
# With one lane:
_BEGIN_PRODUCT = 2.0  # as if so many more channels were summed
_GRADIENT_POINT = 1.6  # times, of several axes: a kernel gradient's slots are kept farther away
_PART_POINT = 6.0  # more, where channels do not fill their vectors
# For each band of tiles, up to so many weights: they stay in the L2 cache, in the L3 cache, or
# nowhere. Those that stay nowhere are written to memory, too.
_READ_WEIGHT = ((1 << 19, 1.0), (1 << 21, 4.5), (math.inf, 30.0))
_WRITE_WEIGHT = 20.0
# Of the slots that a thread keeps at a time, as in native/transformed.cpp.
_BAND_FLOATS, _MOST_BAND_FLOATS = 1 << 17, 12 << 18
_GRADIENT_BAND_FLOATS, _MOST_GRADIENT_BAND_FLOATS = 3 << 17, 6 << 18


def tile_for(
    program: Program, instruction: Instruction, images: int, lanes: int, width: int
) -> Tile | None:
    """Return the tile of a convolution, or None for a direct one.

    Parameters
    ----------
    program : Program
    instruction : Instruction
    images : int
        The batch's size.
    lanes : int
        Images in a block.
    width : int
        Floats in a register.

    Raises
    ------
    ValueError
        If "fft" or "winograd" is asked for and the window is too large for a tile.
    """
    algorithm = instruction.attributes.get("algorithm", "auto")
    if instruction.operator not in _OPERATORS or algorithm == "direct":
        return None
    is_training = bool(program.backward)
    if not is_training:
        images = lanes = 1
    costs = {
        tile: transform_cost(program, instruction, tile, images, lanes, width)
        for tile in _possible_tiles(instruction)
        if algorithm in ("auto", "fft" if tile.is_fourier else "winograd")
    }
    if not costs and algorithm != "auto":
        window = "x".join(map(str, instruction.attributes["table"].kernel_shape))
        raise ValueError(
            f"{instruction.layer}: algorithm {algorithm!r} has no tile for a window of {window}; "
            "'auto' and 'direct' take any"
        )
    if not costs:
        return None
    best = min(costs, key=lambda tile: costs[tile])
    pays = costs[best] < direct_cost(program, instruction, lanes, width)
    return best if pays or algorithm != "auto" else None


def _possible_tiles(instruction: Instruction) -> list[Tile]:
    """Return the tiles that a convolution can be cut into; none if it must be direct."""
    table: TapTable = instruction.attributes["table"]
    axes = [native_axis(axis) for axis in table.axes]
    grouped = instruction.attributes["groups"] > 1
    both = any(stride > 1 and dilation > 1 for _, _, stride, dilation, _, _ in axes)
    if grouped or both or len(axes) > _MOST_AXES or not axes:
        return []
    taps = [-(-taps // stride) for _, taps, stride, _, _, _ in axes]  # of a phase
    fourier = [[n for n in _FOURIER_POINTS if n > t] if t > 1 else [1] for t in taps]
    if len(axes) == 1 and 1 < taps[0] < _MOST_ALONE:
        fourier[0].append(_MOST_ALONE)
    winograd = [_WINOGRAD_POINTS.get(t, ()) if t > 1 else [1] for t in taps]
    return [*_tiles(True, fourier), *_tiles(False, winograd)]


def _tiles(is_fourier: bool, choices: Iterable[Iterable[int]]) -> list[Tile]:
    """Return the tiles of any combination of points that fits the buffer."""
    tiles = [Tile(is_fourier, points) for points in itertools.product(*choices)]
    return [tile for tile in tiles if 1 < math.prod(tile.points) <= _MOST_POINTS]


def tiles_of_image(instruction: Instruction, tile: Tile) -> int:
    """Return how many tiles an image is cut into."""
    is_transposed = instruction.operator in _TRANSPOSED
    count = 1
    for axis, points in zip(instruction.attributes["table"].axes, tile.points, strict=True):
        size, taps, stride, dilation, begin, outputs = native_axis(axis)
        inside = points - -(-taps // stride) + 1
        apart = stride * dilation
        if is_transposed:
            span = (size - 1 + begin) // apart + 1 - begin // apart
        else:
            span = -(-outputs // dilation)
        count *= dilation * -(-span // inside)
    return count


def transform_cost(
    program: Program,
    instruction: Instruction,
    tile: Tile,
    images: int,
    lanes: int,
    width: int,
) -> float:
    """Return the cost of a convolution for one block of images, its kernel's transform included."""
    *_, channels, filters = kernel_shape(program, instruction)
    phases = math.prod(native_axis(axis)[2] for axis in instruction.attributes["table"].axes)
    points, tiles = math.prod(tile.points), tiles_of_image(instruction, tile)
    is_transposed = instruction.operator in _TRANSPOSED
    is_kernel_gradient = instruction.operator == "conv_kernel_gradient"

    def whole(numbers: int) -> int:  # with one lane, numbers side by side fill vectors
        return -(-numbers // width) * width if lanes == 1 else numbers

    # of phases, transforms are many, and products are one of all
    read, rows = (filters, phases * channels) if is_transposed else (phases * channels, filters)
    weights = tile.slots * read * whole(rows)
    point = _point_cost(tile, lanes)
    of_delta = _BY_LANES if is_kernel_gradient and lanes > 1 else 1.0
    transformed = phases * whole(channels) + of_delta * whole(filters)
    products = lanes * tiles * weights * _PRODUCT
    if lanes == 1:
        products *= 1 + _BEGIN_PRODUCT / read
        transformed *= _GRADIENT_POINT if is_kernel_gradient and len(tile.points) > 1 else 1.0
        part = sum(n * whole(c) for n, c in ((phases, channels), (1, filters)) if c % width)
        transformed += part * _PART_POINT / point
    transforms = lanes * tiles * points * point * transformed
    of_kernel = read * whole(rows) * points * point
    band = min(max(weights // 2, _BAND_FLOATS), _MOST_BAND_FLOATS)
    if is_kernel_gradient:
        band = min(max(2 * weights, _GRADIENT_BAND_FLOATS), _MOST_GRADIENT_BAND_FLOATS)
    bands = -(-tiles // max(1, band // (lanes * tile.slots * (read + whole(rows)))))
    if is_kernel_gradient:  # the sums go back once for each band
        return transforms + products + bands * of_kernel
    reading = next(cost for limit, cost in _READ_WEIGHT if weights <= limit)
    if program.backward:  # the kernel is a new one in each step
        if weights > _READ_WEIGHT[1][0]:
            of_kernel += _WRITE_WEIGHT * weights
        of_kernel /= -(-images // lanes)
    else:
        of_kernel = 0.0
    return transforms + products + of_kernel + reading * weights * bands


def _point_cost(tile: Tile, lanes: int) -> float:
    """Return the cost of a point's transform, there or back, for a channel."""
    points = math.prod(tile.points)
    axes = sum(n > 1 for n in tile.points)
    if not tile.is_fourier:
        return _WINOGRAD_POINT[axes - 1] * (_APART if lanes > 1 else 1.0)
    if axes == 1:
        return math.log2(points) * _DOUBLING_ALONE * (_APART_ALONE if lanes > 1 else 1.0)
    return math.log2(points) * _DOUBLING * (_LARGE_POINT if points > _LARGE else 1.0)
