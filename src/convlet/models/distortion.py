"""What `Model.fit` does with an augmentation: checks that it fits, and distorts batches by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convlet import augmentation as augmentations
from convlet.augmentation import Augmentation
from convlet.augmentation.base import Samples as Drawn
from convlet.augmentation.base import numbers_of
from convlet.models.data import Batch, Samples, fits

if TYPE_CHECKING:
    from convlet.models.model import Model


def distortion_for(
    owner: str, augmentation: Any, samples: Samples, model: Model
) -> Augmentation | None:
    """Return the augmentation, a list as a pipeline, once it fits samples and model.

    Raises
    ------
    ValueError
        If it is none; if the model has several inputs, or does not take what comes out; if targets
        are to be mixed and are not as long as predictions.
    """
    if augmentation is None:
        return None
    if not isinstance(augmentation, (Augmentation, list, tuple)):
        raise ValueError(
            f"{owner}: augmentation must be an Augmentation or a list of them, "
            f"got {type(augmentation).__name__}"
        )
    chosen = augmentations.get(augmentation)
    if len(samples.x) > 1:
        raise ValueError(
            f"{owner}: augmentation goes with models of one input, got {len(samples.x)} inputs"
        )
    (x,) = samples.x
    after = chosen.output_shape(x.shape[1:])
    before = model.prediction_shapes([x.shape])
    fitting = fits((len(x), *after), model.input_shape)
    if not fitting or model.prediction_shapes([(len(x), *after)]) != before:
        raise ValueError(
            f"{owner}: augmentation must give samples that the model takes, {x.shape[1:]}, "
            f"got {after}"
        )
    if chosen.mixes:
        _check_mixable(owner, samples, before)
    return chosen


def _check_mixable(owner: str, samples: Samples, shapes: list[tuple[int, ...]]) -> None:
    """Raise a ValueError unless there is one output and its targets have its shape."""
    given = [None if y is None else y.shape for y in samples.y]
    if given != shapes or len(shapes) != 1:
        raise ValueError(
            f"{owner}: augmentation that mixes targets needs one output and targets of its shape, "
            f"{shapes[0]}, got {given[0]}; use utils.to_categorical and categorical_crossentropy"
        )


def distorter(augmentation: Augmentation | None, model: Model) -> Callable[[Batch], Batch] | None:
    """Return what distorts a batch of the epoch that has begun, None for no augmentation."""
    if augmentation is None:
        return None
    chosen, seed, epoch = augmentation, model.state.seed, model.state.epochs - 1

    def distort(batch: Batch) -> Batch:
        (x,), y, numbers = batch.x, batch.y, batch.numbers
        assert numbers is not None  # sources number their samples
        mixed = y[0] if chosen.mixes else None
        given = Drawn(np.ascontiguousarray(x, np.float32), mixed, numbers_of(numbers))
        drawn = chosen.run(given, seed, epoch)
        return replace(
            batch, x=(drawn.x.astype(x.dtype, copy=False),), y=(drawn.y,) if chosen.mixes else y
        )

    return distort
