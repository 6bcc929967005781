"""Four textures in the two photographs that come with scikit-learn, for other examples."""

import sys

import numpy as np

CROP, PIECES = 96, 4
# photograph; top, left, bottom, right; into how many rows and columns of pieces
TEXTURES = {
    "pagoda": ("china.jpg", (80, 82, 420, 332), (2, 2)),
    "trees": ("china.jpg", (318, 205, 427, 640), (1, 4)),
    "petals": ("flower.jpg", (75, 168, 350, 445), (2, 2)),
    "leaves": ("flower.jpg", (0, 0, 427, 165), (4, 1)),
}


def crops(count, generator):
    """Return grey crops at random places, ``count`` of each piece of each texture.

    Returns
    -------
    x : ndarray of float32, shape (samples, 96, 96, 1)
        Each of mean 0 and variance 1, so that neither brightness nor contrast tells them apart.
    labels, pieces : ndarray of int, shape (samples,)
        The texture of each, 0 to 3, and the piece that it is from, 0 to 3. Pieces do not overlap.
    """
    x, labels, pieces = [], [], []
    for label, (name, (top, left, bottom, right), (rows, columns)) in enumerate(TEXTURES.values()):
        height, width = (bottom - top) // rows, (right - left) // columns
        for piece in range(PIECES):
            row, column = divmod(piece, columns)
            area = photograph(name)[top + row * height :, left + column * width :][:height, :width]
            for _ in range(count):
                i, j = (generator.integers(size - CROP + 1) for size in area.shape)
                crop = area[i : i + CROP, j : j + CROP]
                x.append((crop - crop.mean()) / crop.std())
            labels += [label] * count
            pieces += [piece] * count
    return np.float32(x)[..., np.newaxis], np.array(labels), np.array(pieces)


def photograph(name):
    """Return a photograph in grey."""
    try:
        from sklearn.datasets import load_sample_image

        return load_sample_image(name).mean(axis=-1)
    except ImportError as error:
        sys.exit(f"This needs scikit-learn and Pillow, pip install 'convlet[learn]': {error}")
