"""What the commands' interface needs beyond click."""

from __future__ import annotations

import math
import re
from typing import Any

import click

SEEDS = 2**31  # a seed that is not given is drawn below this: short enough to be typed
INTERRUPTED = 130  # exit code after Ctrl-C, as shells have it: 128 + SIGINT


def lines(title: str, *entries: str) -> str:
    """Return a block for the end of a command's help, its lines kept."""
    return "\n".join(["\b", title, *(f"  {entry}" for entry in entries)])


def examples(*commands: str) -> str:
    """Return a block of example commands for the end of a command's help."""
    return lines("Examples:", *commands)


class FiniteRange(click.FloatRange):
    """A range of numbers; click's own lets infinity and not-a-number through."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number, or fail with a message that names the option."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


class ImageSize(click.ParamType):
    """A size of images, height and width in pixels: 32x48, or 32 for 32x32."""

    name = "HEIGHTxWIDTH"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Return height and width, or fail with a message that names the option."""
        if isinstance(value, tuple):
            return value
        sides = value.lower().split("x")
        if len(sides) > 2 or not all(re.fullmatch("[1-9][0-9]{0,5}", side) for side in sides):
            self.fail(f"{value!r} is not of the form 32x48, height and width.", param, ctx)
        return int(sides[0]), int(sides[-1])
