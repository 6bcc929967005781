"""Which convolutions the C++ core does by the Fourier transform, and how large their tiles are.

`native/kernels/fourier.hpp` says how it works. It pays where products of channels outnumber the
transforms' points: many channels, many taps. A large tile wastes less of itself at its borders, a
small one stays in the cache and has fewer weights to transform.

The choice is by shapes and the batch's size alone; for predictions by shapes, as if images came one
at a time, so that an image's prediction has the same bits in any batch.
"""

from __future__ import annotations

import itertools
import math

from convlet.engine.costs import direct_cost, kernel_shape
from convlet.engine.program import Instruction, Program
from convlet.engine.tables import native_axis
from convlet.ops import TapTable

Tile = tuple[int, ...]

_OPERATORS = ("conv", "conv_transpose", "conv_input_gradient", "conv_kernel_gradient")
_POINTS = (4, 6, 8, 12, 16, 24, 32)  # of an axis: the sizes that kernels/fourier.hpp unrolls
_MOST_ALONE = 64  # of the only axis
_MOST_POINTS = 1024  # of a tile: FOURIER_POINTS of native/kernels.hpp
_MOST_AXES = 3

# Costs, in multiply-adds of the best kernels.
_POINT = 22.0  # of a tile, there or back, for each channel
_LARGE_POINT = 40.0  # where the tile outgrows the L1 cache
_LARGE = 512
_BY_LANES = 2.0  # the transform of a delta that must be brought to images, times
_PRODUCT = 1.1
# For each block, up to so many weights: they stay in the L2 cache, in the L3 cache, or nowhere.
# Those that stay nowhere are written to memory, too.
_READ_WEIGHT = ((1 << 19, 1.0), (1 << 22, 4.5), (math.inf, 14.0))
_WRITE_WEIGHT = 20.0
# Of the slots that a thread keeps at a time for a kernel gradient (GRADIENT_BAND_BYTES of
# native/fourier.cpp); forward it keeps half, and how often weights are read anew counts for less.
_BAND_FLOATS = 6 << 18


def tile_for(
    program: Program, instruction: Instruction, images: int, lanes: int, width: int
) -> Tile | None:
    """Return the points of a tile along each axis, or None for a direct convolution.

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
        If "fft" is asked for and the window is too large for a tile.
    """
    algorithm = instruction.attributes.get("algorithm", "auto")
    if instruction.operator not in _OPERATORS or algorithm == "direct":
        return None
    is_training = bool(program.backward)
    if not is_training:
        images = lanes = 1
    costs = {
        tile: fourier_cost(program, instruction, tile, images, lanes, width)
        for tile in _possible_tiles(instruction)
    }
    if not costs and algorithm == "fft":
        window = "x".join(map(str, instruction.attributes["table"].kernel_shape))
        raise ValueError(
            f"{instruction.layer}: algorithm 'fft' has no tile for a window of {window}; "
            "'auto' and 'direct' take any"
        )
    if not costs:
        return None
    best = min(costs, key=lambda tile: costs[tile])
    pays = costs[best] < direct_cost(program, instruction, lanes, width)
    return best if pays or algorithm == "fft" else None


def _possible_tiles(instruction: Instruction) -> list[Tile]:
    """Return the tiles that a convolution can be cut into; none if it must be direct."""
    table: TapTable = instruction.attributes["table"]
    axes = [native_axis(axis) for axis in table.axes]
    grouped = instruction.attributes["groups"] > 1
    both = any(stride > 1 and dilation > 1 for _, _, stride, dilation, _, _ in axes)
    if grouped or both or len(axes) > _MOST_AXES or not axes:
        return []
    choices = []
    for _, taps, stride, _, _, _ in axes:
        of_phase = -(-taps // stride)
        choices.append([n for n in _POINTS if n > of_phase] if of_phase > 1 else [1])
    if len(axes) == 1 and 1 < -(-axes[0][1] // axes[0][2]) < _MOST_ALONE:
        choices[0].append(_MOST_ALONE)
    tiles = (tile for tile in itertools.product(*choices) if math.prod(tile) <= _MOST_POINTS)
    return [tile for tile in tiles if math.prod(tile) > 1]


def slots(tile: Tile) -> int:
    """Return the real numbers that a transformed tile becomes: see kernels/fourier.hpp."""
    real = math.prod(1 if n == 1 else 2 for n in tile)
    return real + (math.prod(tile) - real) // 2 * 3


def tiles_of_image(instruction: Instruction, tile: Tile) -> int:
    """Return how many tiles an image is cut into."""
    is_transposed = instruction.operator in ("conv_transpose", "conv_input_gradient")
    count = 1
    for axis, points in zip(instruction.attributes["table"].axes, tile, strict=True):
        size, taps, stride, dilation, begin, outputs = native_axis(axis)
        inside = points - -(-taps // stride) + 1
        apart = stride * dilation
        if is_transposed:
            span = (size - 1 + begin) // apart + 1 - begin // apart
        else:
            span = -(-outputs // dilation)
        count *= dilation * -(-span // inside)
    return count


def fourier_cost(
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
    points, tiles = math.prod(tile), tiles_of_image(instruction, tile)
    if lanes == 1:  # the last vector of channels may be cut
        channels, filters = (-(-n // width) * width for n in (channels, filters))
    weights = slots(tile) * phases * channels * filters
    point = _POINT if points <= _LARGE else _LARGE_POINT
    is_kernel_gradient = instruction.operator == "conv_kernel_gradient"
    of_delta = _BY_LANES if is_kernel_gradient and lanes > 1 else 1.0
    transforms = lanes * tiles * points * point * (phases * channels + of_delta * filters)
    products = lanes * tiles * weights * _PRODUCT
    of_kernel = phases * channels * filters * points * point
    bands = -(-lanes * tiles * slots(tile) * (phases * channels + filters) // _BAND_FLOATS)
    if is_kernel_gradient:  # the sums go back once for each band
        return transforms + products + min(bands, tiles) * of_kernel
    reading = next(cost for most, cost in _READ_WEIGHT if weights <= most)
    if program.backward:  # the kernel is a new one in each step
        if weights > _READ_WEIGHT[1][0]:
            of_kernel += _WRITE_WEIGHT * weights
        of_kernel /= -(-images // lanes)
    else:
        of_kernel = 0.0
    return transforms + products + of_kernel + reading * weights * min(bands, tiles)
