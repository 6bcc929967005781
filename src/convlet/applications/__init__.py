"""Named networks: functions that return an uncompiled model with fresh weights.

Those that Keras has, too, have its names, arguments and layers, so that weights can be moved by
name. Nothing is drawn before it is needed: a network that is only looked at takes no memory.
"""

from __future__ import annotations

from collections.abc import Callable

from convlet.applications.alexnet import AlexNet
from convlet.applications.deepface import DeepFace
from convlet.applications.group import P4CNN, P4MCNN
from convlet.applications.inception import GOOGLENET_LOSS_WEIGHTS, GoogLeNet, inception_module
from convlet.applications.lenet import LectureLeNet, LeNet20_50_500, SmallLeNet
from convlet.applications.lenet5 import LeNet5
from convlet.applications.mobilenet import MobileNet, MobileNetV2
from convlet.applications.resnet import ResNet18, ResNet34, ResNet50, ResNet101, ResNet152
from convlet.applications.resnet_cifar import (
    CIFARResNet,
    ResNet20,
    ResNet32,
    ResNet44,
    ResNet56,
    ResNet110,
)
from convlet.applications.series import SeriesFCN, SmallM5
from convlet.applications.vgg import VGG11, VGG13, VGG16, VGG19
from convlet.models import Sequential

SERIES: dict[str, Callable[..., Sequential]] = {
    "series-fcn": SeriesFCN,
    "small-m5": SmallM5,
}
"""Those of `BY_NAME` that take steps x channels; the others take images."""

BY_NAME: dict[str, Callable[..., Sequential]] = {
    "small-lenet": SmallLeNet,
    "lecture-lenet": LectureLeNet,
    "lenet-20-50-500": LeNet20_50_500,
    **SERIES,
}
"""The networks under the names that the command line uses; each model has its own as ``name``."""

__all__ = [
    "BY_NAME",
    "GOOGLENET_LOSS_WEIGHTS",
    "P4CNN",
    "P4MCNN",
    "SERIES",
    "VGG11",
    "VGG13",
    "VGG16",
    "VGG19",
    "AlexNet",
    "CIFARResNet",
    "DeepFace",
    "GoogLeNet",
    "LeNet5",
    "LeNet20_50_500",
    "LectureLeNet",
    "MobileNet",
    "MobileNetV2",
    "ResNet18",
    "ResNet20",
    "ResNet32",
    "ResNet34",
    "ResNet44",
    "ResNet50",
    "ResNet56",
    "ResNet101",
    "ResNet110",
    "ResNet152",
    "SeriesFCN",
    "SmallLeNet",
    "SmallM5",
    "inception_module",
]
