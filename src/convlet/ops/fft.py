"""Convolution by the fast Fourier transform, and both gradients from the same three transforms.

Lecture 000, formula 16: f * h = F⁻¹(F f · F h). With X, W and Δ the transforms of x, the kernel and
δ = ∂J/∂y, each product of two of them is the transform of what belongs to the third:

    y = F⁻¹(Σ_u X W̄),    ∂J/∂x = F⁻¹(Σ_r Δ W),    ∂J/∂kernel = F⁻¹(Σ X Δ̄) over images and tiles

So a step needs three transforms and three back (lecture 001, "Reuse FFT results"): `FFTConvolution`
makes each, and takes any two. It keeps W̄ and Δ̄, as two of the three products want them.

Where the window is much smaller than the grid, the grid is cut into tiles. A tile of `length`
inputs gives `step` = length - extent + 1 outputs; its neighbour begins `step` further on. Reading,
tiles overlap (overlap-save); going back, what they give to the inputs that they share is added up
(overlap-add). A transform is cyclic: what passes a tile's end comes back at its beginning, and the
lengths are such that this meets zeros, or what is cut off.

Arrays and groups are those of `convlet.ops.convolution`. Spectra have the shape (frequencies,
groups, images x tiles, channels of a group), so that sums over channels are one matrix product for
each frequency.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import log2, prod

import numpy as np

from convlet import arguments
from convlet.ops.taps import Axis, TapTable, tap_table

# Nanoseconds, for float32; `benchmarks/experiments/fft_crossing.py` shows how well they choose.
_CALL = 120_000.0  # a convolution by FFT, whatever its size
_POINT = 0.7  # of a transform: copying into tiles and out of them
_STAGE = 0.14  # of a transform: each doubling of its length
_LAYOUT = 4.0  # of a transform: bringing frequencies to the front for matrix products, and back
_PRODUCT = 0.12  # of a tile: one multiply-add of channels in a matrix product
_MATRIX = 5.0  # one more matrix product
_TAP = 10_000.0  # one more tap of a direct convolution
_ELEMENT = 0.2  # reading or adding an element for a tap
_MULTIPLY = 0.01  # one multiply-add of channels for a tap

ALGORITHMS = ("auto", "direct", "fft")
"""How a convolution may be computed: sums as they stand, by FFT, or whichever should be faster."""

_CHUNK = 1 << 18  # points that are transformed at once: a few MB, near the cache's size


_ALL = slice(None)


@lru_cache(maxsize=4096)
def fast_length(minimum: int) -> int:
    """Return the smallest number from ``minimum`` on without a prime factor above 7."""
    length = minimum
    while True:
        rest = length
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1


@dataclass(frozen=True)
class Tiling:
    """One axis cut into tiles: ``count`` transforms of ``length`` points, ``step`` outputs each."""

    axis: Axis
    length: int
    step: int
    count: int

    @property
    def padded(self) -> int:
        """Positions that the tiles span."""
        return (self.count - 1) * self.step + self.length


def _tilings(axis: Axis) -> list[Tiling]:
    """Return the ways to cut an axis: not at all, or into tiles of 2, 4, 8 ... extents."""
    # what wraps round one tile then meets the padding of its other end
    whole = max(axis.size + max(axis.begin, axis.end), axis.extent, axis.outputs)
    tilings = [Tiling(axis, fast_length(whole), axis.outputs, 1)]
    target = 2 * axis.extent
    while target < whole:
        length = fast_length(target)
        step = length - axis.extent + 1
        tilings.append(Tiling(axis, length, step, -(-axis.outputs // step)))
        target *= 2
    return tilings


def _cost(
    tilings: tuple[Tiling, ...], images: int, channels: int, filters: int, groups: int
) -> float:
    """Return an estimate of a forward pass, in nanoseconds."""
    points = prod(tiling.length for tiling in tilings)
    tiles = images * prod(tiling.count for tiling in tilings)
    pairs = channels * filters // groups
    transforms = (channels + filters) * tiles + pairs
    several = max(channels, filters) > 1  # matrix products, then, instead of multiplications
    # several transforms at once go through vector registers, one alone does not
    alone = 1 + 2 * min(1, points / _CHUNK)
    return (
        _CALL
        + transforms * points * (_POINT + _STAGE * log2(points) * alone + _LAYOUT * several)
        + tiles * pairs * points * _PRODUCT
        + groups * points / 2 * _MATRIX * several
    )


@lru_cache(maxsize=256)
def _cheapest(
    table: TapTable, images: int, channels: int, filters: int, groups: int
) -> tuple[float, tuple[Tiling, ...]]:
    """Return the cheapest of all ways to cut a grid, and its cost."""
    ways = itertools.product(*map(_tilings, table.axes))
    costs = ((_cost(way, images, channels, filters, groups), way) for way in ways)
    return min(costs, key=lambda cost_and_way: cost_and_way[0])


def fft_pays(table: TapTable, images: int, channels: int, filters: int, groups: int = 1) -> bool:
    """Return whether a convolution by FFT is estimated to be faster than `convlet.ops.conv`.

    The estimate knows shapes alone: the same shapes always go the same way.
    """
    if any(axis.stride > 1 for axis in table.axes):
        return False
    taps = prod(len(axis.meeting_taps) for axis in table.axes)
    outputs = images * prod(table.output_shape)
    for_each_output = (channels + filters) * _ELEMENT + channels * filters / groups * _MULTIPLY
    direct = taps * (groups * _TAP + outputs * for_each_output)
    return direct > _CALL and _cheapest(table, images, channels, filters, groups)[0] < direct


def fft_has_room(f: np.ndarray, g: np.ndarray) -> bool:
    """Return whether no transform can overflow, which NaN and infinity in f or g rule out.

    A sum of a transform has fewer terms than f and g have elements, and there are three, one upon
    the other.
    """
    if not f.size or not g.size:
        return True
    peak = float(np.abs(f).max()) * float(np.abs(g).max())
    return peak * float(f.size + g.size) ** 3 <= np.finfo(f.dtype).max


class FFTConvolution:
    """A convolution of given shapes by FFT: three transforms, and what any two of them give.

    Parameters
    ----------
    table : TapTable
        Any rank, padding and dilation; every stride 1.
    images, channels, filters : int
        Sizes of what will be transformed; tiles are chosen by them.
    groups : int
        Ranges of channels that do not see each other.
    owner : str
        Whose convolution it is, for messages.

    Raises
    ------
    ValueError
        If a stride is above 1, channels or filters cannot be cut into the groups, or the spectra
        would not fit in memory. Nothing has been allocated then.
    """

    def __init__(
        self,
        table: TapTable,
        images: int,
        channels: int,
        filters: int,
        groups: int = 1,
        owner: str = "FFTConvolution",
    ) -> None:
        strides = tuple(axis.stride for axis in table.axes)
        if any(stride > 1 for stride in strides):
            raise arguments.invalid(owner, "strides", "1 for a convolution by FFT", strides)
        self._images = arguments.integer(owner, "images", images, 0)
        self._groups = arguments.integer(owner, "groups", groups)
        for name, value in (("channels", channels), ("filters", filters)):
            if arguments.integer(owner, name, value) % self._groups:
                raise arguments.invalid(owner, name, f"a multiple of groups={groups}", value)
        self._owner, self._channels, self._filters = owner, channels, filters
        self._shape = (images, *table.input_shape, channels)
        self._kernel_shape = (*table.kernel_shape, channels // groups, filters)
        self._output_shape = (images, *table.output_shape, filters)
        # a grid without axes is one point
        axes = (table if table.axes else tap_table((1,), (1,))).axes
        self._rank = len(axes)
        _, self._tilings = _cheapest(TapTable(axes), images, channels, filters, groups)
        self._lengths = tuple(tiling.length for tiling in self._tilings)
        self._counts = tuple(tiling.count for tiling in self._tilings)
        self._require_memory()

    def _require_memory(self) -> None:
        """Refuse spectra, of 8 bytes for each point of a tile in float32, that would not fit."""
        tiles = self._images * prod(self._counts)
        pairs = self._channels * self._filters // self._groups
        points = ((self._channels + self._filters) * tiles + pairs) * prod(self._lengths)
        arguments.bytes_fit_memory(self._owner, "a convolution by FFT of these sizes", 8 * points)

    def _checked(self, name: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        if array.shape != shape:
            raise arguments.invalid(self._owner, name, f"an array of shape {shape}", array.shape)
        return array

    @property
    def tiles(self) -> int:
        """Tiles that each image is cut into."""
        return prod(self._counts)

    # --- three transforms ---

    def transform_input(self, x: np.ndarray) -> np.ndarray:
        """Return X, the transform of the input's tiles.

        Raises
        ------
        ValueError
            If ``x`` has another shape than (images, *grid, channels).
        """
        return self._transform(self._input_tiles(x))

    def transform_kernel(self, kernel: np.ndarray) -> np.ndarray:
        """Return W̄, the conjugate transform of the kernel, its holes filled with zeros.

        Raises
        ------
        ValueError
            If ``kernel`` has another shape than (*window, channels / groups, filters).
        """
        self._checked("kernel", kernel, self._kernel_shape)
        axes = [tiling.axis for tiling in self._tilings]
        window = kernel.reshape(*(axis.taps for axis in axes), *kernel.shape[-2:])
        dilated = np.zeros((*kernel.shape[-2:], *(axis.extent for axis in axes)), kernel.dtype)
        holes = tuple(slice(None, None, axis.dilation) for axis in axes)
        dilated[(_ALL, _ALL, *holes)] = np.moveaxis(window, (-2, -1), (0, 1))
        # (channels of a group, filters, frequencies), as if the channels were images
        one_tile = tuple(range(2, 2 + self._rank))
        return self._transform(np.expand_dims(dilated, one_tile)).conj()

    def transform_output_gradient(self, output_gradient: np.ndarray) -> np.ndarray:
        """Return Δ̄, the conjugate transform of δ's tiles, each filled up with zeros.

        Raises
        ------
        ValueError
            If ``output_gradient`` has another shape than (images, *output grid, filters).
        """
        self._checked("output_gradient", output_gradient, self._output_shape)
        spans = [tiling.count * tiling.step for tiling in self._tilings]
        delta = self._padded(output_gradient, [0] * self._rank, spans)
        return self._transform(self._steps(delta)).conj()

    # --- what any two of them give ---

    def output(self, x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        """Return y, from X and W̄."""
        y = self._empty_output(x.real.dtype)
        self._steps(y)[...] = self._output_tiles(x, kernel, self._images, self._counts)
        return self._cropped_output(y)

    def input_gradient(self, output_gradient: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        """Return ∂J/∂x, from Δ̄ and W̄."""
        product = self._product(output_gradient, kernel.swapaxes(-1, -2)).conj()
        added = self._inverse(product, self._images, self._counts)
        for done, tiling in enumerate(self._tilings):
            # of the axes that are left, counts come first, then lengths; those done are at the end
            tiles = np.moveaxis(added, (2, 2 + self._rank - done), (-2, -1))
            added = _overlap_add(tiles, tiling)
        inside = (slice(t.axis.begin, t.axis.begin + t.axis.size) for t in self._tilings)
        return _channels_last(added[(_ALL, _ALL, *inside)]).reshape(self._shape)

    def kernel_gradient(self, x: np.ndarray, output_gradient: np.ndarray) -> np.ndarray:
        """Return ∂J/∂kernel, from X and Δ̄."""
        if self._is_single:
            product = np.einsum("fgbu,fgbr->fgur", x, output_gradient)
        else:
            product = x.swapaxes(-1, -2) @ output_gradient
        dilated = self._inverse(product, self._channels // self._groups, (1,) * self._rank)
        axes = (tiling.axis for tiling in self._tilings)
        taps = tuple(slice(0, axis.extent, axis.dilation) for axis in axes)
        kernel = dilated.reshape(*dilated.shape[:2], *self._lengths)[(_ALL, _ALL, *taps)]
        return np.ascontiguousarray(np.moveaxis(kernel, (0, 1), (-2, -1))).reshape(
            self._kernel_shape
        )

    def forward(self, x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        """Return y, from x and the kernel, chunk by chunk: X is not kept, and stays in the cache.

        Raises
        ------
        ValueError
            If an array has another shape than the convolution's.
        """
        tiles, spectrum = self._input_tiles(x), self.transform_kernel(kernel)
        y = self._empty_output(x.dtype)
        steps = self._steps(y)
        for images, first in self._chunks():
            part = tiles[images, :, first]
            counts = (part.shape[2], *self._counts[1:])
            chunk = self._output_tiles(self._transform(part), spectrum, len(part), counts)
            steps[images, :, first] = chunk
        return self._cropped_output(y)

    # --- tiles ---

    @property
    def _is_single(self) -> bool:
        """Whether a matrix product for each frequency would be one multiplication."""
        return self._channels == self._filters == 1

    def _chunks(self) -> Iterator[tuple[slice, slice]]:
        """Yield ranges of images, and of tiles along the first axis."""
        slice_of_tiles = prod(self._counts[1:]) * prod(self._lengths)
        of_slice = slice_of_tiles * max(self._channels, self._filters)
        # a matrix product of fewer than 32 tiles would be reading the kernel's spectrum
        slices = max(1, _CHUNK // of_slice, 1 if self._is_single else 32)
        tiles = min(slices, self._counts[0])
        images = max(1, slices // self._counts[0])
        for image in range(0, self._images, images):
            for tile in range(0, self._counts[0], tiles):
                yield slice(image, image + images), slice(tile, tile + tiles)

    def _padded(self, array: np.ndarray, begins: list[int], spans: list[int]) -> np.ndarray:
        """Return the array between zeros, in the shape (images, channels, *spans)."""
        padded = np.zeros((len(array), array.shape[-1], *spans), array.dtype)
        grid = array.reshape(len(array), *(array.shape[1:-1] or (1,)), array.shape[-1])
        inside = (slice(b, b + n) for b, n in zip(begins, grid.shape[1:-1], strict=True))
        padded[(_ALL, _ALL, *inside)] = np.moveaxis(grid, -1, 1)
        return padded

    def _input_tiles(self, x: np.ndarray) -> np.ndarray:
        """Return a view of the padded input: (images, channels, *counts, *lengths)."""
        self._checked("x", x, self._shape)
        begins = [tiling.axis.begin for tiling in self._tilings]
        padded = self._padded(x, begins, [tiling.padded for tiling in self._tilings])
        axes = tuple(range(2, 2 + self._rank))
        tiles = np.lib.stride_tricks.sliding_window_view(padded, self._lengths, axes)
        return tiles[(_ALL, _ALL, *(slice(None, None, t.step) for t in self._tilings))]

    def _steps(self, outputs: np.ndarray) -> np.ndarray:
        """Return a view of a grid cut into steps: (images, channels, *counts, *steps)."""
        pairs = ((tiling.count, tiling.step) for tiling in self._tilings)
        cut = outputs.reshape(*outputs.shape[:2], *itertools.chain(*pairs))
        order = [*range(2, cut.ndim, 2), *range(3, cut.ndim, 2)]
        return cut.transpose(0, 1, *order)

    def _empty_output(self, dtype: np.dtype) -> np.ndarray:
        spans = [tiling.count * tiling.step for tiling in self._tilings]
        return np.empty((self._images, self._filters, *spans), dtype)

    def _output_tiles(
        self, x: np.ndarray, kernel: np.ndarray, images: int, counts: tuple[int, ...]
    ) -> np.ndarray:
        """Return the outputs of some tiles, from X and W̄: (images, filters, *counts, *steps)."""
        tiles = self._inverse(self._product(x, kernel), images, counts)
        steps = tuple(slice(0, tiling.step) for tiling in self._tilings)
        return tiles[(_ALL,) * (2 + self._rank) + steps]

    def _cropped_output(self, y: np.ndarray) -> np.ndarray:
        inside = (slice(0, tiling.axis.outputs) for tiling in self._tilings)
        return _channels_last(y[(_ALL, _ALL, *inside)]).reshape(self._output_shape)

    # --- spectra ---

    def _transform(self, tiles: np.ndarray) -> np.ndarray:
        """Return the spectra of tiles of shape (images, channels, *counts, *any sizes)."""
        images, channels, *counts = tiles.shape[: 2 + self._rank]
        axes = tuple(range(2 + self._rank, 2 + 2 * self._rank))
        spectra = np.fft.rfftn(tiles, self._lengths, axes)
        frequencies = spectra.shape[2 + self._rank :]
        spectra = spectra.reshape(
            images, self._groups, channels // self._groups, prod(counts), prod(frequencies)
        ).transpose(4, 1, 0, 3, 2)
        shape = (prod(frequencies), self._groups, images * prod(counts), channels // self._groups)
        spectra = spectra.astype(np.result_type(tiles.dtype, np.complex64), copy=False)
        # a matrix product wants them one behind the other; for one channel this is a view
        return spectra.reshape(shape) if self._is_single else _contiguous(spectra, shape)

    def _product(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return the sum over channels, for each frequency."""
        return a * b if self._is_single else a @ b

    def _inverse(self, spectra: np.ndarray, images: int, counts: tuple[int, ...]) -> np.ndarray:
        """Return the tiles of spectra: (images, channels, *counts, *lengths)."""
        frequencies = (*self._lengths[:-1], self._lengths[-1] // 2 + 1)
        channels = spectra.shape[1] * spectra.shape[3]
        tiles = spectra.reshape(len(spectra), spectra.shape[1], images, prod(counts), -1)
        tiles = tiles.transpose(2, 1, 4, 3, 0).reshape(images, channels, *counts, *frequencies)
        axes = tuple(range(-self._rank, 0))
        return np.fft.irfftn(tiles, self._lengths, axes)


def _contiguous(spectra: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.ascontiguousarray(spectra).reshape(shape)


def _channels_last(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(array, 1, -1))


def _overlap_add(tiles: np.ndarray, tiling: Tiling) -> np.ndarray:
    """Return the sum of tiles (..., count, length) that begin `step` apart: (..., span)."""
    if tiling.count == 1:
        return tiles[..., 0, :]
    pieces = -(-tiling.length // tiling.step)
    added = np.zeros((*tiles.shape[:-2], tiling.count + pieces - 1, tiling.step), tiles.dtype)
    for piece in range(pieces):
        part = tiles[..., piece * tiling.step : (piece + 1) * tiling.step]
        added[..., piece : piece + tiling.count, : part.shape[-1]] += part
    return added.reshape(*tiles.shape[:-2], -1)


def _convolution(
    owner: str, images: np.ndarray, channels: int, filters: int, table: TapTable, groups: int
) -> FFTConvolution:
    return FFTConvolution(table, len(images), channels, filters, groups, owner)


def fft_conv(x: np.ndarray, kernel: np.ndarray, table: TapTable, groups: int = 1) -> np.ndarray:
    """Return `convlet.ops.conv` of the same arguments, by FFT.

    Errors are of the order of the largest numbers in a tile, not of each result's own; NaN and
    infinity reach every output of the tiles that hold them.

    Raises
    ------
    ValueError
        If a stride is above 1, shapes do not fit, or the spectra would not fit in memory.
    """
    convolution = _convolution("fft_conv", x, x.shape[-1], kernel.shape[-1], table, groups)
    return convolution.forward(x, kernel)


def fft_conv_input_gradient(
    output_gradient: np.ndarray, kernel: np.ndarray, table: TapTable, groups: int = 1
) -> np.ndarray:
    """Return `convlet.ops.conv_input_gradient` of the same arguments, by FFT.

    Raises
    ------
    ValueError
        As for `fft_conv`.
    """
    channels, filters = kernel.shape[-2] * groups, kernel.shape[-1]
    owner = "fft_conv_input_gradient"
    convolution = _convolution(owner, output_gradient, channels, filters, table, groups)
    delta = convolution.transform_output_gradient(output_gradient)
    return convolution.input_gradient(delta, convolution.transform_kernel(kernel))


def fft_conv_kernel_gradient(
    x: np.ndarray, output_gradient: np.ndarray, table: TapTable, groups: int = 1
) -> np.ndarray:
    """Return `convlet.ops.conv_kernel_gradient` of the same arguments, by FFT.

    Raises
    ------
    ValueError
        As for `fft_conv`.
    """
    owner, filters = "fft_conv_kernel_gradient", output_gradient.shape[-1]
    convolution = _convolution(owner, x, x.shape[-1], filters, table, groups)
    delta = convolution.transform_output_gradient(output_gradient)
    return convolution.kernel_gradient(convolution.transform_input(x), delta)
