"""Losses beyond the crossentropies: values of Keras, gradients, weights, what is ignored."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from convlet import Sequential, config, layers, load_model, losses, metrics
from numerics import central_difference, normal

# Small arrays to two digits, of two images of three positions and three channels.
PLACES = np.arange(18).reshape(2, 3, 3)
LABELS = np.array([[0, 2, 1], [1, 1, 0]])
WEIGHTS = np.array([[0.5, 2, 1], [0, 1, 3]])
LOGITS = np.round(2 * np.sin(PLACES * 1.7 + 0.3), 2)
ARRAYS = {
    "z": LOGITS,
    "y": np.round(2 * np.cos(PLACES * 0.9 + 0.1), 2),
    "q": np.round(1 / (1 + np.exp(-LOGITS)), 2),
    "t": np.eye(3)[LABELS],
    "lab": LABELS,
    "lab2": np.where(WEIGHTS == 3, 255, LABELS),
}

# loss, arguments, targets, predictions; what Keras 3.15 computes in float32: the mean, the sum, and
# with WEIGHTS the mean and the mean by weight, where it can
OF_KERAS = [
    ("MeanAbsoluteError", {}, "y", "z", (1.548889, 9.293333, 1.876945, 1.501556)),
    ("MeanAbsolutePercentageError", {}, "y", "z", (195.8607, 1175.164, 259.6814, 207.7451)),
    ("MeanSquaredLogarithmicError", {}, "q", "z", (0.06975628, 0.4185376, 0.08455306, 0.06764245)),
    ("Huber", {}, "y", "z", (1.126145, 6.756867, 1.373368, 1.098694)),
    ("Huber", {"delta": 0.3}, "y", "z", (0.4209556, 2.525733, 0.5073667, 0.4058934)),
    ("LogCosh", {}, "y", "z", (1.022872, 6.137231, 1.248667, 0.9989337)),
    ("KLDivergence", {}, "t", "q", (0.8948793, 5.369276, 0.6328707, 0.5062966)),
    ("Poisson", {}, "q", "q", (0.763948, 4.583688, 0.9794245, 0.7835396)),
    ("CosineSimilarity", {}, "y", "z", (-0.1581125, -0.9486747, -0.2004496, -0.1603597)),
    ("Hinge", {}, "t", "z", (1.277222, 7.663334, 1.284167, 1.027333)),
    ("SquaredHinge", {}, "t", "z", (3.082161, 18.49297, 3.156214, 2.524971)),
    ("CategoricalHinge", {}, "t", "z", (2.56, 15.36, 2.425833, 1.940667)),
    ("BinaryFocalCrossentropy", {}, "t", "q", (0.5555772, 3.333463, 0.5712935, 0.4570348)),
    (
        "BinaryFocalCrossentropy",
        {"apply_class_balancing": True, "gamma": 1.5, "alpha": 0.3, "label_smoothing": 0.1},
        "t",
        "q",
        (0.3282715, 1.969629, 0.3717199, 0.2973759),
    ),
    (
        "BinaryFocalCrossentropy",
        {"from_logits": True},
        "t",
        "z",
        (0.5620484, 3.37229, 0.5783325, 0.462666),
    ),
    ("CategoricalFocalCrossentropy", {}, "t", "q", (0.1871199, 1.12272, 0.1310113, 0.104809)),
    (
        "CategoricalFocalCrossentropy",
        {"alpha": [0.1, 0.2, 0.3], "gamma": 1.5, "label_smoothing": 0.1},
        "t",
        "q",
        (0.1641789, 0.9850734, 0.1314244, 0.1051396),
    ),
    (
        "CategoricalFocalCrossentropy",
        {"from_logits": True},
        "t",
        "z",
        (0.3785547, 2.271328, 0.2787422, 0.2229938),
    ),
    ("Dice", {}, "t", "q", (0.6126482, 0.6126482, 0.7658103, 0.6126482)),
    ("Dice", {"axis": (1, 2)}, "t", "q", (0.6145977, 1.229195, None, None)),
    ("Dice", {"axis": (0, 1)}, "t", "q", (0.6015266, 1.80458, None, None)),
    ("Dice", {"axis": -2}, "t", "q", (0.6417581, 3.850549, None, None)),
    (
        "Tversky",
        {"alpha": 0.3, "beta": 0.6},
        "t",
        "q",
        (0.6132597, 0.6132597, 0.7665746, 0.6132597),
    ),
    (
        "Tversky",
        {"alpha": 0.3, "beta": 0.6, "axis": (1, 2)},
        "t",
        "q",
        (0.6157028, 1.231406, None, None),
    ),
    (
        "SparseCategoricalCrossentropy",
        {"ignore_class": 255},
        "lab2",
        "q",
        (1.409232, 7.046157, 1.007807, 1.119786),
    ),
    (
        "SparseCategoricalCrossentropy",
        {"ignore_class": 1, "from_logits": True},
        "lab",
        "z",
        (1.069412, 3.208236, 1.641978, 0.8956242),
    ),
]


def made(name: str, arguments: dict, **more: object) -> losses.Loss:
    return getattr(losses, name)(**arguments, **more)


def case_name(value: object) -> str | None:
    return value if isinstance(value, str) else None


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


# Training ----------------------------------------------------------------------------------------

X = normal(2, 3, 4, seed=5).astype(np.float32)
LAST = {"q": "sigmoid", "z": None}


def dense_model(loss: losses.Loss, last: str | None, **compiled: object) -> Sequential:
    """Return a network of one prediction for each of three positions, with a known kernel."""
    model = Sequential([layers.Input((3, 4)), layers.Conv1D(3, 1, activation=last)])
    model.compile("sgd", loss, **compiled)
    model.optimizer.learning_rate = 1.0
    model.set_weights([normal(1, 4, 3, seed=6).astype(np.float32), np.zeros(3, np.float32)])
    return model


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
        (lambda: losses.Huber(0), "Huber: delta must be a number of at least 4.94066e-324, got 0"),
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
        (lambda: losses.Dice(axis="all"), "Dice: axis must be an integer of at least -2147483648"),
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
