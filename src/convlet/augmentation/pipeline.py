"""Several augmentations, one after the other."""

from __future__ import annotations

from typing import Any

from convlet import arguments
from convlet.augmentation.base import Augmentation, Shape
from convlet.augmentation.geometry import (
    RandomCrop,
    RandomElasticTransform,
    RandomFlip,
    RandomRotation,
    RandomShear,
    RandomTranslation,
    RandomZoom,
)
from convlet.augmentation.mixing import CutMix, MixUp
from convlet.augmentation.sounds import RandomShift, RandomStretch
from convlet.augmentation.values import (
    GaussianNoise,
    RandomBrightness,
    RandomContrast,
    RandomErasing,
    RandomGain,
)
from convlet.serialization import Registry


class Pipeline(Augmentation):
    """Several augmentations, one after the other.

    Geometric ones that follow each other and treat the border alike become one warp: one
    interpolation for each pixel. `Model.fit` takes one of these, or the list.

    Parameters
    ----------
    layers : list of Augmentation

    Raises
    ------
    ValueError
        For anything else, and for an empty list.

    Examples
    --------
    >>> import numpy as np
    >>> from convlet.augmentation import Pipeline, RandomRotation, RandomTranslation
    >>> distort = Pipeline([RandomRotation(0.03), RandomTranslation(0.1, 0.1)])
    >>> distort(np.ones((2, 28, 28, 1)), seed=1).shape
    (2, 28, 28, 1)
    """

    rank = None

    def __init__(self, layers: Any) -> None:
        super().__init__()
        if not isinstance(layers, (list, tuple)):
            raise arguments.invalid("Pipeline", "layers", "a list of augmentations", layers)
        self.layers = [_registry.get(layer) for layer in layers]
        if not self.layers:
            raise arguments.invalid("Pipeline", "layers", "one augmentation at least", layers)

    @property
    def mixes(self) -> bool:  # type: ignore[override]
        """Whether targets are changed, too."""
        return any(layer.mixes for layer in self.layers)

    @property
    def by_sample(self) -> bool:  # type: ignore[override]
        """Whether what becomes of a sample depends on itself and its number alone."""
        return all(layer.by_sample for layer in self.layers)

    def steps(self) -> list[Augmentation]:
        """Return the operations, those of pipelines inside one by one."""
        return [step for layer in self.layers for step in layer.steps()]

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of a sample after all operations; see `Augmentation.output_shape`."""
        for layer in self.layers:
            shape = layer.output_shape(shape)
        return shape

    def get_config(self) -> dict[str, Any]:
        """Return the operations, as JSON types."""
        return {"layers": [_registry.serialize(layer) for layer in self.layers]}


_registry = Registry("augmentation", Augmentation)
for _class in (
    CutMix,
    GaussianNoise,
    MixUp,
    Pipeline,
    RandomBrightness,
    RandomContrast,
    RandomCrop,
    RandomElasticTransform,
    RandomErasing,
    RandomFlip,
    RandomGain,
    RandomRotation,
    RandomShear,
    RandomShift,
    RandomStretch,
    RandomTranslation,
    RandomZoom,
):
    _registry.register(_class)


def get(identifier: Any) -> Augmentation:
    """Return an augmentation: as it is, a list as a `Pipeline`, or what ``serialize`` returned.

    Raises
    ------
    ValueError
        For anything else.
    """
    if isinstance(identifier, (list, tuple)):
        return Pipeline(identifier)
    return _registry.get(identifier)


def serialize(augmentation: Augmentation) -> dict[str, Any]:
    """Return ``{"class_name": ..., "config": ...}``, from which `get` makes an equal one."""
    return _registry.serialize(augmentation)
