"""Features that nobody designed, for the examples that compare them: learned, convolved, judged.

Lecture 001, "Convolutional features" and "Pooling": a sparse autoencoder learns features
f = σ(W x + b) on small patches x; convolved with larger images and averaged over regions they go
into a softmax classifier. What the lecture leaves open is as in the exercises that it draws from
(Ng et al., *UFLDL Tutorial*): patches of 8x8 are whitened (ZCA), L-BFGS lowers

    J = 1/m Σ ½ |x' - x|² + β Σ_j KL(ρ || ρ_j) + λ/2 (|W|² + |W'|²)

on all m patches at once, x' being what a linear decoder W' makes of f, with λ = 0.003, β = 5 and
ρ = 0.035. Up to the sigmoid all is linear, so whitening and encoder together are one `Conv2D`.
"""

import sys

import numpy as np
import plots

import convlet
from convlet.layers import AveragePooling2D, Conv2D, Dense, Flatten, Input, Whitening
from convlet.models import minimize_lbfgs
from convlet.regularizers import L2, KLSparsity

PATCH = 8
# Keras's loss is the mean of 64 squares, not half their sum: J / 32; its L2(λ) is λ |W|²
SPARSITY, SPARSITY_WEIGHT, DECAY = 0.035, 5 / 32, 0.003 / 64
DECAYS = (1e-4, 1e-3, 1e-2, 1e-1)  # of the softmax, to choose from


def patches_of(x, count, generator):
    """Return patches from random places of random images."""
    images = generator.integers(len(x), size=count)
    places = generator.integers(x.shape[1] - PATCH + 1, size=(count, 2))
    found = zip(images, places, strict=True)
    return np.stack([x[n, i : i + PATCH, j : j + PATCH] for n, (i, j) in found])


def learn(patches, features, iterations, epsilon):
    """Return the encoder, a dense layer, and the whitening that goes before it."""
    whitening = Whitening("zca", epsilon=epsilon)
    whitening.adapt(patches)
    x = convlet.Sequential([whitening, Flatten()]).predict(patches, verbose=0)
    encoder = Dense(
        features,
        activation="sigmoid",
        kernel_regularizer=L2(DECAY),
        activity_regularizer=KLSparsity(SPARSITY, SPARSITY_WEIGHT),
    )
    model = convlet.Sequential(
        [Input(x.shape[1:]), encoder, Dense(x.shape[1], kernel_regularizer=L2(DECAY))]
    )
    model.compile(loss="mean_squared_error")
    minimize_lbfgs(model, x, x, maxiter=iterations, callback=show)
    return encoder, whitening


def show(step, loss):
    """Keep a line on a terminal up to date."""
    if sys.stderr.isatty():
        print(f"L-BFGS, step {step}: loss {loss:.4f} ", end="\r", file=sys.stderr, flush=True)


def random_like(kernel, generator):
    """Return random filters, each as long as one of the learned ones."""
    filters = generator.standard_normal(kernel.shape)
    return filters * (np.linalg.norm(kernel, axis=0) / np.linalg.norm(filters, axis=0))


def convolved(x, kernel, bias, whitening, pool):
    """Return the features of whole images, averaged over regions.

    σ(Wᵀ K(x - m) + b) = σ((K W)ᵀ x + b - (K W)ᵀ m), K being symmetric: one convolution.
    """
    mean, zca = whitening.get_weights()
    folded = zca @ kernel
    model = convlet.Sequential(
        [
            Input(x.shape[1:]),
            Conv2D(len(bias), PATCH, activation="sigmoid"),
            AveragePooling2D(pool),
            Flatten(),
        ]
    )
    model.layers[0].set_weights([folded.reshape(PATCH, PATCH, 1, -1), bias - mean @ folded])
    return model.predict(x, batch_size=16, verbose=0)


def classify(parts, labels):
    """Return a softmax classifier's accuracies on the parts for validation and for the test.

    ``parts`` and ``labels`` are those to train on, to validate on and to test on. The weight decay
    is chosen by validation, and the test part is read once.
    """
    mean, deviation = parts[0].mean(axis=0), parts[0].std(axis=0) + 1e-6
    training, validation, test = [(x - mean) / deviation for x in parts]
    best = 0, None
    for decay in DECAYS:
        given = {"kernel_initializer": "zeros", "kernel_regularizer": L2(decay)}
        softmax = Dense(labels[0].max() + 1, "softmax", **given)
        model = convlet.Sequential([Input(training.shape[1:]), softmax])
        model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        minimize_lbfgs(model, training, labels[0], maxiter=100)
        accuracy = model.evaluate(validation, labels[1], verbose=0)[1]
        best = max(best, (accuracy, model), key=lambda pair: pair[0])
    return best[0], best[1].evaluate(test, labels[2], verbose=0)[1]


def draw(kernel, path):
    """Draw what each unit looks for in a whitened patch."""
    side = int(np.ceil(kernel.shape[1] ** 0.5))
    grid = np.full((side * (PATCH + 1) + 1, side * (PATCH + 1) + 1), np.nan)
    for number, patch in enumerate(kernel.T.reshape(-1, PATCH, PATCH)):
        i, j = np.multiply(divmod(number, side), PATCH + 1) + 1
        grid[i : i + PATCH, j : j + PATCH] = patch / np.abs(patch).max()
    figure = plots.figure(8, 8)
    axes = figure.subplots()
    axes.imshow(grid, cmap="gray", vmin=-1, vmax=1)
    axes.set_axis_off()
    plots.save(figure, path)
