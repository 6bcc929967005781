"""Losses beyond the crossentropies: values of Keras, gradients, files, names, errors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from loss_cases import ARRAYS, LOGITS, OF_KERAS, WEIGHTS, dense_model, made

from convlet import load_model, losses
from numerics import central_difference, normal

# Values and gradients ----------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "arguments", "y_true", "y_pred", "expected"), OF_KERAS)
def test_values_are_keras_s(name: str, arguments: dict, y_true: str, y_pred: str, expected: tuple):
    y_true, y_pred = ARRAYS[y_true], ARRAYS[y_pred]
    cases = (("mean", None), ("sum", None), ("mean", WEIGHTS), ("mean_with_sample_weight", WEIGHTS))
    for (reduction, weights), value in zip(cases, expected, strict=True):
        if value is not None:
            result = made(name, arguments, reduction=reduction)(y_true, y_pred, weights)
            assert type(result) is float
            assert result == pytest.approx(value, rel=2e-5), reduction


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum"])
@pytest.mark.parametrize(("name", "arguments", "y_true", "y_pred", "_"), OF_KERAS)
def test_gradients(name: str, arguments: dict, y_true: str, y_pred: str, _: tuple, reduction: str):
    """Each value's gradient times what a program is fed for it, against central differences."""
    loss, y_pred = made(name, arguments, reduction=reduction), ARRAYS[y_pred] + 1e-3
    whole = {"Dice", "Tversky"} & {name}
    weights = np.array([0.5, 2]) if arguments.get("axis") == (1, 2) else WEIGHTS
    weights = np.array([2.0, 2.0]) if whole and arguments.get("axis") != (1, 2) else weights
    targets, shares = loss.feeds(
        loss.check_targets(ARRAYS[y_true], y_pred.shape, "test"), weights, y_pred.shape
    )
    if whole and reduction == "sum_over_batch_size":
        shares = 3 * shares  # a value for each image counts for its three positions
    shares = shares.reshape(shares.shape + (1,) * (3 - shares.ndim))
    expected = central_difference(lambda p: loss(ARRAYS[y_true], p, weights), y_pred)
    np.testing.assert_allclose(
        shares * loss.gradient(targets, y_pred), expected, rtol=1e-5, atol=1e-8
    )


@pytest.mark.parametrize(("name", "arguments", "y_true", "y_pred", "_"), OF_KERAS)
def test_float_types_are_the_prediction_s(
    name: str, arguments: dict, y_true: str, y_pred: str, _: tuple
):
    loss, double = made(name, arguments), ARRAYS[y_pred]
    targets = loss.check_targets(ARRAYS[y_true], double.shape, "test")
    for formula in (loss.call, loss.gradient):
        single = formula(targets, double.astype(np.float32))
        assert single.dtype == np.float32
        assert formula(targets, double).dtype == np.float64
        np.testing.assert_allclose(single, formula(targets, double), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted({case[0] for case in OF_KERAS} - {"Dice", "Tversky"}))
def test_diverged_predictions_give_no_warnings_and_no_number(name: str):
    loss = made(name, {})
    y_true = [0, 1] if name.startswith("Sparse") else np.eye(2)
    y_pred = np.array([[np.nan, np.nan], [3e38, -3e38]], np.float32)
    assert np.isnan(loss(y_true, y_pred))
    loss.gradient(loss.check_targets(y_true, (2, 2), "test"), y_pred)


def test_errors_too_large_for_an_exponential():
    y_pred = np.array([[1e4, -1e4]])
    loss = losses.LogCosh()
    assert loss([[0, 0]], y_pred) == pytest.approx(1e4 - np.log(2), rel=1e-12)
    np.testing.assert_allclose(loss.gradient(np.zeros((1, 2)), y_pred), [[0.5, -0.5]])
    logits = np.array([[1e4, -1e4]])
    for loss in (
        losses.BinaryFocalCrossentropy(from_logits=True),
        losses.CategoricalFocalCrossentropy(from_logits=True, alpha=1.0),
    ):
        gradient = loss.gradient(np.array([[0.0, 1.0]]), logits)
        np.testing.assert_allclose(np.abs(gradient) * (1 + loss.name.startswith("b")), [[1, 1]])


