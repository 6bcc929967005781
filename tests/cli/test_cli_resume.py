"""``convlet train --resume`` and ``--patience``."""

import re
import time
from pathlib import Path

import numpy as np
import pytest

from convlet import load_model
from convlet.models import training

pytest_plugins = ("cli_fixtures",)

ARGUMENTS = ("train", "halves.npz", "--batch-size", 4, "--validation-split", 0.25)
CHECKPOINT = Path("net.checkpoint/checkpoint.safetensors")


def test_a_killed_run_goes_on(start, convlet):
    arguments = (*ARGUMENTS, "--epochs", 100, "--seed", 5)
    process = start(*arguments, "--resume", "--out", "net.safetensors")
    while not CHECKPOINT.exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.communicate(timeout=60)
    assert not Path("net.safetensors").exists()

    result = convlet(*arguments, "--resume", "--out", "net.safetensors")
    assert result.exit_code == 0, result.output
    place = r"(after \d+ epochs|in epoch \d+, after \d+ steps?)"
    assert re.search(
        rf"\nResuming: {place}, from net\.checkpoint/checkpoint\.safetensors\n", result.output
    )
    assert not CHECKPOINT.parent.exists()
    assert convlet(*arguments, "--out", "whole.safetensors").exit_code == 0
    assert Path("net.safetensors").read_bytes() == Path("whole.safetensors").read_bytes()


@pytest.fixture
def interrupted(convlet, monkeypatch):
    """Return the output of a run that wrote a checkpoint after 100 steps and was interrupted."""
    step = training.train_step

    def pressing(model, batch):
        if model.state.iterations == 110:
            raise KeyboardInterrupt
        return step(model, batch)

    with monkeypatch.context() as patched:
        patched.setattr(training, "train_step", pressing)
        result = again(convlet)
    assert result.exit_code == 130
    assert CHECKPOINT.exists()
    return result


def again(convlet, *more, learning_rate=0.01):
    return convlet(
        *ARGUMENTS, "--epochs", 10, "--resume", "--out", "net.safetensors",
        "--learning-rate", learning_rate, *more,
    )  # fmt: skip


def test_ctrl_c_and_the_seed_that_was_drawn(interrupted, convlet):
    assert interrupted.stderr == (
        "\nInterrupted in epoch 10; the model so far is in net.safetensors; the same command goes "
        "on with the training\n"
    )
    seed = re.search(r"seed (\d+)", interrupted.output)[1]
    result = again(convlet)
    assert result.exit_code == 0, result.output
    assert f"Network:  small-lenet, seed {seed}, " in result.output
    assert "Resuming: in epoch 9, after 4 steps, from net.checkpoint/checkpoint" in result.output
    assert re.search(r"\nTrained in [\d.]+ s, [\d.]+ s an epoch\n", result.output)
    convlet(
        *ARGUMENTS, "--epochs", 10, "--out", "whole.safetensors",
        "--learning-rate", 0.01, "--seed", seed,
    )  # fmt: skip
    assert Path("net.safetensors").read_bytes() == Path("whole.safetensors").read_bytes()


def test_changed_commands_are_refused(interrupted, convlet):
    before = CHECKPOINT.read_bytes()
    result = again(convlet, learning_rate=0.02)
    assert result.exit_code == 1
    assert "was written by a script with other optimizer, loss or metrics; undo" in result.stderr
    result = again(convlet, "--limit", 40)
    assert result.exit_code == 1
    assert "with other samples to train on: 48 then, 30 now; undo the change" in result.stderr
    result = again(convlet, "--seed", 1)
    assert result.exit_code == 2
    assert "--seed: net.checkpoint/checkpoint.safetensors was begun with the seed" in result.stderr
    assert CHECKPOINT.read_bytes() == before


def test_a_damaged_checkpoint(interrupted, convlet):
    CHECKPOINT.write_bytes(b"torn")
    result = again(convlet)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {CHECKPOINT}: not a .safetensors file, or a damaged")
    assert result.stderr.count("\n") == 1


def test_a_checkpoint_is_not_taken_unasked(interrupted, convlet):
    result = convlet(*ARGUMENTS, "--epochs", 1, "--out", "net.safetensors")
    assert result.exit_code == 0
    assert "Resuming" not in result.output
    assert CHECKPOINT.exists()


def test_resuming_needs_what_it_began_from(convlet, trained):
    result = convlet(*ARGUMENTS, "--resume", "--model", trained, "--out", trained)
    assert result.exit_code == 2
    assert "--resume begins from net.safetensors again, so --out must be another" in result.stderr


def test_patience_keeps_the_best_epoch(convlet):
    arguments = (*ARGUMENTS, "--epochs", 60, "--seed", 1, "--learning-rate", 0.3)
    result = convlet(*arguments, "--patience", 2, "--out", "net.safetensors")
    assert result.exit_code == 0, result.output
    losses = [float(value) for value in re.findall(r"val_loss (\S+)", result.output)]
    assert len(losses) < 60
    best = int(re.search(r"The weights are those of epoch (\d+), the best", result.output)[1])
    assert losses[best - 1] == min(losses)
    assert f"Epoch {len(losses)}: early stopping\n" in result.output

    (*rest, _), saved = (*arguments, ""), load_model("net.safetensors")
    rest[rest.index(60)] = best
    convlet(*rest, "--out", "best.safetensors")
    expected = load_model("best.safetensors").get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(saved.get_weights(), expected, strict=True))


def test_patience_without_validation(convlet):
    result = convlet("train", "halves.npz", "--patience", 3)
    assert result.exit_code == 2
    assert "Error: --patience needs --validation-split.\n" in result.stderr
