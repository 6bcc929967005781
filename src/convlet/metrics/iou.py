"""Intersections over unions: how well predicted regions cover the true ones.

For each class TP / (TP + FP + FN), from a confusion matrix of weights that is added up over
batches; the result is the mean over those classes that were asked for and that occurred.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convlet import arguments
from convlet.losses.targets import (
    as_numbers,
    as_predictions,
    check_count,
    spread_weights,
    whole_labels,
)
from convlet.metrics.base import Metric
from convlet.metrics.confusion import pair_counts
from convlet.metrics.thresholds import ratio


class IoU(Metric):
    """The mean intersection over union of some classes.

    Keras counts in integers, so that weights lose their fractions there; here they do not.

    Parameters
    ----------
    num_classes : int
        How many classes there are.
    target_class_ids : sequence of int
        The classes whose mean is the result.
    name : str, default "io_u"
        The metric's name.
    ignore_class : int, optional
        A label whose targets do not count; it need not be a class.
    sparse_y_true : bool, default True
        Whether targets are labels; otherwise they are one-hot along the last axis.
    sparse_y_pred : bool, default True
        Whether predictions are labels. False for those of a network, of which the largest along
        the last axis is taken.

    Raises
    ------
    ValueError
        For numbers of classes and classes that cannot be.
    """

    state_names = ("total",)

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        *,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
    ) -> None:
        super().__init__(name)
        owner = type(self).__name__
        self.num_classes = arguments.integer(owner, "num_classes", num_classes)
        matrix = (self.num_classes, self.num_classes)
        arguments.fits_memory(owner, "the confusion matrix", matrix, np.float64, "fewer classes")
        self.target_class_ids = _classes(owner, target_class_ids, self.num_classes)
        self.ignore_class = ignore_class
        if ignore_class is not None:
            self.ignore_class = arguments.integer(owner, "ignore_class", ignore_class, -(1 << 31))
        self.sparse_y_true = arguments.boolean(owner, "sparse_y_true", sparse_y_true)
        self.sparse_y_pred = arguments.boolean(owner, "sparse_y_pred", sparse_y_pred)
        self.reset_state()

    def reset_state(self) -> None:
        """Forget all batches."""
        self._total = np.zeros((self.num_classes, self.num_classes))

    def update_state(self, y_true: object, y_pred: object, sample_weight: object = None) -> None:
        """Take in a batch.

        Parameters
        ----------
        y_true : array_like
            Labels, (n, ...), or one-hot targets, (n, ..., classes).
        y_pred : array_like
            Labels or predictions, in the same way.
        sample_weight : array_like, optional
            See ``convlet.losses.spread_weights``.

        Raises
        ------
        ValueError
            For targets, predictions or weights that do not fit, and labels that are no classes.
        """
        owner = type(self).__name__
        right = self._labels("y_true", y_true, self.sparse_y_true)
        predicted = self._labels("y_pred", y_pred, self.sparse_y_pred)
        check_count(right, predicted.shape, owner)
        if right.size != predicted.size:
            raise ValueError(
                f"{owner}: y_true and y_pred must have as many labels, got the shapes "
                f"{right.shape} and {predicted.shape}"
            )
        ignored = self.ignore_class
        right = whole_labels(right, self.num_classes, owner, "y_true", ignored)
        predicted = whole_labels(predicted, self.num_classes, owner, "y_pred")
        weights = np.ones(right.shape)
        if sample_weight is not None:
            weights = spread_weights(sample_weight, right.shape, np.float64, owner)
        counted = np.ones(right.shape, bool) if ignored is None else right != ignored
        predicted = predicted.reshape(right.shape)[counted]
        self._total = self._total + pair_counts(
            right[counted], predicted, self.num_classes, weights[counted]
        )

    def _labels(self, name: str, value: object, sparse: bool) -> np.ndarray:
        """Return labels, without a last axis of 1."""
        owner = type(self).__name__
        array = as_numbers(owner, name, value)
        if sparse:
            return array[..., 0] if array.ndim > 1 and array.shape[-1] == 1 else array
        if array.ndim < 2 or array.shape[-1] != self.num_classes:
            raise ValueError(
                f"{owner}: {name} must have a last axis of {self.num_classes}, one for each class, "
                f"got the shape {array.shape}"
            )
        return array.argmax(axis=-1)

    def result(self) -> float:
        """Return the mean over the classes that occurred, 0.0 if none did."""
        hits = self._total.diagonal()
        union = self._total.sum(axis=0) + self._total.sum(axis=1) - hits
        of_classes = ratio(hits, union)[self.target_class_ids]
        occurred = (union > 0)[self.target_class_ids]
        return float(of_classes[occurred].mean()) if occurred.any() else 0.0


class MeanIoU(IoU):
    """The mean intersection over union of all classes.

    Parameters
    ----------
    num_classes : int
        How many classes there are.
    name : str, default "mean_io_u"
        The metric's name.
    ignore_class : int, optional
        As for ``IoU``.
    sparse_y_true : bool, default True
        As for ``IoU``.
    sparse_y_pred : bool, default True
        As for ``IoU``: False for the predictions of a network.

    Raises
    ------
    ValueError
        As ``IoU``.
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        *,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
    ) -> None:
        super().__init__(
            num_classes,
            _all_of(type(self).__name__, num_classes),
            name,
            ignore_class=ignore_class,
            sparse_y_true=sparse_y_true,
            sparse_y_pred=sparse_y_pred,
        )


