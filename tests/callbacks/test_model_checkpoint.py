"""ModelCheckpoint: which models are saved, as what, and under which names."""

import numpy as np
import pytest
from scripted import Tell, compiled, same, train

from convlet import load_model
from convlet.callbacks import ModelCheckpoint


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))


def test_a_model_each_epoch(tmp_path):
    tell = Tell(val_loss=[0.5, 0.25, 0.126])
    checkpoint = ModelCheckpoint(tmp_path / "new/{epoch:02d}-{val_loss:.2f}.safetensors")
    train(tell, checkpoint)
    assert names(tmp_path / "new") == [
        "01-0.50.safetensors",
        "02-0.25.safetensors",
        "03-0.13.safetensors",
    ]
    for epoch, name in enumerate(names(tmp_path / "new")):
        model = load_model(tmp_path / "new" / name)
        assert same(model.get_weights(), tell.weights[epoch])
        assert model.state.epochs == epoch + 1


def test_one_name_is_the_last_model(tmp_path):
    model = train(ModelCheckpoint(tmp_path / "net.safetensors", monitor="whatever"))
    assert same(load_model(tmp_path / "net.safetensors").get_weights(), model.get_weights())


@pytest.mark.parametrize(
    ("values", "options", "saved"),
    [
        ([3, 1, 2], {}, [1, 2]),
        ([3, 3, 2.9], {}, [1, 3]),
        ([3, 1, 2], {"mode": "max"}, [1]),
        ([3, 1, 2], {"initial_value_threshold": 3}, [2]),
        ([3, 1, 2], {"initial_value_threshold": 2, "mode": "max"}, [1]),
        ([3, 1, 2], {"initial_value_threshold": 0.5}, []),
    ],
)
def test_only_the_best(tmp_path, values, options, saved):
    path = tmp_path / "{epoch}.safetensors"
    train(Tell(val_loss=values), ModelCheckpoint(path, save_best_only=True, **options))
    assert names(tmp_path) == [f"{epoch}.safetensors" for epoch in saved]


def test_the_best_go_on_in_a_second_run(tmp_path):
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}.safetensors", save_best_only=True)
    train(Tell(val_loss=[3, 2]), checkpoint, epochs=2)
    train(Tell(val_loss=[2.5, 2.5, 1]), checkpoint)
    assert names(tmp_path) == ["1.safetensors", "2.safetensors", "3.safetensors"]


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".weights.h5"])
def test_weights_alone(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    model = train(ModelCheckpoint(path, save_weights_only=True))
    other = compiled()
    other.load_weights(path)
    assert same(other.get_weights(), model.get_weights())
    if suffix == ".safetensors":
        with pytest.raises(ValueError, match="the file holds no model"):
            load_model(path)


def test_each_so_many_steps(tmp_path):
    # 3 epochs of 3 steps: after the 2nd, 4th, 6th and 8th
    train(ModelCheckpoint(tmp_path / "{epoch}-{batch}.safetensors", save_freq=2))
    assert names(tmp_path) == [
        "1-2.safetensors",
        "2-1.safetensors",
        "2-3.safetensors",
        "3-2.safetensors",
    ]
    iterations = [load_model(tmp_path / name).state.iterations for name in names(tmp_path)]
    assert iterations == [2, 4, 6, 8]


def test_it_says_what_it_saves(tmp_path, capsys):
    path = tmp_path / "net.safetensors"
    train(Tell(val_loss=[1, 2]), ModelCheckpoint(path, save_best_only=True, verbose=1), epochs=2)
    assert capsys.readouterr().out == f"Epoch 1: saved in {path}\n"


def test_a_quantity_that_is_not_there(tmp_path):
    message = "^ModelCheckpoint: there is no 'val_loss' to monitor; there are loss, accuracy; "
    with pytest.raises(ValueError, match=message):
        train(ModelCheckpoint(tmp_path / "net.safetensors", save_best_only=True))
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("field", "reason"),
    [("{speed}", "KeyError: 'speed'"), ("{loss:q}", "ValueError: "), ("{}", "IndexError: ")],
)
def test_fields_that_are_not_there(tmp_path, field, reason):
    message = "^ModelCheckpoint: filepath must have fields out of epoch, accuracy, loss, got .*"
    with pytest.raises(ValueError, match=message.replace("accuracy, loss", "loss, accuracy")) as e:
        train(ModelCheckpoint(tmp_path / f"{field}.safetensors"))
    assert reason in str(e.value)


def test_a_field_of_several_numbers(tmp_path):
    with pytest.raises(ValueError, match="TypeError: unsupported format"):
        train(Tell(f=[np.ones(2)]), ModelCheckpoint(tmp_path / "{f:.2f}.keras"), epochs=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filepath": "net.h5"}, "filepath must be a path that ends in .safetensors or .keras, "),
        (
            {"filepath": "net.keras", "save_weights_only": True},
            "filepath must be a path that ends in .safetensors or .npz or .weights.h5, got 'net.k",
        ),
        ({"save_freq": 0}, "save_freq must be 'epoch' or an integer of at least 1, got 0"),
        ({"save_best_only": 1}, "save_best_only must be True or False, got 1"),
        ({"initial_value_threshold": np.inf}, "initial_value_threshold must be a finite number"),
        ({"save_best_only": True, "monitor": "speed"}, "mode must be 'min' or 'max' for 'speed'"),
    ],
)
def test_arguments_that_will_not_do(arguments, message):
    with pytest.raises(ValueError, match=f"^ModelCheckpoint: {message}"):
        ModelCheckpoint(**{"filepath": "net.safetensors"} | arguments)
