"""``convlet train``: what it prints, writes and refuses, and how it ends early."""

import errno
import os
import re
import signal
import struct
from pathlib import Path

import numpy as np
import pytest

from convlet import Sequential, layers, load_model, optimizers
from convlet.cli import network
from convlet.cli.data import first_samples, open_data
from convlet.preprocessing import Preprocessing

pytest_plugins = ("cli_fixtures",)

MNIST = Path(__file__).resolve().parents[2].parent / "shared/data/mnist"
QUICK = ("--epochs", 1, "--seed", 0)


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def percentage_of_errors(output):
    return float(re.search(r"error rate +([\d.]+) %", output)[1])


# --- what it does ---


def test_says_what_it_trains_and_what_comes_next(convlet):
    result = convlet("train", "halves.npz", "--seed", 0, "--epochs", 6)

    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.output.startswith(
        "Data:     halves, 64 samples of 8 x 8 x 1 to train on, 16 to test on, 2 classes\n"
        "Network:  small-lenet, seed 0, 51,970 parameters\n"
        "Training: 6 epochs, batch size 32, learning rate 0.02, momentum 0.9\n"
        "Epoch 1/6  "
    )
    assert re.search(r"\nTrained in [\d.]+ s, [\d.]+ s an epoch\n", result.output)
    assert "\nTest, 16 samples:\n  loss        0." in result.output
    assert "\n  error rate  0.00 % (0 of 16)\n" in result.output
    assert re.search(r"\n +left +right\n─+\nleft +8 +\.\nright +\. +8\n", result.output)
    assert re.search(
        r"\nSaved in halves\.safetensors \(\d+ KB\)\n(?s:.*)\nGo on with:\n"
        r"  convlet evaluate halves\.safetensors halves\.npz\n"
        r"  convlet predict halves\.safetensors IMAGE\.png\n"
        r"  convlet summary halves\.safetensors\n$",
        result.output,
    )


def test_series_of_numbers(convlet):
    """Two classes, told apart by how fast values change."""
    rng = np.random.default_rng(0)
    y = np.arange(64) % 2
    phases = np.linspace(0, 6, 24) * (1 + 2 * y[:, None]) + rng.uniform(0, 6, (64, 1))
    np.savez("waves.npz", x=np.sin(phases).astype(np.float32), y=y)
    result = convlet("train", "waves.npz", "--seed", 0, "--epochs", 4, "--batch-size", 8)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "waves, 64 samples of 24 x 1 to train on" in result.output
    assert "\nNetwork:  series-fcn, seed 0, " in result.output
    assert percentage_of_errors(result.output) == 0
    assert "convlet predict waves.safetensors SAMPLES.npy\n" in result.output

    np.savez("pairs.npz", x=np.stack([np.sin(phases), np.cos(phases)], axis=2), y=y)
    result = convlet("train", "pairs.npz", "--model", "series-fcn", *QUICK)
    assert "pairs, 64 samples of 24 x 2 to train on" in result.output
    few = ("--limit", 20, "--points", 2, "--rounds", 1)
    result = convlet("search", "waves.npz", *QUICK, *few)
    assert "\nNetwork:  series-fcn, seed 0\n" in result.output


def test_long_series_are_waveforms(convlet):
    x = np.random.default_rng(0).normal(size=(8, 1100)).astype(np.float32)
    np.savez("waves.npz", x=x, y=np.arange(8) % 2)
    result = convlet("train", "waves.npz", *QUICK)
    assert "\nNetwork:  small-m5, seed 0, " in result.output
    result = convlet("train", "waves.npz", "--model", "lecture-lenet", *QUICK)
    assert result.stderr == (
        "Error: waves: lecture-lenet takes images, samples of shape rows x columns or rows x "
        "columns x channels; here samples have shape 1100 x 1\n"
    )


def test_file_holds_all_that_is_needed(convlet):
    convlet("train", "halves.npz", *QUICK)

    model = load_model("halves.safetensors")
    assert model.name == "small-lenet"
    assert model.class_names == ["left", "right"]
    assert model.preprocessing == Preprocessing(8, 8, 1, 0.0, 255.0)
    assert model.get_layer("rescaling").scale == 1 / 255
    assert model.optimizer.get_config()["learning_rate"] == 0.02
    assert model.state.epochs == 1


