"""Training with losses: weights and classes of positions, reductions, labels to be ignored."""

from __future__ import annotations

import numpy as np
import pytest
from loss_cases import ARRAYS, LABELS, OF_KERAS, WEIGHTS, X, dense_model, made

from convlet import config, losses, metrics
from numerics import central_difference, normal

LAST = {"q": "sigmoid", "z": None}


def predicted(kernel: np.ndarray, last: str | None) -> np.ndarray:
    z = X.astype(np.float64) @ kernel[0]
    return z if last is None else 1 / (1 + np.exp(-z))


@pytest.mark.parametrize("executor", ["native", "reference"])
@pytest.mark.parametrize(("name", "arguments", "y_true", "y_pred", "expected"), OF_KERAS)
def test_a_step_with_weights_of_positions_follows_the_loss(
    name: str,
    arguments: dict,
    y_true: str,
    y_pred: str,
    expected: tuple,
    executor: str,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(config, "_executor", executor)
    loss, last = made(name, arguments), LAST[y_pred]
    if name == "MeanSquaredLogarithmicError":
        last = "sigmoid"
    weights = WEIGHTS if expected[2] is not None else WEIGHTS[:, 1]
    model = dense_model(loss, last)
    before = model.get_weights()[0].astype(np.float64)

    def value(kernel: np.ndarray) -> float:
        return loss(ARRAYS[y_true], predicted(kernel, last), weights)

    told = model.train_on_batch(X, ARRAYS[y_true], sample_weight=weights)
    assert told == pytest.approx(value(before), rel=1e-4)
    step = before - model.get_weights()[0]
    np.testing.assert_allclose(step, central_difference(value, before), rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("reduction", ["sum", "mean_with_sample_weight"])
@pytest.mark.parametrize(
    "name", ["MeanSquaredError", "MeanAbsoluteError", "CategoricalCrossentropy", "Dice"]
)
def test_a_step_with_another_reduction(name: str, reduction: str):
    loss = made(name, {"axis": (1, 2)} if name == "Dice" else {}, reduction=reduction)
    weights = np.array([0.5, 2.0])
    model = dense_model(loss, "sigmoid")
    before = model.get_weights()[0].astype(np.float64)

    def value(kernel: np.ndarray) -> float:
        return loss(ARRAYS["t"], predicted(kernel, "sigmoid"), weights)

    told = model.train_on_batch(X, ARRAYS["t"], sample_weight=weights)
    assert told == pytest.approx(value(before), rel=1e-4)
    step = before - model.get_weights()[0]
    np.testing.assert_allclose(step, central_difference(value, before), rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("name", ["MeanAbsoluteError", "Huber", "CategoricalFocalCrossentropy"])
def test_classes_of_positions_have_weights(name: str):
    class_weight = {0: 0.5, 2: 3.0}
    weights = np.array([0.5, 1, 3.0])[LABELS]
    for first, given in ((None, weights), (np.array([1.0, 2.0]), weights * [[1.0], [2.0]])):
        model = dense_model(made(name, {}), "sigmoid", weighted_metrics=["mae"])
        told = model.train_on_batch(
            X, ARRAYS["t"], sample_weight=first, class_weight=class_weight, return_dict=True
        )
        y_pred = predicted(normal(1, 4, 3, seed=6), "sigmoid")
        assert told["loss"] == pytest.approx(made(name, {})(ARRAYS["t"], y_pred, given), rel=1e-4)
        errors = np.abs(ARRAYS["t"] - y_pred).mean(axis=-1)
        assert told["mae"] == pytest.approx(np.average(errors, weights=given), rel=1e-4)


# Labels to be ignored ----------------------------------------------------------------------------


def test_ignored_labels_count_in_no_metric_and_need_be_no_class():
    loss = losses.SparseCategoricalCrossentropy(ignore_class=255)
    watched = ["accuracy", metrics.MeanIoU(3, sparse_y_pred=False, name="iou")]
    model = dense_model(loss, "softmax", metrics=watched, weighted_metrics=["ce"])
    labels, counted = ARRAYS["lab2"], ARRAYS["lab2"] != 255
    told = model.test_on_batch(X, labels, sample_weight=WEIGHTS, return_dict=True)
    p = model.predict(X, verbose=0)
    hits = (p.argmax(axis=-1) == labels)[counted]
    assert told["accuracy"] == pytest.approx(hits.mean())
    of_label = -np.log(np.take_along_axis(p, np.where(counted, labels, 0)[..., None], -1))[..., 0]
    weighted = (WEIGHTS * of_label)[counted].sum()
    assert told["loss"] == pytest.approx(weighted / counted.sum(), rel=1e-5)
    assert told["ce"] == pytest.approx(weighted / WEIGHTS[counted].sum(), rel=1e-5)
    unions = [((labels == c) | (p.argmax(-1) == c))[counted].sum() for c in range(3)]
    both = [((labels == c) & (p.argmax(-1) == c))[counted].sum() for c in range(3)]
    expected = np.mean([b / u for b, u in zip(both, unions, strict=True) if u])
    assert told["iou"] == pytest.approx(expected)


def test_ignored_labels_have_no_class_weight():
    loss = losses.SparseCategoricalCrossentropy(ignore_class=1)
    p = dense_model(loss, "softmax").predict(X, verbose=0)
    told = dense_model(loss, "softmax").train_on_batch(X, LABELS, class_weight={0: 2.0, 1: 9.0})
    assert told == pytest.approx(loss(LABELS, p, np.array([2.0, 1, 1])[LABELS]), rel=1e-5)


def test_a_batch_of_nothing_but_ignored_labels():
    loss = losses.SparseCategoricalCrossentropy(ignore_class=-1)
    assert loss([-1, -1], [[0.5, 0.5], [0.1, 0.9]]) == 0.0
    model = dense_model(loss, "softmax", metrics=["accuracy"])
    before = model.get_weights()
    assert model.train_on_batch(X, np.full((2, 3), -1)) == [0.0, 0.0]
    for kept, weight in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, weight)
