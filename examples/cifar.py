"""ResNet-20 on CIFAR-10, as its authors trained it.

Lecture 000, "Residual networks": He et al. (2016, section 4.2) train a network of 20 layers and
270,000 weights on small photographs in ten classes, and read 8.75 % of the test images wrong. Their
recipe is kept: batches of 128, a rate of 0.1 divided by 10 after half and three quarters of 64,000
steps, momentum 0.9, weight decay 0.0001, He's initial weights, the mean of the training images
subtracted, images shifted by up to 4 pixels and mirrored at random. The last tenth of the training
images is for validation and shows how it goes; the test images are read once, in the end.

It prints for each epoch the loss, the validation error, the seconds, and when it will be done.

    python examples/cifar.py                   # downloads CIFAR-10, 170 MB
    python examples/cifar.py FOLDER            # with cifar-10-binary.tar.gz, or what it holds
    python examples/cifar.py IMAGES --epochs 40    # a sub-folder for each class

The experiment itself has not been run: a step takes 0.37 s of the processor's time, 0.2 s on two
cores, so all of it about three and a half hours. A folder of scikit-learn's 1,797 handwritten
digits, with ``--size 8 --epochs 20``, was read 19.06 % wrong, mirrored digits and all, within
16 s of the processor's time.
"""

import sys

import numpy as np
from command_line import parser_of
from training import Progress, error_of

import convlet
from convlet.applications import CIFARResNet
from convlet.augmentation import RandomFlip, RandomTranslation
from convlet.callbacks import BackupAndRestore
from convlet.optimizers import SGD
from convlet.optimizers.schedules import PiecewiseConstantDecay
from convlet.regularizers import L2, serialize

BATCH, RATE, MOMENTUM, DECAY, SHIFT = 128, 0.1, 0.9, 1e-4, 4
TESTED, VALIDATED = 1 / 6, 1 / 10


def main():
    """Train, then read the test images."""
    options = parse_arguments()
    convlet.utils.set_random_seed(options.seed)
    (x, y), (x_test, y_test), classes = read(options.folder, options.size, options.limit)
    held_back = max(1, round(VALIDATED * len(x)))
    mean = x[:-held_back].mean(axis=0)
    x, x_test = x - mean, x_test - mean
    training, validation = (x[:-held_back], y[:-held_back]), (x[-held_back:], y[-held_back:])
    sizes = ", ".join(f"{len(part):,}" for part in (*training[:1], *validation[:1], x_test))
    print(f"{classes} classes; {sizes} images to train on, to validate on, to test on.")
    model = network(options.depth, x.shape[1:], classes)
    steps = options.epochs * -(-len(training[0]) // BATCH)
    rates = [RATE, RATE / 10, RATE / 100]
    schedule = PiecewiseConstantDecay([steps // 2, steps * 3 // 4], rates)
    model.compile(SGD(schedule, MOMENTUM), "sparse_categorical_crossentropy", ["accuracy"])
    print(
        f"{model.name}: {sum(w.size for w in model.trainable_weights):,} weights, {steps:,} steps"
    )
    shifts = [SHIFT / size for size in x.shape[1:3]]
    model.fit(
        *training,
        BATCH,
        options.epochs,
        verbose=0,
        callbacks=[Progress(model.name), *map(BackupAndRestore, options.backup)],
        validation_data=validation,
        augmentation=[
            RandomFlip("horizontal"),
            RandomTranslation(*shifts, fill_mode="constant", interpolation="nearest"),
        ],
    )
    error = error_of(model, x_test, y_test)
    print(f"Test error: {error:.2f} %; the paper's ResNet-20 on CIFAR-10: 8.75 %")


def parse_arguments():
    """Return what was asked for on the command line."""
    parser = parser_of(
        __doc__,
        depth=(20, "6n + 2"),
        epochs=(182, "how long; 182: 64,000 steps"),
        size=(32, "rows and columns of a folder's images"),
        limit=None,
    )
    parser.add_argument("folder", nargs="?", help="CIFAR-10's, or one of images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--backup", action="append", default=[], help="a folder from which a broken run goes on"
    )
    options = parser.parse_args()
    if options.size < 8 or (options.limit is not None and options.limit < 2):
        parser.error("--size must be at least 8, --limit 2")
    if options.depth < 8 or options.depth % 6 != 2:
        parser.error("--depth must be 6n + 2, such as 8, 20 or 110")
    return options


def read(folder, size, limit):
    """Return images from 0 to 1 and labels to train on and to test on, and how many classes."""
    try:
        try:
            parts = convlet.datasets.cifar10.load_data(folder)
            classes = len(convlet.datasets.cifar10.CLASS_NAMES)
        except FileNotFoundError:  # then the folder holds images
            both = convlet.utils.image_dataset_from_directory(
                folder, image_size=size, validation_split=TESTED, subset="both", seed=0
            )
            parts, classes = [part.arrays() for part in both], len(both[0].class_names)
    except (OSError, ValueError, ImportError) as error:
        sys.exit(f"This needs CIFAR-10, or a folder of images with a sub-folder a class: {error}")
    parts = [(x[:limit].astype(np.float32) / 255, y[:limit].ravel()) for x, y in parts]
    return *parts, classes


def network(depth, shape, classes):
    """Return a residual network with He's initial weights and weight decay.

    The decay is part of the gradient, as in the paper: λw, the gradient of λ/2 Σw².
    """
    model = CIFARResNet(depth, input_shape=shape, classes=classes)
    config = model.get_config()
    for layer in config["layers"]:
        if "kernel_initializer" in layer["config"]:
            decay = serialize(L2(DECAY / 2))
            layer["config"] |= {"kernel_initializer": "he_normal", "kernel_regularizer": decay}
    return type(model).from_config(config)


if __name__ == "__main__":
    main()
