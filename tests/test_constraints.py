"""Constraints: norms as NumPy has them, weights that keep to them in training, files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from convlet import Sequential, constraints, layers, load_model, optimizers
from convlet.constraints import Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm
from numerics import normal

W = normal(5, 4) * [[0.1, 0.5, 1.0, 4.0]]
KERNEL = normal(3, 2, 4, 5)


def norms(w: np.ndarray, axis: object = 0) -> np.ndarray:
    return np.linalg.norm(w, axis=axis)


def test_a_maximum_shortens_what_is_longer_and_keeps_directions():
    shorter = MaxNorm(1.5)(W)
    np.testing.assert_allclose(norms(shorter), np.minimum(norms(W), 1.5), rtol=1e-5)
    np.testing.assert_allclose(
        shorter / norms(shorter), W / norms(W), rtol=1e-6, atol=1e-12
    )  # each column by itself
    assert (norms(W) > 1.5).any()
    assert (norms(W) < 1.5).any()


def test_unit_norms_along_other_axes():
    np.testing.assert_allclose(norms(UnitNorm(axis=-1)(W), 1), 1, rtol=1e-5)
    unit = UnitNorm(axis=[0, 1, 2])(KERNEL)
    np.testing.assert_allclose(np.sqrt((unit**2).sum(axis=(0, 1, 2))), 1, rtol=1e-6)


def test_zeros_stay():
    for constraint in (MaxNorm(), UnitNorm(), MinMaxNorm(0.5, 1.0)):
        np.testing.assert_array_equal(constraint(np.zeros((3, 2))), np.zeros((3, 2)))


@pytest.mark.parametrize("rate", [0.0, 0.25, 1.0])
def test_minimum_and_maximum_go_part_of_the_way(rate: float):
    changed = MinMaxNorm(0.4, 2.0, rate)(W)
    expected = rate * np.clip(norms(W), 0.4, 2.0) + (1 - rate) * norms(W)
    np.testing.assert_allclose(norms(changed), expected, rtol=1e-6)


def test_no_weight_below_zero():
    np.testing.assert_array_equal(NonNeg()([-1.5, 0.0, 2.0]), [0, 0, 2])


def test_float_types_stay_and_nothing_is_written_into():
    given = W.astype("float32")
    given.flags.writeable = False
    for constraint in (MaxNorm(1), UnitNorm(), MinMaxNorm(), NonNeg()):
        assert constraint(given).dtype == np.float32
        assert constraint(W).dtype == np.float64


def test_names_and_configurations():
    for name, kind in {
        "max_norm": MaxNorm,
        "MinMaxNorm": MinMaxNorm,
        "non_neg": NonNeg,
        "unit_norm": UnitNorm,
    }.items():
        constraint = constraints.get(name)
        assert type(constraint) is kind
        twin = constraints.get(constraints.serialize(constraint))
        assert twin.get_config() == constraint.get_config()
    assert constraints.get(None) is None
    assert MaxNorm().get_config() == {"max_value": 2, "axis": 0}
    defaults = {"min_value": 0.0, "max_value": 1.0, "rate": 1.0, "axis": 0}
    assert MinMaxNorm().get_config() == defaults
    assert constraints.max_norm(3, axis=[0, 1]).get_config() == {"max_value": 3, "axis": [0, 1]}


class Wrong(Constraint):
    """One that returns another shape."""

    def call(self, w: np.ndarray) -> np.ndarray:
        return w[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaxNorm(-1), "MaxNorm: max_value must be a number of at least 0, got -1"),
        (lambda: MinMaxNorm(2.0), "MinMaxNorm: max_value must be a number of at least 2, got 1.0"),
        (lambda: MinMaxNorm(rate=1.5), "rate must be a number of at least 0 and of at most 1, got"),
        (lambda: UnitNorm(axis=1.5), "UnitNorm: axis must be an integer or a list of them, got 1."),
        (lambda: UnitNorm(axis=[]), "UnitNorm: axis must be an integer or a list of them, got []"),
        (
            lambda: UnitNorm(axis=2)(W),
            "w: UnitNorm: axis must be axes of the weights that differ, got 2 and weights of shape",
        ),
        (lambda: UnitNorm(axis=[0, -2])(W), "axes of the weights that differ, got [0, -2] and"),
        (lambda: NonNeg()(["a"]), "NonNeg: w must be an array of numbers, got one of <U1"),
        (lambda: Wrong()(W), "Wrong: call must return the weights' shape (5, 4), got (4,)"),
        (lambda: constraints.get("max"), "constraint: unknown 'max'; known are max_norm, min_max_"),
    ],
)
def test_errors_name_the_argument(make: object, message: str):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


# --- in training ---


def trained(**options: object) -> list[np.ndarray]:
    model = Sequential([layers.Input((5,)), layers.Dense(4, **options)])
    model.set_weights([W, np.zeros(4)])
    model.compile(optimizers.SGD(0.1, momentum=0.9), "mse")
    x, y = normal(8, 5, dtype="float32"), normal(8, 4, seed=1, dtype="float32")
    model.train_on_batch(x, y)
    return model.get_weights()


def test_each_step_ends_within_the_constraint():
    kernel, bias = trained()
    constrained, plain_bias = trained(kernel_constraint=MaxNorm(1.0))
    expected = kernel * np.minimum(1, 1 / norms(kernel))
    np.testing.assert_allclose(constrained, expected, rtol=1e-5)
    np.testing.assert_array_equal(plain_bias, bias)
    assert (norms(kernel) > 1).any()


def test_frozen_weights_and_weights_before_the_first_step_are_left_alone():
    kernel, _ = trained(kernel_constraint="unit_norm", trainable=False)
    np.testing.assert_array_equal(kernel, W.astype("float32"))


def test_a_constraint_that_fails_changes_no_weight():
    model = Sequential([layers.Input((5,)), layers.Dense(4, bias_constraint=Wrong())])
    model.compile("sgd", "mse")
    before = model.get_weights()
    with pytest.raises(ValueError, match="Wrong: call must return the weights' shape"):
        model.train_on_batch(np.ones((2, 5)), np.ones((2, 4)))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("suffix", [".safetensors", ".keras"])
def test_both_kinds_of_files_hold_them(tmp_path: Path, suffix: str):
    if suffix == ".keras":
        pytest.importorskip("h5py")
    options = {
        "kernel_regularizer": "l1_l2",
        "bias_regularizer": "l1",
        "kernel_constraint": MinMaxNorm(0.5, 2.0, 0.5, [0, 1, 2]),
        "bias_constraint": "non_neg",
    }
    model = Sequential(
        [
            layers.Input((6, 6, 2)),
            layers.Conv2D(3, 3, **options, kernel_initializer="orthogonal"),
            layers.BatchNormalization(gamma_constraint=MaxNorm(3), beta_regularizer="l2"),
            layers.SeparableConv2D(2, 2, pointwise_regularizer="l2", depthwise_constraint=NonNeg()),
            layers.Flatten(),
            layers.Dense(2, kernel_regularizer="orthogonal_regularizer", name="last"),
        ]
    )
    path = tmp_path / f"model{suffix}"
    model.save(path)
    read = load_model(path)
    assert read.get_config() == model.get_config()
    conv = read.layers[0]
    assert conv.kernel_regularizer.get_config() == {"l1": 0.01, "l2": 0.01}
    assert conv.kernel_constraint.axis == [0, 1, 2]
    assert conv.kernel.constraint is conv.kernel_constraint
    assert read.get_layer("last").bias_regularizer is None
