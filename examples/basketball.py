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

import argparse
import time

import basketball_network as network
import basketball_scenes as scenes
import numpy as np
import plots

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
SHOTS = 10
REACH = 6  # pixels; how far a mark may be from the ball


def main():
    """Draw the samples, train each variant with each seed, then find the ball in whole frames."""
    options = parse_arguments()
    start = time.perf_counter()
    share = options.scenes / PARTS[0][0]
    parts = [
        scenes.samples(seed, max(round(positives * share), 1), round(negatives * share))
        for seed, (positives, negatives) in enumerate(PARTS)
    ]
    counts = "; ".join(f"{y.sum():,} and {(y == 0).sum():,}" for _, y in parts)
    print(f"Positives and negatives to train, validate, test: {counts}")
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
        print(f"{name:<14} {np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})")
    best = max((run for run in runs if run.frames == 2), key=lambda run: run.best)
    print(f"\nIn whole frames, {best.name}, seed {best.seed}, which validates best:")
    picture = find_balls(best)
    if options.plot:
        draw(options.plot, [run for run in runs if run.seed == 0], *picture)


def parse_arguments():
    """Return what was asked for on the command line, checked before anything is drawn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2, help="how often to train each (2)")
    parser.add_argument("--epochs", type=int, default=5, help="how long (5)")
    parser.add_argument(
        "--scenes", type=int, default=PARTS[0][0], help="to train with (372); for a trial, fewer"
    )
    plots.add_option(parser)
    options = parser.parse_args()
    for name in ("seeds", "epochs", "scenes"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1")
    plots.check(parser, options.plot)
    return options


class Run(Callback):
    """One training: prints and keeps what validates best; then what the test says."""

    def __init__(self, name, seed, frames, validation):
        self.name, self.seed, self.frames = name, seed, frames
        self.x, self.y = validation
        self.best, self.start = -1, time.perf_counter()
        print(f"{name:<14} {seed:4} ", end="", flush=True)

    def on_epoch_end(self, epoch, logs=None):
        """Print the average precision; keep the weights and the threshold if it is the best."""
        scores = scores_of(self.model, self.x)
        precision = average_precision(self.y, scores)
        print(f" {precision:.3f}", end="", flush=True)
        if precision > self.best:
            self.best, self.weights = precision, self.model.get_weights()
            precisions, recalls, thresholds = curve(self.y, scores)
            f1 = 2 * precisions * recalls / np.maximum(precisions + recalls, 1e-9)
            self.threshold = thresholds[f1.argmax()]

    def test(self, x, y):
        """Look at the test windows, with the best weights."""
        self.model.set_weights(self.weights)
        scores = scores_of(self.model, x)
        self.precision, self.curve = average_precision(y, scores), curve(y, scores)
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


def scores_of(model, x):
    """Return how sure the network is of a ball in each window."""
    return model.predict(x, batch_size=500, verbose=0)[:, 1]


def average_precision(y, scores):
    """Return the mean of precision over recall."""
    metric = metrics.AveragePrecision()
    metric.update_state(y, scores)
    return metric.result()


def curve(y, scores):
    """Return precision and recall if each of the scores were the threshold, and the scores."""
    order = np.argsort(-scores)
    found = np.cumsum(y[order])
    return found / np.arange(1, len(y) + 1), found / found[-1], scores[order]


def find_balls(run):
    """Slide over new shots, print how many balls are found; return what to draw of a frame."""
    generator = np.random.default_rng(len(PARTS))
    shots = [scenes.shot(generator) for _ in range(SHOTS)]
    pairs = np.concatenate([np.stack([f[:-1], f[1:]], axis=-1) for f, _, _ in shots])
    balls = np.concatenate([places[1:] for _, places, _ in shots])
    detector = network.detector(run.model)
    answers = detector.predict(pairs, batch_size=1, verbose=0)[..., 1]
    compare(run.model, detector, pairs[0])
    marks = [network.marked(answer, run.threshold) for answer in answers]
    near = [np.hypot(*(m - b).T) <= REACH for m, b in zip(marks, balls, strict=True)]
    surest = np.array([network.marked(answer, answer.max())[0] for answer in answers])
    right = np.hypot(*(surest - balls).T) <= REACH
    print(
        f"Of {len(pairs)} balls {sum(n.any() for n in near)} are marked, with "
        f"{sum((~n).sum() for n in near)} wrong marks; the surest place is the ball "
        f"{right.sum()} times"
    )
    shown = len(pairs) // 2
    return pairs[shown, ..., 1], answers[shown], marks[shown], balls[shown]


def compare(model, detector, pair):
    """Print how far the detector's answers are from the classifier's, and both times."""
    start = time.perf_counter()
    answers = detector.predict(pair[np.newaxis], verbose=0)[0, ..., 1]
    middle = time.perf_counter()
    scores = scores_of(model, network.windows_of(pair))
    end = time.perf_counter()
    print(
        f"{answers.size} windows of a frame: the detector's answers are the classifier's to "
        f"{np.abs(scores - answers.ravel()).max():.0e}, in {1000 * (middle - start):.0f} ms "
        f"instead of {1000 * (end - middle):.0f}"
    )


def draw(path, runs, frame, answers, marks, ball):
    """Draw precision over recall, and a frame with the answers, the marks and the ball."""
    from matplotlib.figure import Figure

    figure = Figure((13, 4), layout="constrained")
    curves, *pictures = figure.subplots(1, 3)
    for run in runs:
        precisions, recalls, _ = run.curve
        curves.plot(recalls, precisions, label=f"{run.name} {run.precision:.2f}")
    curves.set(xlabel="recall", ylabel="precision", title="test windows, seed 0")
    curves.legend()
    for axes, title in zip(pictures, ("answers", "marks (red), the ball (yellow)"), strict=True):
        axes.imshow(frame, cmap="gray")
        axes.set(title=title, xticks=[], yticks=[], autoscale_on=False)
    first = (scenes.WINDOW - network.STRIDE) // 2
    rows, columns = first + network.STRIDE * np.array(answers.shape)
    pictures[0].imshow(answers, extent=(first, columns, rows, first), alpha=0.6, vmin=0, vmax=1)
    pictures[1].scatter(*marks.T[::-1], s=200, facecolors="none", edgecolors="red")
    pictures[1].scatter(*ball[::-1], marker="+", color="yellow")
    figure.savefig(path)
    print(f"Picture: {path}")


if __name__ == "__main__":
    main()
