"""The mathematics: each operator with its gradients, in NumPy, as the lectures derive them.

These functions are the specification. Every faster executor is held against them. They work in any
float type; arrays have the batch first and the channels last.

Those that slide a window take a tap table; `convlet.ops.functions` has them with Keras's arguments.
Named filters are in `convlet.ops.filters`.
"""

from convlet.ops import filters, functions
from convlet.ops.activations import (
    activation,
    activation_gradient,
    log_softmax,
    log_softmax_gradient,
    softmax,
    softmax_gradient,
)
from convlet.ops.convolution import (
    add_bias,
    bias_gradient,
    conv,
    conv_input_gradient,
    conv_kernel_gradient,
)
from convlet.ops.dense import dense, dense_input_gradient, dense_kernel_gradient
from convlet.ops.dropout import dropout, spatial_dropout
from convlet.ops.elementwise import (
    add,
    rescale,
    rescale_gradient,
    reshape,
    reshape_gradient,
    scale,
    scale_gradient,
)
from convlet.ops.fft import (
    FFTConvolution,
    fft_conv,
    fft_conv_input_gradient,
    fft_conv_kernel_gradient,
)
from convlet.ops.local import (
    local_conv,
    local_conv_input_gradient,
    local_conv_kernel_gradient,
)
from convlet.ops.merging import (
    concatenate,
    concatenate_gradient,
    maximum,
    maximum_gradient,
    minimum,
    minimum_gradient,
    multiply,
)
from convlet.ops.noise import gaussian_noise
from convlet.ops.normalization import (
    batch_normalize_gradient,
    channel_moments,
    fold_normalization,
    local_response_normalization,
    local_response_normalization_gradient,
    moving_average,
    normalization_sums,
    normalize,
    normalize_gradient,
    standardize,
    standardize_gradient,
)
from convlet.ops.pooling import (
    average_pool,
    average_pool_gradient,
    max_pool,
    max_pool_gradient,
    sum_pool,
    sum_pool_gradient,
)
from convlet.ops.signal import convolve, correlate, impulse_response
from convlet.ops.smooth_pooling import (
    l2_pool,
    l2_pool_gradient,
    log_sum_exp_pool,
    log_sum_exp_pool_gradient,
)
from convlet.ops.stochastic_pooling import (
    stochastic_pool,
    stochastic_pool_gradient,
    stochastic_pool_mean,
    stochastic_pool_mean_gradient,
)
from convlet.ops.take import (
    TakeTable,
    crop_table,
    pad_table,
    repeat_table,
    take,
    take_gradient,
    transpose_table,
)
from convlet.ops.taps import TapTable, tap_table, transposed_tap_table
from convlet.ops.tying import tie, tie_gradient

__all__ = [
    "FFTConvolution",
    "TakeTable",
    "TapTable",
    "activation",
    "activation_gradient",
    "add",
    "add_bias",
    "average_pool",
    "average_pool_gradient",
    "batch_normalize_gradient",
    "bias_gradient",
    "channel_moments",
    "concatenate",
    "concatenate_gradient",
    "conv",
    "conv_input_gradient",
    "conv_kernel_gradient",
    "convolve",
    "correlate",
    "crop_table",
    "dense",
    "dense_input_gradient",
    "dense_kernel_gradient",
    "dropout",
    "fft_conv",
    "fft_conv_input_gradient",
    "fft_conv_kernel_gradient",
    "filters",
    "fold_normalization",
    "functions",
    "gaussian_noise",
    "impulse_response",
    "l2_pool",
    "l2_pool_gradient",
    "local_conv",
    "local_conv_input_gradient",
    "local_conv_kernel_gradient",
    "local_response_normalization",
    "local_response_normalization_gradient",
    "log_softmax",
    "log_softmax_gradient",
    "log_sum_exp_pool",
    "log_sum_exp_pool_gradient",
    "max_pool",
    "max_pool_gradient",
    "maximum",
    "maximum_gradient",
    "minimum",
    "minimum_gradient",
    "moving_average",
    "multiply",
    "normalization_sums",
    "normalize",
    "normalize_gradient",
    "pad_table",
    "repeat_table",
    "rescale",
    "rescale_gradient",
    "reshape",
    "reshape_gradient",
    "scale",
    "scale_gradient",
    "softmax",
    "softmax_gradient",
    "spatial_dropout",
    "standardize",
    "standardize_gradient",
    "stochastic_pool",
    "stochastic_pool_gradient",
    "stochastic_pool_mean",
    "stochastic_pool_mean_gradient",
    "sum_pool",
    "sum_pool_gradient",
    "take",
    "take_gradient",
    "tap_table",
    "tie",
    "tie_gradient",
    "transpose_table",
    "transposed_tap_table",
]
