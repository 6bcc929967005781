"""What shortcuts are for: networks of 20 and of 110 layers, with and without them.

He et al., 2016, stacked more and more layers and found that from some depth on the loss on the
training data itself gets worse: not too many weights, but weights that cannot be found. With
shortcuts each block only learns a change to what it is given, and depth helps again (lecture 000,
"Residual networks").

Here are their networks for small images with half the channels, on the handwritten digits. It
prints the loss of each epoch. The plain network of 20 layers learns, that of 110 keeps guessing,
and ResNet-110 learns as ResNet-20 does.

    python examples/depth.py    # a quarter of a minute on two cores
"""

import math
import time

from command_line import parser_of

from convlet import datasets, optimizers, utils
from convlet.applications import CIFARResNet

RATE, MOMENTUM, BATCH_SIZE = 0.01, 0.9, 32  # the paper's 0.1 is too much for 110 layers to begin
WIDTH = 0.5  # 8, 16 and 32 channels


def main():
    """Train four networks, one after the other, from the same seed."""
    parser = parser_of(__doc__, epochs=8, limit=(None, "images to train on; by default all"))
    parser.add_argument("--depths", type=int, nargs="+", default=[20, 110], help="each 6n + 2")
    options = parser.parse_args()
    if any(depth < 8 or depth % 6 != 2 for depth in options.depths):
        parser.error("--depths must be 6n + 2, such as 8, 20 or 110")
    data = datasets.open_dataset("digits")
    x, labels = data.x_train[: options.limit] / 16, data.y_train[: options.limit]
    print(f"{len(x):,} digits; a loss of {math.log(10):.3f} is guessing\n")
    print(f"{'network':<10} loss of each epoch")
    for depth in options.depths:
        for shortcuts in ("none", "identity"):
            train(depth, shortcuts, x, labels, options.epochs)


def train(depth, shortcuts, x, labels, epochs):
    """Train one network and print its losses and its time."""
    utils.set_random_seed(0)
    model = CIFARResNet(depth, input_shape=x.shape[1:], shortcuts=shortcuts, width=WIDTH)
    model.compile(optimizers.SGD(RATE, momentum=MOMENTUM), "sparse_categorical_crossentropy")
    start = time.perf_counter()
    history = model.fit(x, labels, BATCH_SIZE, epochs, verbose=0)
    losses = " ".join(f"{loss:.3f}" for loss in history.history["loss"])
    print(f"{model.name:<10} {losses}  {time.perf_counter() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()