class OneHotIoU(IoU):
    """The mean intersection over union of some classes, for one-hot targets and predictions.

    Parameters
    ----------
    num_classes : int
        How many classes there are.
    target_class_ids : sequence of int
        The classes whose mean is the result.
    name : str, default "one_hot_io_u"
        The metric's name.
    ignore_class : int, optional
        As for ``IoU``.
    sparse_y_pred : bool, default False
        As for ``IoU``.

    Raises
    ------
    ValueError
        As ``IoU``.
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        *,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
    ) -> None:
        super().__init__(
            num_classes,
            target_class_ids,
            name,
            ignore_class=ignore_class,
            sparse_y_true=False,
            sparse_y_pred=sparse_y_pred,
        )


class OneHotMeanIoU(OneHotIoU):
    """The mean intersection over union of all classes, for one-hot targets and predictions.

    Parameters
    ----------
    num_classes : int
        How many classes there are.
    name : str, default "one_hot_mean_io_u"
        The metric's name.
    ignore_class : int, optional
        As for ``IoU``.
    sparse_y_pred : bool, default False
        As for ``IoU``.

    Raises
    ------
    ValueError
        As ``IoU``.
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        *,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
    ) -> None:
        super().__init__(
            num_classes,
            _all_of(type(self).__name__, num_classes),
            name,
            ignore_class=ignore_class,
            sparse_y_pred=sparse_y_pred,
        )


class BinaryIoU(IoU):
    """The mean intersection over union of yes and no, predictions being probabilities.

    Parameters
    ----------
    target_class_ids : sequence of int, default (0, 1)
        Of 0 for no and 1 for yes, those whose mean is the result.
    threshold : float, default 0.5
        From 0 to 1; predictions of at least that say yes.
    name : str, default "binary_io_u"
        The metric's name.

    Raises
    ------
    ValueError
        As ``IoU``.
    """

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
    ) -> None:
        super().__init__(2, target_class_ids, name)
        self.threshold = arguments.real("BinaryIoU", "threshold", threshold, 0.0, 1.0)

    def _labels(self, name: str, value: object, sparse: bool) -> np.ndarray:
        if name == "y_pred":
            predictions = as_predictions("BinaryIoU", value)
            value = predictions >= predictions.dtype.type(self.threshold)
        return super()._labels(name, value, sparse)


def _all_of(owner: str, num_classes: int) -> range:
    return range(arguments.integer(owner, "num_classes", num_classes))


def _classes(owner: str, ids: object, num_classes: int) -> list[int]:
    """Return the numbers of classes, each below ``num_classes``."""
    if not isinstance(ids, (list, tuple, range, np.ndarray)) or len(ids) == 0:
        raise arguments.invalid(owner, "target_class_ids", "a list of classes", ids)
    checked = [arguments.integer(owner, "each of target_class_ids", i, 0) for i in ids]
    if max(checked) >= num_classes:
        requirement = f"below num_classes={num_classes}"
        raise arguments.invalid(owner, "each of target_class_ids", requirement, max(checked))
    return checked
