"""Strides in place of pooling: four networks that halve their images in different ways, on MNIST.

Lecture 003 ("Variants of the Basic Convolution") says that convolution and pooling can be replaced
by strided convolutions. Springenberg et al., *Striving for Simplicity: The All Convolutional Net*
(2015) compared four ways to do so, and so does this, at the two places where a small network
halves its images, 28 x 28 to 14 x 14 to 7 x 7:

pooling           a convolution, then max pooling
strided           the convolution itself takes steps of 2; their "Strided-CNN"
all convolutional a convolution, then another that takes steps of 2; their "All-CNN"
more, pooling     a convolution, another, then max pooling; their "ConvPool-CNN": as many weights
                  as the one before, so that what is compared is the pooling and not the size

Convolutions are 3 x 3 with 16 and with 32 channels; behind them a dense layer names the digit. For
each network it prints its weights, its multiply-adds, its mean error over all seeds on images to
validate on, by which the learning rate was chosen, and on the test images, which are read once,
after the last epoch; and the processor's time for an epoch, all threads together, which is nearly
the same on a busy machine.

    python examples/strides_or_pooling.py FOLDER    # with MNIST's four IDX files, gzipped or not

With 10,000 images, 5 epochs and 3 seeds it takes a minute and a half of processor time. Pooling
misreads 1.78 %, strided 2.69 %, all convolutional 2.02 %, more with pooling 1.63 %. So here, with
little training, strides in place of pooling cost accuracy; with as many weights they take three
quarters of the time.
"""

import statistics
import time

import mnist_parts
from command_line import parser_of
from training import adam, error_of, mean_of

import convlet
from convlet.inspection import multiply_adds
from convlet.layers import Conv2D, Dense, Flatten, Input, MaxPooling2D, Rescaling

CHANNELS, BATCH = (16, 32), 100
NETWORKS = ("pooling", "strided", "all convolutional", "more, pooling")


def main():
    """Train each network with each seed; then print a table."""
    parser = parser_of(
        __doc__,
        mnist=True,
        seeds=3,
        epochs=5,
        limit=(10_000, "images to train on"),
        test_limit=(None, "validate and test on so many, for a trial"),
    )
    parser.add_argument("--rate", type=float, default=0.01, help="at first (0.01)")
    options = parser.parse_args()
    limits = options.limit, options.test_limit, options.test_limit
    loaded = mnist_parts.load(options.folder)
    parts = [(x[:limit], y[:limit]) for (x, y), limit in zip(loaded, limits, strict=True)]
    print(f"{len(parts[0][0]):,} images to train on, {options.epochs} epochs\n")
    rows = []
    for name in NETWORKS:
        runs = [train(name, seed, options, *parts) for seed in range(options.seeds)]
        rows.append(row(name, runs))
    print(f"\nMeans of {options.seeds} seeds, from the lowest to the highest:\n")
    print(f"{'network':<18}{'weights':>8}{'multiply-adds':>15}", end="")
    print("   validation, %    test error, %              time", *rows, sep="\n")


def network(name):
    """Return a network that halves its images twice, in the way that is named."""
    layers = [Input((28, 28, 1)), Rescaling(1 / 255)]
    for channels in CHANNELS:
        layers.append(convolution(channels, strides=2 if name == "strided" else 1))
        if name == "all convolutional":
            layers.append(convolution(channels, strides=2))
        if name == "more, pooling":
            layers.append(convolution(channels))
        if name.endswith("pooling"):
            layers.append(MaxPooling2D(2))
    return convlet.Sequential([*layers, Flatten(), Dense(10, activation="softmax")])


def convolution(channels, strides=1):
    """Return one of their convolutions."""
    return Conv2D(channels, 3, strides=strides, padding="same", activation="relu")


def train(name, seed, options, training, validation, test):
    """Return a trained model, its errors in per cent and the processor's seconds for an epoch."""
    convlet.utils.set_random_seed(seed)
    model = network(name)
    optimizer = adam(options.rate, options.epochs, len(training[0]), BATCH)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    start = time.process_time()
    model.fit(*training, batch_size=BATCH, epochs=options.epochs, verbose=0)
    seconds = (time.process_time() - start) / options.epochs
    errors = [error_of(model, *part) for part in (validation, test)]
    print(
        f"{name:<18} seed {seed}: validation error {errors[0]:5.2f} %, test error "
        f"{errors[1]:5.2f} %  {seconds:.1f} s of processor time an epoch",
        flush=True,
    )
    return model, *errors, seconds


def row(name, runs):
    """Return a network's line of the table."""
    models, validation, test, seconds = zip(*runs, strict=True)
    return (
        f"{name:<18}{models[0].count_params():>8,}{multiply_adds(models[0]):>15,}"
        f"{statistics.mean(validation):>16.2f}    {mean_of(test):<22}"
        f"{statistics.median(seconds):>7.1f} s"
    )


if __name__ == "__main__":
    main()
