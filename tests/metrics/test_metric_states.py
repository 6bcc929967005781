"""Metrics go on from a state, come back from files, and are reported by models."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from metric_cases import ALL, ANSWERS, PREDICTIONS, WEIGHTS, in_batches
from sklearn import metrics as judge

from convlet import Sequential, layers, load_model, metrics
from convlet.metrics import AUC, AveragePrecision, F1Score, FBetaScore, MeanIoU, Metric, R2Score
from numerics import normal


def test_what_has_seen_nothing_is_0():
    for metric in ALL.values():
        result = metric().result()
        assert np.all(np.asarray(result) == 0), metric


@pytest.mark.parametrize("name", ALL)
def test_a_metric_goes_on_from_its_state(name: str):
    whole, first, second = ALL[name](), ALL[name](), ALL[name]()
    expected = in_batches(whole, ANSWERS, PREDICTIONS, WEIGHTS)
    first.update_state(ANSWERS[:3], PREDICTIONS[:3], WEIGHTS[:3])
    state = first.get_state()
    assert all(isinstance(v, (int, float, np.ndarray)) for v in state.values())
    before = {key: np.copy(value) for key, value in state.items()}
    second.update_state(ANSWERS, PREDICTIONS)  # what it had is forgotten
    (fresh := ALL[name]()).set_state(state)
    second.set_state(state)
    for metric in (fresh, second):
        metric.update_state(ANSWERS[3:], PREDICTIONS[3:], WEIGHTS[3:])
        np.testing.assert_allclose(metric.result(), expected, rtol=1e-12)
    for key, value in state.items():  # it is a copy
        np.testing.assert_array_equal(value, before[key])
    for key, value in first.get_state().items():
        np.testing.assert_array_equal(value, before[key])


@pytest.mark.parametrize("metric", [AveragePrecision(), F1Score(), R2Score(None)], ids=repr)
def test_a_state_of_another_number_of_labels_replaces_what_was_gathered(metric: Metric):
    first = copy.deepcopy(metric)
    expected = first(ANSWERS, PREDICTIONS)
    metric.update_state(ANSWERS[:, :2], PREDICTIONS[:, :2])
    metric.set_state(first.get_state())
    np.testing.assert_array_equal(metric.result(), expected)


def test_a_call_takes_in_a_batch_and_returns_the_result_so_far():
    mean, precision = metrics.Mean(), metrics.Precision()
    assert mean([1.0, 2.0]) == 1.5
    assert mean([6.0], sample_weight=[2.0]) == 3.75  # (1 + 2 + 2 * 6) / (1 + 1 + 2)
    assert precision([1, 0], [0.9, 0.8], [3.0, 1.0]) == 0.75
    assert precision.result() == 0.75


def test_the_other_metrics_have_a_state_too():
    mean, sparse = metrics.Mean(), metrics.SparseCategoricalAccuracy()
    mean.update_state([1.0, 4.0], [3, 1])
    assert mean.get_state() == {"total": 7.0, "weight": 4.0}
    sparse.set_state({"total": 3.0, "weight": 4})
    assert sparse.result() == 0.75


class Own(Metric):
    """A user's metric that names no state."""


def test_a_metric_of_one_s_own_must_name_its_state():
    for use in (Own().get_state, lambda: Own().set_state({})):
        with pytest.raises(NotImplementedError, match="Own must name in state_names what it gath"):
            use()


def test_a_state_that_does_not_fit_changes_nothing():
    metric = metrics.Mean()
    metric.update_state([2.0])
    with pytest.raises(ValueError, match="the state's weight must be"):
        metric.set_state({"total": 7.0, "weight": [1.0]})
    assert metric.result() == 2.0
    score = F1Score()
    expected = score(ANSWERS, PREDICTIONS)
    with pytest.raises(ValueError, match=r"the state's targets must have the shape \(any\), got"):
        score.set_state({**score.get_state(), "targets": np.zeros((2, 2))})
    np.testing.assert_array_equal(score.result(), expected)


