"""Callbacks: what is told, and may act, while a network trains."""

from convlet.callbacks.callback import Callback, CallbackList, Logs
from convlet.callbacks.history import History
from convlet.callbacks.progress import ProgressBar

__all__ = ["Callback", "CallbackList", "History", "Logs", "ProgressBar"]
