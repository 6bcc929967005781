"""Callbacks: what is told, and may act, while a network trains."""

from convlet.callbacks.backup import BackupAndRestore
from convlet.callbacks.callback import Callback, CallbackList, Logs
from convlet.callbacks.csv_logger import CSVLogger
from convlet.callbacks.early_stopping import EarlyStopping
from convlet.callbacks.functions import LambdaCallback
from convlet.callbacks.history import History
from convlet.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from convlet.callbacks.model_checkpoint import ModelCheckpoint
from convlet.callbacks.progress import ProgressBar
from convlet.callbacks.tensorboard import TensorBoard
from convlet.callbacks.terminate_on_nan import TerminateOnNaN

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "Logs",
    "ModelCheckpoint",
    "ProgressBar",
    "ReduceLROnPlateau",
    "TensorBoard",
    "TerminateOnNaN",
]
