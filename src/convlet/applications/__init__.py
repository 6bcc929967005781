"""Named networks: functions that return an uncompiled `Sequential` with fresh weights."""

from __future__ import annotations

from collections.abc import Callable

from convlet.applications.lenet import LectureLeNet, LeNet20_50_500, SmallLeNet
from convlet.models import Sequential

BY_NAME: dict[str, Callable[..., Sequential]] = {
    "small-lenet": SmallLeNet,
    "lecture-lenet": LectureLeNet,
    "lenet-20-50-500": LeNet20_50_500,
}
"""The networks under the names that the command line uses; each model has its own as ``name``."""

__all__ = ["BY_NAME", "LeNet20_50_500", "LectureLeNet", "SmallLeNet"]
