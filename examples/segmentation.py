"""What stands where: an encoder and a decoder give each pixel its class.

Convolutions and poolings make a small grid out of an image; where each pixel is to be answered, as
in segmentation, transposed convolutions make it large again (lecture 003, "Transpose Convolution").
The scenes are made up: two to four discs, rings and crosses of random sizes, colours and stripes,
which hide each other, on a grey ground, with noise. Colour says nothing about the shape.

Two networks learn it, from the same seeds: one in which all that the decoder knows came through
the 4 x 4 grid in the middle, and one with skip connections, in which each of its levels also sees
the encoder's of the same size (Ronneberger et al., *U-Net*, 2015). For each it prints, for test
scenes read once, the share of pixels that are right and, for each class and as their mean, the
intersection over union: of the pixels that belong to a class or were taken for it, how many do
both. The learning rate falls along half a cosine; it was chosen by the validation scenes. With
--plot it draws scenes, the truth and what both networks say.

    python examples/segmentation.py    # a minute and a half of processor time
    python examples/segmentation.py --seeds 1 --plot scenes.png

The mean IoU is 0.657 without and 0.759 with skip connections, the means of three seeds. What gains
most is thin: rings go from 0.570 to 0.719, crosses from 0.470 to 0.629, discs from 0.669 to 0.722.
"""

import numpy as np
import plots
import shapes
from command_line import parser_of
from training import adam

import convlet
from convlet.layers import (
    Activation,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Conv2DTranspose,
    Input,
    MaxPooling2D,
)
from convlet.metrics import MeanIoU, confusion_matrix

CLASSES = len(shapes.CLASSES)
VALIDATION, TEST = 300, 500
RATE, BATCH = 0.005, 16
CHANNELS = (8, 16, 32)  # at 32 x 32, 16 x 16 and 8 x 8
NETWORKS = ("no skips", "skips")


def main():
    """Train both networks with each seed."""
    options = parser_of(
        __doc__, plot=True, seeds=3, epochs=8, scenes=(3_000, "how many to train on")
    ).parse_args()
    scenes, labels = shapes.scenes(options.scenes + VALIDATION + TEST, seed=0)
    cuts = [options.scenes, options.scenes + VALIDATION]
    scenes, labels = np.split(scenes, cuts), np.split(labels, cuts)
    print(f"{options.scenes:,} scenes of {shapes.SCENE_SIDE} x {shapes.SCENE_SIDE} to train on\n")
    rows, answers = [], []
    for name in NETWORKS:
        runs = [train(name, seed, options.epochs, scenes, labels) for seed in range(options.seeds)]
        scores = [score(labels[-1], predicted) for predicted in runs]
        rows.append(f"{name:<10}" + "".join(f"{value:>10.3f}" for value in np.mean(scores, axis=0)))
        rows[-1] += "   " + " ".join(f"{values[-1]:.3f}" for values in scores)
        answers.append(runs[0])
    heads = ("pixels", *shapes.CLASSES, "mean IoU")
    print(
        f"\n{TEST} test scenes, means of {options.seeds} seeds; in the end the mean IoU of each\n"
    )
    print(" " * 10 + "".join(f"{head:>10}" for head in heads))
    print(*rows, sep="\n")
    if options.plot:
        draw(scenes[-1], [labels[-1], *answers], options.plot)


def network(name):
    """Return an encoder and a decoder, with skip connections if these are what is named."""
    image = x = Input((shapes.SCENE_SIDE, shapes.SCENE_SIDE, 3))
    levels = []
    for channels in CHANNELS:
        x = block(Conv2D(channels, 3, padding="same", use_bias=False), x)
        levels.append(x)
        x = MaxPooling2D(2)(x)
    x = block(Conv2D(CHANNELS[-1], 3, padding="same", use_bias=False), x)
    for channels in reversed(CHANNELS):
        x = block(Conv2DTranspose(channels, 2, strides=2, use_bias=False), x)
        level = levels.pop()
        if name == "skips":
            x = Concatenate()([x, level])
        x = block(Conv2D(channels, 3, padding="same", use_bias=False), x)
    return convlet.Model(image, Conv2D(CLASSES, 1, activation="softmax")(x))


def block(convolution, x):
    """Return what a convolution, batch normalization and relu make of x."""
    return Activation("relu")(BatchNormalization()(convolution(x)))


def train(name, seed, epochs, scenes, labels):
    """Return the classes that a network gives the test scenes' pixels."""
    convlet.utils.set_random_seed(seed)
    print(f"{name}, seed {seed}")
    model = network(name)
    optimizer = adam(RATE, epochs, len(scenes[0]), BATCH)
    iou = MeanIoU(CLASSES, "iou", sparse_y_pred=False)
    model.compile(optimizer, "sparse_categorical_crossentropy", [iou])
    model.fit(
        scenes[0],
        labels[0],
        batch_size=BATCH,
        epochs=epochs,
        validation_data=(scenes[1], labels[1]),
        verbose=2,
    )
    return model.predict(scenes[2], verbose=0).argmax(axis=-1)


def score(labels, predicted):
    """Return the share of right pixels, each class's intersection over union, and their mean."""
    taken = confusion_matrix(labels, predicted, CLASSES)
    both = np.diag(taken)
    ious = both / (taken.sum(axis=0) + taken.sum(axis=1) - both)
    return [both.sum() / taken.sum(), *ious, ious.mean()]


def draw(scenes, answers, path, count=6):
    """Draw some scenes, the truth and what the networks say."""
    rows = ("scene", "truth", *NETWORKS)
    figure = plots.figure(2 * count, 2 * len(rows))
    pictures = [np.clip((scenes + 1) / 2, 0, 1), *answers]
    for axes, name, images in zip(figure.subplots(len(rows), count), rows, pictures, strict=True):
        plots.row_of_images(axes, name, images[:count], vmin=0, vmax=CLASSES - 1)
    plots.save(figure, path)


if __name__ == "__main__":
    main()
