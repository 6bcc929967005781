"""Small networks and data that several tests use."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convlet import Model, Sequential, layers

SHARED = Path(__file__).resolve().parents[2] / "shared/data"
"""Real data beside the checkout; tests that need it skip where it is absent."""


def graph(dtype: str = "float32", **options: str) -> Model:
    """Return a graph for samples of shape (4, 4, 2) with all that graphs may have.

    A shared layer, a model inside, branches side by side and added up, sizes that are spread.
    """
    given = layers.Input((4, 4, 2), dtype=dtype)
    x = layers.Conv2D(3, 3, padding="same", activation="tanh", dtype=dtype)(given)
    shared = layers.Dense(3, dtype=dtype)
    inner = Sequential([layers.Dense(2, activation="tanh", dtype=dtype)], dtype=dtype, name="inner")
    x = layers.Add(dtype=dtype)([x, shared(x), shared(shared(x))])
    gate = layers.GlobalAveragePooling2D(keepdims=True, dtype=dtype)(x)
    x = layers.Multiply(dtype=dtype)([x, layers.Dense(3, activation="sigmoid", dtype=dtype)(gate)])
    x = layers.Concatenate(dtype=dtype)([x, inner(given), given])
    return Model(given, x, **options)


# One example of every layer: what makes it, and the shape of a sample that it takes.
EXAMPLES = {
    "Activation": (lambda **k: layers.Activation("tanh", **k), (3, 2)),
    "ActivityRegularization": (
        lambda **k: layers.ActivityRegularization(0.01, 0.02, **k),
        (3, 2),
    ),
    "AlphaDropout": (lambda **k: layers.AlphaDropout(0.1, seed=1, **k), (3, 4)),
    "AveragePooling1D": (lambda **k: layers.AveragePooling1D(2, padding="same", **k), (5, 2)),
    "AveragePooling2D": (lambda **k: layers.AveragePooling2D((2, 3), 2, **k), (5, 6, 2)),
    "AveragePooling3D": (lambda **k: layers.AveragePooling3D(2, 1, "same", **k), (3, 2, 4, 2)),
    # its moving averages are the last batch's statistics
    "BatchNormalization": (
        lambda **k: layers.BatchNormalization(momentum=0.0, epsilon=0.1, **k),
        (3, 4, 2),
    ),
    "Conv1D": (
        lambda **k: layers.Conv1D(4, 3, padding="causal", dilation_rate=2, groups=2, **k),
        (7, 2),
    ),
    "Conv2D": (
        lambda **k: layers.Conv2D(3, (3, 2), (2, 1), "same", activation="sigmoid", **k),
        (5, 4, 2),
    ),
    "Conv3D": (lambda **k: layers.Conv3D(2, 2, use_bias=False, **k), (3, 4, 3, 2)),
    "Conv1DTranspose": (
        lambda **k: layers.Conv1DTranspose(3, 3, 2, "same", output_padding=1, **k),
        (4, 2),
    ),
    "Conv2DTranspose": (
        lambda **k: layers.Conv2DTranspose(3, (3, 2), (2, 3), activation="tanh", **k),
        (3, 2, 2),
    ),
    "Conv3DTranspose": (
        lambda **k: layers.Conv3DTranspose(4, 2, dilation_rate=2, groups=2, use_bias=False, **k),
        (2, 3, 2, 2),
    ),
    "Cropping1D": (lambda **k: layers.Cropping1D((2, 1), **k), (5, 2)),
    "Cropping2D": (lambda **k: layers.Cropping2D(((1, 0), (0, 2)), **k), (3, 4, 2)),
    "Cropping3D": (lambda **k: layers.Cropping3D((1, 0, 1), **k), (3, 2, 4, 2)),
    "Dense": (lambda **k: layers.Dense(3, activation="softmax", **k), (4,)),
    "DepthwiseConv1D": (
        lambda **k: layers.DepthwiseConv1D(3, padding="same", dilation_rate=2, **k),
        (6, 3),
    ),
    "DepthwiseConv2D": (
        lambda **k: layers.DepthwiseConv2D((3, 2), 2, depth_multiplier=2, activation="relu", **k),
        (5, 6, 3),
    ),
    "Dropout": (lambda **k: layers.Dropout(0.4, seed=1, **k), (6,)),
    "ELU": (lambda **k: layers.ELU(0.7, **k), (3, 4)),
    "Flatten": (lambda **k: layers.Flatten(**k), (3, 2, 2)),
    "Functional": (graph, (4, 4, 2)),
    "GaussianDropout": (lambda **k: layers.GaussianDropout(0.3, seed=2, **k), (3, 2)),
    "GaussianNoise": (lambda **k: layers.GaussianNoise(0.3, seed=2, **k), (3, 2)),
    "GlobalAveragePooling1D": (lambda **k: layers.GlobalAveragePooling1D(**k), (5, 2)),
    "GlobalAveragePooling2D": (
        lambda **k: layers.GlobalAveragePooling2D(keepdims=True, **k),
        (4, 3, 2),
    ),
    "GlobalAveragePooling3D": (lambda **k: layers.GlobalAveragePooling3D(**k), (2, 3, 2, 2)),
    "GlobalMaxPooling1D": (lambda **k: layers.GlobalMaxPooling1D(**k), (5, 2)),
    "GlobalMaxPooling2D": (lambda **k: layers.GlobalMaxPooling2D(**k), (4, 3, 2)),
    "GlobalMaxPooling3D": (lambda **k: layers.GlobalMaxPooling3D(keepdims=True, **k), (2, 3, 2, 2)),
    "GroupBatchNormalization": (
        lambda **k: layers.GroupBatchNormalization("p4", momentum=0.0, scale=False, **k),
        (1, 2, 8),
    ),
    "GroupConv2D": (
        lambda **k: layers.GroupConv2D(1, 2, "p4m", activation="tanh", **k),
        (2, 3, 8),
    ),
    "GroupNormalization": (
        lambda **k: layers.GroupNormalization(2, epsilon=0.1, **k),
        (2, 2, 4),
    ),
    "GroupPooling2D": (lambda **k: layers.GroupPooling2D("p4", **k), (3, 2, 8)),
    "LayerNormalization": (
        lambda **k: layers.LayerNormalization(epsilon=0.1, **k),
        (2, 2, 4),
    ),
    "LocalResponseNormalization": (
        lambda **k: layers.LocalResponseNormalization(1, 0.5, 0.3, 0.75, **k),
        (2, 2, 4),
    ),
    "LeakyReLU": (lambda **k: layers.LeakyReLU(0.1, **k), (5, 3)),
    "LocallyConnected1D": (
        lambda **k: layers.LocallyConnected1D(3, 2, padding="same", dilation_rate=2, **k),
        (4, 2),
    ),
    "LocallyConnected2D": (
        lambda **k: layers.LocallyConnected2D(2, (2, 3), (2, 1), activation="tanh", **k),
        (4, 4, 2),
    ),
    "LocallyConnected3D": (
        lambda **k: layers.LocallyConnected3D(2, 2, use_bias=False, **k),
        (3, 2, 3, 2),
    ),
    "L2Pooling1D": (lambda **k: layers.L2Pooling1D(2, 1, **k), (5, 2)),
    "L2Pooling2D": (lambda **k: layers.L2Pooling2D((2, 1), 2, "same", **k), (3, 4, 2)),
    "L2Pooling3D": (lambda **k: layers.L2Pooling3D((1, 1, 2), **k), (2, 2, 3, 2)),
    "LogSumExpPooling1D": (lambda **k: layers.LogSumExpPooling1D(3, sharpness=2.0, **k), (6, 2)),
    "LogSumExpPooling2D": (lambda **k: layers.LogSumExpPooling2D(3, 2, "same", **k), (4, 5, 2)),
    "LogSumExpPooling3D": (lambda **k: layers.LogSumExpPooling3D(2, **k), (2, 4, 3, 2)),
    "MaxPooling1D": (lambda **k: layers.MaxPooling1D(3, 2, "same", **k), (6, 2)),
    "MaxPooling2D": (lambda **k: layers.MaxPooling2D(2, **k), (5, 4, 2)),
    "MaxPooling3D": (lambda **k: layers.MaxPooling3D((1, 2, 2), **k), (2, 4, 3, 2)),
    "Normalization": (
        lambda **k: layers.Normalization(-1, [0.5, -1.0], [0.25, 4.0], **k),
        (3, 2),
    ),
    "Permute": (lambda **k: layers.Permute((2, 3, 1), **k), (3, 4, 2)),
    "OrbitMaxPooling": (lambda **k: layers.OrbitMaxPooling(3, **k), (2, 2, 6)),
    "PReLU": (lambda **k: layers.PReLU("glorot_normal", shared_axes=2, **k), (4, 3, 2)),
    "RadialBasis": (lambda **k: layers.RadialBasis(2, "glorot_uniform", **k), (2,)),
    "ReLU": (lambda **k: layers.ReLU(1.5, 0.1, 0.25, **k), (4, 5)),
    "Rescaling": (lambda **k: layers.Rescaling([0.5, 2.0], 1.0, **k), (3, 2)),
    "Reshape": (lambda **k: layers.Reshape((4, -1), **k), (2, 4, 3)),
    "SeparableConv1D": (lambda **k: layers.SeparableConv1D(4, 2, 2, use_bias=False, **k), (7, 3)),
    "SeparableConv2D": (
        lambda **k: layers.SeparableConv2D(3, 2, padding="same", depth_multiplier=2, **k),
        (4, 3, 2),
    ),
    "Sequential": (
        lambda **k: Sequential([layers.Conv2D(2, 2, **k), layers.Flatten(**k)]),
        (3, 3, 1),
    ),
    "Softmax": (lambda **k: layers.Softmax(**k), (2, 3)),
    "SpatialDropout1D": (lambda **k: layers.SpatialDropout1D(0.4, seed=1, **k), (3, 4)),
    "SpatialDropout2D": (lambda **k: layers.SpatialDropout2D(0.5, **k), (2, 2, 3)),
    "SpatialDropout3D": (lambda **k: layers.SpatialDropout3D(0.3, **k), (2, 1, 2, 3)),
    "TableConv1D": (
        lambda **k: layers.TableConv1D([[1, 0, 1], [0, 1, 1]], 3, padding="same", **k),
        (5, 2),
    ),
    "TableConv2D": (
        lambda **k: layers.TableConv2D([[1, 0], [1, 1], [0, 1]], 2, strides=2, **k),
        (5, 4, 3),
    ),
    "TableConv3D": (
        lambda **k: layers.TableConv3D([[1, 0], [1, 1]], 2, use_bias=False, **k),
        (3, 2, 3, 2),
    ),
    "UpSampling1D": (lambda **k: layers.UpSampling1D(3, **k), (3, 2)),
    "UpSampling2D": (
        lambda **k: layers.UpSampling2D((3, 2), interpolation="bilinear", **k),
        (2, 3, 2),
    ),
    "UpSampling3D": (lambda **k: layers.UpSampling3D((1, 2, 2), **k), (2, 2, 1, 2)),
    "Whitening": (lambda **k: layers.Whitening("pca", components=3, **k), (5,)),
    "ZeroPadding1D": (lambda **k: layers.ZeroPadding1D((1, 2), **k), (4, 2)),
    "ZeroPadding2D": (lambda **k: layers.ZeroPadding2D(((1, 0), (2, 1)), **k), (3, 2, 2)),
    "ZeroPadding3D": (lambda **k: layers.ZeroPadding3D((1, 0, 2), **k), (2, 3, 2, 2)),
    "StochasticPooling1D": (lambda **k: layers.StochasticPooling1D(3, seed=1, **k), (6, 2)),
    "StochasticPooling2D": (
        lambda **k: layers.StochasticPooling2D(2, padding="same", **k),
        (5, 4, 2),
    ),
    "StochasticPooling3D": (lambda **k: layers.StochasticPooling3D(2, 1, **k), (2, 4, 3, 2)),
    "SumPooling1D": (lambda **k: layers.SumPooling1D(3, 2, "same", **k), (6, 2)),
    "SumPooling2D": (lambda **k: layers.SumPooling2D(2, **k), (5, 4, 2)),
    "SumPooling3D": (lambda **k: layers.SumPooling3D((1, 2, 2), **k), (2, 4, 3, 2)),
    "TrainableSubsampling1D": (lambda **k: layers.TrainableSubsampling1D(2, **k), (6, 2)),
    "TrainableSubsampling2D": (
        lambda **k: layers.TrainableSubsampling2D(
            2, activation="tanh", activation_position="before", **k
        ),
        (5, 4, 2),
    ),
    "TrainableSubsampling3D": (
        lambda **k: layers.TrainableSubsampling3D((1, 2, 2), **k),
        (2, 4, 3, 2),
    ),
}

# The same for layers that merge: what makes it, and the shapes of what it takes.
MERGING = {
    "Add": (lambda **k: layers.Add(**k), [(3, 2), (3, 2), (1, 2)]),
    "Average": (lambda **k: layers.Average(**k), [(3, 2), (3, 2), (3, 2)]),
    "Concatenate": (lambda **k: layers.Concatenate(1, **k), [(3, 2), (1, 2), (2, 2)]),
    "Maximum": (lambda **k: layers.Maximum(**k), [(3, 2), (2,)]),
    "Minimum": (lambda **k: layers.Minimum(**k), [(3, 2), (3, 2)]),
    "Multiply": (lambda **k: layers.Multiply(**k), [(2, 1, 3), (2, 2, 1), (2, 2, 3)]),
    "Subtract": (lambda **k: layers.Subtract(**k), [(1, 4), (3, 4)]),
}


def merging_network(name: str, dtype: str = "float32") -> Model:
    """Return a network of a merging layer behind a dense layer for each of its inputs."""
    make, shapes = MERGING[name]
    given = [layers.Input(shape, name=f"of_{n}", dtype=dtype) for n, shape in enumerate(shapes)]
    behind = [layers.Dense(x.shape[-1], dtype=dtype)(x) for x in given]
    return Model(given, make(dtype=dtype)(behind))


def small_network(dtype: str = "float32", dropout: float = 0.0) -> Sequential:
    """Return a small convolutional network for samples of shape (6, 6, 1) and three classes."""
    options = {"dtype": dtype}
    return Sequential(
        [
            layers.Input((6, 6, 1), **options),
            layers.Conv2D(4, 3, activation="relu", **options),
            layers.MaxPooling2D(2, **options),
            layers.Flatten(**options),
            layers.Dropout(dropout, **options),
            layers.Dense(3, activation="softmax", **options),
        ]
    )


def blobs(samples: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return samples of shape (6, 6, 1) in which a bright row tells one of three classes."""
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 3, samples)
    x = generator.normal(0, 0.3, (samples, 6, 6, 1))
    x[np.arange(samples), 2 * y] += 1
    return x.astype(np.float32), y