def test_same_seed_same_file(convlet):
    for name in ("a", "b"):
        assert convlet("train", "halves.npz", *QUICK, "--out", f"{name}.safetensors").exit_code == 0
    assert Path("a.safetensors").read_bytes() == Path("b.safetensors").read_bytes()


def test_images_are_distorted_if_asked_for(convlet):
    plain = convlet("train", "halves.npz", *QUICK, "--out", "a.safetensors")
    distorted = convlet("train", "halves.npz", *QUICK, "--augment", "--out", "b.safetensors")
    assert "momentum 0.9, samples distorted\n" in distorted.output
    assert "distorted" not in plain.output
    assert Path("a.safetensors").read_bytes() != Path("b.safetensors").read_bytes()


def test_drawn_seed_repeats_the_run(convlet):
    first = convlet("train", "halves.npz", "--epochs", 1, "--out", "a.safetensors")
    seed = re.search(r"seed (\d+)", first.output)[1]
    convlet("train", "halves.npz", "--epochs", 1, "--seed", seed, "--out", "b.safetensors")
    assert Path("a.safetensors").read_bytes() == Path("b.safetensors").read_bytes()


def test_going_on_is_like_not_having_stopped(convlet):
    convlet("train", "halves.npz", "--seed", 0, "--epochs", 3, "--out", "whole.safetensors")
    convlet("train", "halves.npz", "--seed", 0, "--epochs", 2, "--out", "part.safetensors")
    result = convlet("train", "halves.npz", "--model", "part.safetensors", "--epochs", 1)

    assert result.exit_code == 0
    assert "\nNetwork:  part.safetensors, trained for 2 epochs so far, " in result.output
    assert Path("halves.safetensors").read_bytes() == Path("whole.safetensors").read_bytes()


def test_options_change_a_saved_network(convlet, trained):
    result = convlet(
        "train", "halves.npz", "--model", trained, "--epochs", 1, "--learning-rate", 0.5,
        "--momentum", 0, "--batch-size", 8,
    )  # fmt: skip
    assert "Training: 1 epoch, batch size 8, learning rate 0.5, momentum 0\n" in result.output
    settings = load_model("halves.safetensors").optimizer.get_config()
    assert (settings["learning_rate"], settings["momentum"]) == (0.5, 0.0)
    assert load_model("halves.safetensors").state.slots == {}
    assert load_model("halves.safetensors").state.iterations == 6 * 2 + 8


def test_samples_that_come_class_by_class_are_mixed(arrays):
    order = np.argsort(arrays["y_train"], kind="stable")
    x, y = arrays["x_train"][order], arrays["y_train"][order]
    np.savez("ordered.npz", x=x, y=y)
    data = first_samples(open_data("ordered.npz"), None)
    assert 8 < data.y_train[:32].sum() < 24  # half of them: the first part would have none
    images = {image.tobytes(): label for image, label in zip(x, y, strict=True)}
    for image, label in zip(data.x_train, data.y_train, strict=True):
        assert images.pop(image.tobytes()) == label
    some = first_samples(open_data("ordered.npz"), 10)
    np.testing.assert_array_equal(some.x_train, data.x_train[:10])
    some = first_samples(open_data("halves.npz"), 10)
    np.testing.assert_array_equal(some.y_train, arrays["y_train"][:10])


def test_validation_and_limit(convlet):
    result = convlet("train", "halves.npz", *QUICK, "--limit", 40, "--validation-split", 0.25)
    assert "halves, 40 samples of" in result.output
    (epoch,) = re.findall(r"^Epoch .*$", result.output, re.MULTILINE)
    assert re.search(r"loss \S+  accuracy \S+  val_loss \S+  val_accuracy \S+$", epoch)


def test_data_without_test_part_is_said(convlet, folder, arrays):
    np.savez("bare.npz", x=arrays["x_train"], y=arrays["y_train"])
    result = convlet("train", "bare.npz", *QUICK)
    assert "8 x 8 x 1 to train on, no test part, 2 classes\n" in result.output
    assert "\nbare has no test part. All of it, 64 samples:\n" in result.output
    assert load_model("bare.safetensors").class_names is None


def test_floats_are_taken_as_they_are(convlet, arrays):
    np.savez("floats.npz", x=arrays["x_train"] / 255, y=arrays["y_train"][:, None])
    result = convlet("train", "floats.npz", *QUICK)
    assert result.exit_code == 0
    assert "  convlet predict floats.safetensors SAMPLES.npy\n" in result.output
    model = load_model("floats.safetensors")
    assert model.preprocessing is None
    assert isinstance(model.layers[0], layers.Conv2D)


