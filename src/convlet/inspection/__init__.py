"""What a network is, seen as mathematics: the matrices of convolutions, layers and models."""

from convlet.inspection.matrices import conv_kernel_jacobian, conv_matrix, jacobian, matrix

__all__ = ["conv_kernel_jacobian", "conv_matrix", "jacobian", "matrix"]
