"""Whitening: inputs whose numbers are uncorrelated and of variance 1, by PCA or ZCA."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from convlet import arguments
from convlet.engine import Buffer, Builder, Variable
from convlet.layers.fitted import FittedLayer, reshaped
from convlet.layers.layer import Shape


class Whitening(FittedLayer):
    """Makes the numbers of an input uncorrelated, each of variance 1, over the data of `adapt`.

    With the covariance C = U diag(λ) Uᵀ of the data, λ falling,

        PCA: y = diag(λ + ε)^-½ Uᵀ (x - mean)        ZCA: y = U diag(λ + ε)^-½ Uᵀ (x - mean)

    The first gives coordinates along the principal components, the second what is nearest to the
    input of all that is white, an image where the input is one.

    Parameters
    ----------
    method : {"pca", "zca"}
    epsilon : float
        ε, at least 0: what it is large beside is noise, and is not blown up.
    components : int, optional
        How many of the first principal components are kept, by default all.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it meets its input, if its sizes are unknown or not
        those that it was built for, or there are fewer numbers than components, or so many that
        their covariance is larger than the memory.

    Notes
    -----
    Input (batch, ...), all axes taken together; output (batch, components) for PCA, the input's
    shape for ZCA. Weights: mean (numbers,) and kernel (numbers, outputs); before `adapt` the mean
    is 0 and the kernel the identity. Keras has no such layer. The covariance divides by n - 1, and
    each component's largest number is positive: scikit-learn's ``PCA(whiten=True)`` for ε = 0.
    Source: lecture 001, "Whitening the data"; Bell and Sejnowski, *The independent components of
    natural scenes are edge filters*, 1997.
    """

    def __init__(
        self,
        method: str = "pca",
        epsilon: float = 1e-5,
        components: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.method = arguments.choice(self.owner, "method", method, ("pca", "zca"))
        self.epsilon = arguments.real(self.owner, "epsilon", epsilon, 0)
        if components is not None:
            components = arguments.integer(self.owner, "components", components)
        self.components = components

    def _numbers(self, input_shape: Shape) -> int:
        """Return how many numbers an input has, checked."""
        sizes = [n for n in input_shape[1:] if n is not None]
        if len(input_shape) < 2 or len(sizes) < len(input_shape) - 1:
            raise ValueError(
                f"{self.owner}: the input must have shape (batch, ...) with known sizes, "
                f"got {input_shape}"
            )
        numbers = math.prod(sizes)
        if self.built and numbers != self.center.size:
            raise ValueError(
                f"{self.owner}: the input must have {self.center.size} numbers, for which the "
                f"layer was built, got {numbers}"
            )
        if self.components is not None and self.components > numbers:
            raise ValueError(
                f"{self.owner}: components must be at most the {numbers} numbers of an input, "
                f"got {self.components}"
            )
        return numbers

    def build(self, input_shape: Shape) -> None:
        """Make mean and kernel."""
        numbers = self._numbers(input_shape)
        fewer = "smaller inputs"
        arguments.fits_memory(self.owner, "the covariance", (numbers, numbers), np.float64, fewer)
        outputs = numbers if self.method == "zca" else self.components or numbers
        self.center = self.add_weight((numbers,), "zeros", False, "mean")
        self.kernel = self.add_weight((numbers, outputs), "identity", False, "kernel")
        self._ones = self.constant("ones", (numbers,), "ones")
        self._zeros = self.constant("zeros", (numbers,), "zeros")

    def rows_of(self, batch: np.ndarray) -> np.ndarray:
        """Return a row for each sample."""
        return batch.reshape(len(batch), -1)

    def found_in(self, batches: Iterable[np.ndarray]) -> dict[Variable, np.ndarray]:
        """Return mean and kernel."""
        moments = self.moments_of(batches, self.center.size, True)
        if moments.count < 2:
            raise ValueError(
                f"{self.owner}: adapt: data must hold at least two samples, got {moments.count}"
            )
        kernel = self._whitener(moments.scatter / (moments.count - 1))
        return {self.center: moments.mean, self.kernel: kernel}

    def _whitener(self, covariance: np.ndarray) -> np.ndarray:
        """Return the kernel for a covariance."""
        variances, directions = np.linalg.eigh(covariance)
        kept = slice(None, -1 - (self.components or len(variances)), -1)  # the largest first
        variances, directions = np.maximum(variances[kept], 0), directions[:, kept]
        # what is left of a variance of 0 after rounding
        nothing = len(covariance) * np.finfo(float).eps * variances[0]
        if variances[-1] + self.epsilon <= nothing:
            raise ValueError(
                f"{self.owner}: epsilon must be above 0 for data that has no variance along "
                f"{int((variances <= nothing).sum())} of {len(variances)} components, "
                f"got {self.epsilon}"
            )
        largest = np.abs(directions).argmax(axis=0)
        directions = directions * np.sign(directions[largest, range(len(variances))])
        scaled = directions / np.sqrt(variances + self.epsilon)
        return scaled if self.method == "pca" else scaled @ directions.T

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, components) for PCA, the input's shape for ZCA."""
        numbers = self._numbers(input_shape)
        if self.method == "zca":
            return input_shape
        return (input_shape[0], self.components or numbers)

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append the difference from the mean and a product."""
        y = reshaped(builder, x, self.center.shape)
        ones, zeros = builder.parameter(self._ones), builder.parameter(self._zeros)
        mean = builder.parameter(self.center)
        y = builder.apply("normalize", y, mean, ones, ones, zeros, shape=y.shape, epsilon=0.0)
        kernel = builder.parameter(self.kernel)
        y = builder.apply("dense", y, kernel, shape=self.kernel.shape[1:])
        return reshaped(builder, y, x.shape) if self.method == "zca" else y

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {
            **super().get_config(),
            "method": self.method,
            "epsilon": self.epsilon,
            "components": self.components,
        }