def test_labels_of_another_number_than_before():
    for metric in (AUC(multi_label=True), AveragePrecision(), F1Score(), R2Score()):
        metric.update_state(ANSWERS, PREDICTIONS)
        with pytest.raises(ValueError, match=r"y_pred must have 3 (labels|outputs) along the last"):
            metric.update_state(ANSWERS[:, :2], PREDICTIONS[:, :2])


@pytest.mark.parametrize("suffix", [".safetensors", ".keras"])
@pytest.mark.parametrize("name", ALL)
def test_metrics_come_back_from_files(name: str, suffix: str, tmp_path):
    if suffix == ".keras":
        pytest.importorskip("h5py")
        if name == "AveragePrecision":
            pytest.skip("Keras has no such metric")
    model = Sequential([layers.Input((2,)), layers.Dense(3, activation="sigmoid")])
    model.compile("sgd", "mse", metrics=[ALL[name]()])
    model.save(tmp_path / f"model{suffix}")
    ((read, _),) = load_model(tmp_path / f"model{suffix}").compilation.metrics[0]
    expected = metrics.serialize(ALL[name]())
    assert metrics.serialize(read) == json.loads(json.dumps(expected))


@pytest.mark.parametrize(
    ("name", "cls", "default"),
    [
        ("auc", AUC, "auc"),
        ("f1_score", F1Score, "f1_score"),
        ("fbeta_score", FBetaScore, "fbeta_score"),
        ("r2_score", R2Score, "r2_score"),
        ("logcosh", metrics.LogCoshError, "logcosh"),
        ("mape", metrics.MeanAbsolutePercentageError, "mean_absolute_percentage_error"),
        ("msle", metrics.MeanSquaredLogarithmicError, "mean_squared_logarithmic_error"),
        ("binary_io_u", metrics.BinaryIoU, "binary_io_u"),
        ("kl_divergence", metrics.KLDivergence, "kl_divergence"),
        ("true_positives", metrics.TruePositives, "true_positives"),
        ("average_precision", AveragePrecision, "average_precision"),
    ],
)
def test_names_are_those_of_keras(name: str, cls: type, default: str):
    assert type(metrics.get(name)) is cls
    assert cls().name == default


def test_a_model_reports_them(capsys: pytest.CaptureFixture):
    x, labels = (
        normal(12, 4, 4, 1).astype(np.float32),
        np.random.default_rng(0).integers(3, size=(12, 4, 4)),
    )
    model = Sequential(
        [layers.Input((4, 4, 1)), layers.Conv2D(3, 3, padding="same", activation="softmax")]
    )
    weights = np.random.default_rng(1).random((12, 4, 4))
    watched = [MeanIoU(3, sparse_y_pred=False), F1Score(), metrics.Precision([0.3, 0.5])]
    model.compile("sgd", "categorical_crossentropy", weighted_metrics=[*watched[1:], AUC()])
    history = model.fit(x, np.eye(3)[labels], batch_size=5, sample_weight=weights, verbose=2)
    assert history.history["f1_score"][0].shape == (3,)
    assert "f1_score [" in capsys.readouterr().out
    scores = model.evaluate(
        x, np.eye(3)[labels], sample_weight=weights, verbose=0, return_dict=True
    )
    p = model.predict(x, verbose=0)
    each, answers = np.repeat(weights.ravel(), 3), np.eye(3)[labels].ravel()
    for place, threshold in enumerate((0.3, 0.5)):
        expected = judge.precision_score(
            answers, p.ravel() > threshold, sample_weight=each, zero_division=0
        )
        assert scores["precision"][place] == pytest.approx(expected, rel=1e-5)
    expected = judge.roc_auc_score(answers, p.ravel(), sample_weight=each)
    assert scores["auc"] == pytest.approx(expected, abs=0.01)
    model.compile("sgd", "sparse_categorical_crossentropy", weighted_metrics=watched[:1])
    iou = model.evaluate(x, labels, sample_weight=weights, verbose=0)[1]
    expected = judge.jaccard_score(
        labels.ravel(), p.argmax(-1).ravel(), average="macro", sample_weight=weights.ravel()
    )
    assert iou == pytest.approx(expected, rel=1e-5)
