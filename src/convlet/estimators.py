"""scikit-learn's way in: networks that fit, predict and score wherever scikit-learn's own do.

``Pipeline``, ``GridSearchCV``, ``cross_val_score`` and their like take them. This is the one module
that is built on scikit-learn; ``import convlet`` leaves it alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from convlet import applications, arguments, layers, losses, optimizers, random, utils
from convlet.models import Model, Sequential

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        'convlet.estimators needs scikit-learn: pip install "convlet[learn]"'
    ) from error

__all__ = ["ConvletClassifier", "ConvletRegressor"]

Shape = tuple[int, ...]
Build = Callable[[Shape, int], Model]

_HIDDEN_UNITS = 100  # as many as scikit-learn's own networks have by default
_IMAGE_AXES, _SERIES_AXES = 3, 2  # rows, columns, channels; steps, channels


class _Estimator(BaseEstimator):
    """What both estimators share: parameters, training, checks."""

    def __init__(
        self,
        model: str | Build | None = None,
        *,
        optimizer: str | optimizers.Optimizer = "sgd",
        loss: str | losses.Loss | None = None,
        learning_rate: float | None = None,
        epochs: int = 10,
        batch_size: int = 32,
        verbose: str | int = 0,
        seed: int | None = None,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.loss = loss
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.verbose = verbose
        self.seed = seed

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.non_deterministic = self.seed is None
        return tags

    def _train(
        self, x: np.ndarray, y: np.ndarray, outputs: int, activation: str, sample_weight: Any
    ) -> None:
        """Build a network for the data and train it."""
        owner = type(self).__name__
        weights = _checked_weights(owner, sample_weight, len(x))
        seed = None if self.seed is None else arguments.integer(owner, "seed", self.seed, 0)
        epochs = arguments.integer(owner, "epochs", self.epochs)
        with random.seeded(seed):
            model = self._build(x.shape[1:], outputs, activation)
            model.compile(self._fresh_optimizer(), self.loss or self._default_loss)
            model.fit(
                self._for_model(x, model),
                self._targets_for(model, y),
                batch_size=self.batch_size,
                epochs=epochs,
                verbose=self.verbose,
                sample_weight=weights,
            )
        self.model_ = model

    def _targets_for(self, model: Model, y: np.ndarray) -> np.ndarray:
        """Return what was checked as the network's loss takes it."""
        return y

    def _build(self, shape: Shape, outputs: int, activation: str) -> Model:
        """Return an uncompiled network, seen to have as many outputs as are needed."""
        model = self._architecture()(shape, outputs, activation)
        owner = type(self).__name__
        if not isinstance(model, Model):
            raise arguments.invalid(owner, "model", "a function that returns a Model", model)
        if not model.built:
            model.ensure_built((None, *shape))
        if model.output_shape != (None, outputs):
            raise ValueError(
                f"{owner}: model must give {outputs} numbers for each sample, got an output of "
                f"shape {model.output_shape}"
            )
        return model

    def _architecture(self) -> Callable[[Shape, int, str], Any]:
        """Return what makes a network of a sample's shape, outputs and their activation."""
        model = self.model
        if model is None:
            return _one_hidden_layer
        if callable(model):
            return lambda shape, outputs, activation: model(shape, outputs)
        names = self._named
        if not isinstance(model, str) or model not in names:
            known = f"one of {', '.join(map(repr, names))}, " if names else ""
            requirement = f"{known}a function of a sample's shape and the outputs, or None"
            raise arguments.invalid(type(self).__name__, "model", requirement, model)
        axes = _SERIES_AXES if model in applications.SERIES else _IMAGE_AXES
        return lambda shape, outputs, activation: names[model](
            (*shape, 1) if len(shape) == axes - 1 else shape, outputs
        )

    def _fresh_optimizer(self) -> optimizers.Optimizer:
        """Return an optimizer of one's own: parameters are read, never changed."""
        optimizer = copy.deepcopy(optimizers.get(self.optimizer))
        if self.learning_rate is not None:
            optimizer.learning_rate = self.learning_rate
        return optimizer

    def _for_model(self, x: np.ndarray, model: Model) -> np.ndarray:
        """Return samples as the network takes them: named ones take them with channels."""
        missing = len(model.input_shape) - x.ndim
        return x[..., np.newaxis] if isinstance(self.model, str) and missing == 1 else x

    def _output(self, X: Any) -> np.ndarray:
        """Return what the network gives for samples."""
        check_is_fitted(self, "model_")
        x = validate_data(self, X, allow_nd=True, reset=False)
        return self.model_.predict(self._for_model(x, self.model_), verbose=0)


def _checked_weights(owner: str, value: Any, samples: int) -> np.ndarray | None:
    """Return one weight for each sample, or None for none."""
    if value is None:
        return None
    weights = arguments.numbers(owner, "sample_weight", value)
    if weights.shape != (samples,):
        raise ValueError(
            f"{owner}: sample_weight must have a number for each of {samples} samples, got shape "
            f"{weights.shape}"
        )
    if not weights.any():
        raise ValueError(f"{owner}: sample_weight must not be zero for all samples")
    return weights


