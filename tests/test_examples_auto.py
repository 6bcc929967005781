"""The sparse autoencoder, rotated MNIST and CIFAR-10's recipe, made short."""

import re

import numpy as np
import pytest
from scipy.optimize import approx_fprime

import convlet
from convlet.layers import Dense, Input
from convlet.models import Objective
from example_runs import MNIST, run


@pytest.fixture
def features(load_example):
    return load_example("features")


@pytest.fixture
def crops(load_example):
    return load_example("textures").crops


SHORT = ("--patches", 300, "--iterations", 5, "--crops", 2, "--pieces", 2, "--seeds", 2)


def test_sparse_autoencoder(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "features.png"
    result = run("sparse_autoencoder.py", *SHORT, "--features", 4, 8, "--plot", path)
    assert result.returncode == 0  # matplotlib may say that it looks for fonts
    assert result.stdout.startswith("4 textures, 25 % is guessing; right of the test crops, %\n")
    piece = r"^(\d) features, seed (\d), test piece (\d): learned +([\d.]+), random +([\d.]+), pix"
    rows = np.array(re.findall(piece, result.stdout, re.MULTILINE), float)
    assert rows[:, :3].tolist() == [[n, s, t] for n in (4, 8) for s in (0, 1) for t in (1, 2)]
    table = re.findall(r"^ +([48]) +([\d.]+) \(.*?\) +([\d.]+) \(", result.stdout, re.MULTILINE)
    for number, learned, random in table:
        means = rows[rows[:, 0] == float(number), 3:].mean(axis=0)
        np.testing.assert_allclose([float(learned), float(random)], means, atol=0.11)
    assert [number for number, *_ in table] == ["4", "8"]
    assert path.read_bytes().startswith(b"\x89PNG")


def test_convolved_features_are_the_encoders(features, crops):
    """Whitening and encoder, folded into a convolution, do to each patch what they do to it."""
    convlet.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    x, _, _ = crops(1, generator)
    patches = features.patches_of(x, 200, generator)
    encoder, whitening = features.learn(patches, 5, 3, epsilon=2)
    pooled = features.convolved(x[:1], *encoder.get_weights(), whitening, 1)
    one = convlet.Sequential([whitening, convlet.layers.Flatten(), encoder])
    patch = x[:1, 10:18, 20:28]
    found = pooled.reshape(89, 89, 5)[10, 20]
    np.testing.assert_allclose(found, one.predict(patch, verbose=0)[0], atol=1e-5)


def test_gradient_of_the_autoencoders_loss(features):
    """Squared error, sparsity and weight decay together, against differences in float64."""
    convlet.utils.set_random_seed(0)
    x = np.random.default_rng(0).standard_normal((30, 6))
    decay = convlet.regularizers.L2(features.DECAY)
    sparsity = convlet.regularizers.KLSparsity(features.SPARSITY, features.SPARSITY_WEIGHT)
    encoder = Dense(
        4,
        activation="sigmoid",
        kernel_regularizer=decay,
        activity_regularizer=sparsity,
        dtype="float64",
    )
    decoder = Dense(6, kernel_regularizer=decay, dtype="float64")
    model = convlet.Sequential([Input((6,), dtype="float64"), encoder, decoder], dtype="float64")
    model.compile(loss="mean_squared_error")
    objective = Objective(model, x, x)
    _, gradient = objective(objective.weights)
    numeric = approx_fprime(objective.weights, lambda w: objective(w)[0], 1e-7)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-6)


