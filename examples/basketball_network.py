"""The network of lecture 001's results on basketball scenes, how well it finds the ball, and where.

A dense layer behind a map of 6x5 is a convolution of 6x5 that has one place to be at. On a larger
frame it has many, and answers for the window around each of them as the network does, but
neighbouring windows share what they have in common. Two poolings of 2 put the answers 4 pixels
apart.
"""

import time

import basketball_scenes as scenes
import numpy as np

from convlet import Input, Sequential, metrics
from convlet.layers import Conv2D, Dense, Flatten, MaxPooling2D, Rescaling

STRIDE = 4  # pixels between the windows of two answers
APART = 3  # answers between two marks, at least
SHOTS, SHOTS_SEED = 10, 3  # new ones, in which the ball is to be found: windows have 0 to 2
REACH = 6  # pixels; how far a mark may be from the ball


def classifier(frames):
    """Return the lecture's network for windows: 10 maps of 5x9, 30 of 5x5, then 900-20-2."""
    head = [Flatten(), Dense(20, activation="relu"), Dense(2, activation="softmax")]
    return _network((scenes.WINDOW, scenes.WINDOW, frames), head)


def detector(model):
    """Return a classifier's detector: for frames of any size, dense layers as convolutions."""
    head = [Conv2D(20, (6, 5), activation="relu"), Conv2D(2, 1, activation="softmax")]
    slid = _network((None, None, model.input_shape[-1]), head)
    weights = zip(model.get_weights(), slid.get_weights(), strict=True)
    slid.set_weights([dense.reshape(kernel.shape) for dense, kernel in weights])
    return slid


def _network(shape, head):
    """Return the convolutions and a head; the slides do not give the activations."""
    return Sequential(
        [
            Input(shape),
            Rescaling(1 / 64, offset=-2),
            Conv2D(10, (5, 9), activation="relu"),
            MaxPooling2D(2),
            Conv2D(30, 5, activation="relu"),
            MaxPooling2D(2),
            *head,
        ]
    )


def windows_of(frames):
    """Return the windows that a detector answers for, row by row, (n, 36, 36, channels)."""
    rows, columns = [(size - scenes.WINDOW) // STRIDE + 1 for size in frames.shape[:2]]
    corners = STRIDE * np.indices((rows, columns)).reshape(2, -1).T
    return scenes.cut(np.moveaxis(frames, -1, 0), corners + scenes.WINDOW // 2)


def marked(answers, threshold):
    """Return the middles of the windows above the threshold, (n, 2), the surest first.

    Of answers that are close together only the surest counts.
    """
    answers, places = answers.copy(), []
    while answers.max() >= threshold:
        y, x = np.unravel_index(answers.argmax(), answers.shape)
        places.append((y, x))
        answers[max(y - APART, 0) : y + APART + 1, max(x - APART, 0) : x + APART + 1] = -np.inf
    return STRIDE * np.array(places, int).reshape(-1, 2) + scenes.WINDOW // 2


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


def find_balls(model, threshold):
    """Slide over new shots, print how many balls are found; return what to draw of a frame."""
    generator = np.random.default_rng(SHOTS_SEED)
    shots = [scenes.shot(generator) for _ in range(SHOTS)]
    pairs = np.concatenate([np.stack([f[:-1], f[1:]], axis=-1) for f, _, _ in shots])
    balls = np.concatenate([places[1:] for _, places, _ in shots])
    slid = detector(model)
    answers = slid.predict(pairs, batch_size=1, verbose=0)[..., 1]
    compare(model, slid, pairs[0])
    marks = [marked(answer, threshold) for answer in answers]
    near = [np.hypot(*(m - b).T) <= REACH for m, b in zip(marks, balls, strict=True)]
    surest = np.array([marked(answer, answer.max())[0] for answer in answers])
    right = np.hypot(*(surest - balls).T) <= REACH
    print(
        f"Of {len(pairs)} balls {sum(n.any() for n in near)} are marked, with "
        f"{sum((~n).sum() for n in near)} wrong marks; the surest place is the ball "
        f"{right.sum()} times"
    )
    shown = len(pairs) // 2
    return pairs[shown, ..., 1], answers[shown], marks[shown], balls[shown]


def compare(model, slid, pair):
    """Print how far the detector's answers are from the classifier's, and both times."""
    start = time.perf_counter()
    answers = slid.predict(pair[np.newaxis], verbose=0)[0, ..., 1]
    middle = time.perf_counter()
    scores = scores_of(model, windows_of(pair))
    end = time.perf_counter()
    print(
        f"{answers.size} windows of a frame: the detector's answers are the classifier's to "
        f"{np.abs(scores - answers.ravel()).max():.0e}, in {1000 * (middle - start):.0f} ms "
        f"instead of {1000 * (end - middle):.0f}"
    )


def draw(axes, frame, answers, marks, ball):
    """Draw a frame with its answers, and with its marks and the ball, in two axes."""
    for place, title in zip(axes, ("answers", "marks (red), the ball (yellow)"), strict=True):
        place.imshow(frame, cmap="gray")
        place.set(title=title, xticks=[], yticks=[], autoscale_on=False)
    first = (scenes.WINDOW - STRIDE) // 2
    rows, columns = first + STRIDE * np.array(answers.shape)
    axes[0].imshow(answers, extent=(first, columns, rows, first), alpha=0.6, vmin=0, vmax=1)
    axes[1].scatter(*marks.T[::-1], s=200, facecolors="none", edgecolors="red")
    axes[1].scatter(*ball[::-1], marker="+", color="yellow")
