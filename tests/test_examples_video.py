"""The examples of clips, of scenes and of strides, made short; their data is as they say."""

import re
import sys

import numpy as np
import pytest

from example_runs import MNIST


@pytest.fixture
def example(load_example, monkeypatch, capsys):
    """Return a function that loads an example, and one that runs it and returns what it prints."""

    def run(module, *arguments):
        monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
        module.main()
        return capsys.readouterr().out

    return load_example, run


def small(module, monkeypatch):
    """Let an example validate and test on little."""
    monkeypatch.setattr(module, "VALIDATION", 40)
    monkeypatch.setattr(module, "TEST", 60)
    return module


def test_video(example, monkeypatch, tmp_path):
    pytest.importorskip("matplotlib")
    load, run = example
    picture = tmp_path / "motions.svg"
    video = small(load("video"), monkeypatch)
    output = run(video, "--seeds", 1, "--epochs", 1, "--clips", 40, "--plot", picture)
    assert output.startswith("40 clips of 8 frames to train on, 6 classes\n\none frame, seed 0\n")
    results = re.findall(
        r"^(.*): right of 60 .*, %: ([\d.]+); possible ([\d.]+)$", output, re.MULTILINE
    )
    assert [(name, possible) for name, _, possible in results] == [
        ("one frame", "16.7"),
        ("frames shuffled", "50.0"),
        ("the clip", "100.0"),
    ]
    rows = re.findall(r"^([a-z]+)((?: +\d+){6})$", output, re.MULTILINE)
    assert [name for name, _ in rows] == list(video.shapes.MOTIONS)
    taken = np.array([row.split() for _, row in rows], int)
    assert taken.sum() == 60
    assert f"{100 * np.trace(taken) / 60:.1f}" == results[-1][1]
    assert picture.read_text().rstrip().endswith("</svg>")


@pytest.mark.slow
def test_motion_is_learned_from_clips_alone(example):
    load, run = example
    output = run(load("video"), "--seeds", 1, "--epochs", 5)
    one, shuffled, clip = map(float, re.findall(r", %: ([\d.]+);", output))
    assert one < 22
    assert shuffled < 54
    assert clip > 70


def test_what_is_seen_of_a_clip(example):
    load, _ = example
    clips = np.random.default_rng(0).normal(size=(3, 8, 2, 2, 1))
    seen = load("video").seen
    np.testing.assert_array_equal(seen("the clip", clips), clips)
    assert all((seen("one frame", clips)[:, t] == clips[:, 0]).all() for t in range(8))
    shuffled = seen("frames shuffled", clips)
    assert (shuffled != clips).any()
    for before, after in zip(clips, shuffled, strict=True):
        assert sorted(before.tolist()) == sorted(after.tolist())  # whole frames


@pytest.fixture
def alone(example, monkeypatch):
    """Return clips of one shape and nothing else, as its light, and their motions."""
    shapes = example[0]("shapes")
    monkeypatch.setattr(shapes, "CLUTTER", 0)
    monkeypatch.setattr(shapes, "CLIP_NOISE", 0)
    clips, labels = shapes.clips(200, seed=1)
    assert clips.shape == (200, 8, 24, 24, 1)
    return np.abs(clips[..., 0]), np.array(shapes.MOTIONS)[labels]


def places(clips):
    """Return x and y of what is in each frame of a torus, in radians."""
    waves = np.exp(2j * np.pi * np.arange(24) / 24)
    return np.angle(clips.sum(axis=2) @ waves), np.angle(clips.sum(axis=3) @ waves)


def test_shapes_move_as_the_label_says(alone):
    clips, motions = alone
    for axis, place in enumerate(places(clips)):
        moved = np.angle(np.exp(1j * np.diff(place, axis=1))) * 24 / (2 * np.pi)  # pixels
        for motion in set(motions):
            steps = moved[motions == motion]
            direction = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
            sign = direction.get(motion, (0, 0))[axis]
            if sign:
                assert (steps * sign > 0.5).all()
                assert (steps * sign < 2.1).all()
            else:
                np.testing.assert_allclose(steps, 0, atol=0.2)  # a triangle that turns


def test_shapes_turn_as_the_label_says(alone):
    clips, motions = alone
    for motion, sign in (("clockwise", 1), ("anticlockwise", -1)):
        ours = clips[motions == motion]
        x, y = (place[..., np.newaxis, np.newaxis] * 24 / (2 * np.pi) for place in places(ours))
        dx = (np.arange(24) - x + 12) % 24 - 12
        dy = (np.arange(24)[:, np.newaxis] - y + 12) % 24 - 12  # downwards
        around, far = np.arctan2(dy, dx), np.hypot(dx, dy)
        # Bars look the same after half a turn, triangles after a third, crosses after a quarter.
        harmonics = np.stack(
            [(ours * far**2 * np.exp(1j * m * around)).sum(axis=(2, 3)) for m in (2, 3, 4)]
        )
        strongest = np.abs(harmonics).mean(axis=2).argmax(axis=0)
        turning = harmonics[strongest, np.arange(len(ours))]
        turned = np.angle(turning[:, 1:] / turning[:, :-1]) / (strongest + 2)[:, np.newaxis]
        assert (sign * np.degrees(turned) > 8).all()
        assert (sign * np.degrees(turned) < 30).all()


