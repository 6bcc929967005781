"""Activation functions and their derivatives.

An `Elementwise` activation knows f and f'. Going back, the chain rule multiplies: ∂J/∂z = δ • f'(z)
(lecture 001). Where f' is most simply said in terms of y = f(z), as for tanh, it is; then z need
not be kept. Softmax mixes the channels and stands on its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Elementwise:
    """An activation function of single numbers.

    Parameters
    ----------
    function : callable
        f: z -> y.
    derivative : callable
        f', in terms of y if ``of_output``, else in terms of z.
    of_output : bool
        Which of the two the derivative reads.
    monotone : bool
        Whether a larger z never gives a smaller f(z).
    parameters : mapping of str to float
        What a layer may choose, and what it is otherwise; both functions take it by name.
    """

    function: Callable[..., Array]
    derivative: Callable[..., Array]
    of_output: bool
    monotone: bool = True
    parameters: Mapping[str, float] = field(default_factory=dict)


def _sigmoid(z: Array) -> Array:
    # 1 / (1 + e^-z), written so that e is never raised to a large power
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def _softplus(z: Array) -> Array:
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


_erf = np.vectorize(math.erf, otypes=[float])  # NumPy has none; 0.1 s a million numbers


def _normal_distribution(z: Array) -> Array:
    """Return Φ(z), the standard normal distribution function."""
    return 0.5 * (1 + _erf(z / math.sqrt(2)).astype(z.dtype))


def _gelu_derivative(z: Array) -> Array:
    density = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return _normal_distribution(z) + z * density


def _silu_derivative(z: Array) -> Array:
    s = _sigmoid(z)
    return s * (1 + z * (1 - s))


def _mish(z: Array) -> Array:
    return z * np.tanh(_softplus(z))


def _mish_derivative(z: Array) -> Array:
    t = np.tanh(_softplus(z))
    return t + z * (1 - t * t) * _sigmoid(z)


# Klambauer et al., Self-normalizing neural networks, 2017
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805
_SELU_FLOOR = _SELU_ALPHA * _SELU_SCALE


def _elu(z: Array, alpha: float = 1.0) -> Array:
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))


def _rectifier(
    z: Array, negative_slope: float = 0.0, threshold: float = 0.0, max_value: float = math.inf
) -> Array:
    below = z < threshold  # NaN is not, and stays
    return np.where(below, negative_slope * (z - threshold), np.minimum(z, max_value))


def _rectifier_derivative(
    z: Array, negative_slope: float = 0.0, threshold: float = 0.0, max_value: float = math.inf
) -> Array:
    return np.where(z < threshold, negative_slope, np.where(z < max_value, 1.0, 0.0))


def _selu(z: Array) -> Array:
    return np.where(z > 0, _SELU_SCALE * z, _SELU_FLOOR * np.expm1(np.minimum(z, 0)))


ELEMENTWISE: dict[str, Elementwise] = {
    "relu": Elementwise(lambda z: np.maximum(z, 0), lambda y: y > 0, of_output=True),
    "relu6": Elementwise(lambda z: np.clip(z, 0, 6), lambda y: (y > 0) & (y < 6), of_output=True),
    "leaky_relu": Elementwise(
        lambda z, negative_slope=0.2: np.where(z > 0, z, negative_slope * z),
        lambda y, negative_slope=0.2: np.where(y > 0, 1.0, negative_slope),
        of_output=True,
        parameters={"negative_slope": 0.2},
    ),
    "elu": Elementwise(
        _elu,
        lambda y, alpha=1.0: np.where(y > 0, 1, y + alpha),
        of_output=True,
        parameters={"alpha": 1.0},
    ),
    "selu": Elementwise(
        _selu, lambda y: np.where(y > 0, _SELU_SCALE, y + _SELU_FLOOR), of_output=True
    ),
    "tanh": Elementwise(np.tanh, lambda y: 1 - y * y, of_output=True),
    "sigmoid": Elementwise(_sigmoid, lambda y: y * (1 - y), of_output=True),
    "hard_sigmoid": Elementwise(
        lambda z: np.clip(z / 6 + 0.5, 0, 1),
        lambda y: np.where((y > 0) & (y < 1), 1 / 6, 0.0),
        of_output=True,
    ),
    "softplus": Elementwise(_softplus, _sigmoid, of_output=False),
    "softsign": Elementwise(
        lambda z: z / (1 + np.abs(z)), lambda y: (1 - np.abs(y)) ** 2, of_output=True
    ),
    "exponential": Elementwise(np.exp, lambda y: y, of_output=True),
    "silu": Elementwise(
        lambda z: z * _sigmoid(z), _silu_derivative, of_output=False, monotone=False
    ),
    "gelu": Elementwise(
        lambda z: z * _normal_distribution(z), _gelu_derivative, of_output=False, monotone=False
    ),
    "mish": Elementwise(_mish, _mish_derivative, of_output=False, monotone=False),
    "rectifier": Elementwise(
        _rectifier,
        _rectifier_derivative,
        of_output=False,
        parameters={"negative_slope": 0.0, "threshold": 0.0, "max_value": math.inf},
    ),
}
"""Every elementwise activation by its Keras name; "linear" does nothing and is not among them."""


def activation(x: Array, function: str, **parameters: float) -> Array:
    """Return f(x) for the elementwise activation named ``function``, with its parameters."""
    with np.errstate(over="ignore"):  # exponential's infinity is the answer, not an accident
        return ELEMENTWISE[function].function(x, **parameters).astype(x.dtype, copy=False)


def activation_gradient(
    output_gradient: Array, known: Array, function: str, **parameters: float
) -> Array:
    """Return ∂J/∂z = δ • f'(z).

    Parameters
    ----------
    output_gradient : ndarray
        δ = ∂J/∂y.
    known : ndarray
        y where the derivative is in terms of the output, else z.
    function : str
        A key of `ELEMENTWISE`.
    **parameters : float
        Those of the function.
    """
    slope = ELEMENTWISE[function].derivative(known, **parameters)
    return (output_gradient * slope).astype(output_gradient.dtype, copy=False)


def softmax(x: Array) -> Array:
    """Return e^z_i / Σ_j e^z_j over the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))  # the same quotient, without overflow
    return e / e.sum(axis=-1, keepdims=True)


def softmax_gradient(output_gradient: Array, y: Array) -> Array:
    """Return ∂J/∂z_i = y_i (δ_i - Σ_j δ_j y_j)."""
    return y * (output_gradient - (output_gradient * y).sum(axis=-1, keepdims=True))


def log_softmax(x: Array) -> Array:
    """Return z_i - log Σ_j e^z_j over the last axis."""
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def log_softmax_gradient(output_gradient: Array, y: Array) -> Array:
    """Return ∂J/∂z_i = δ_i - e^y_i Σ_j δ_j."""
    return output_gradient - np.exp(y) * output_gradient.sum(axis=-1, keepdims=True)
