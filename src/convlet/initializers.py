"""Initial weights: Keras's rules, and the lectures' for tanh and sigmoid.

A kernel has the layout (spatial..., in, out). Numbers are drawn in float64 and then cast, so that
models in float32 and in float64 start alike.

Sources: Glorot and Bengio, *Understanding the difficulty of training deep feedforward neural
networks*, 2010; He et al., *Delving deep into rectifiers*, 2015; LeCun et al., *Efficient
BackProp*, 1998; Saxe et al., *Exact solutions to the nonlinear dynamics of learning in deep linear
neural networks*, 2014; lecture 001, "Weight initialization".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from convlet import arguments, config, random
from convlet.serialization import Configurable, Registry

_MODES = ("fan_in", "fan_out", "fan_avg")
_DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform")

# The standard deviation of a standard normal variable cut off at -2 and 2.
_TRUNCATED_STDDEV = 0.87962566103423978


def compute_fans(shape: Sequence[int]) -> tuple[int, int]:
    """Return how many inputs an output depends on, and how many outputs an input reaches.

    Parameters
    ----------
    shape : sequence of int
        A kernel's: (spatial..., in, out). fan_in is in times the receptive field's size, fan_out
        is out times the same. A vector counts as both, as in Keras.
    """
    if len(shape) < 2:
        size = math.prod(shape)
        return size, size
    *spatial, inputs, outputs = shape
    receptive_field = math.prod(spatial)
    return inputs * receptive_field, outputs * receptive_field


class Initializer(Configurable):
    """The base of all initializers; one's own defines ``values``."""

    def __call__(
        self, shape: Sequence[int], dtype: object = None, seed: int | None = None
    ) -> np.ndarray:
        """Return a new array of initial weights.

        Parameters
        ----------
        shape : sequence of int
            The weights' shape.
        dtype : {"float32", "float64"}, optional
            The name or NumPy's type; ``convlet.config.floatx()`` if left out.
        seed : int, optional
            Used by random initializers that were made without a seed of their own. With neither,
            the seed is the next of ``convlet.random``.

        Raises
        ------
        ValueError
            For a shape, type or seed that is none, an array larger than the memory, and numbers
            too large for the type.
        """
        owner = type(self).__name__
        sizes = arguments.shape(owner, "shape", shape)
        arguments.fits_memory(owner, "the array", sizes, np.float64)
        float_type = _float_type(owner, dtype)
        drawn = np.asarray(self.values(sizes, _seed(owner, seed)))
        with np.errstate(over="ignore"):
            values = drawn.astype(float_type, copy=False)
        if not np.isfinite(values).all() and np.isfinite(drawn).all():
            raise ValueError(f"{owner}: {float_type} cannot hold numbers that large")
        return values

    def values(self, shape: tuple[int, ...], seed: int | None) -> np.ndarray:
        """Return the weights in float64."""
        raise NotImplementedError(f"{type(self).__name__} must define values")


def _seed(owner: str, seed: object) -> int | None:
    return None if seed is None else arguments.integer(owner, "seed", seed, minimum=0)


def _float_type(owner: str, dtype: object) -> np.dtype:
    if dtype is None:
        return np.dtype(config.floatx())
    name = getattr(dtype, "__name__", str(dtype))  # of np.float32, or of a np.dtype or a string
    return np.dtype(arguments.choice(owner, "dtype", name, ("float32", "float64")))


class Zeros(Initializer):
    """Zeros, as biases usually start."""

    def values(self, shape: tuple[int, ...], seed: int | None) -> np.ndarray:
        """Return zeros."""
        return np.zeros(shape)


class Ones(Initializer):
    """Ones."""

    def values(self, shape: tuple[int, ...], seed: int | None) -> np.ndarray:
        """Return ones."""
        return np.ones(shape)


class Constant(Initializer):
    """One number everywhere.

    Parameters
    ----------
    value : float, default 0.0
        The number.
    """

    def __init__(self, value: float = 0.0) -> None:
        self.value = arguments.real("Constant", "value", value)

    def values(self, shape: tuple[int, ...], seed: int | None) -> np.ndarray:
        """Return the number everywhere."""
        return np.full(shape, self.value)


