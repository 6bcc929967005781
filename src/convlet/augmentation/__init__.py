"""Augmentation: distorted copies of samples, for training, so that few samples go further.

`Model.fit` takes one of these, or a list, as ``augmentation``. Each is also a function of arrays.
"""

from convlet.augmentation.base import Augmentation
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
from convlet.augmentation.pipeline import Pipeline, get, serialize
from convlet.augmentation.sounds import RandomShift, RandomStretch
from convlet.augmentation.values import (
    GaussianNoise,
    RandomBrightness,
    RandomContrast,
    RandomErasing,
    RandomGain,
)

__all__ = [
    "Augmentation",
    "CutMix",
    "GaussianNoise",
    "MixUp",
    "Pipeline",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomElasticTransform",
    "RandomErasing",
    "RandomFlip",
    "RandomGain",
    "RandomRotation",
    "RandomShear",
    "RandomShift",
    "RandomStretch",
    "RandomTranslation",
    "RandomZoom",
    "get",
    "serialize",
]