def test_frames_of_all_motions_are_alike(example):
    clips, labels = example[0]("shapes").clips(1500, seed=2)
    means = np.stack([clips[labels == motion].mean(axis=0) for motion in range(6)])
    assert np.abs(means).max() < 0.16  # five standard errors of 250 pixels
    spread = np.array([clips[labels == motion].std() for motion in range(6)])
    np.testing.assert_allclose(spread, spread.mean(), rtol=0.03)


def test_segmentation(example, monkeypatch, tmp_path):
    pytest.importorskip("matplotlib")
    load, run = example
    picture = tmp_path / "scenes.svg"
    segmentation = small(load("segmentation"), monkeypatch)
    output = run(segmentation, "--seeds", 1, "--epochs", 2, "--scenes", 64, "--plot", picture)
    assert output.startswith("64 scenes of 32 x 32 to train on\n\nno skips, seed 0\nEpoch 1/2 ")
    rows = re.findall(r"^(no skips|skips)((?: +[01]\.\d{3}){7})$", output, re.MULTILINE)
    assert [name for name, _ in rows] == ["no skips", "skips"]
    for _, row in rows:
        _, *ious, mean, one = map(float, row.split())
        assert np.mean(ious) == pytest.approx(mean, abs=0.002)
        assert one == mean
    losses = re.findall(r"^Epoch \d/2 .*  loss ([\d.]+)", output, re.MULTILINE)
    for first, second in zip(losses[::2], losses[1::2], strict=True):
        assert float(second) < float(first)
    assert picture.read_text().rstrip().endswith("</svg>")


def test_segmentation_scores(example):
    score = example[0]("segmentation").score
    truth = np.array([[0, 0, 0, 1], [1, 1, 2, 3]])
    said = np.array([[0, 0, 1, 1], [1, 2, 2, 3]])
    np.testing.assert_allclose(score(truth, said), [6 / 8, 2 / 3, 2 / 4, 1 / 2, 1, 8 / 12])


def test_scenes_hold_what_their_labels_say(example, monkeypatch):
    shapes = example[0]("shapes")
    monkeypatch.setattr(shapes, "SCENE_NOISE", 0)
    scenes, labels = shapes.scenes(100, seed=3)
    assert scenes.shape == (*labels.shape, 3) == (100, 32, 32, 3)
    assert set(np.unique(labels)) == {0, 1, 2, 3}
    colourful = np.ptp(scenes, axis=-1) > 1e-3
    inner = labels > 0
    for axis in (1, 2):  # without the outlines, which are mixtures
        inner &= (np.roll(labels, 1, axis) > 0) & (np.roll(labels, -1, axis) > 0)
    assert colourful[inner].mean() > 0.99
    far = labels == 0
    for axis in (1, 2):
        far &= (np.roll(labels, 1, axis) == 0) & (np.roll(labels, -1, axis) == 0)
    assert colourful[far].mean() < 0.01  # the ground is grey


@pytest.mark.skipif(not MNIST.is_dir(), reason="MNIST is not there")
def test_strides_or_pooling(example):
    load, run = example
    short = ["--limit", 1000, "--test-limit", 200, "--epochs", 2, "--seeds", 1]
    output = run(load("strides_or_pooling"), MNIST, *short)
    assert output.startswith("1,000 images to train on, 2 epochs\n\npooling            seed 0: ")
    table = output.split("Means of 1 seeds, from the lowest to the highest:\n")[1]
    rows = re.findall(
        r"^([a-z, ]+?) +([\d,]+) +([\d,]+) +([\d.]+) +([\d.]+) +[\d.]+ s$",
        table,
        re.MULTILINE,
    )
    assert [row[0] for row in rows] == ["pooling", "strided", "all convolutional", "more, pooling"]
    # 3 x 3 kernels and biases; 7 x 7 x 32 numbers behind them
    few = 9 * 16 + 16 + 9 * 16 * 32 + 32 + 49 * 32 * 10 + 10
    more = few + 9 * 16 * 16 + 16 + 9 * 32 * 32 + 32
    assert [int(row[1].replace(",", "")) for row in rows] == [few, few, more, more]
    dense = 49 * 32 * 10
    strided = 14**2 * 9 * 16 + 7**2 * 9 * 16 * 32 + dense
    pooling = 28**2 * 9 * 16 + 14**2 * 9 * 16 * 32 + dense
    assert [int(row[2].replace(",", "")) for row in rows[:2]] == [pooling, strided]
    assert all(float(row[-1]) < 60 for row in rows)  # guessing has 90


def test_strides_or_pooling_without_data(example, tmp_path):
    load, run = example
    with pytest.raises(SystemExit, match=r"^This needs MNIST, four IDX files in a folder: "):
        run(load("strides_or_pooling"), tmp_path)


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("video", ["--clips", 0], "--clips: must be at least 1, got 0"),
        ("segmentation", ["--plot", "x.txt"], "--plot: must be a .pdf, .png, .svg file in a"),
        ("strides_or_pooling", ["--test-limit", 0], "--test-limit: must be at least 1, got 0"),
    ],
)
def test_examples_refuse(example, capsys, script, arguments, message):
    load, run = example
    with pytest.raises(SystemExit, match=r"^2$"):
        run(load(script), *arguments)
    assert f"error: argument {message}" in capsys.readouterr().err