def test_crops_of_all_pieces(crops):
    x, labels, pieces = crops(2, np.random.default_rng(0))
    assert x.shape == (32, 96, 96, 1)
    np.testing.assert_allclose(x.mean(axis=(1, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(x.std(axis=(1, 2, 3)), 1, atol=1e-4)
    found = sorted(zip(labels.tolist(), pieces.tolist(), strict=True))
    assert found == sorted([*np.ndindex(4, 4)] * 2)


def test_the_softmaxs_decay_is_chosen_by_validation(features, monkeypatch):
    """Of the labels to train on many are wrong: with little decay the softmax learns them, too."""
    generator = np.random.default_rng(0)
    truth = np.tile([0, 1], 100)
    x = generator.standard_normal((200, 80)) + 0.5 * truth[:, np.newaxis] * (np.arange(80) < 4)
    said = np.where(np.arange(200) % 7 < 2, 1 - truth, truth)
    parts = [np.float32(part) for part in np.split(x, [60, 130])]
    labels = [said[:60], *np.split(truth[60:], [70])]
    found = {}
    for decays in [(1e-4,), (1.0,), (1e-4, 1.0), (1.0, 1e-4)]:
        monkeypatch.setattr(features, "DECAYS", decays)
        found[decays] = features.classify(parts, labels)
    weak, strong = found[1e-4,], found[1.0,]
    assert strong[0] > weak[0]
    assert found[1e-4, 1.0] == found[1.0, 1e-4] == strong


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--features", 0], "argument --features: must be at least 1, got 0"),
        (["--patches", 1], "--patches must be at least 2, --pieces at most 4, --pool at most 89"),
        (["--pieces", 5], "--patches must be at least 2, --pieces at most 4, --pool at most 89"),
        (["--pool", 90], "--patches must be at least 2, --pieces at most 4, --pool at most 89"),
    ],
)
def test_sparse_autoencoder_refuses(arguments, message):
    result = run("sparse_autoencoder.py", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.endswith(f"error: {message}\n")


@pytest.mark.skipif(not MNIST.is_dir(), reason="MNIST is not there")
def test_rotated_mnist():
    result = run("rotated_mnist.py", MNIST, "--seeds", 1, "--epochs", 1, "--limit", 128)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("MNIST: 128, 128, 128 images to train on, to validate")
    rows = re.findall(
        r"^(\w+) +([\d,]+) +[\d.]+ +([\d.]+) +[\d.]+ s$",
        result.stdout,
        re.MULTILINE,
    )
    (ordinary, its_weights, _), (group, its_own, changed) = rows
    assert (ordinary, its_weights) == ("ordinary", "25,762")
    assert (group, its_own, changed) == ("p4", "24,610", "0.00")


def test_rotated_mnist_without_data(tmp_path):
    result = run("rotated_mnist.py", tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"This needs MNIST, four IDX files in a folder: {tmp_path}: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("option", ["--seeds", "--epochs", "--limit"])
def test_rotated_mnist_refuses_nothing(option):
    result = run("rotated_mnist.py", option, 0)
    assert result.returncode == 2
    assert result.stderr.endswith(f"error: argument {option}: must be at least 1, got 0\n")


def test_cifar_with_a_folder_of_images(tmp_path):
    image = pytest.importorskip("PIL.Image")
    generator = np.random.default_rng(0)
    for name, brightness in (("dark", 40), ("light", 200)):
        (tmp_path / name).mkdir()
        for number in range(60):
            pixels = np.uint8(brightness + generator.integers(40, size=(8, 8, 3)))
            image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    backup = tmp_path.parent / "backup"
    result = run(
        *("cifar.py", tmp_path, "--size", 8, "--depth", 8, "--epochs", 3, "--backup", backup)
    )
    assert (result.returncode, result.stderr) == (0, "")
    epoch = r"loss [\d.]+, validation error [\d. ]+ %  [\d.]+ s\n"
    assert re.fullmatch(
        r"2 classes; 90, 10, 20 images to train on, to validate on, to test on\.\n"
        rf"resnet8: 74,770 weights, 3 steps\n(resnet8, epoch   \d: {epoch}){{3}}"
        r"Test error: [\d.]+ %; the paper's ResNet-20 on CIFAR-10: 8\.75 %\n",
        result.stdout,
    )


def test_cifar_with_its_own_files(tmp_path):
    generator = np.random.default_rng(0)
    for name in (*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"):
        records = np.zeros((4, 3073), np.uint8)
        records[:, 0], records[:, 1:] = range(4), generator.integers(256, size=(4, 3072))
        (tmp_path / name).write_bytes(records.tobytes())
    result = run("cifar.py", tmp_path, "--depth", 8, "--epochs", 1)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("10 classes; 18, 2, 4 images to train on, to validate on, to ")


def test_cifar_without_data(tmp_path):
    result = run("cifar.py", tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(
        "This needs CIFAR-10, or a folder of images with a sub-folder a "
    )
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", 0], "argument --epochs: must be at least 1, got 0"),
        (["--size", 7], "--size must be at least 8, --limit 2"),
        (["--limit", 1], "--size must be at least 8, --limit 2"),
        (["--depth", 21], "--depth must be 6n + 2, such as 8, 20 or 110"),
    ],
)
def test_cifar_refuses(arguments, message):
    result = run("cifar.py", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.endswith(f"error: {message}\n")