class Identity(Initializer):
    """A matrix with one number on its diagonal and 0 elsewhere.

    Parameters
    ----------
    gain : float, default 1.0
        The number.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it is called, for a shape that is no matrix's.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = arguments.real("Identity", "gain", gain)

    def values(self, shape: tuple[int, ...], seed: int | None) -> np.ndarray:
        """Return the matrix."""
        if len(shape) != 2:
            raise arguments.invalid("Identity", "shape", "one of 2 axes", shape)
        return self.gain * np.eye(*shape)


class RandomInitializer(Initializer):
    """The base of the random initializers, which define ``draw``.

    Parameters
    ----------
    seed : int, optional
        With a seed every call draws the same numbers, whatever seed the call brings.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = _seed(type(self).__name__, seed)

    def values(self, shape: tuple[int, ...], seed: int | None) -> np.ndarray:
        """Return what is drawn with the initializer's seed, the call's, or the next one."""
        if self.seed is not None:
            seed = self.seed
        elif seed is None:
            seed = random.next_seed()
        return self.draw(shape, random.generator(seed))

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        """Return random numbers in float64."""
        raise NotImplementedError(f"{type(self).__name__} must define draw")


class RandomUniform(RandomInitializer):
    """Numbers spread evenly over an interval.

    Parameters
    ----------
    minval, maxval : float, default -0.05 and 0.05
        The interval's ends.
    seed : int, optional
        See ``RandomInitializer``.
    """

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
    ) -> None:
        super().__init__(seed)
        owner = type(self).__name__
        self.minval = arguments.real(owner, "minval", minval)
        self.maxval = arguments.real(owner, "maxval", maxval, minimum=self.minval)
        if not math.isfinite(self.maxval - self.minval):
            raise arguments.invalid(owner, "maxval", "a finite distance from minval", maxval)

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        """Return numbers in [minval, maxval)."""
        return generator.uniform(self.minval, self.maxval, shape)


class RandomNormal(RandomInitializer):
    """Normally distributed numbers.

    Parameters
    ----------
    mean : float, default 0.0
        Their mean.
    stddev : float, default 0.05
        Their standard deviation.
    seed : int, optional
        See ``RandomInitializer``.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        owner = type(self).__name__
        self.mean = arguments.real(owner, "mean", mean)
        self.stddev = arguments.real(owner, "stddev", stddev, minimum=0.0)

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        """Return normally distributed numbers."""
        return self.mean + self.stddev * generator.standard_normal(shape)


class TruncatedNormal(RandomNormal):
    """Normally distributed numbers, drawn again where farther than 2 stddev from the mean.

    Parameters
    ----------
    mean : float, default 0.0
        Their mean.
    stddev : float, default 0.05
        The standard deviation before the cut; what is left has 0.88 times as much.
    seed : int, optional
        See ``RandomInitializer``.
    """

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        """Return numbers within 2 stddev of the mean."""
        return self.mean + self.stddev * _truncated_normal(shape, generator)


def _truncated_normal(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    numbers = np.asarray(generator.standard_normal(shape))
    outside = np.abs(numbers) > 2
    while outside.any():
        numbers[outside] = generator.standard_normal(int(outside.sum()))
        outside = np.abs(numbers) > 2
    return numbers


class RandomSigns(RandomInitializer):
    """-1 and 1, each with probability 1/2: codes that are far from each other.

    Parameters
    ----------
    seed : int, optional
        See ``RandomInitializer``.
    """

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        """Return signs."""
        return 2.0 * generator.integers(0, 2, shape) - 1


class VarianceScaling(RandomInitializer):
    """Numbers of variance scale / n, n being a fan of the kernel, and mean 0.

    Parameters
    ----------
    scale : float, default 1.0
        Above 0.
    mode : {"fan_in", "fan_out", "fan_avg"}
        What n is: see ``compute_fans``; "fan_avg" is the mean of both.
    distribution : {"truncated_normal", "untruncated_normal", "uniform"}
        The truncated normal distribution is widened so that its variance after the cut is
        scale / n. The uniform one is over [-limit, limit), limit = sqrt(3 scale / n).
    seed : int, optional
        See ``RandomInitializer``.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
    ) -> None:
        super().__init__(seed)
        owner = type(self).__name__
        self.scale = arguments.real(owner, "scale", scale)
        if self.scale <= 0:
            raise arguments.invalid(owner, "scale", "a number above 0", scale)
        self.mode = arguments.choice(owner, "mode", mode, _MODES)
        self.distribution = arguments.choice(owner, "distribution", distribution, _DISTRIBUTIONS)

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        """Return numbers of variance scale / n."""
        fan_in, fan_out = compute_fans(shape)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return generator.uniform(-limit, limit, shape)
        stddev = math.sqrt(variance)
        if self.distribution == "truncated_normal":
            return stddev / _TRUNCATED_STDDEV * _truncated_normal(shape, generator)
        return stddev * generator.standard_normal(shape)


