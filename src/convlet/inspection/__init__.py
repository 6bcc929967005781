"""What a network is, seen as mathematics: its matrices, what it does when its input moves.

And what it costs, and what it sees.
"""

from convlet.inspection.costs import multiply_adds
from convlet.inspection.equivariance import equivariance_error, rotation, scaling, translation
from convlet.inspection.matrices import conv_kernel_jacobian, conv_matrix, jacobian, matrix
from convlet.inspection.receptive_field import ReceptiveField, receptive_field

__all__ = [
    "ReceptiveField",
    "conv_kernel_jacobian",
    "conv_matrix",
    "equivariance_error",
    "jacobian",
    "matrix",
    "multiply_adds",
    "receptive_field",
    "rotation",
    "scaling",
    "translation",
]
