"""The command ``convlet``: train networks, evaluate them, use them."""

from convlet.cli.main import main

__all__ = ["main"]
