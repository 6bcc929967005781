"""The model: layers with a way to train, to evaluate and to predict."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

from convlet import arguments, optimizers
from convlet.augmentation import Augmentation
from convlet.callbacks import Callback, History
from convlet.engine import Buffer, Head
from convlet.layers.structures import leaves, packed
from convlet.models import training
from convlet.models.base import BaseModel
from convlet.models.class_weights import with_class_weights
from convlet.models.compilation import Compilation
from convlet.models.data import Batch, check_predicted, check_samples
from convlet.models.plan_table import plan_lines
from convlet.models.scores import Scores
from convlet.models.state import NonFiniteLossError, TrainingState
from convlet.models.summary import summary_lines


class Model(BaseModel):
    """What all models share: how they are compiled, trained and asked.

    ``Model(inputs, outputs)`` is a `Functional` model, a graph of layers.

    Attributes
    ----------
    class_names : list of str or None
        What the outputs stand for; saved with the model.
    preprocessing : Preprocessing or None
        How an image file becomes an input; saved with the model.
    history : History or None
        The record of the latest `fit`, also of one that was interrupted.
    stop_training : bool
        A callback sets it to end training after the current batch.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Return a `Functional` where `Model` itself is called with inputs and outputs."""
        if cls is Model and (args or {"inputs", "outputs"}.intersection(kwargs)):
            from convlet.models.functional import Functional  # which derives from this class

            return super().__new__(Functional)  # type: ignore[return-value]
        return super().__new__(cls)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.history: History | None = None
        self.stop_training = False
        self._compilation: Compilation | None = None
        self._is_being_trained = False

    # --- compiling ---

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        loss_weights: Any = None,
    ) -> None:
        """Say how the model is to be trained, and begin anew: no steps made, no momentum.

        Parameters
        ----------
        optimizer : str or Optimizer
            A name, such as ``"adam"``, or an optimizer with its own settings.
        loss : str or Loss, or a list or dict of them
            What training lowers. Of several outputs each has its own, in a list or by name; one
            that stands alone counts for all of them, and an output may have None.
        metrics, weighted_metrics : sequence of str or Metric, optional
            What else to report; the second kind uses sample weights. For several outputs a list or
            dict with one name, one Metric or a list of them for each.
        loss_weights : list or dict of float, optional
            What each output's loss is multiplied by in the sum that training lowers; 1 by default.

        Raises
        ------
        ValueError
            For a name that is not known, metrics of one name, and what does not go with the
            outputs; nothing has been changed then.
        RuntimeError
            If the model is being trained.
        """
        if self._is_being_trained:
            raise RuntimeError(f"{self.owner}: a model cannot be compiled while it is trained")
        self._compilation = Compilation(
            optimizer, loss, metrics, weighted_metrics, loss_weights, self.output_names
        )
        self._programs.clear()

    @property
    def compiled(self) -> bool:
        """Whether `compile` has been called."""
        return self._compilation is not None

    @property
    def compilation(self) -> Compilation:
        """How the model is trained.

        Raises
        ------
        RuntimeError
            If `compile` has not been called.
        """
        if self._compilation is None:
            raise RuntimeError(f"{self.owner}: call compile(optimizer, loss) first")
        return self._compilation

    @property
    def optimizer(self) -> optimizers.Optimizer:
        """The optimizer of a compiled model."""
        return self.compilation.optimizer

    @property
    def loss(self) -> Any:
        """The loss of a compiled model; a list of them if it has several outputs."""
        return self.compilation.loss

    @property
    def state(self) -> TrainingState:
        """The training state of a compiled model."""
        return self.compilation.state

    @property
    def metrics_names(self) -> list[str]:
        """Names of what `evaluate` returns."""
        return self.compilation.score_names

    def get_compile_config(self) -> dict[str, Any] | None:
        """Return how the model was compiled, as JSON types, or None if it was not."""
        return None if self._compilation is None else self._compilation.get_config()

    def _heads(self, outputs: Sequence[Buffer], mode: str) -> list[Head]:
        """Return the outputs, with what training wants of them unless it is only prediction."""
        if mode == "predict":
            return [Head(output) for output in outputs]
        told = self.compilation
        names = [""] if len(outputs) == 1 else told.output_names
        columns = zip(outputs, told.losses, told.loss_weights, names, strict=True)
        return [Head(*head) for head in columns]

    # --- training, evaluation, prediction ---

    @contextmanager
    def being_trained(self) -> Iterator[None]:
        """Refuse to be compiled meanwhile; in the end let go of what only training needs."""
        self.stop_training, self._is_being_trained = False, True
        try:
            yield
        finally:
            self._is_being_trained = False
            self.state.forget_the_way_back()

    def fit(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Callback | Iterable[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | str | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Collection[int] = 1,
        augmentation: Augmentation | Sequence[Augmentation] | None = None,
    ) -> History:
        """Train the model.

        Parameters
        ----------
        x : array_like, shape (samples, ...), or PyDataset, or iterator
            Inputs, numbers of any type; for several inputs a list, or a dict by their names. An
            array in a memory-mapped file is read, and checked, batch by batch. In place of arrays
            batches ``(x, y)`` or ``(x, y, sample_weight)``: a `convlet.utils.PyDataset`, or a
            generator, which goes on from epoch to epoch; ``y``, ``sample_weight``, ``batch_size``
            and ``validation_split`` are left out then.
        y : array_like, shape (samples, ...)
            Targets, as the loss wants them; for several outputs a list, or a dict by their names.
        batch_size : int, optional
            Samples in a step; 32 by default.
        epochs : int
            Number of the epoch after which to stop.
        verbose : {"auto", 0, 1, 2}
            0: print nothing; 1 and "auto": a progress bar on a terminal, else a line an epoch;
            2: a line an epoch.
        callbacks : iterable of Callback, optional
            See `convlet.callbacks`; with a `BackupAndRestore` a run that was killed goes on.
        validation_split : float
            Share of the samples, the last ones, kept for validation, in [0, 1).
        validation_data : tuple (x, y) or (x, y, sample_weight), PyDataset or iterator, optional
            Samples for validation; goes before ``validation_split``.
        shuffle : bool
            Whether each epoch has an order of its own: of samples, or of a PyDataset's batches.
        class_weight : dict of int to float or "balanced", optional
            Weight of each class; classes not named have 1. "balanced", for arrays, is that of
            scikit-learn: samples / (classes * samples of the class).
        sample_weight : array_like, optional
            Weight of each sample, or of each target. The loss is divided by their number. For
            several outputs also a list or a dict.
        initial_epoch : int
            Number of the first epoch, from 0.
        steps_per_epoch : int, optional
            Steps in an epoch, which then begins where the one before ended. By default once through
            the data; a generator is exhausted in one epoch then. If a generator ends early, there
            is a warning and training ends.
        validation_steps : int, optional
            Batches in a validation, the first ones; for a generator the next ones. By default all.
        validation_batch_size : int, optional
            Samples in a batch of validation; ``batch_size`` by default.
        validation_freq : int or collection of int
            Validate after every so many epochs, or after those of these numbers, counted from 1.
        augmentation : Augmentation or list of Augmentation, optional
            How the samples of training are distorted, anew in each epoch, those of validation
            never; see `convlet.augmentation`. It is not saved with the model.

        Returns
        -------
        History
            Loss and metrics of each epoch; `history` of the model, too.

        Raises
        ------
        ValueError
            If the data does not fit the model and the loss; nothing has been changed then.
        NonFiniteLossError
            If the loss stops being finite; the weights are those of the last finite loss. Not with
            a `TerminateOnNaN`.
        KeyboardInterrupt
            After Ctrl-C, when the current batch is done; what was learned is kept.
        """
        return training.fit(
            self,
            x,
            y,
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks or (),
            validation_split=validation_split,
            validation_data=validation_data,
            shuffle=shuffle,
            class_weight=class_weight,
            sample_weight=sample_weight,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
            validation_freq=validation_freq,
            augmentation=augmentation,
        )

    def evaluate(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Callback | Iterable[Callback] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Return the loss and the metrics over a data set.

        Parameters
        ----------
        x, y, batch_size, verbose, sample_weight, callbacks
            As those of `fit`.
        steps : int, optional
            Batches to take, the first ones; by default all.
        return_dict : bool
            Whether to return a dict by name.

        Returns
        -------
        float, list of float or dict
            The loss alone if there is nothing else, otherwise the loss, the losses of several
            outputs, and the metrics, in this order; `metrics_names` names them.

        Raises
        ------
        ValueError
            If the data does not fit the model and the loss.
        """
        scores = training.evaluate(
            self,
            x,
            y,
            batch_size=batch_size,
            verbose=verbose,
            sample_weight=sample_weight,
            steps=steps,
            callbacks=callbacks or (),
        )
        return _flat(scores, return_dict)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Callback | Iterable[Callback] | None = None,
    ) -> Any:
        """Return the outputs for a set of inputs.

        Parameters
        ----------
        x, batch_size, verbose, callbacks
            As those of `fit`. Of batches ``(x, y)`` the inputs count.
        steps : int, optional
            Batches to take, the first ones; by default all.

        Returns
        -------
        ndarray, shape (samples, ...)
            A list or a dict of them for several outputs, as the model was given its outputs.

        Raises
        ------
        ValueError
            If ``x`` does not fit the model.
        """
        return training.predict(
            self,
            x,
            batch_size=batch_size,
            verbose=verbose,
            steps=steps,
            callbacks=callbacks or (),
        )

    def _batch(
        self, owner: str, x: Any, y: Any, sample_weight: Any, class_weight: Any = None
    ) -> tuple[Batch, Scores]:
        """Return a checked batch, and what to score it with."""
        with self.built_for(owner, x):
            samples = check_samples(owner, x, y, sample_weight, self)
            shapes = self.prediction_shapes([array.shape for array in samples.x])
            if class_weight is not None:
                loss = self.compilation.losses[0]
                samples = with_class_weights(owner, samples, class_weight, shapes[0], loss)
            scores = Scores(self.compilation, samples, shapes)
        return samples.whole(), scores

    def train_on_batch(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Make one training step; return the loss and metrics of this batch, from before it.

        Arguments, result and errors are those of `fit` and `evaluate`.
        """
        batch, scores = self._batch("train_on_batch", x, y, sample_weight, class_weight)
        try:
            losses, predictions = training.train_step(self, batch)
        except NonFiniteLossError as error:
            raise training.explained("train_on_batch", error, self) from None
        scores.update(batch, predictions, losses)
        return _flat(scores.result(), return_dict)

    def test_on_batch(
        self, x: Any, y: Any, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Return the loss and metrics of one batch.

        Arguments, result and errors are those of `evaluate`.
        """
        batch, scores = self._batch("test_on_batch", x, y, sample_weight)
        losses, predictions = training.evaluation_step(self, batch)
        scores.update(batch, predictions, losses)
        return _flat(scores.result(), return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """Return the outputs for one batch, in the form in which `predict` does.

        Raises
        ------
        ValueError
            If ``x`` does not fit the model.
        """
        with self.built_for("predict_on_batch", x):
            samples = check_predicted("predict_on_batch", x, self)
        return packed(self.output_form, training.predict_step(self, samples.whole().x))

    def summary(self, print_fn: Callable[[str], Any] = print) -> None:
        """Print what each layer gives, its weights, its multiply-adds and its receptive field.

        See `convlet.inspection.multiply_adds` and `convlet.inspection.receptive_field`.

        Parameters
        ----------
        print_fn : callable
            Called with each line.
        """
        for line in summary_lines(self):
            print_fn(line)

    def plan(
        self, batch_size: int = 32, mode: str | None = None, print_fn: Callable[[str], Any] = print
    ) -> None:
        """Print how the C++ core computes a batch.

        Phases, between which all images wait for each other; the layers and operators that are
        carried out in one go, with their operations; which convolutions go by FFT; how many images
        make a block; the memory.

        Parameters
        ----------
        batch_size : int
        mode : {"predict", "evaluate", "train"}, optional
            What to compute; "train" by default, or "predict" if the model is not compiled.
        print_fn : callable
            Called with each line.

        Raises
        ------
        ValueError
            If an input's size is open, or an argument is not of its form.
        RuntimeError
            If the mode needs a loss and the model is not compiled.
        """
        batch_size = arguments.integer(self.owner, "batch_size", batch_size)
        if mode is None:
            mode = "train" if self.compiled else "predict"
        mode = arguments.choice(self.owner, "mode", mode, ("predict", "evaluate", "train"))
        given = self.input_shape
        for shape in [given] if isinstance(given, tuple) else leaves(given):
            if None in shape[1:]:
                raise ValueError(
                    f"{self.owner}: plan needs inputs of known sizes, got the shape {shape}"
                )
        for line in plan_lines(self, mode, batch_size):
            print_fn(line)


def _flat(scores: dict[str, float], return_dict: bool) -> Any:
    """Return scores as Keras does: a dict, one number, or a list."""
    if return_dict:
        return scores
    values = list(scores.values())
    return values[0] if len(values) == 1 else values