def _one_hidden_layer(shape: Shape, outputs: int, activation: str) -> Sequential:
    return Sequential(
        [
            layers.Input(shape),
            layers.Flatten(),
            layers.Dense(_HIDDEN_UNITS, activation="relu"),
            layers.Dense(outputs, activation=activation),
        ]
    )


class ConvletClassifier(ClassifierMixin, _Estimator):
    """A network that tells classes apart, as a scikit-learn classifier.

    Parameters
    ----------
    model : str, callable or None
        A key of ``convlet.applications.BY_NAME``, for images of rows x columns or rows x columns x
        channels, or for series of steps or steps x channels; a function of a sample's shape and
        the number of classes that returns a model whose last layer is a softmax; or None for one
        hidden layer of 100 units with relu, for samples of any shape. Functions are not copied:
        each call must return a new model.
    optimizer : str or Optimizer, default "sgd"
        As for ``Model.compile``.
    loss : str, Loss or None
        As for ``Model.compile``; by default sparse categorical cross-entropy, which takes labels.
        Every other loss gets them one-hot.
    learning_rate : float or None
        In place of the optimizer's own.
    epochs : int, default 10
    batch_size : int, default 32
    verbose : {0, 1, 2, "auto"}
        As for ``Model.fit``.
    seed : int or None
        What all random draws of a fit follow from; None goes on with the library's own sequence,
        see ``convlet.utils.set_random_seed``, so that two fits differ.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    model_ : Model
        The trained network; its outputs are in the order of ``classes_``.
    n_features_in_ : int
        The second axis of the samples that `fit` got.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import cross_val_score
    >>> from convlet.estimators import ConvletClassifier
    >>> x, y = load_digits(return_X_y=True)
    >>> estimator = ConvletClassifier(learning_rate=0.1, seed=0)
    >>> scores = cross_val_score(estimator, x / 16, y, cv=3)
    >>> bool(scores.mean() > 0.9)
    True
    """

    _default_loss = "sparse_categorical_crossentropy"
    _named = applications.BY_NAME

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train a new network.

        Parameters
        ----------
        X : array_like of shape (n, ...)
            Samples: rows of features, images, signals.
        y : array_like of shape (n,)
            Labels of any kind that can be sorted.
        sample_weight : array_like of shape (n,), optional
            What each sample's loss is multiplied by, 1 by default. As in ``Model.fit``, a batch's
            loss is divided by its number of samples, so weights twice as large are steps twice
            as long.

        Raises
        ------
        ValueError
            If a parameter or the data will not do, or there is only one class.
        NonFiniteLossError
            If the training diverges.
        """
        x, y = validate_data(self, X, y, allow_nd=True)
        check_classification_targets(y)
        classes, labels = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"{type(self).__name__}: y must have at least two classes, got one class"
            )
        self._train(x, labels, len(classes), "softmax", sample_weight)
        self.classes_ = classes  # with the network that knows them, if training came to its end
        return self

    def _targets_for(self, model: Model, y: np.ndarray) -> np.ndarray:
        """Return labels, one-hot unless the network's loss takes them as they are."""
        if isinstance(model.loss, losses.SparseCategoricalCrossentropy):
            return y
        return utils.to_categorical(y, model.output_shape[-1])

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, in the order of ``classes_``: (n, n_classes)."""
        return self._output(X)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable label of each sample: (n,)."""
        most_probable = self._output(X).argmax(axis=1)
        return self.classes_[most_probable]


class ConvletRegressor(RegressorMixin, _Estimator):
    """A network that predicts numbers, as a scikit-learn regressor.

    Samples and targets are used as they are: features and targets of very different sizes are
    better scaled first, with ``StandardScaler`` and ``TransformedTargetRegressor``.

    Parameters
    ----------
    model : callable or None
        A function of a sample's shape and the number of targets that returns a model; or None for
        one hidden layer of 100 units with relu, for samples of any shape.
    loss : str, Loss or None
        By default the mean squared error.
    optimizer, learning_rate, epochs, batch_size, verbose, seed
        As for `ConvletClassifier`.

    Attributes
    ----------
    model_ : Model
        The trained network.
    n_features_in_ : int
        The second axis of the samples that `fit` got.
    """

    _default_loss = "mean_squared_error"
    _named: dict[str, Any] = {}  # noqa: RUF012 - the named networks all end in a softmax

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train a new network.

        Parameters
        ----------
        X : array_like of shape (n, ...)
            Samples: rows of features, images, signals.
        y : array_like of shape (n,) or (n, targets)
            What to predict.
        sample_weight : array_like of shape (n,), optional
            What each sample's loss is multiplied by, 1 by default. As in ``Model.fit``, a batch's
            loss is divided by its number of samples, so weights twice as large are steps twice
            as long.

        Raises
        ------
        ValueError
            If a parameter or the data will not do.
        NonFiniteLossError
            If the training diverges.
        """
        x, y = validate_data(self, X, y, allow_nd=True, multi_output=True, y_numeric=True)
        targets = y.reshape(len(y), -1)
        self._train(x, targets, targets.shape[1], "linear", sample_weight)
        self._is_single = y.ndim == 1
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the predictions: (n,), or (n, targets) as ``fit`` got them."""
        output = self._output(X)
        return output[:, 0] if self._is_single else output
