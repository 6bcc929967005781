"""Data sets: ``load_data()`` for each known one, as in Keras, and ``open_dataset`` for any."""

from convlet.datasets import cifar10, cifar100, digits, fashion_mnist, fsdd, kmnist, mnist
from convlet.datasets.dataset import DataSet
from convlet.datasets.source import open_dataset

__all__ = [
    "DataSet",
    "cifar10",
    "cifar100",
    "digits",
    "fashion_mnist",
    "fsdd",
    "kmnist",
    "mnist",
    "open_dataset",
]
