"""Data sets: ``load_data()`` for each known one, as in Keras, and ``open_dataset`` for any."""

from convlet.datasets import digits, mnist
from convlet.datasets.dataset import DataSet
from convlet.datasets.source import open_dataset

__all__ = ["DataSet", "digits", "mnist", "open_dataset"]
