"""The operators that programs are made of: what each reads and writes, and who its gradients are.

One line an operator. Operands are named as in the formulas; ``δ`` stands for the gradient of the
first thing written. ``gradients`` says, for each operand that has one, which operator computes it
from which operands; the gradient operator gets the same attributes. An operand whose gradient is δ
itself names no operator. ``*weights`` stands for any number of operands. A gradient may read those
that an earlier rule of its operator computes: ``δgamma`` is what that rule writes for ``gamma``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from convlet import ops
from convlet.engine import python_code


@dataclass(frozen=True)
class Gradient:
    """Which operator computes the gradients ``of`` some operands, from which operands it ``reads``.

    ``operator`` is None where the gradient is δ itself.
    """

    of: str
    operator: str | None = None
    reads: str = "δ"


@dataclass(frozen=True)
class Operator:
    """An operator of the program.

    Parameters
    ----------
    function : callable
        The reference: takes the operands read and the attributes, returns what is written.
    reads, writes : str
        Names of the operands.
    gradients : tuple of Gradient
        Empty for an operator that is a gradient itself.
    whole_batch : bool
        Whether it must see all images at once.
    """

    function: Callable[..., Any]
    reads: str
    writes: str
    gradients: tuple[Gradient, ...] = ()
    whole_batch: bool = False


OPERATORS: dict[str, Operator] = {
    # convolution and its kin
    "conv": Operator(
        ops.conv,
        "x kernel",
        "y",
        (
            Gradient("x", "conv_input_gradient", "δ kernel"),
            Gradient("kernel", "conv_kernel_gradient", "x δ"),
        ),
    ),
    "conv_input_gradient": Operator(ops.conv_input_gradient, "δ kernel", "δx"),
    "conv_kernel_gradient": Operator(ops.conv_kernel_gradient, "x δ", "δkernel"),
    # the input gradient's formula, forward: its own gradients are the other two
    "conv_transpose": Operator(
        ops.conv_input_gradient,
        "x kernel",
        "y",
        (
            Gradient("x", "conv", "δ kernel"),
            Gradient("kernel", "conv_kernel_gradient", "δ x"),
        ),
    ),
    "dense": Operator(
        ops.dense,
        "x kernel",
        "y",
        (
            Gradient("x", "dense_input_gradient", "δ kernel"),
            Gradient("kernel", "dense_kernel_gradient", "x δ"),
        ),
    ),
    "dense_input_gradient": Operator(ops.dense_input_gradient, "δ kernel", "δx"),
    "dense_kernel_gradient": Operator(ops.dense_kernel_gradient, "x δ", "δkernel"),
    "add_bias": Operator(
        ops.add_bias, "x bias", "y", (Gradient("x"), Gradient("bias", "bias_gradient"))
    ),
    "bias_gradient": Operator(ops.bias_gradient, "δ", "δbias"),
    "local_conv": Operator(
        ops.local_conv,
        "x kernel",
        "y",
        (
            Gradient("x", "local_conv_input_gradient", "δ kernel"),
            Gradient("kernel", "local_conv_kernel_gradient", "x δ"),
        ),
    ),
    "local_conv_input_gradient": Operator(ops.local_conv_input_gradient, "δ kernel", "δx"),
    "local_conv_kernel_gradient": Operator(ops.local_conv_kernel_gradient, "x δ", "δkernel"),
    # weights alone, no images
    "tie": Operator(ops.tie, "weights", "kernel", (Gradient("weights", "tie_gradient"),)),
    "tie_gradient": Operator(ops.tie_gradient, "δ", "δweights"),
    # pooling
    "max_pool": Operator(
        ops.max_pool, "x", "y winner", (Gradient("x", "max_pool_gradient", "δ winner"),)
    ),
    "max_pool_gradient": Operator(ops.max_pool_gradient, "δ winner", "δx"),
    "average_pool": Operator(ops.average_pool, "x", "y", (Gradient("x", "average_pool_gradient"),)),
    "average_pool_gradient": Operator(ops.average_pool_gradient, "δ", "δx"),
    "sum_pool": Operator(ops.sum_pool, "x", "y", (Gradient("x", "sum_pool_gradient"),)),
    "sum_pool_gradient": Operator(ops.sum_pool_gradient, "δ", "δx"),
    "l2_pool": Operator(ops.l2_pool, "x", "y", (Gradient("x", "l2_pool_gradient", "δ x y"),)),
    "l2_pool_gradient": Operator(ops.l2_pool_gradient, "δ x y", "δx"),
    "log_sum_exp_pool": Operator(
        ops.log_sum_exp_pool, "x", "y", (Gradient("x", "log_sum_exp_pool_gradient", "δ x y"),)
    ),
    "log_sum_exp_pool_gradient": Operator(ops.log_sum_exp_pool_gradient, "δ x y", "δx"),
    "stochastic_pool": Operator(
        ops.stochastic_pool,
        "x random",
        "y winner",
        (Gradient("x", "stochastic_pool_gradient", "δ winner"),),
    ),
    "stochastic_pool_gradient": Operator(ops.stochastic_pool_gradient, "δ winner", "δx"),
    "stochastic_pool_mean": Operator(
        ops.stochastic_pool_mean,
        "x",
        "y total",
        (Gradient("x", "stochastic_pool_mean_gradient", "δ x y total"),),
    ),
    "stochastic_pool_mean_gradient": Operator(
        ops.stochastic_pool_mean_gradient, "δ x y total", "δx"
    ),
    # activations: the first keeps its output for the way back, the second its input
    "activation": Operator(
        ops.activation, "x", "y", (Gradient("x", "activation_gradient", "δ y"),)
    ),
    "activation_of_input": Operator(
        ops.activation, "x", "y", (Gradient("x", "activation_gradient", "δ x"),)
    ),
    "activation_gradient": Operator(ops.activation_gradient, "δ known", "δx"),
    "softmax": Operator(ops.softmax, "x", "y", (Gradient("x", "softmax_gradient", "δ y"),)),
    "softmax_gradient": Operator(ops.softmax_gradient, "δ y", "δx"),
    "log_softmax": Operator(
        ops.log_softmax, "x", "y", (Gradient("x", "log_softmax_gradient", "δ y"),)
    ),
    "log_softmax_gradient": Operator(ops.log_softmax_gradient, "δ y", "δx"),
    # dropout is its own gradient: the same mask, asked for again
    "dropout": Operator(ops.dropout, "x random", "y", (Gradient("x", "dropout", "δ random"),)),
    "spatial_dropout": Operator(
        ops.spatial_dropout, "x random", "y", (Gradient("x", "spatial_dropout", "δ random"),)
    ),
    "gaussian_noise": Operator(ops.gaussian_noise, "x random", "y", (Gradient("x"),)),
    # shapes and scales
    "reshape": Operator(ops.reshape, "x", "y", (Gradient("x", "reshape_gradient"),)),
    "reshape_gradient": Operator(ops.reshape_gradient, "δ", "δx"),
    "take": Operator(ops.take, "x", "y", (Gradient("x", "take_gradient"),)),
    "take_gradient": Operator(ops.take_gradient, "δ", "δx"),
    "rescale": Operator(ops.rescale, "x", "y", (Gradient("x", "rescale_gradient"),)),
    "rescale_gradient": Operator(ops.rescale_gradient, "δ", "δx"),
    "scale": Operator(
        ops.scale,
        "x gamma",
        "y",
        (Gradient("x", "scale", "δ gamma"), Gradient("gamma", "scale_gradient", "x δ")),
    ),
    "scale_gradient": Operator(ops.scale_gradient, "x δ", "δgamma"),
    # normalization: by given statistics, or by those of the batch, which the images wait for
    "channel_moments": Operator(ops.channel_moments, "x", "mean variance", whole_batch=True),
    "moving_average": Operator(ops.moving_average, "average value", "new_average"),
    # weights alone, no images: a convolution that does the normalization behind it
    "fold_normalization": Operator(
        ops.fold_normalization,
        "kernel mean variance gamma beta *bias",
        "folded_kernel folded_bias",
    ),
    "normalize": Operator(
        ops.normalize,
        "x mean variance gamma beta",
        "y",
        (
            Gradient("gamma beta", "normalization_sums", "δ x mean variance"),
            Gradient("x", "normalize_gradient", "δ variance gamma"),
        ),
    ),
    "normalize_gradient": Operator(ops.normalize_gradient, "δ variance gamma", "δx"),
    # its mean and variance are x's own moments, and the gradient by x is that through them, too
    "batch_normalize": Operator(
        ops.normalize,
        "x mean variance gamma beta",
        "y",
        (
            Gradient("gamma beta", "normalization_sums", "δ x mean variance"),
            Gradient("x", "batch_normalize_gradient", "δ x mean variance gamma δgamma δbeta"),
        ),
    ),
    "normalization_sums": Operator(
        ops.normalization_sums, "δ x mean variance", "δgamma δbeta", whole_batch=True
    ),
    "batch_normalize_gradient": Operator(
        ops.batch_normalize_gradient, "δ x mean variance gamma δgamma δbeta", "δx"
    ),
    "standardize": Operator(
        ops.standardize, "x", "y", (Gradient("x", "standardize_gradient", "δ x"),)
    ),
    "standardize_gradient": Operator(ops.standardize_gradient, "δ x", "δx"),
    "local_response_normalization": Operator(
        ops.local_response_normalization,
        "x",
        "y",
        (Gradient("x", "local_response_normalization_gradient", "δ x"),),
    ),
    "local_response_normalization_gradient": Operator(
        ops.local_response_normalization_gradient, "δ x", "δx"
    ),
    "add": Operator(ops.add, "x y", "z", (Gradient("x"), Gradient("y"))),
    # what makes one of several
    "multiply": Operator(
        ops.multiply,
        "x y",
        "z",
        (Gradient("x", "multiply", "δ y"), Gradient("y", "multiply", "δ x")),
    ),
    "maximum": Operator(ops.maximum, "x y", "z", (Gradient("x y", "maximum_gradient", "δ x y"),)),
    "maximum_gradient": Operator(ops.maximum_gradient, "δ x y", "δx δy"),
    "minimum": Operator(ops.minimum, "x y", "z", (Gradient("x y", "minimum_gradient", "δ x y"),)),
    "minimum_gradient": Operator(ops.minimum_gradient, "δ x y", "δx δy"),
    "concatenate": Operator(ops.concatenate, "*x", "y", (Gradient("*x", "concatenate_gradient"),)),
    "concatenate_gradient": Operator(ops.concatenate_gradient, "δ", "*δx"),
    # Python code: losses, penalties, and layers written by users
    "loss": Operator(
        python_code.loss,
        "prediction targets weights",
        "values",
        (Gradient("prediction", "loss_gradient", "prediction targets weights values"),),
        whole_batch=True,
    ),
    "loss_gradient": Operator(
        python_code.loss_gradient,
        "prediction targets weights values",
        "δprediction",
        whole_batch=True,
    ),
    "penalty": Operator(
        python_code.penalty,
        "x",
        "value",
        (Gradient("x", "penalty_gradient", "x"),),
        whole_batch=True,
    ),
    "penalty_gradient": Operator(python_code.penalty_gradient, "x", "δx", whole_batch=True),
    "python": Operator(
        python_code.call,
        "x *weights",
        "y",
        (Gradient("x *weights", "python_gradient", "x *weights y δ"),),
        whole_batch=True,
    ),
    "python_gradient": Operator(
        python_code.gradient, "x *weights y δ", "δx *δweights", whole_batch=True
    ),
}
"""Every operator by its name."""


def bind(names: str, buffers: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return which buffers stand for which operand, e.g. ``"x *weights"`` and three buffers."""
    operands = names.split()
    rest = len(buffers) - len(operands) + 1
    bound: dict[str, tuple[str, ...]] = {}
    start = 0
    for name in operands:
        count = rest if name.startswith("*") else 1
        bound[name] = buffers[start : start + count]
        start += count
    return bound
