"""L-BFGS on the loss of a model over all its data; SciPy makes the steps.

L-BFGS wants a function of one vector, here all weights one after the other, with an exact gradient:
no batches by chance, and no learning rate. Loss and gradient come from the program that `Model.fit`
runs for a batch. Source: D. Liu and J. Nocedal, *On the limited memory BFGS method for large scale
optimization*, 1989; lecture 001, where the features to convolve come from an autoencoder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from convlet import arguments
from convlet.losses.base import MEAN, Loss
from convlet.models.data import Samples, check_samples
from convlet.models.state import NonFiniteLossError
from convlet.models.training import differentiate

if TYPE_CHECKING:
    from convlet.engine import Program
    from convlet.models.model import Model

_OWNER = "minimize_lbfgs"


class Objective:
    """The loss of a compiled model, with all penalties, as a function of a vector of its weights.

    Parameters
    ----------
    model : Model
        Its optimizer plays no part.
    x, y, sample_weight
        As those of `Model.fit`, arrays.
    batch_size : int, optional
        Samples that are computed at once, by default all. It saves memory and does not change the
        loss, which must be a mean over the samples then; but what is computed of a whole batch, a
        penalty on its mean or `Dice`, is each batch's.

    Attributes
    ----------
    loss, weights : float, ndarray
        The lowest loss computed so far, and where; at first infinity, and the model's weights.

    Raises
    ------
    ValueError
        If the data does not fit the model and the loss; if nothing is to be trained, a weight has a
        constraint, or training keeps statistics, as `BatchNormalization` does; if there is a batch
        size and a loss is no mean over the samples.
    """

    def __init__(
        self, model: Model, x: Any, y: Any, sample_weight: Any = None, batch_size: int | None = None
    ) -> None:
        if batch_size is not None:
            batch_size = arguments.integer(_OWNER, "batch_size", batch_size)
        with model.built_for(_OWNER, x):
            self._samples = check_samples(_OWNER, x, y, sample_weight, model)
            program = model.program("train", *[array.shape[1:] for array in self._samples.x])
            _check(program)
            if batch_size is not None:
                _check_means(model.compilation.losses, self._samples)
        self._model, self._batch_size = model, batch_size or len(self._samples)
        self._variables = {path: program.variables[path] for path in program.gradients}
        self.loss = math.inf
        self.weights = self._joined({path: v.value for path, v in self._variables.items()})

    def _joined(self, arrays: dict[str, np.ndarray]) -> np.ndarray:
        """Return the weights' arrays as one vector in float64, which SciPy computes in."""
        parts = [arrays[path].ravel() for path in self._variables]
        return np.concatenate(parts, dtype=np.float64)

    def assign(self, weights: np.ndarray) -> None:
        """Give the model the weights of a vector.

        Raises
        ------
        ValueError
            If it has not as many numbers as there are weights, or numbers that these cannot hold;
            the model is as it was then.
        """
        variables = list(self._variables.values())
        ends = np.cumsum([variable.size for variable in variables])
        if np.shape(weights) != (ends[-1],):
            requirement = f"a vector of {ends[-1]} numbers"
            raise ValueError(f"{_OWNER}: weights must be {requirement}, got {np.shape(weights)}")
        parts = zip(variables, np.split(weights, ends[:-1]), strict=True)
        values = [variable.converted(part.reshape(variable.shape)) for variable, part in parts]
        for variable, value in zip(variables, values, strict=True):
            variable.adopt(value)

    def __call__(self, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """Return loss and gradient for weights, which are the model's afterwards.

        Raises
        ------
        NonFiniteLossError
            If the loss is not finite.
        ValueError
            See `assign`.
        """
        self.assign(weights)
        loss, gradient = 0.0, np.zeros(len(weights))
        for batch in self._samples.batches(self._batch_size):
            found = differentiate(self._model, batch)
            share = len(batch) / len(self._samples)
            loss += share * self._model.compilation.total(found.losses)
            gradient += share * self._joined(found.gradients)
        if not math.isfinite(loss):
            raise NonFiniteLossError(f"{_OWNER}: the loss became {loss}; smaller inputs often help")
        if loss < self.loss:
            self.loss, self.weights = loss, np.array(weights)
        return loss, gradient


def _check(program: Program) -> None:
    """Raise a ValueError for a model whose loss is no function of free weights alone."""
    if not program.gradients:
        raise ValueError(f"{_OWNER}: the model has no weights to train")
    if program.updates:
        raise ValueError(
            f"{_OWNER}: training keeps statistics in {next(iter(program.updates))}, which are no "
            "function of the weights; freeze that layer"
        )
    for path in program.gradients:
        if program.variables[path].constraint is not None:
            raise ValueError(f"{_OWNER}: {path} has a constraint, which L-BFGS does not keep")


def _check_means(losses: Sequence[Loss | None], samples: Samples) -> None:
    """Raise a ValueError for a loss that its batches' means do not add up to."""
    for loss, y in zip(losses, samples.y, strict=True):
        if loss is None:
            continue
        assert y is not None  # there are targets where there is a loss
        ignores_some = loss.counted(y) is not None
        if ignores_some or loss.reduction not in (MEAN, "mean"):
            has = "an ignore_class" if ignores_some else f"reduction={loss.reduction!r}"
            raise ValueError(
                f"{_OWNER}: batch_size must be None where a loss is no mean over all samples; "
                f"{loss.name!r} has {has}"
            )


def minimize_lbfgs(
    model: Model,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    batch_size: int | None = None,
    maxiter: int = 400,
    callback: Callable[[int, float], object] | None = None,
    **options: Any,
) -> Any:
    """Train a compiled model by L-BFGS on all samples at once, for small data and smooth losses.

    The model is left with the weights of the lowest loss, also by an error and by Ctrl-C.

    Parameters
    ----------
    model, x, y, sample_weight, batch_size
        As those of `Objective`.
    maxiter : int
        How many steps at most.
    callback : callable, optional
        Called after each step with its number, from 1, and the loss.
    **options
        Those of ``scipy.optimize.minimize(method="L-BFGS-B")``: ``maxcor``, ``ftol``, ``gtol``, ...

    Returns
    -------
    scipy.optimize.OptimizeResult
        Among others ``fun``, the loss, ``nit`` and ``nfev``, steps and computed losses, and
        ``message``, why it stopped.

    Raises
    ------
    ImportError
        If SciPy is not installed.
    ValueError
        As `Objective`.
    NonFiniteLossError
        If the loss is not finite somewhere on the way.

    Notes
    -----
    Random layers, such as `Dropout`, draw the same numbers at every step. In float32 the loss is
    exact to about 1e-7, and steps that lower it by less come to nothing; models in float64 go on.
    """
    try:
        from scipy.optimize import minimize
    except ImportError:
        raise ImportError(f"{_OWNER} needs SciPy: pip install 'convlet[learn]'") from None
    maxiter = arguments.integer(_OWNER, "maxiter", maxiter)
    if callback is not None and not callable(callback):
        raise arguments.invalid(_OWNER, "callback", "a function or None", callback)
    objective, steps = Objective(model, x, y, sample_weight, batch_size), 0

    def step_made(intermediate_result: Any) -> None:  # SciPy goes by the argument's name
        nonlocal steps
        steps += 1
        if callback is not None:
            callback(steps, float(intermediate_result.fun))

    try:
        return minimize(
            objective,
            objective.weights,
            method="L-BFGS-B",
            jac=True,
            callback=step_made,
            options={"maxiter": maxiter, "maxfun": 20 * maxiter, **options},
        )
    finally:
        objective.assign(objective.weights)
