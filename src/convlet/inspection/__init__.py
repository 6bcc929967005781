"""What a network is, seen as mathematics: its matrices, and what it does when its input moves."""

from convlet.inspection.equivariance import equivariance_error, rotation, scaling, translation
from convlet.inspection.matrices import conv_kernel_jacobian, conv_matrix, jacobian, matrix

__all__ = [
    "conv_kernel_jacobian",
    "conv_matrix",
    "equivariance_error",
    "jacobian",
    "matrix",
    "rotation",
    "scaling",
    "translation",
]