@pytest.mark.parametrize("name", ["lecture-lenet", "lenet-20-50-500"])
def test_networks_by_name_take_the_shape_of_the_data(convlet, name):
    rng = np.random.default_rng(0)
    np.savez("colour.npz", x=rng.random((8, 16, 20, 3)), y=np.arange(8) % 3)
    result = convlet("train", "colour.npz", "--model", name, *QUICK)
    assert f"\nNetwork:  {name}, seed 0, " in result.output
    assert load_model("colour.safetensors").input_shape == (None, 16, 20, 3)
    assert load_model("colour.safetensors").output_shape == (None, 3)


def test_many_classes_have_no_confusion_matrix(convlet):
    rng = np.random.default_rng(0)
    np.savez("many.npz", x=rng.random((42, 8, 8)), y=np.arange(42) % 21)
    result = convlet("train", "many.npz", *QUICK)
    assert result.exit_code == 0
    assert "21 classes" in result.output
    assert "Confusion matrix" not in result.output


def test_network_with_more_outputs_than_class_names(convlet):
    model = Sequential(
        [layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(3, activation="softmax")]
    )
    model.save("three.safetensors")
    result = convlet("train", "halves.npz", "--model", "three.safetensors", "--learning-rate", 1e-6)
    assert result.exit_code == 0
    assert result.stderr == (
        "Warning: halves has other classes than the network, whose own are used\n"
    )
    assert load_model("halves.safetensors").class_names is None


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "mean_squared_error"])
def test_one_hot_networks_are_trained_with_labels(convlet, loss):
    model = Sequential(
        [layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2, activation="softmax")]
    )
    model.compile("sgd", loss, ["accuracy"])
    model.save("dense.safetensors")
    result = convlet("train", "halves.npz", "--model", "dense.safetensors", "--learning-rate", 1e-6)
    assert result.exit_code == 0, result.stderr
    assert load_model("halves.safetensors").class_names == ["left", "right"]


def test_other_class_names_and_ranges_are_warned_of(convlet, trained, arrays):
    np.savez("renamed.npz", **(arrays | {"class_names": ["links", "rechts"]}))
    result = convlet("train", "renamed.npz", "--model", trained, "--epochs", 1)
    assert result.stderr == (
        "Warning: renamed has other classes than the network, whose own are used\n"
    )
    assert load_model("renamed.safetensors").class_names == ["left", "right"]


# --- the digits and MNIST ---


def test_digits_are_learned(start):
    """The demo's network with its defaults: at least 98 % of the test images."""
    process = start("train", "digits", "--seed", 0)
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    assert percentage_of_errors(output) <= 2


def write_idx(path, array):
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def test_folder_in_mnists_form(convlet, arrays):
    folder = Path("bright")
    folder.mkdir()
    for part, name in (("train", "train"), ("test", "t10k")):
        write_idx(folder / f"{name}-images-idx3-ubyte", arrays[f"x_{part}"])
        write_idx(folder / f"{name}-labels-idx1-ubyte", arrays[f"y_{part}"])
    result = convlet("train", "bright/", *QUICK)
    assert result.exit_code == 0
    assert "Data:     bright, 64 samples of 8 x 8 x 1 to train on, 16 to test on, 10 classes" in (
        result.output
    )
    assert load_model("bright.safetensors").class_names == list("0123456789")


@pytest.mark.skipif(not MNIST.is_dir(), reason="needs MNIST")
def test_lecture_001s_network_learns_mnist(start):
    process = start("train", MNIST, "--limit", 2000, "--epochs", 2, "--seed", 0)
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    assert "mnist, 2,000 samples of 28 x 28 x 1 to train on, 10,000 to test on" in output
    assert "lenet-20-50-500, seed 0, 431,080 parameters" in output
    assert percentage_of_errors(output) < 20  # chance is 90
    assert load_model("mnist.safetensors").state.epochs == 2


