"""Cross-entropies as metrics: what the losses of the same names compute, averaged over samples."""

from __future__ import annotations

from convlet import losses
from convlet.metrics.base import LossMetric


class _SmoothedCrossentropy(LossMetric):
    """The mean of a cross-entropy whose targets may be smoothed."""

    loss_class: type[losses.BinaryCrossentropy] | type[losses.CategoricalCrossentropy]

    def __init__(
        self,
        name: str | None = None,
        *,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        loss = self.loss_class(from_logits, label_smoothing)
        super().__init__(loss, name)
        self.from_logits = loss.from_logits
        self.label_smoothing = loss.label_smoothing


class BinaryCrossentropy(_SmoothedCrossentropy):
    """The mean of ``convlet.losses.BinaryCrossentropy``.

    Parameters
    ----------
    name : str, default "binary_crossentropy"
        The metric's name.
    from_logits : bool, default False
        See the loss.
    label_smoothing : float, default 0.0
        See the loss.
    """

    loss_class = losses.BinaryCrossentropy


class CategoricalCrossentropy(_SmoothedCrossentropy):
    """The mean of ``convlet.losses.CategoricalCrossentropy``.

    Parameters
    ----------
    name : str, default "categorical_crossentropy"
        The metric's name.
    from_logits : bool, default False
        See the loss.
    label_smoothing : float, default 0.0
        See the loss.
    """

    loss_class = losses.CategoricalCrossentropy


class SparseCategoricalCrossentropy(LossMetric):
    """The mean of ``convlet.losses.SparseCategoricalCrossentropy``.

    Parameters
    ----------
    name : str, default "sparse_categorical_crossentropy"
        The metric's name.
    from_logits : bool, default False
        See the loss.
    ignore_class : int, optional
        See the loss. Such targets never count, while Keras counts them as 0 where there are no
        sample weights.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        from_logits: bool = False,
        ignore_class: int | None = None,
    ) -> None:
        loss = losses.SparseCategoricalCrossentropy(from_logits, ignore_class)
        super().__init__(loss, name)
        self.from_logits = loss.from_logits
        self.ignore_class = loss.ignore_class
