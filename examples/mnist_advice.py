"""Lecture 001's advice ("Tips") as small experiments on MNIST.

* Number of hidden units: "unless we employ some regularization scheme", the error against their
  number is U-shaped. One hidden layer of 2 to 512 units, without a penalty and with L2.
* Regularization parameter: L1 and L2 penalties of powers of ten on 128 hidden units.
* Number of filters: "to equalize computation at each layer", layers near the input have fewer.
  Three convolutions of about 1.2 million multiply-adds, shared out in four ways.
* Learning rate: constant, or decreasing as rate / (1 + d t), t being the epoch.

Networks learn from few images, where such things matter most: 1,000, and 2,000 for convolutions.
It prints four tables of errors on 5,000 other training images, means of all seeds. The test images
are left alone.

It is so, with two seeds: 64 units read best (13.1 %), 4 and 512 worse (30.0 and 14.6 %), with this
L2, too; no penalty helps, and large ones harm, as the lecture expects little of them; many filters
behind the poolings (6-24-96) read better than many in front (48-12-3), 4.0 against 6.4 %;
decreasing pays for a rate that is large (4.2 against 4.7 % at 0.3) and harms a small one. It takes
three minutes of processor time.

    python examples/mnist_advice.py FOLDER --plot advice.png    # MNIST's four IDX files
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np

import convlet
from convlet.inspection.costs import multiply_adds_by_layer
from convlet.layers import Conv2D, Dense, Flatten, Input, MaxPooling2D, Rescaling
from convlet.optimizers import SGD, schedules
from convlet.regularizers import L1L2

FOLDER = Path(__file__).resolve().parents[2] / "shared/data/mnist"  # beside the checkout
VALIDATION = slice(50_000, 55_000)
BATCH = 20
UNITS = [2, 4, 8, 16, 32, 64, 128, 256, 512]
PENALTIES = [0, 1e-4, 1e-3, 1e-2]
FILTERS = [(6, 24, 96), (12, 24, 48), (22, 22, 22), (48, 12, 3)]
RATES = [0.01, 0.03, 0.1, 0.3]
DECREASE = 0.2  # d


def main():
    """Make the four experiments, one table after the other."""
    options = parse_arguments()
    try:
        (x, y), _ = convlet.datasets.mnist.load_data(options.folder)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"This needs MNIST, four IDX files in a folder: {error}")
    start = time.perf_counter()
    trials = Trials(x[..., np.newaxis], y, options)
    results = [trials.units(), trials.penalties(), trials.filters(), trials.rates()]
    print(f"\n{(time.perf_counter() - start) / 60:.1f} minutes")
    if options.plot:
        draw(results, options.plot)


def parse_arguments():
    """Return what was asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", default=FOLDER, help="where MNIST's four files are")
    parser.add_argument("--seeds", type=int, default=2, help="how often to train each network (2)")
    parser.add_argument("--epochs", type=int, help="how long (30; 10 for convolutions)")
    parser.add_argument("--limit", type=int, help="take so many images, for a trial")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw curves (matplotlib)")
    options = parser.parse_args()
    for name in ("seeds", "epochs", "limit"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1")
    if options.plot:
        try:
            import matplotlib  # noqa: F401
        except ImportError:
            parser.error("--plot needs matplotlib: pip install matplotlib")
    return options


class Trials:
    """The experiments. Each prints a table and returns its rows."""

    def __init__(self, x, y, options):
        self.x, self.y, self.options = x, y, options
        self.validation = x[VALIDATION][: options.limit], y[VALIDATION][: options.limit]

    def units(self):
        """Vary the number of hidden units."""
        print("Hidden units: error in %, without a penalty and with L2 of 0.001")
        rows = []
        for units in UNITS:
            rows.append([self.dense(units), self.dense(units, L1L2(0, 1e-3))])
            print(f"{units:>6}  {rows[-1][0]:6.2f}  {rows[-1][1]:6.2f}", flush=True)
        return rows

    def penalties(self):
        """Vary both penalties."""
        print(f"\nPenalties: error in %; rows are L1, columns L2 of {PENALTIES}")
        rows = []
        for l1 in PENALTIES:
            rows.append([self.dense(128, L1L2(l1, l2)) for l2 in PENALTIES])
            print(f"{l1:>6}", *(f"{error:7.2f}" for error in rows[-1]), flush=True)
        return rows

    def filters(self):
        """Vary how filters are shared out to three layers."""
        print("\nFilters: thousands of multiply-adds in each layer, with the last; error in %")
        rows, falling = [], schedules.CosineDecay(0.02, 10 * 2000 // BATCH)
        for filters in FILTERS:
            counts = multiply_adds_by_layer(convolutions(filters)).values()
            rows.append([self.convolved(filters, SGD(falling, momentum=0.9))])
            costs = " ".join(f"{count / 1000:6.0f}" for count in counts)
            print(f"{'-'.join(map(str, filters)):>9}  {costs}  {rows[-1][0]:6.2f}", flush=True)
        return rows

    def rates(self):
        """Vary the rate, constant and decreasing."""
        print(f"\nLearning rates: error in %, constant and decreasing (d = {DECREASE})")
        rows = []
        for rate in RATES:
            decreasing = schedules.InverseTimeDecay(rate, 2000 // BATCH, DECREASE, staircase=True)
            rows.append([self.convolved(FILTERS[1], SGD(r)) for r in (rate, decreasing)])
            print(f"{rate:>6}  {rows[-1][0]:6.2f}  {rows[-1][1]:6.2f}", flush=True)
        return rows

    def dense(self, units, penalty=None):
        """Return the error of a network with a hidden layer."""

        def network():
            hidden = Dense(units, activation="tanh", kernel_regularizer=penalty)
            return [Flatten(), hidden, Dense(10, activation="softmax", kernel_regularizer=penalty)]

        return self.error(network, SGD(0.02, momentum=0.9), 1000, 30)

    def convolved(self, filters, optimizer):
        """Return the error of a network with convolutions."""
        return self.error(lambda: convolutions(filters).layers, optimizer, 2000, 10)

    def error(self, network, optimizer, images, epochs):
        """Return the validation error in per cent after training, the mean of all seeds."""
        images = min(images, self.options.limit or images)
        errors = []
        for seed in range(self.options.seeds):
            convlet.utils.set_random_seed(seed)
            model = convlet.Sequential([Input((28, 28, 1)), Rescaling(1 / 255), *network()])
            fresh = convlet.optimizers.get(convlet.optimizers.serialize(optimizer))
            model.compile(fresh, "sparse_categorical_crossentropy", ["accuracy"])
            epochs = self.options.epochs or epochs
            model.fit(self.x[:images], self.y[:images], BATCH, epochs, verbose=0)
            errors.append(100 * (1 - model.evaluate(*self.validation, verbose=0)[1]))
        return statistics.mean(errors)


def convolutions(filters):
    """Return three 3x3 convolutions, each with max pooling, and the last layer."""
    layers = [Input((28, 28, 1))]
    for count in filters:
        layers += [Conv2D(count, 3, padding="same", activation="relu"), MaxPooling2D(2)]
    return convlet.Sequential([*layers, Flatten(), Dense(10, activation="softmax")])


def draw(results, path):
    """Save the tables as pictures."""
    from matplotlib.figure import Figure

    units, penalties, filters, rates = results
    figure = Figure((9, 7), layout="constrained")
    (top, grid), (bars, bottom) = figure.subplots(2, 2)
    top.semilogx(UNITS, units, "o-", label=["no penalty", "L2 0.001"])
    top.set(title="hidden units", ylim=(10, 35))
    grid.imshow(penalties, cmap="GnBu")
    for place, error in np.ndenumerate(penalties):
        grid.annotate(f"{error:.1f}", place[::-1], ha="center")
    ticks = range(len(PENALTIES)), PENALTIES
    grid.set(title="validation error, %", xlabel="L2", ylabel="L1")
    grid.set(xticks=ticks[0], xticklabels=ticks[1], yticks=ticks[0], yticklabels=ticks[1])
    bars.bar(["-".join(map(str, f)) for f in FILTERS], [row[0] for row in filters])
    bars.set(title="filters, about equal multiply-adds")
    bottom.semilogx(RATES, rates, "o-", label=["constant", "decreasing"])
    bottom.set(title="learning rate")
    for axes in (top, bars, bottom):
        axes.set_ylabel("validation error, %")
    for axes in (top, bottom):
        axes.legend()
    figure.savefig(path)


if __name__ == "__main__":
    main()
