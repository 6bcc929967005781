"""The mathematician's convolution and correlation against scipy.signal."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, signal

from convlet.ops import convolve, correlate, impulse_response
from numerics import normal

PAIRS = [(convolve, signal.convolve), (correlate, signal.correlate)]
MODES = ["full", "same", "valid"]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
@pytest.mark.parametrize("mode", MODES)
@given(st.data())
@settings(deadline=None, max_examples=60)
def test_as_scipy_has_it(ours: Callable, theirs: Callable, mode: str, data: st.DataObject):
    """Even and odd sizes, 1-D to 3-D, a second signal as large as the first or smaller."""
    shape = data.draw(st.lists(st.integers(1, 7), min_size=1, max_size=3))
    window = [data.draw(st.integers(1, n)) for n in shape]
    f, g = normal(*shape), normal(*window, seed=1)
    np.testing.assert_allclose(ours(f, g, mode), theirs(f, g, mode, "direct"), atol=1e-12)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
@given(
    shape=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    grown=st.lists(st.integers(0, 4), min_size=3, max_size=3),
)
@settings(deadline=None, max_examples=60)
def test_the_second_signal_may_be_the_larger(
    ours: Callable, theirs: Callable, shape: list[int], grown: list[int]
):
    window = [n + more for n, more in zip(shape, grown, strict=False)]
    f, g = normal(*shape), normal(*window, seed=1)
    np.testing.assert_allclose(ours(f, g, "full"), theirs(f, g, "full", "direct"), atol=1e-12)
    same = ours(f, g, "same")
    assert same.shape == f.shape
    np.testing.assert_allclose(same, theirs(f, g, "same", "direct"), atol=1e-12)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
@pytest.mark.parametrize("mode", MODES)
@given(st.data())
@settings(deadline=None, max_examples=40)
def test_by_fft_as_scipy_has_it(ours: Callable, theirs: Callable, mode: str, data: st.DataObject):
    """In 1-D to 3-D, one tile or several, a second signal that may be the larger."""
    shape = data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=3))
    window = [data.draw(st.integers(1, 4 if mode != "valid" else min(n, 4))) for n in shape]
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    f, g = normal(*shape, dtype=dtype), normal(*window, seed=1, dtype=dtype)
    result, expected = ours(f, g, mode, "fft"), theirs(f, g, mode, "direct")
    assert result.dtype == dtype
    tolerance = {"float32": 1e-5, "float64": 1e-12}[dtype] * max(1, np.abs(expected).max())
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_long_signal_and_a_long_filter(dtype: str, mode: str):
    """Where "auto" is by FFT: direct, these 600 million multiply-adds take a tenth of a minute."""
    f, g = normal(200_000, dtype=dtype), normal(3000, seed=1, dtype=dtype)
    expected = signal.oaconvolve(f.astype("float64"), g.astype("float64"), mode)
    result = convolve(f, g, mode)
    tolerance = {"float32": 1e-5, "float64": 1e-12}[dtype] * np.abs(expected).max()
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance)
    np.testing.assert_array_equal(result, convolve(f, g, mode, "fft"))


def test_an_image_and_a_large_window():
    f, g = normal(200, 150), normal(31, 40, seed=1)
    expected = signal.correlate(f, g, "same", "fft")
    np.testing.assert_allclose(correlate(f, g, "same"), expected, atol=1e-10)


def test_small_signals_are_added_up_directly():
    """Integers stay exact."""
    f, g = np.arange(50), np.arange(9)
    np.testing.assert_array_equal(convolve(f, g), np.convolve(f, g))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["f", "g"])
def test_what_is_not_finite_stays_where_it_is(wrong: float, where: str):
    f, g = normal(4000), normal(60, seed=1)
    {"f": f, "g": g}[where][7] = wrong
    np.testing.assert_array_equal(convolve(f, g), convolve(f, g, "full", "direct"))
    if where == "f":
        finite = np.isfinite(convolve(f, g))
        assert finite.sum() == len(finite) - len(g)


def test_by_fft_what_is_not_finite_spreads():
    f = normal(4000)
    f[7] = np.nan
    finite = np.isfinite(convolve(f, normal(60), "full", "fft"))
    assert finite.sum() < len(finite) - 60


def test_what_would_overflow_in_a_transform_is_added_up_directly():
    f, g = np.full(4000, 1e306), np.full(60, 0.01)
    expected = convolve(f, g, "valid", "direct")
    assert np.isfinite(expected).all()
    np.testing.assert_array_equal(convolve(f, g, "valid"), expected)


@pytest.mark.parametrize("algorithm", ["direct", "fft"])
def test_memory_grows_with_the_signals_and_not_with_their_product(algorithm: str):
    f, g = normal(5000), normal(100, seed=1)
    convolve(f, g, "full", algorithm)
    tracemalloc.start()
    try:
        convolve(f, g, "full", algorithm)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 * f.nbytes


@pytest.mark.parametrize("algorithm", ["FFT", "Direct"])
def test_the_algorithm_in_any_case(algorithm: str):
    f, g = normal(5), normal(3)
    np.testing.assert_array_equal(
        correlate(f, g, "full", algorithm), correlate(f, g, "full", algorithm.lower())
    )


@pytest.mark.parametrize("algorithm", ["winograd", "", None, 1])
def test_an_unknown_algorithm_is_named(algorithm: object):
    message = f"correlate: algorithm must be one of 'auto', 'direct', 'fft', got {algorithm!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        correlate([1, 2], [1], "full", algorithm)


@pytest.mark.parametrize("algorithm", ["auto", "direct", "fft"])
def test_a_result_that_would_not_fit_is_refused(algorithm: str):
    message = (
        r"^correlate: a result of shape \(3000000, 3000000\) would take 7.2e\+04 GB, "
        r"this machine has .* GB$"
    )
    with pytest.raises(ValueError, match=message):
        convolve(np.ones((3_000_000, 1)), np.ones((1, 3_000_000)), "full", algorithm)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_full_convolution_is_commutative(rank: int):
    """Lecture 000, remark 1.3; it is associative, too."""
    f, g, h = normal(*(5, 4, 3)[:rank]), normal(*(2, 3, 4)[:rank]), normal(*(3, 1, 2)[:rank])
    np.testing.assert_allclose(convolve(f, g), convolve(g, f), atol=1e-12)
    np.testing.assert_allclose(convolve(convolve(f, g), h), convolve(f, convolve(g, h)), atol=1e-12)


def test_correlation_turns_round_when_its_operands_are_swapped():
    f, g = normal(5, 4), normal(2, 3)
    np.testing.assert_allclose(correlate(f, g), np.flip(correlate(g, f)), atol=1e-12)


def test_full_is_the_default():
    f, g = normal(5), normal(3)
    assert convolve(f, g).shape == correlate(f, g).shape == (7,)


@pytest.mark.parametrize("function", [convolve, correlate])
@pytest.mark.parametrize(
    ("f", "g", "expected"),
    [
        ("float32", "float32", "float32"),
        ("float64", "float64", "float64"),
        ("float32", "float64", "float64"),
        ("float64", "float32", "float64"),
        ("int64", "int64", "float64"),
        ("uint8", "uint8", "float64"),
        ("bool", "bool", "float64"),
        ("float32", "int64", "float64"),
        ("float16", "float16", "float64"),
    ],
)
def test_the_results_type(function: Callable, f: str, g: str, expected: str):
    assert function(np.ones(3, f), np.ones(2, g)).dtype == expected


def test_small_integers_do_not_wrap_round():
    f = np.full(4, 255, np.uint8)
    np.testing.assert_array_equal(convolve(f, f, "valid"), [4 * 255**2])


@pytest.mark.parametrize("function", [convolve, correlate])
def test_lists_and_views_will_do(function: Callable):
    expected = function(np.array([3.0, 2.0, 1.0]), np.array([1.0, 2.0]))
    np.testing.assert_array_equal(function([3, 2, 1], [1, 2]), expected)
    np.testing.assert_array_equal(function(np.array([1.0, 2, 3])[::-1], [1, 2]), expected)


@pytest.mark.parametrize("function", [convolve, correlate])
@pytest.mark.parametrize("mode", ["FULL", "Same", "VALID"])
def test_the_mode_in_any_case(function: Callable, mode: str):
    f, g = normal(5), normal(3)
    np.testing.assert_array_equal(function(f, g, mode), function(f, g, mode.lower()))


@pytest.mark.parametrize("mode", ["wrap", "", None, 1, True])
def test_a_wrong_mode_is_named(mode: object):
    message = f"correlate: mode must be one of 'full', 'same', 'valid', got {mode!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        correlate([1, 2], [1], mode)


@pytest.mark.parametrize(
    ("f", "g", "ranks"), [([1, 2], [[1]], "1 and 2"), (1, 1, "0 and 0"), ([1], 1, "1 and 0")]
)
@pytest.mark.parametrize("function", [convolve, correlate])
def test_different_ranks_are_named(function: Callable, f: object, g: object, ranks: str):
    with pytest.raises(
        ValueError, match=f"f and g must have the same rank of at least 1, got {ranks}$"
    ):
        function(f, g)


@pytest.mark.parametrize("function", [convolve, correlate])
def test_valid_with_a_larger_second_signal_is_an_error(function: Callable):
    with pytest.raises(ValueError, match=r"window spans 3 positions along spatial axis 1 .* has 2"):
        function(np.ones((3, 2)), np.ones((3, 3)), "valid")


@pytest.mark.parametrize("function", [convolve, correlate])
@pytest.mark.parametrize(("f", "g"), [((0,), (1,)), ((1,), (0,)), ((3, 0), (1, 1))])
def test_an_empty_signal_is_an_error(function: Callable, f: tuple, g: tuple):
    with pytest.raises(ValueError, match="at least 1"):
        function(np.ones(f), np.ones(g))


@pytest.mark.parametrize("function", [convolve, correlate])
def test_complex_signals_are_not_silently_made_real(function: Callable):
    with pytest.raises(ValueError, match="real"):
        function(np.array([1j, 2]), np.array([1.0]))


# --- lecture 000, theorem 1 ---

LINEAR = {
    "identity": lambda f: f,
    "difference, going round": lambda f: f - np.roll(f, 1, axis=0),
    "mean of neighbours": lambda f: ndimage.uniform_filter(f, 3, mode="constant"),
    "Gaussian": lambda f: ndimage.gaussian_filter(f, 0.6, mode="constant", radius=2),
    "Laplacian, mirrored border": ndimage.laplace,
    "two after each other": lambda f: ndimage.sobel(np.roll(f, -1, axis=0), mode="constant") * 3,
}


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("shape", [(5,), (6,), (5, 7)])
def test_a_linear_shift_invariant_transform_is_a_convolution(name: str, shape: tuple[int, ...]):
    """The theorem: the answer to an impulse is the kernel, for signals that it has never seen."""
    transform = LINEAR[name]
    kernel = impulse_response(transform, shape)
    assert kernel.shape == shape
    f = np.pad(normal(*(n + 4 for n in shape), seed=3), 8)
    np.testing.assert_allclose(transform(f), convolve(f, kernel, "same"), atol=1e-10)


@given(st.data())
@settings(deadline=None, max_examples=40)
def test_the_kernel_of_a_convolution_is_found(data: st.DataObject):
    shape = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    h = normal(*shape)
    np.testing.assert_allclose(
        impulse_response(lambda f: convolve(f, h, "same"), shape), h, atol=1e-12
    )


NOT_CONVOLUTIONS = {
    "not linear": np.tanh,
    "an offset": lambda f: f + 1,
    "the maximum": lambda f: ndimage.maximum_filter(f, 3),
    "another at each place": lambda f: f * np.arange(len(f)),
    "turned round": np.flip,
    "a larger kernel": lambda f: np.roll(f, 4),
    "not-a-number": lambda f: f * np.nan,
}


@pytest.mark.parametrize("name", NOT_CONVOLUTIONS)
def test_what_is_no_convolution_has_no_kernel(name: str):
    with pytest.raises(ValueError, match=r"transform must be linear and shift-invariant with a "):
        impulse_response(NOT_CONVOLUTIONS[name], (5,))


@pytest.mark.parametrize(
    ("transform", "shape", "message"),
    [
        (lambda f: f[1:], (3,), "transform must keep the signal's shape, got (8,) for (9,)"),
        (lambda f: "f", (3,), "what transform returns must be an array of numbers, got one of <U1"),
        (lambda f: f, (), "shape must be a tuple of at least one integer, got ()"),
        (lambda f: f, 3, "shape must be a tuple of integers of at least 1, got 3"),
        (lambda f: f, (10**9, 10**9), "a signal to try must fit into the "),
    ],
)
def test_wrong_arguments_of_impulse_response(transform: Callable, shape: object, message: str):
    with pytest.raises(ValueError, match=f"^impulse_response: {re.escape(message)}"):
        impulse_response(transform, shape)