# --- what it refuses, before training ---


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--epochs", 0), "'--epochs': 0 is not in the range x>=1"),
        (("--batch-size", 0), "'--batch-size': 0 is not in the range x>=1"),
        (("--learning-rate", 0), "'--learning-rate': 0.0 is not in the range x>0"),
        (("--learning-rate", "nan"), "'--learning-rate': nan is not a finite number"),
        (("--learning-rate", "inf"), "'--learning-rate': inf is not a finite number"),
        (("--momentum", 1), "'--momentum': 1.0 is not in the range 0<=x<1"),
        (("--validation-split", 1), "'--validation-split': 1.0 is not in the range 0<=x<1"),
        (("--seed", -1), "'--seed': -1 is not in the range x>=0"),
        (("--limit", 0), "'--limit': 0 is not in the range x>=1"),
        (("--model", "vgg"), "'--model': 'vgg' is neither small-lenet, lecture-lenet, lenet-20-50"),
        (("--out", "net.h5"), "'--out': net.h5: the name must end in .safetensors"),
        (("--out", "no/net.safetensors"), "'--out': no/net.safetensors: there is no folder no"),
        (("--out", "dir.safetensors"), "'--out': dir.safetensors: this is a folder"),
    ],
)
def test_wrong_usage(convlet, folder, arguments, message):
    (folder / "dir.safetensors").mkdir()
    before = files(folder)
    result = convlet("train", "halves.npz", *arguments)
    assert result.exit_code == 2
    assert f"Error: Invalid value for {message}" in result.stderr
    assert result.stdout == ""
    assert files(folder) == before


def test_seed_of_a_saved_network(convlet, trained):
    result = convlet("train", "halves.npz", "--model", trained, "--seed", 1)
    assert result.exit_code == 2
    assert "Error: --seed is for new networks; a saved one goes on with its own.\n" in result.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folder_that_may_not_be_written_to(convlet, folder):
    (folder / "locked").mkdir(mode=0o500)
    result = convlet("train", "halves.npz", "--out", "locked/net.safetensors")
    assert result.exit_code == 2
    assert "nothing may be written to the folder locked" in result.stderr


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (
            {"x": np.zeros((4, 5, 5, 5, 1)), "y": np.arange(4)},
            "bad: the networks known by name take images, samples of shape rows x columns or "
            "rows x columns x channels or series, samples of shape steps or steps x channels; here "
            "samples have shape 5 x 5 x 5 x 1",
        ),
        (
            {"x": np.zeros((4, 3, 3)), "y": np.arange(4)},
            "small-lenet cannot take samples of shape 3 x 3 x 1: MaxPooling2D ",
        ),
        (
            {"x": np.zeros((4, 8, 8)), "y": np.arange(4) / 2},
            "bad.npz: labels must be whole numbers from 0, that of sample 1 is 0.5",
        ),
        (
            {"x": np.zeros((4, 8, 8)), "y": np.eye(4)},
            "bad.npz: there must be one label for each sample, got labels of shape (4, 4)",
        ),
        (
            {"x": np.zeros((4, 8, 8)), "y": np.array([0, 1, np.inf, 1])},
            "bad.npz: labels must be whole numbers from 0, that of sample 2 is inf",
        ),
        (
            {"x": np.zeros((4, 8, 8)), "y": np.array([0, 1, 2, 10**7])},
            "bad: there is a label 10000000, but only 4 samples to train on; labels must count",
        ),
        (
            {
                "x_train": np.zeros((4, 8, 8)),
                "y_train": np.arange(4) % 2,
                "x_test": np.full((2, 8, 8), np.nan),
                "y_test": np.arange(2),
            },
            "bad (test part): x must be finite numbers of float32, x[0, 0, 0, 0] is nan",
        ),
        (
            {
                "x_train": np.zeros((4, 8, 8)),
                "y_train": np.arange(4) % 2,
                "x_test": np.zeros((2, 7, 8)),
                "y_test": np.arange(2),
            },
            "bad.npz: samples of x_train and x_test must have the same shape, got (8, 8) and ",
        ),
        (
            {"x": np.zeros((4, 8, 8)), "y": np.zeros(4, int)},
            "bad: all labels are 0; at least two classes are needed",
        ),
        (
            {"x": np.zeros((4, 8, 8)), "y": np.arange(4), "class_names": ["a", "b"]},
            "bad: there is a label 3, but only 2 class names",
        ),
        (
            {"x": np.full((4, 8, 8), np.nan), "y": np.arange(4)},
            "fit: x must be finite numbers of float32, x[0, 0, 0, 0] is nan",
        ),
    ],
)
def test_data_that_will_not_do(convlet, folder, stored, message):
    np.savez("bad.npz", **stored)
    before = files(folder)
    result = convlet("train", "bad.npz")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {message}")
    assert result.stderr.count("\n") == 1
    assert files(folder) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("absent.npz",), "absent.npz: no such file or folder; a data set is 'digits', 'mnist"),
        (("halves.npz", "--model", "absent.safetensors"), "absent.safetensors: No such file or d"),
        (("halves.npz", "--model", "torn.safetensors"), "torn.safetensors: not a .safetensors f"),
        (("halves.npz", "--validation-split", "0.999"), "fit: validation_split must leave samples"),
    ],
)
def test_files_that_will_not_do(convlet, folder, arguments, message):
    (folder / "torn.safetensors").write_bytes(b"torn")
    result = convlet("train", *arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {message}")
    assert result.stderr.count("\n") == 1


def test_another_optimizer(convlet, folder):
    result = convlet("train", "halves.npz", "--optimizer", "rmsprop", "--epochs", 1, "--seed", 0)
    assert "Training: 1 epoch, batch size 32, RMSprop, learning rate 0.001, momentum 0\n" in (
        result.output
    )
    result = convlet(
        "train", "halves.npz", "--optimizer", "rmsprop", "--epochs", 1, "--momentum", 0.5,
        "--learning-rate", 0.01,
    )  # fmt: skip
    assert "RMSprop, learning rate 0.01, momentum 0.5\n" in result.output
    assert type(load_model("halves.safetensors").optimizer) is optimizers.RMSprop
    result = convlet("summary", "halves.safetensors")
    assert (
        "Training: RMSprop (learning_rate 0.01, rho 0.9, momentum 0.5, epsilon 1e-07, centered "
        "False), loss" in result.output
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--optimizer", "newton"), 2, "'--optimizer': 'newton' is not one of 'adadelta', 'adag"),
        (
            ("--optimizer", "adam", "--momentum", 0.5),
            1,
            "Error: --momentum: the network's optimizer, adam, has none",
        ),
        (
            ("--model", "trained.safetensors", "--optimizer", "adam"),
            2,
            "--optimizer is for new networks; a saved one goes on with its own.",
        ),
    ],
)
def test_optimizers_that_will_not_do(convlet, folder, arguments, code, message):
    result = convlet("train", "halves.npz", *arguments)
    assert result.exit_code == code
    assert message in " ".join(result.stderr.split())
    assert not Path("halves.safetensors").exists()


