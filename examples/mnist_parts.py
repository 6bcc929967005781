"""MNIST for the examples: 50,000 images to train on, 10,000 to validate on, 10,000 to test on."""

import sys

import numpy as np

from convlet.datasets import mnist

TRAINING = 50_000


def load(folder):
    """Return images with an axis of one channel, and labels, in the three parts."""
    try:
        (x, y), test = mnist.load_data(folder)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"This needs MNIST, four IDX files in a folder: {error}")
    parts = (x[:TRAINING], y[:TRAINING]), (x[TRAINING:], y[TRAINING:]), test
    return [(images[..., np.newaxis], labels) for images, labels in parts]


def limited(parts, limit):
    """Return the first images and labels of each part, and print how many there are."""
    parts = [(images[:limit], labels[:limit]) for images, labels in parts]
    sizes = ", ".join(f"{len(images):,}" for images, _ in parts)
    print(f"MNIST: {sizes} images to train on, to validate on, to test on.\n")
    return parts
