"""Radial basis units: how far an input is from the centre of each unit."""

from __future__ import annotations

from typing import Any

import numpy as np

from convlet import arguments, initializers
from convlet.engine import Buffer, Builder
from convlet.layers.layer import Layer, Shape
from convlet.ops import repeat_table, tap_table
from convlet.ops.take import check_size


class RadialBasis(Layer):
    """Squared distances of the input from the units' centres: y_i = Σ_j (x_j - w_ij)².

    With Gaussian noise around the centres, y_i is minus twice the logarithm of the input's
    density, but for a constant; the softmax of -y tells which centre it belongs to.

    Parameters
    ----------
    units : int
        Number of centres.
    centers_initializer : str or Initializer
        How the first centres are drawn; by default as random codes of -1 and 1.
    centers_regularizer : str or Regularizer, optional
        What the centres add to the loss.
    centers_constraint : str or Constraint, optional
        What the centres must be after every step of training.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it meets its input, if that is no vector of known
        size, not of the centres' size, or takes more than 2**27 numbers an image.

    Notes
    -----
    Input (batch, features), output (batch, units), centers (units, features). Source: Y. LeCun et
    al., *Gradient-based learning applied to document recognition*, 1998, formula 7.
    """

    regularized = ("centers",)

    def __init__(
        self, units: int, centers_initializer: Any = "random_signs", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.units = arguments.integer(self.owner, "units", units)
        self.centers_initializer = self.read_initializer("centers_initializer", centers_initializer)

    def _features(self, input_shape: Shape) -> int:
        """Return the input's size, checked."""
        features = input_shape[-1]
        if len(input_shape) != 2 or features is None:
            raise ValueError(
                f"{self.owner}: the input must have shape (batch, features) with a known number "
                f"of features, got {input_shape}"
            )
        if self.built and features != self.centers.shape[1]:
            raise ValueError(
                f"{self.owner}: the input must have {self.centers.shape[1]} features, as many as "
                f"the centers, got {features}"
            )
        return features

    def build(self, input_shape: Shape) -> None:
        """Make the centres."""
        shape, terms = (self.units, self._features(input_shape)), self.terms_of("centers")
        self.centers = self.add_weight(shape, self.centers_initializer, name="centers", **terms)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, units)."""
        check_size(self.owner, (self.units, self._features(input_shape)))
        return (input_shape[0], self.units)

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append w_ij - x_j for all i and j, the squares, and their sums."""
        (features,) = x.shape
        grid, flat = (self.units, features), (self.units * features,)
        x = builder.apply("rescale", x, shape=x.shape, scale=-1.0, offset=0.0)
        x = self._reshape(builder, x, (1, features))
        spread = repeat_table((1, features), (self.units, 1), self.owner)
        x = builder.apply("take", x, shape=grid, table=spread, fill=0.0)
        x = self._reshape(builder, x, flat)
        centers = builder.tied(self.centers, np.arange(self.centers.size))
        x = builder.apply("add_bias", x, centers, shape=flat)
        x = builder.apply("multiply", x, x, shape=flat)
        x = self._reshape(builder, x, (*grid, 1))
        rows = tap_table(grid, (1, features), owner=self.owner)
        x = builder.apply("sum_pool", x, shape=(self.units, 1, 1), table=rows)
        return self._reshape(builder, x, (self.units,))

    def _reshape(self, builder: Builder, x: Buffer, shape: tuple[int, ...]) -> Buffer:
        return builder.apply("reshape", x, shape=shape, input_shape=x.shape, output_shape=shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {
            **super().get_config(),
            "units": self.units,
            "centers_initializer": initializers.serialize(self.centers_initializer),
        }