def test_a_learning_rate_for_a_schedule():
    model = Sequential([layers.Input((2,)), layers.Dense(2)])
    model.compile(optimizers.SGD(optimizers.schedules.CosineDecay(0.1, 10)), "mse")
    message = "^--learning-rate: the network's learning rate follows a schedule, CosineDecay$"
    with pytest.raises(ValueError, match=message):
        network.override(model, 0.2, None)


def test_momentum_for_an_optimizer_without():
    class Plain(optimizers.Optimizer):
        def update(self, value, gradient, slots, iterations):
            return value - self.learning_rate * gradient, {}

    model = Sequential([layers.Input((2,)), layers.Dense(2)])
    model.compile(Plain(0.1, name="plain"), "sparse_categorical_crossentropy")
    network.override(model, 0.2, None)
    assert model.optimizer.learning_rate == 0.2
    message = "^--momentum: the network's optimizer, plain, has none$"
    with pytest.raises(ValueError, match=message):
        network.override(model, None, 0.5)


# --- ending early ---


def test_ctrl_c_saves_what_was_learned(start, convlet):
    process = start(
        "train", "halves.npz", "--epochs", 100_000, "--seed", 0, "--out", "net.safetensors"
    )
    while not process.stdout.readline().startswith("Epoch 2/"):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert re.fullmatch(
        r"\nInterrupted in epoch \d+; the model so far is in net\.safetensors\n", errors
    )
    assert load_model("net.safetensors").state.epochs >= 2
    assert convlet("evaluate", "net.safetensors", "halves.npz").exit_code == 0
    goes_on = convlet("train", "halves.npz", "--model", "net.safetensors", "--epochs", 1)
    assert goes_on.exit_code == 0


def test_a_request_to_end_is_ctrl_c(start):
    process = start("train", "halves.npz", "--epochs", 100_000, "--out", "net.safetensors")
    while not process.stdout.readline().startswith("Epoch 2/"):
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the model so far is in net.safetensors" in errors
    assert load_model("net.safetensors").state.epochs >= 2