def test_focal_losses_of_gamma_0_are_crossentropies():
    for focal, plain in (
        (losses.BinaryFocalCrossentropy(gamma=0), losses.BinaryCrossentropy()),
        (losses.CategoricalFocalCrossentropy(1.0, 0), losses.CategoricalCrossentropy()),
    ):
        for formula in ("call", "gradient"):
            expected = getattr(plain, formula)(ARRAYS["t"], ARRAYS["q"])
            result = getattr(focal, formula)(ARRAYS["t"], ARRAYS["q"])
            np.testing.assert_allclose(result, expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["BinaryFocalCrossentropy", "CategoricalFocalCrossentropy"])
def test_focal_losses_have_twins_for_logits(name: str):
    twin = made(name, {"alpha": 0.3, "gamma": 1.5}).from_logits_twin()
    assert twin.get_config().items() >= {"from_logits": True, "alpha": 0.3, "gamma": 1.5}.items()
    logits = normal(4, 3)
    p = 1 / (1 + np.exp(-logits))
    if name.startswith("Categorical"):
        p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    expected = made(name, {"alpha": 0.3, "gamma": 1.5})(np.eye(3)[[0, 1, 2, 0]], p)
    assert twin(np.eye(3)[[0, 1, 2, 0]], logits) == pytest.approx(expected, rel=1e-9)


def test_hinge_targets_of_0_are_read_as_minus_1():
    signs = 2 * ARRAYS["t"] - 1
    for loss in (losses.Hinge(), losses.SquaredHinge()):
        assert loss(ARRAYS["t"], LOGITS) == loss(signs, LOGITS)


def test_without_a_reduction_weighted_values_are_returned():
    for reduction in (None, "none"):
        values = losses.MeanSquaredError(reduction)(ARRAYS["y"], LOGITS, WEIGHTS)
        expected = WEIGHTS * ((ARRAYS["y"] - LOGITS) ** 2).mean(axis=-1)
        np.testing.assert_allclose(values, expected)


def test_a_region_of_nothing_that_is_predicted_as_nothing():
    """As in Keras: 1 - 0 / 1e-7."""
    for loss in (losses.Dice(), losses.Tversky()):
        assert loss(np.zeros((2, 3)), np.zeros((2, 3))) == 1.0


# Files, names and errors -------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".safetensors", ".keras"])
@pytest.mark.parametrize(("name", "arguments", "_1", "_2", "_3"), OF_KERAS)
def test_losses_come_back_from_files(
    name: str, arguments: dict, _1: str, _2: str, _3: tuple, suffix: str, tmp_path
):
    if suffix == ".keras":
        pytest.importorskip("h5py")
    model = dense_model(made(name, {**arguments, "name": "mine"}, reduction="sum"), "sigmoid")
    model.save(tmp_path / f"model{suffix}")
    read = load_model(tmp_path / f"model{suffix}").loss
    assert losses.serialize(read) == losses.serialize(model.loss)
    assert read.reduction == "sum"


