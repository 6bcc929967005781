"""The mathematician's convolution and correlation of two N-D signals, as `scipy.signal` has them.

Lecture 000, definitions 5 and 6; lecture 001, "1D Convolutions". Networks say convolution for what
is called correlation here; see `convlet.ops.conv`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from convlet import arguments
from convlet.ops.convolution import conv
from convlet.ops.fft import ALGORITHMS, fft_has_room, fft_pays
from convlet.ops.taps import tap_table

_MODES = ("full", "same", "valid")


def _padding(mode: str, size: int) -> tuple[int, int]:
    """Return how far the signal is padded for a second signal of ``size`` elements."""
    if mode == "full":
        return size - 1, size - 1
    if mode == "same":  # the middle part of "full", as long as the first signal
        return size - 1 - (size - 1) // 2, (size - 1) // 2
    return 0, 0


def correlate(
    f: np.ndarray, g: np.ndarray, mode: str = "full", algorithm: str = "auto"
) -> np.ndarray:
    """Return the cross-correlation of two real signals: Σ_t g[t] f[u + t].

    Parameters
    ----------
    f, g : ndarray
        Signals of the same rank, at least 1.
    mode : {"full", "same", "valid"}
        Every u where the signals overlap; the middle part of these, as large as ``f``; only those
        where all of ``g`` lies inside ``f``.
    algorithm : {"auto", "direct", "fft"}
        Sums as they stand; by fast Fourier transform; whichever is estimated to be faster, from the
        sizes alone. The FFT's errors are of the order of the largest results near by, and NaN and
        infinity spread over everything near by, where the direct sums keep them to the outputs
        that read them: "auto" adds directly where a signal holds them, or is so large that a
        transform could overflow.

    Returns
    -------
    ndarray
        In float64, or float32 if both signals are.

    Raises
    ------
    ValueError
        If a signal is not real or empty, the ranks differ, ``g`` is larger than ``f`` in mode
        "valid", ``mode`` or ``algorithm`` is unknown, or the result would not fit in memory.
    """
    mode = arguments.choice("correlate", "mode", mode, _MODES)
    algorithm = arguments.choice("correlate", "algorithm", algorithm, ALGORITHMS)
    f, g = np.asarray(f), np.asarray(g)
    if f.ndim != g.ndim or f.ndim == 0:
        raise ValueError(
            f"correlate: f and g must have the same rank of at least 1, got {f.ndim} and {g.ndim}"
        )
    if f.dtype.kind not in "fiub" or g.dtype.kind not in "fiub":
        raise ValueError(
            f"correlate: f and g must hold real numbers, got dtypes {f.dtype} and {g.dtype}"
        )
    dtype = np.result_type(f, g)
    dtype = dtype if dtype == np.float32 else np.dtype(np.float64)
    padding = [_padding(mode, size) for size in g.shape]
    table = tap_table(f.shape, g.shape, padding=padding, owner="correlate")
    result = f"a result of shape {table.output_shape}"
    arguments.bytes_fit_memory("correlate", result, dtype.itemsize * prod(table.output_shape))
    f, g = f.astype(dtype), g.astype(dtype)
    if algorithm == "auto":
        algorithm = "fft" if fft_pays(table, 1, 1, 1) and fft_has_room(f, g) else "direct"
    return conv(f[None, ..., None], g[..., None, None], table, algorithm=algorithm)[0, ..., 0]


def convolve(
    f: np.ndarray, g: np.ndarray, mode: str = "full", algorithm: str = "auto"
) -> np.ndarray:
    """Return the convolution of two real signals: Σ_t g[t] f[u - t].

    It is the correlation with ``g`` flipped along every axis (lecture 000, formula 11). Arguments,
    result and errors are those of `correlate`.
    """
    return correlate(f, np.flip(np.asarray(g)), mode, algorithm)


def impulse_response(
    transform: Callable[[np.ndarray], np.ndarray], shape: Sequence[int]
) -> np.ndarray:
    """Return the kernel of a linear, shift-invariant transform: its answer to an impulse.

    Lecture 000, theorem 1: there is a kernel h such that the transform of any f is f * h. With the
    impulse δ for f it is δ * h = h. The theorem is tried out on noise, too, so a transform that has
    no such kernel is refused.

    Parameters
    ----------
    transform : callable
        Takes a signal of any size and returns one of the same size, in float64. What it does at
        the border, zeros or going round, does not matter.
    shape : sequence of int
        Sizes of the kernel, or larger ones; its middle is the place that stays where it is.

    Returns
    -------
    ndarray of float64
        h, so that ``transform(f)`` is ``convolve(f, h, "same")``, away from the border at least.

    Raises
    ------
    ValueError
        If the transform changes the size, is not linear or not shift-invariant, or if its kernel is
        larger than ``shape``.
    """
    owner = "impulse_response"
    sizes = arguments.shape(owner, "shape", shape)
    if not sizes:
        raise arguments.invalid(owner, "shape", "a tuple of at least one integer", shape)
    wide = tuple(3 * size for size in sizes)
    arguments.fits_memory(owner, "a signal to try", wide, np.float64)
    impulse = np.zeros(wide)
    middle = tuple(size + (size - 1) // 2 for size in sizes)
    impulse[middle] = 1.0
    inside = tuple(slice(size, 2 * size) for size in sizes)
    kernel = _transformed(transform, impulse)[inside]
    noise = np.zeros(wide)
    noise[inside] = np.random.default_rng(0).standard_normal(sizes)
    expected = convolve(noise, kernel, "same")
    error = np.abs(_transformed(transform, noise) - expected).max()
    if not error <= 1e-5 * max(np.abs(expected).max(), 1.0):
        raise ValueError(
            f"{owner}: transform must be linear and shift-invariant with a kernel no larger than "
            f"{sizes}, got one that differs from its kernel's convolution by {error:.3g} on noise"
        )
    return kernel


def _transformed(transform: Callable[[np.ndarray], np.ndarray], f: np.ndarray) -> np.ndarray:
    """Return the transform of a signal, checked."""
    result = arguments.numbers("impulse_response", "what transform returns", transform(f.copy()))
    if result.shape != f.shape:
        raise ValueError(
            "impulse_response: transform must keep the signal's shape, "
            f"got {result.shape} for {f.shape}"
        )
    return result.astype(np.float64)
