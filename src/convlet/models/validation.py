"""What `fit` validates on, and after which epochs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from convlet import arguments
from convlet.models.given import Given, given
from convlet.models.sources import ArraySource, GeneratorSource, Source


def frequency_of(value: Any) -> int | Collection[int]:
    """Return after which epochs to validate: every so many, or those of some numbers from 1."""
    if isinstance(value, Collection) and not isinstance(value, (str, bytes, Mapping)):
        return [arguments.integer("fit", "validation_freq's epochs", epoch) for epoch in value]
    return arguments.integer("fit", "validation_freq", value)


def is_due(frequency: int | Collection[int], epoch: int) -> bool:
    """Return whether there is validation after an epoch, counted from 0."""
    if isinstance(frequency, int):
        return (epoch + 1) % frequency == 0
    return epoch + 1 in frequency


def validation_given(data: Any, batch_size: int | None) -> Given:
    """Return what validation_data holds."""
    owner = "fit (validation_data)"
    if isinstance(data, (tuple, list)) and len(data) in (2, 3):
        x, y, sample_weight = (*data, None)[:3]
        return given(owner, x, y, sample_weight, batch_size)
    handed_over = given(owner, data)
    if not handed_over.is_batches:
        raise ValueError(
            "fit: validation_data must be a tuple (x, y) or (x, y, sample_weight), or give "
            f"batches, got {type(data).__name__}"
        )
    return handed_over


def split_off(
    source: Source, fraction: float, steps: int | None, batch_size: int
) -> tuple[Source, Source]:
    """Return what to train on, and the last ``fraction`` for validation."""
    if not isinstance(source, ArraySource):
        raise ValueError("fit: validation_split goes with arrays; for batches use validation_data")
    source, validation = source.split(fraction)
    return source, replace(validation, batch_size=batch_size).once(steps)


def check_repeats(validation: Source | None, times: int) -> None:
    """Refuse a generator that validation would exhaust the first time."""
    if isinstance(validation, GeneratorSource) and validation.steps is None and times > 1:
        raise ValueError(
            "fit: validation_steps must be given where validation_data is a generator and there "
            f"are several validations, here {times}"
        )
