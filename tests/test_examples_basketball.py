"""The ball among 172 negatives: the scenes that are drawn, the detector, a short run."""

import re

import numpy as np
import pytest

from example_runs import run

SCRIPT = "basketball.py"
VARIANTS = ["plain", "class weights", "focal loss", "balanced", "with copies", "one frame"]


@pytest.fixture
def scenes(load_example):
    return load_example("basketball_scenes")


@pytest.fixture
def network(load_example):
    return load_example("basketball_network")


def test_samples(scenes):
    x, y = scenes.samples(0, scenes=3, negatives=20)
    assert (x.shape, x.dtype) == ((23, 36, 36, 2), np.uint8)
    assert (y.sum(), (y == 0).sum()) == (3, 20)
    assert len(np.unique(x.reshape(23, -1), axis=0)) > 20
    again, _ = scenes.samples(0, scenes=3, negatives=20)
    np.testing.assert_array_equal(again, x)
    assert (scenes.samples(1, scenes=3, negatives=20)[0][0] != x[0]).any()


def test_the_ball_flies_into_the_basket(scenes, monkeypatch):
    monkeypatch.setattr(scenes, "NOISE", 0)
    for seed in range(6):
        frames, balls, _ = scenes.shot(np.random.default_rng(seed))
        assert (frames.shape, balls.shape) == ((12, 120, 160), (12, 2))
        # inside, so that there is a window around it
        assert (balls >= 18).all()
        assert (balls <= (120 - 18, 160 - 18)).all()
        steps = np.hypot(*np.diff(balls, axis=0).T)
        assert steps.min() > 1  # the camera moves by up to 1 a frame against the ball's 2.5
        assert steps.max() < 9


def test_a_ball_is_drawn_where_it_is_said_to_be(scenes, monkeypatch):
    monkeypatch.setattr(scenes, "NOISE", 0)
    drawn = []
    ellipse = scenes.ellipse
    monkeypatch.setattr(
        scenes,
        "ellipse",
        lambda canvas, places, radii, grey, shade=0: (
            drawn.append(places) or ellipse(canvas, places, radii, grey, shade)
        ),
    )
    frames, balls, _ = scenes.shot(np.random.default_rng(0), [5])
    assert np.abs(drawn[-1].mean(axis=0) - balls[0]).max() <= 1.01  # the ball, then the camera
    y, x = balls[0].round().astype(int)
    np.testing.assert_array_equal(
        scenes.cut(frames, balls)[0, ..., 0], frames[0, y - 18 : y + 18, x - 18 : x + 18]
    )


def test_negatives_are_far_from_the_ball(scenes):
    generator = np.random.default_rng(0)
    ball, things = np.array([40.0, 80.0]), np.array([[41, 82], [60, 60], [5, 5]])
    places = scenes.elsewhere(generator, ball, things, 200)
    assert places.shape == (200, 2)
    assert np.hypot(*(places - ball).T).min() >= 8
    assert (places >= 18).all()
    assert (places <= (102, 142)).all()
    on_things = np.abs(places - things[1]).max(axis=1) <= 2
    assert 30 < on_things[:50].sum() <= 50  # where a third is too near, and a third outside
    assert on_things[50:].sum() < 5


@pytest.mark.parametrize("frames", [1, 2])
def test_a_detector_answers_as_its_classifier(network, frames):
    model = network.classifier(frames)
    assert [layer.count_params() for layer in model.layers[-2:]] == [18_020, 42]
    picture = np.random.default_rng(0).integers(0, 256, (59, 70, frames), np.uint8)
    answers = network.detector(model).predict(picture[None], verbose=0)[0]
    assert answers.shape == (6, 9, 2)
    windows = network.windows_of(picture)
    np.testing.assert_array_equal(windows[9 + 2], picture[4:40, 8:44])
    expected = model.predict(windows, verbose=0)
    np.testing.assert_allclose(answers.reshape(-1, 2), expected, atol=1e-5)


def test_marks_are_the_surest_of_their_neighbours(network):
    answers = np.zeros((10, 20), np.float32)
    answers[2, 3], answers[3, 4], answers[9, 19], answers[5, 12] = 0.9, 0.8, 0.95, 0.4
    marks = network.marked(answers, 0.5)
    np.testing.assert_array_equal(marks, [(36 + 18, 76 + 18), (8 + 18, 12 + 18)])
    assert network.marked(answers, 0.99).shape == (0, 2)
    assert answers[3, 4] == np.float32(0.8)


def test_basketball(tmp_path):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "basketball.svg"
    result = run(SCRIPT, "--scenes", 8, "--epochs", 1, "--seeds", 1, "--plot", picture)
    assert result.returncode == 0  # matplotlib may say that it looks for fonts
    assert result.stdout.startswith(
        "Positives and negatives to train, validate, test: 8 and 1,376; 2 and 344; 3 and 612\n"
    )
    rows = re.findall(
        r"^(\w[\w ]+?) +0  [01]\.\d{3}, [01]\.\d{3}; [0-3] of 3; \d+; \d+ s$",
        result.stdout,
        re.MULTILINE,
    )
    means = re.findall(r"^(\w[\w ]+?) +[01]\.\d{3}$", result.stdout, re.MULTILINE)
    assert rows == means == VARIANTS
    difference = re.search(
        r"704 windows of a frame: .* classifier's to ([\de.-]+), in \d+ ms", result.stdout
    )
    assert float(difference[1]) < 1e-5
    assert re.search(r"\nOf 110 balls \d+ are marked, with \d+ wrong marks; the ", result.stdout)
    assert result.stdout.endswith(f"\nPicture: {picture}\n")
    assert picture.read_text().rstrip().endswith("</svg>")


@pytest.mark.slow
def test_balanced_batches_of_two_frames_find_the_ball():
    result = run(SCRIPT, "--scenes", 120, "--epochs", 4, "--seeds", 1)
    means = re.findall(r"^(\w[\w ]+?) +(\d\.\d{3})$", result.stdout, re.MULTILINE)
    precision = {name: float(value) for name, value in means}
    assert precision["with copies"] > 0.3
    assert precision["with copies"] > 1.5 * precision["one frame"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", 0], "argument --seeds: must be at least 1, got 0"),
        (["--scenes", 0], "argument --scenes: must be at least 1, got 0"),
    ],
)
def test_basketball_refuses(arguments, message):
    result = run(SCRIPT, *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.endswith(f"error: {message}\n")