@pytest.mark.parametrize(
    ("names", "cls", "default"),
    [
        ("mae MAE mean_absolute_error", losses.MeanAbsoluteError, "mean_absolute_error"),
        (
            "mape MAPE mean_absolute_percentage_error",
            losses.MeanAbsolutePercentageError,
            "mean_absolute_percentage_error",
        ),
        (
            "msle MSLE mean_squared_logarithmic_error",
            losses.MeanSquaredLogarithmicError,
            "mean_squared_logarithmic_error",
        ),
        ("huber Huber", losses.Huber, "huber_loss"),
        ("log_cosh logcosh LogCosh", losses.LogCosh, "log_cosh"),
        ("kld KLD kl_divergence KLDivergence", losses.KLDivergence, "kl_divergence"),
        ("poisson", losses.Poisson, "poisson"),
        ("cosine_similarity", losses.CosineSimilarity, "cosine_similarity"),
        ("hinge", losses.Hinge, "hinge"),
        ("squared_hinge", losses.SquaredHinge, "squared_hinge"),
        ("categorical_hinge", losses.CategoricalHinge, "categorical_hinge"),
        (
            "binary_focal_crossentropy",
            losses.BinaryFocalCrossentropy,
            "binary_focal_crossentropy",
        ),
        (
            "categorical_focal_crossentropy",
            losses.CategoricalFocalCrossentropy,
            "categorical_focal_crossentropy",
        ),
        ("dice", losses.Dice, "dice"),
        ("tversky", losses.Tversky, "tversky"),
    ],
)
def test_names_are_those_of_keras(names: str, cls: type, default: str):
    for name in names.split():
        assert type(losses.get(name)) is cls
    assert cls().name == default


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: losses.Huber(0), "Huber: delta must be a number above 0, got 0"),
        (
            lambda: losses.Poisson("product"),
            "Poisson: reduction must be one of 'sum_over_batch_size', 'sum', 'mean', 'mean_with_",
        ),
        (
            lambda: losses.BinaryFocalCrossentropy(alpha=2),
            "BinaryFocalCrossentropy: alpha must be a number of at least 0 and of at most 1, got 2",
        ),
        (
            lambda: losses.CategoricalFocalCrossentropy([0.5, -1]),
            "CategoricalFocalCrossentropy: each of alpha must be a number of at least 0, got -1",
        ),
        (
            lambda: losses.CategoricalFocalCrossentropy([0.5, 1])(np.eye(3), np.eye(3)),
            "alpha of CategoricalFocalCrossentropy must be a number or one for each of the 3 clas",
        ),
        (
            lambda: losses.CategoricalFocalCrossentropy(gamma=-1),
            "CategoricalFocalCrossentropy: gamma must be a number of at least 0, got -1",
        ),
        (lambda: losses.Tversky(-1), "Tversky: alpha must be a number of at least 0, got -1"),
        (
            lambda: losses.Dice(axis=(1, 3))(ARRAYS["t"], ARRAYS["q"]),
            "Dice: axis must name different axes of predictions with 3 axes, got [1, 3]",
        ),
        (
            lambda: losses.Dice(axis=(1, -2))(ARRAYS["t"], ARRAYS["q"]),
            "Dice: axis must name different axes of predictions with 3 axes, got [1, -2]",
        ),
        (
            lambda: losses.Dice(axis="all"),
            "Dice: axis must be an integer, a list of integers or None, g",
        ),
        (
            lambda: losses.Dice()(ARRAYS["t"], ARRAYS["q"], [1, np.nan]),
            "Dice: sample_weight[1] is nan, weights must be finite",
        ),
        (
            lambda: losses.SparseCategoricalCrossentropy(ignore_class=0.5),
            "SparseCategoricalCrossentropy: ignore_class must be an integer of at least",
        ),
        (
            lambda: losses.SparseCategoricalCrossentropy(ignore_class=255)([3], [[1, 1, 1]]),
            "y_true[0] is 3, labels must be whole numbers from 0 to 2, or 255 to be ignored",
        ),
        (
            lambda: losses.CategoricalHinge()([0, 1], np.zeros((2, 3))),
            "CategoricalHinge: y_true must have the predictions' shape (2, 3), got (2,); class la",
        ),
        (
            lambda: dense_model(losses.Dice(reduction=None), None),
            "compile: a loss must be one number to be trained on, 'dice' has reduction=None",
        ),
    ],
)
def test_errors_say_what_came_and_what_would_do(use: Callable, message: str):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is compared below
        use()
    assert message in str(error.value)
