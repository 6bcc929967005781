"""Shots at a basket, drawn: what stands in for the basketball data of lecture 001, not public.

The lecture gives the numbers of samples and a network for windows of 36x36 pixels of one frame or
of two; it does not show what is on them. Here a sample is positive if a ball in flight is in its
middle, up to 2 pixels off in the later frame. A scene is a shot of 12 frames of 120x160 grey
pixels: a crowd and lamps, which are round and do not move; players with round heads, who run, and
with faster hands; a board and a basket; a camera that shakes, and noise. The ball is as large as
a head, and falls behind the strands of the net in the end. What tells it from all other round
things is mostly how fast it moves, and that takes two frames.

Negatives are windows with no ball within 8 pixels of the middle; a quarter have something round
there, the others are anywhere. Neighbouring windows are much alike, so parts share no scene.
"""

import numpy as np

FRAMES, HEIGHT, WIDTH = 12, 120, 160
WINDOW = 36
NEAR, FAR = 2, 8  # pixels from a window's middle to the ball: positive up to, negative from
ROUND = 0.25  # of the negatives have something round in the middle
GRAVITY = 0.3  # pixels a frame, a frame
SHUTTER = np.array([-0.2, 0.0, 0.2])  # frames; moving things are drawn so often, and blur
NOISE = 6  # standard deviation, of 255 grey levels
SHAKE = 1  # pixels between two frames


def samples(seed, scenes, negatives):
    """Return windows of two frames, (n, 36, 36, 2) in bytes, and labels; one positive a scene."""
    generator = np.random.default_rng(seed)
    windows, labels = [], []
    for count in np.diff(np.linspace(0, negatives, scenes + 1).round().astype(int)):
        first = generator.integers(FRAMES - 1)
        frames, balls, things = shot(generator, [first, first + 1])
        on_ball = balls[1] + generator.integers(-NEAR, NEAR + 1, (1, 2))
        middles = np.concatenate([on_ball, elsewhere(generator, balls[1], things, count)])
        windows.append(cut(frames, middles))
        labels.append(np.arange(len(middles)) == 0)
    return np.concatenate(windows), np.concatenate(labels).astype(int)


def elsewhere(generator, ball, things, count):
    """Return ``count`` places for the middle of a window without the ball, (count, 2)."""
    low, high = WINDOW // 2, np.array([HEIGHT, WIDTH]) - WINDOW // 2

    def allowed(places):
        is_inside = ((places >= low) & (places <= high)).all(axis=1)
        return places[is_inside & (np.hypot(*(places - ball).T) >= FAR)]

    on_things = generator.choice(things, count) + generator.integers(-NEAR, NEAR + 1, (count, 2))
    on_things = allowed(on_things)[: round(ROUND * count)]
    anywhere = allowed(generator.integers(low, high + 1, (2 * count + 20, 2)))
    return np.concatenate([on_things, anywhere[: count - len(on_things)]])


