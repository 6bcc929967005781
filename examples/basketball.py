"""Finding the ball: one positive among 172 negatives, from one frame or two, then in whole frames.

Lecture 001 ends with a data set of basketball scenes: 465 positives and more than 80,000 negatives
of two frames to train (80 %) and to validate, 158 and 28,451 to test; and with the network of its
results: 10 maps of 5x9, 30 of 5x5, each with 2x2 max pooling, then 900-20-2. The data is not
public: `basketball_scenes` draws as many windows of 36x36 pixels instead. The lecture trains for
200 epochs at rate 0.1, batches of 500; here relu, Adam and batches of 128 make do with 5 epochs.

Side by side: plain training; classes weighted against their number; the focal loss; balanced
batches, a quarter of them positives; the same with mirrored, lighter and darker copies; and
balanced batches of one frame instead of two, the later one of each window. For each of them it
prints the average precision on the validation windows after each epoch; then, with the weights of
the best epoch, that on the test windows, and how many balls are found there, and how many negatives
are taken for balls, at the threshold that is best on the validation windows (by F1).

In the end the network slides over whole frames: its dense layers become convolutions with the same
weights, so that all windows of a frame, 4 pixels apart, are answered at once, and the ball of new
shots is marked where the answer is highest. The picture shows precision and recall, and such marks.

    python examples/basketball.py --plot basketball.png

A seed takes four minutes of processor time on two threads (less than four on a busy machine), and
0.5 GB. Average precision, the means of two seeds: plain 0.59, class weights 0.43, focal loss 0.61,
balanced 0.69, with copies 0.78, one frame 0.32. Of 110 balls in whole frames 98 are marked, and 20
other places.
"""

import time

import basketball_network as network
import basketball_scenes as scenes
import numpy as np
import plots
from command_line import parser_of
from training import mean_of

from convlet import losses, metrics, optimizers, utils
from convlet.augmentation import RandomBrightness, RandomContrast, RandomFlip
from convlet.callbacks import Callback
from convlet.sources import BalancedSampler

PARTS = ((372, 64_000), (93, 16_000), (158, 28_451))  # scenes, a positive each, and negatives
BATCH, RATE = 128, 1e-3
QUARTER = {0: 0.75, 1: 0.25}
COPIES = [RandomFlip("horizontal"), RandomContrast(0.2), RandomBrightness(0.1)]
VARIANTS = {
    "plain": {},
    "class weights": {"class_weight": "balanced"},
    "focal loss": {"loss": losses.CategoricalFocalCrossentropy(alpha=1, gamma=2)},
    "balanced": {"shares": QUARTER},
    "with copies": {"shares": QUARTER, "augmentation": COPIES},
    "one frame": {"shares": QUARTER, "frames": 1},
}


def main():
    """Draw the samples, train each variant with each seed, then find the ball in whole frames."""
    options = parser_of(
        __doc__,
        plot=True,
        seeds=2,
        epochs=5,
        scenes=(PARTS[0][0], "to train with; for a trial, fewer"),
    ).parse_args()
    start = time.perf_counter()
    share = options.scenes / PARTS[0][0]
    parts = [
        scenes.samples(seed, max(round(positives * share), 1), round(negatives * share))
        for seed, (positives, negatives) in enumerate(PARTS)
    ]
    sizes = "; ".join(f"{y.sum():,} and {(y == 0).sum():,}" for _, y in parts)
    print(f"Positives and negatives to train, validate, test: {sizes}")
    print(f"drawn in {time.perf_counter() - start:.0f} s\n\nvariant        seed  ", end="")
    print("average precision: validation, test; found; taken for balls; time")
    runs = [
        train(name, seed, options.epochs, parts)
        for name in VARIANTS
        for seed in range(options.seeds)
    ]
    print("\nvariant        average precision on the test windows")
    for name in VARIANTS:
        values = [run.precision for run in runs if run.name == name]
        print(f"{name:<14} {mean_of(values, '.3f')}")
    best = max((run for run in runs if run.frames == 2), key=lambda run: run.best)
    print(f"\nIn whole frames, {best.name}, seed {best.seed}, which validates best:")
    shown = network.find_balls(best.model, best.threshold)
    if options.plot:
        draw(options.plot, [run for run in runs if run.seed == 0], shown)


class Run(Callback):
    """One training: prints and keeps what validates best; then what the test says."""

    def __init__(self, name, seed, frames, validation):
        self.name, self.seed, self.frames = name, seed, frames
        self.x, self.y = validation
        self.best, self.start = -1, time.perf_counter()
        print(f"{name:<14} {seed:4} ", end="", flush=True)

    def on_epoch_end(self, epoch, logs=None):
        """Print the average precision; keep the weights and the threshold if it is the best."""
        scores = network.scores_of(self.model, self.x)
        precision = network.average_precision(self.y, scores)
        print(f" {precision:.3f}", end="", flush=True)
        if precision > self.best:
            self.best, self.weights = precision, self.model.get_weights()
            precisions, recalls, thresholds = network.curve(self.y, scores)
            f1 = 2 * precisions * recalls / np.maximum(precisions + recalls, 1e-9)
            self.threshold = thresholds[f1.argmax()]

    def test(self, x, y):
        """Look at the test windows, with the best weights."""
        self.model.set_weights(self.weights)
        scores = network.scores_of(self.model, x)
        self.precision, self.curve = network.average_precision(y, scores), network.curve(y, scores)
        (_, wrong), (_, found) = metrics.confusion_matrix(y, scores >= self.threshold, 2)
        print(
            f", {self.precision:.3f}; {found} of {y.sum()}; {wrong}; "
            f"{time.perf_counter() - self.start:.0f} s",
            flush=True,
        )


def train(name, seed, epochs, parts):
    """Return a variant's run with one seed."""
    options = dict(VARIANTS[name])
    frames = options.pop("frames", 2)
    loss = options.pop("loss", "sparse_categorical_crossentropy")
    shares = options.pop("shares", None)
    (x, y), validation, test = [(x[..., -frames:], y) for x, y in parts]
    run = Run(name, seed, frames, validation)
    utils.set_random_seed(seed)
    model = network.classifier(frames)
    model.compile(optimizers.Adam(RATE), loss)
    data = [x, utils.to_categorical(y) if name == "focal loss" else y, BATCH]
    if shares:
        data = [BalancedSampler(x, y, BATCH, shares, seed)]
    model.fit(*data, epochs=epochs, verbose=0, callbacks=[run], **options)
    run.test(*test)
    return run


def draw(path, runs, shown):
    """Draw precision over recall, and what was found in a frame."""
    figure = plots.figure(13, 4)
    curves, *pictures = figure.subplots(1, 3)
    for run in runs:
        precisions, recalls, _ = run.curve
        curves.plot(recalls, precisions, label=f"{run.name} {run.precision:.2f}")
    curves.set(xlabel="recall", ylabel="precision", title="test windows, seed 0")
    curves.legend()
    network.draw(pictures, *shown)
    plots.save(figure, path)


if __name__ == "__main__":
    main()