class GlorotUniform(VarianceScaling):
    """Uniform over ±sqrt(6 / (fan_in + fan_out)); Keras's default for kernels.

    Parameters
    ----------
    seed : int, optional
        See ``RandomInitializer``.
    """

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(1.0, "fan_avg", "uniform", seed)


class GlorotNormal(VarianceScaling):
    """Truncated normal of variance 2 / (fan_in + fan_out).

    Parameters
    ----------
    seed : int, optional
        See ``RandomInitializer``.
    """

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(1.0, "fan_avg", "truncated_normal", seed)


class HeUniform(VarianceScaling):
    """Uniform over ±sqrt(6 / fan_in), for relu.

    Parameters
    ----------
    seed : int, optional
        See ``RandomInitializer``.
    """

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(2.0, "fan_in", "uniform", seed)


class HeNormal(VarianceScaling):
    """Truncated normal of variance 2 / fan_in, for relu.

    Parameters
    ----------
    seed : int, optional
        See ``RandomInitializer``.
    """

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(2.0, "fan_in", "truncated_normal", seed)


class LecunUniform(VarianceScaling):
    """Uniform over ±sqrt(3 / fan_in).

    Parameters
    ----------
    seed : int, optional
        See ``RandomInitializer``.
    """

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(1.0, "fan_in", "uniform", seed)


class LecunNormal(VarianceScaling):
    """Truncated normal of variance 1 / fan_in, for selu.

    Parameters
    ----------
    seed : int, optional
        See ``RandomInitializer``.
    """

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(1.0, "fan_in", "truncated_normal", seed)


class Orthogonal(RandomInitializer):
    """A matrix with orthogonal rows or columns of length ``gain``, drawn evenly from all of them.

    A kernel (spatial..., in, out) is the matrix (spatial * in, out). Its columns are orthogonal if
    it has no more columns than rows, otherwise its rows are.

    Parameters
    ----------
    gain : float, default 1.0
        What the matrix is multiplied by.
    seed : int, optional
        See ``RandomInitializer``.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it is called, for a shape of fewer than two axes.

    Notes
    -----
    The Q of a normal matrix's QR decomposition, signs chosen so that R's diagonal is positive: F.
    Mezzadri, *How to generate random matrices from the classical compact groups*, 2007.
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = arguments.real("Orthogonal", "gain", gain)

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        """Return the matrix in the kernel's shape."""
        if len(shape) < 2:
            raise arguments.invalid("Orthogonal", "shape", "one of at least 2 axes", shape)
        rows, columns = math.prod(shape[:-1]), shape[-1]
        drawn = generator.standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(drawn)
        q *= np.where(np.diag(r) < 0, -1.0, 1.0)
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


class TanhUniform(GlorotUniform):
    """Lecture 001's rule for tanh: uniform over ±sqrt(6 / (fan_in + fan_out)).

    This is the rule of ``GlorotUniform``, under the name that goes with ``SigmoidUniform``.

    Parameters
    ----------
    seed : int, optional
        See ``RandomInitializer``.
    """


class SigmoidUniform(VarianceScaling):
    """Lecture 001's rule for sigmoid: uniform over ±4 sqrt(6 / (fan_in + fan_out)).

    Parameters
    ----------
    seed : int, optional
        See ``RandomInitializer``.
    """

    def __init__(self, seed: int | None = None) -> None:
        # The variance is a square: 4 times the limit is 16 times the scale.
        super().__init__(16.0, "fan_avg", "uniform", seed)


_registry = Registry("initializer", Initializer)
for _class in (
    Zeros,
    Ones,
    Constant,
    Identity,
    RandomSigns,
    RandomUniform,
    RandomNormal,
    TruncatedNormal,
    VarianceScaling,
    GlorotUniform,
    GlorotNormal,
    HeUniform,
    HeNormal,
    LecunUniform,
    LecunNormal,
    Orthogonal,
    TanhUniform,
    SigmoidUniform,
):
    _registry.register(_class)
# what Keras calls it, too, and has written in files
_registry.register(Orthogonal, "OrthogonalInitializer")
_registry.register(Identity, "IdentityInitializer")
OrthogonalInitializer, IdentityInitializer = Orthogonal, Identity


def get(identifier: object, custom_objects: Mapping[str, type] | None = None) -> Initializer:
    """Return the initializer that a name, a class, a dict or an initializer stands for.

    Raises
    ------
    ValueError
        See ``convlet.serialization.Registry.get``.
    """
    return _registry.get(identifier, custom_objects)


def serialize(initializer: Initializer) -> dict[str, Any]:
    """Return the initializer as JSON types; ``get`` reads them."""
    return _registry.serialize(initializer)
