"""What the machine can do at best: PyTorch's product of two square float32 matrices."""

from contenders.pytorch import Contender

__all__ = ["Contender"]
