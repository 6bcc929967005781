"""Where batches come from: data sets that give them by number, folders, balanced sampling."""

from convlet.sources.balanced import BalancedSampler
from convlet.sources.images import image_dataset_from_directory
from convlet.sources.one_hot import one_hot
from convlet.sources.py_dataset import PyDataset, Sequence, is_py_dataset
from convlet.sources.sounds import audio_dataset_from_directory
from convlet.sources.threads import in_order

__all__ = [
    "BalancedSampler",
    "PyDataset",
    "Sequence",
    "audio_dataset_from_directory",
    "image_dataset_from_directory",
    "in_order",
    "is_py_dataset",
    "one_hot",
]
