"""Made-up pictures for the examples: clips of moving shapes, and scenes of shapes that overlap.

Shapes are drawn by their signed distance: how far a point lies outside the outline, negative
within. A pixel's coverage falls from 1 to 0 over one pixel there, so that edges are smooth.
"""

import numpy as np

FRAMES, SIDE = 8, 24  # of a clip
MOTIONS = ("left", "right", "up", "down", "clockwise", "anticlockwise")
CLUTTER, CLIP_NOISE = 2, 0.3  # still shapes in a clip; the noise's deviation

SCENE_SIDE, SCENE_NOISE = 32, 0.1
CLASSES = ("ground", "disc", "ring", "cross")
SHAPES = (2, 4)  # in a scene: from 2 to 4


def distance(kind, u, v, radius):
    """Return how far points (u, v) lie outside a shape around (0, 0), in pixels."""
    if kind == "disc":
        return np.hypot(u, v) - radius
    if kind == "ring":
        return np.abs(np.hypot(u, v) - 0.75 * radius) - 0.25 * radius
    if kind == "triangle":
        slanted = np.sqrt(0.75).astype(np.float32) * np.abs(u) - v / 2
        return np.maximum(slanted, v) - radius / 2
    bar = np.maximum(np.abs(u) - radius, np.abs(v) - radius / 3)
    if kind == "bar":
        return bar
    return np.minimum(bar, np.maximum(np.abs(v) - radius, np.abs(u) - radius / 3))  # a cross


def coverage(kind, dx, dy, angle, radius):
    """Return how much of each pixel a turned shape covers, dx and dy from its middle."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.clip(0.5 - distance(kind, cos * dx + sin * dy, cos * dy - sin * dx, radius), 0, 1)


def clips(count, seed):
    """Return clips (count, 8, 24, 24, 1) in each of which one shape moves, and which motion.

    Space is a torus: what leaves on one side comes in on the other. Place and angle of all shapes
    are uniform at every moment, whatever the motion, so that no frame by itself tells anything
    about it. And played backwards a clip is as likely as before, with the opposite motion.
    """
    random = np.random.default_rng(seed)
    labels = random.integers(len(MOTIONS), size=count)
    images = np.zeros((count, FRAMES, SIDE, SIDE), np.float32)
    moving = random.integers(CLUTTER + 1, size=count)  # which of the shapes: others hide it
    for shape in range(CLUTTER + 1):
        _draw_moving(images, np.where(moving == shape, labels, -1), random)
    images += random.normal(0, CLIP_NOISE, images.shape).astype(np.float32)
    return images[..., np.newaxis], labels


def _draw_moving(images, labels, random):
    """Draw one more shape into each clip; it stands still where the label is -1."""
    count = len(images)
    time = np.arange(FRAMES)
    pixel = np.arange(SIDE)
    kinds = random.choice(["bar", "triangle", "cross"], count)
    x, y = random.uniform(0, SIDE, (2, count))
    angle = random.uniform(0, 2 * np.pi, count)
    radius = random.uniform(4, 6.5, count)
    light = random.uniform(0.4, 1, count) * random.choice([-1, 1], count)
    speed, turn = random.uniform(0.6, 2, count), np.radians(random.uniform(10, 28, count))
    steps = np.array([(-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, 1), (0, 0, -1)])
    step = np.where(labels[:, np.newaxis] < 0, 0, steps[labels])
    step = step * np.stack([speed, speed, turn], axis=1)
    x, y, angle = (
        (start[:, np.newaxis] + time * change[:, np.newaxis])[..., np.newaxis, np.newaxis]
        for start, change in zip((x, y, angle), step.T, strict=True)
    )
    for kind in np.unique(kinds):
        ours = kinds == kind
        cover = coverage(
            kind,
            _around(pixel - x[ours]),
            _around(pixel[:, np.newaxis] - y[ours]),
            angle[ours].astype(np.float32),
            radius[ours, np.newaxis, np.newaxis, np.newaxis].astype(np.float32),
        )
        light_of = light[ours, np.newaxis, np.newaxis, np.newaxis].astype(np.float32)
        images[ours] += cover * (light_of - images[ours])


def _around(difference):
    """Return differences of places on the torus, the shorter way round."""
    return ((difference + SIDE / 2) % SIDE - SIDE / 2).astype(np.float32)


def scenes(count, seed):
    """Return scenes (count, 32, 32, 3) of shapes that overlap, and each pixel's class.

    Shapes have random colours and stripes, which say nothing about the class; the ground is grey.
    """
    random = np.random.default_rng(seed)
    images = _texture(count, random).mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    labels = np.zeros((count, SCENE_SIDE, SCENE_SIDE), np.int64)
    number = random.integers(SHAPES[0], SHAPES[1] + 1, count)
    pixel = np.arange(SCENE_SIDE, dtype=np.float32)
    for shape in range(SHAPES[1]):
        kinds = np.where(number > shape, random.integers(1, len(CLASSES), count), 0)
        x, y = random.uniform(0, SCENE_SIDE, (2, count, 1, 1)).astype(np.float32)
        angle = random.uniform(0, 2 * np.pi, (count, 1, 1)).astype(np.float32)
        radius = random.uniform(5, 9, (count, 1, 1)).astype(np.float32)
        paint = _texture(count, random)
        for kind, name in enumerate(CLASSES[1:], 1):
            ours = kinds == kind
            cover = coverage(
                name, pixel - x[ours], pixel[:, np.newaxis] - y[ours], angle[ours], radius[ours]
            )
            images[ours] += cover[..., np.newaxis] * (paint[ours] - images[ours])
            labels[ours] = np.where(cover >= 0.5, kind, labels[ours])
    images += random.normal(0, SCENE_NOISE, images.shape).astype(np.float32)
    return images, labels


def _texture(count, random):
    """Return pictures of one colour each, from -1 to 1, with waves of another."""
    pixel = np.arange(SCENE_SIDE, dtype=np.float32)
    colour, other = random.uniform(-1, 1, (2, count, 1, 1, 3)).astype(np.float32)
    angle, phase = random.uniform(0, 2 * np.pi, (2, count, 1, 1)).astype(np.float32)
    pitch = random.uniform(4, 16, (count, 1, 1)).astype(np.float32)  # pixels a wave
    along = np.cos(angle) * pixel + np.sin(angle) * pixel[:, np.newaxis]
    waves = np.sin(2 * np.pi * along / pitch + phase)[..., np.newaxis]
    return colour + 0.2 * waves * other