def cut(frames, middles):
    """Return the windows around some places, (n, 36, 36, frames)."""
    corners = (np.round(middles).astype(int) - WINDOW // 2).T[..., np.newaxis, np.newaxis]
    rows, columns = corners + np.indices((WINDOW, WINDOW))[:, np.newaxis]
    return np.moveaxis(frames, 0, -1)[rows, columns]


def shot(generator, times=range(FRAMES)):
    """Draw a shot at the basket, at all or some of its times from 0 to 11.

    Returns
    -------
    frames : ndarray of uint8, shape (times, 120, 160)
    balls : ndarray, shape (times, 2)
        The ball's row and column in each frame.
    things : ndarray, shape (n, 2)
        What else is round, in the last frame.
    """
    draw = generator.uniform
    side = generator.choice([-1, 1])  # 1: from left to right
    hoop = np.array([draw(42, 55), WIDTH / 2 + side * draw(20, 55)])
    still, spectators = background(generator, hoop, side)
    players = [Player(generator) for _ in range(generator.integers(3, 7))]
    radius, grey = draw(3, 4.5), draw(60, 210)
    end = np.add(hoop, (draw(0, 4), draw(-2, 2)))
    velocity = np.array([draw(2, 3.5), side * draw(2.5, 5.5)])  # at the end
    frames, balls = [], []
    for time in times:
        ago = FRAMES - 1 - time - SHUTTER[:, np.newaxis]
        path = end - ago * velocity + [GRAVITY / 2, 0] * ago**2
        canvas = still.copy()
        players_things = [thing for player in players for thing in player.draw(canvas, time)]
        ellipse(canvas, path, (radius, radius), grey, shade=35)
        basket(canvas, hoop)
        y, x = shake = generator.integers(0, SHAKE + 1, 2)
        seen = canvas[y : y + HEIGHT, x : x + WIDTH] + generator.normal(0, NOISE, (HEIGHT, WIDTH))
        frames.append(seen.clip(0, 255).astype(np.uint8))
        balls.append(path[len(SHUTTER) // 2] - shake)
    things = np.round([*spectators, *players_things] - shake).astype(int)
    return np.array(frames), np.array(balls), things


def background(generator, hoop, side):
    """Return a hall with its crowd, lamps and board, and where heads and lamps are."""
    draw = generator.uniform
    shape = HEIGHT + SHAKE, WIDTH + SHAKE
    rows, columns = np.indices(shape, np.float32)
    floor, stands = draw(75, 95), draw(70, 130)
    canvas = np.where(rows < floor, stands, draw(110, 190)).astype(np.float32)
    for _ in range(4):  # light and shade
        waves = draw(-0.12, 0.12, 2)
        canvas += draw(3, 10) * np.cos(waves[0] * rows + waves[1] * columns + draw(0, 6.3))
    canvas -= 25 * (rows >= floor) * ((columns + draw(0.2, 1) * rows) % draw(10, 25) < 1)  # planks
    things = []
    for _ in range(generator.integers(15, 40)):
        thing = draw((5, 5), (floor - 5, WIDTH - 5))
        radius = draw(2.5, 4.5)
        ellipse(canvas, np.add(thing, (radius + 5, 0)), (6, radius + 2), stands + draw(-40, 40))
        ellipse(canvas, thing, (radius, radius * draw(0.8, 1)), draw(60, 210), shade=30)
        things.append(thing)
    for _ in range(generator.integers(0, 6)):
        thing = draw((5, 5), (40, WIDTH - 5))
        ellipse(canvas, thing, (draw(2.5, 4.5),) * 2, draw(200, 250))
        things.append(thing)
    y, x = np.add(hoop, (0, 8 * side)).astype(int)
    board = canvas[y - 22 : y + 4, x - 2 : x + 2]  # seen from the side
    board[:] = draw(180, 240)
    return canvas, things


class Player:
    """A body that runs, a round head, and a hand that swings."""

    def __init__(self, generator):
        draw = generator.uniform
        self.place = draw((45, 10), (95, WIDTH - 10))
        self.velocity = generator.normal(0, (0.6, 1.3))
        self.radius, self.hand_radius = draw(3, 4.5), draw(2, 3.5)
        self.skin, self.shirt = draw(60, 210), draw(40, 230)
        self.swing, self.phase, self.arm = draw(-0.5, 0.5), draw(0, 6.3), draw(6, 11)

    def draw(self, canvas, time):
        """Draw the player at a time, and return where head and hand are."""
        times = time + SHUTTER[:, np.newaxis]
        head = self.place + self.velocity * (times - FRAMES / 2)
        angle = self.phase + self.swing * times
        hand = np.add(head, (12, 0)) + self.arm * np.hstack([np.cos(angle), np.sin(angle)])
        ellipse(canvas, np.add(head, (15, 0)), (12, 6), self.shirt, shade=15)
        ellipse(canvas, head, (self.radius, self.radius), self.skin, shade=35)
        ellipse(canvas, hand, (self.hand_radius, self.hand_radius), self.skin, shade=20)
        return head[len(SHUTTER) // 2], hand[len(SHUTTER) // 2]


def basket(canvas, hoop):
    """Draw the ring and the net before all else."""
    box, rows, columns = surroundings(canvas, np.round(hoop), 16)
    ring = np.abs(np.hypot(rows / 2, columns / 8) - 1) < 0.25
    width = 7 - 0.3 * rows  # the net narrows
    strands = ((rows + columns) % 4 == 0) | ((rows - columns) % 4 == 0)
    box[(rows > 0) & (rows < 12) & (np.abs(columns) < width) & strands] = 225
    box[ring] = 90


def ellipse(canvas, places, radii, grey, shade=0):
    """Draw an ellipse with a soft edge, lit from above; at several places: with blur."""
    places = np.atleast_2d(places)
    middle = places.mean(axis=0)
    box, rows, columns = surroundings(canvas, middle, int(max(radii)) + 4)
    if not box.size:
        return
    cover = 0
    for y, x in places - middle:
        distance = np.hypot((rows - y) / radii[0], (columns - x) / radii[1])
        cover += ((1 - distance) * min(radii) + 0.5).clip(0, 1) / len(places)
    box += cover * (grey - shade * rows / radii[0] - box)


def surroundings(canvas, middle, reach):
    """Return a view of the canvas around a place, and its rows and columns seen from there."""
    y, x = np.round(middle).astype(int)
    top, left = max(y - reach, 0), max(x - reach, 0)
    box = canvas[top : max(y + reach + 1, 0), left : max(x + reach + 1, 0)]
    rows, columns = np.indices(box.shape)
    return box, rows + top - middle[0], columns + left - middle[1]