def test_a_reader_that_goes_away_does_not_take_the_training_with_it(start):
    process = start("train", "halves.npz", "--epochs", 100_000, "--out", "net.safetensors")
    while not process.stdout.readline().startswith("Epoch 2/"):
        assert process.poll() is None
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(timeout=60) == 1
    assert errors == "\nStopped early; the model so far is in net.safetensors\n"
    assert load_model("net.safetensors").state.epochs >= 2


def test_bytes_stored_as_larger_integers_are_bytes(convlet, arrays):
    np.savez("large.npz", x=arrays["x_train"].astype(np.int64), y=arrays["y_train"])
    assert convlet("train", "large.npz", *QUICK).exit_code == 0
    assert isinstance(load_model("large.safetensors").layers[0], layers.Rescaling)


def test_integers_that_are_no_bytes_are_told(convlet, arrays):
    np.savez("wide.npz", x=arrays["x_train"].astype(np.int64) * 4, y=arrays["y_train"])
    result = convlet("train", "wide.npz", *QUICK)
    assert "Warning: the images' values, from 0 to 996, are no bytes and used" in result.stderr


def test_a_file_that_will_be_replaced_is_announced(convlet, trained):
    result = convlet("train", "halves.npz", *QUICK, "--out", trained)
    assert f"\nOutput:   {trained}, in place of the file that is there\n" in result.output


def test_ctrl_c_before_the_first_step_leaves_the_old_file(convlet, trained, monkeypatch):
    def interrupted(*arguments, **keywords):
        raise KeyboardInterrupt

    before = trained.read_bytes()
    monkeypatch.setattr("convlet.models.Model.fit", interrupted)
    result = convlet("train", "halves.npz", "--out", trained)
    assert (result.exit_code, result.stderr) == (130, "\nInterrupted\n")
    assert trained.read_bytes() == before


def test_ctrl_c_elsewhere(convlet, monkeypatch):
    def interrupted(source, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("convlet.cli.data.open_dataset", interrupted)
    result = convlet("train", "digits")
    assert (result.exit_code, result.stderr) == (130, "\nInterrupted\n")


def test_ctrl_c_in_a_download_says_what_remains(convlet, monkeypatch):
    def interrupted(source, **options):
        raise KeyboardInterrupt("toy.bin: the download was interrupted; 1 MB of 2 MB are kept")

    monkeypatch.setattr("convlet.cli.data.open_dataset", interrupted)
    result = convlet("train", "mnist")
    assert (result.exit_code, result.stderr) == (
        130,
        "\nInterrupted: toy.bin: the download was interrupted; 1 MB of 2 MB are kept\n",
    )


def test_divergence_leaves_the_old_file_and_keeps_the_last_good_weights(convlet, trained, folder):
    before = trained.read_bytes()
    result = convlet("train", "halves.npz", "--seed", 0, "--learning-rate", 1e38, "--out", trained)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: fit: the ")
    assert result.stderr.endswith(" The last good weights are in net.last-good.safetensors\n")
    assert result.stderr.count("\n") == 1
    assert trained.read_bytes() == before
    good = load_model("net.last-good.safetensors")
    assert all(np.isfinite(weight).all() for weight in good.get_weights())


def test_full_disk_leaves_the_old_file(convlet, trained, folder, monkeypatch):
    before, names = trained.read_bytes(), files(folder)

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    result = convlet("train", "halves.npz", *QUICK, "--out", trained)
    assert result.exit_code == 1
    assert result.stderr == "Error: net.safetensors: No space left on device\n"
    assert trained.read_bytes() == before
    assert files(folder) == names


def test_no_memory_is_a_sentence(convlet, monkeypatch):
    def too_large(*arguments, **keywords):
        raise MemoryError("Unable to allocate 37.3 GiB for an array")

    monkeypatch.setattr("convlet.models.Model.fit", too_large)
    result = convlet("train", "halves.npz")
    assert result.exit_code == 1
    assert result.stderr == "Error: not enough memory: Unable to allocate 37.3 GiB for an array\n"


def test_mistakes_of_ours_are_not_hidden(convlet, monkeypatch):
    def mistaken(*arguments, **keywords):
        raise AttributeError("a mistake")

    monkeypatch.setattr("convlet.models.Model.fit", mistaken)
    with pytest.raises(AttributeError, match="a mistake"):
        convlet("train", "halves.npz")


def test_missing_extra_is_a_sentence(convlet, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.datasets", None)
    result = convlet("train", "digits")
    assert result.exit_code == 1
    assert result.stderr == (
        'Error: the digits data set needs scikit-learn: pip install "convlet[learn]"\n'
    )
