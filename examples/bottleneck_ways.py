"""The parts of the lecture's LeNet, in five ways that must agree: examples/lecture_bottleneck.py.

Loops, FFT, products of unrolled windows, `convlet.ops` tap by tap, the C++ core stage by stage.
"""

import sys
from functools import cache

import numpy as np

from convlet import ops
from convlet.engine import Builder, Variable, plan, profiler, run
from convlet.losses import MeanSquaredError

SHAPES = ((28, 28, 1, 20), (12, 12, 20, 50))  # rows, columns, channels and filters of each layer
KERNEL, POOL = (5, 5), (2, 2)
TOLERANCE = 1e-4  # of the largest number; what float32 leaves after half a million additions
OPERATORS = {  # the profiler's name for each part
    "conv": "convolution",
    "max_pool": "max pooling",
    "max_pool_gradient": "pooling gradient",
    "conv_kernel_gradient": "kernel gradient",
    "conv_input_gradient": "input gradient",
}


class Layer:
    """A convolution of given input and kernel, then its max pooling: what all ways start from."""

    def __init__(self, x, kernel):
        self.x, self.kernel = x, kernel
        self.table = ops.tap_table(x.shape[1:-1], KERNEL)
        self.y = ops.conv(x, kernel, self.table)
        self.pool = ops.tap_table(self.table.output_shape, POOL, POOL)
        self.pooled, self.winner = ops.max_pool(self.y, self.pool)


def network(images):
    """Return the lecture's two layers, with random images and kernels."""
    generator = np.random.default_rng(0)
    x, layers = None, []
    for *grid, channels, filters in SHAPES:
        if x is None:
            x = generator.random((images, *grid, channels), np.float32)
        kernel = generator.normal(size=(*KERNEL, channels, filters)).astype(np.float32)
        layers.append(Layer(x, kernel / np.float32(np.sqrt(kernel[..., 0].size))))
        x = layers[-1].pooled
    return layers


class Way:
    """One way to compute the parts of a layer: a method for each part, called in a step's order.

    Going back, a way may use what it has kept from going forward.
    """

    def __init__(self, layer):
        self.layer = layer


class Loops(Way):
    """Images, filters and positions in Python."""

    def convolution(self):
        """Multiply the patch at each position with the kernel, and add up."""
        y, kernel = np.empty_like(self.layer.y), self.layer.kernel
        for n, i, j, r in np.ndindex(y.shape):
            y[n, i, j, r] = np.sum(window(self.layer.x, n, i, j, KERNEL) * kernel[..., r])
        return y

    def max_pooling(self):
        """Take the maximum of each window, and keep its place."""
        pooled, self.winner = np.empty_like(self.layer.pooled), {}
        for n, i, j, r in np.ndindex(pooled.shape):
            inside = window(self.layer.y, n, i * POOL[0], j * POOL[1], POOL)[..., r]
            pooled[n, i, j, r] = np.max(inside)
            self.winner[n, i, j, r] = divmod(int(np.argmax(inside)), POOL[1])
        return pooled

    def pooling_gradient(self):
        """Hand each δ to the unit that was chosen."""
        gradient = np.zeros_like(self.layer.y)
        for (n, i, j, r), (k, m) in self.winner.items():
            gradient[n, i * POOL[0] + k, j * POOL[1] + m, r] = self.layer.pooled[n, i, j, r]
        return gradient

    def kernel_gradient(self):
        """Add up each δ times the patch that the kernel met there."""
        gradient, delta = np.zeros_like(self.layer.kernel), self.layer.y
        for n, i, j, r in np.ndindex(delta.shape):
            gradient[..., r] += delta[n, i, j, r] * window(self.layer.x, n, i, j, KERNEL)
        return gradient

    def input_gradient(self):
        """Add each δ times the kernel to the patch that it met there."""
        gradient, delta = np.zeros_like(self.layer.x), self.layer.y
        for n, i, j, r in np.ndindex(delta.shape):
            window(gradient, n, i, j, KERNEL)[...] += delta[n, i, j, r] * self.layer.kernel[..., r]
        return gradient


def window(array, n, i, j, shape):
    """Return a view of the window of an image that begins at i, j."""
    return array[n, i : i + shape[0], j : j + shape[1]]


class FFT(Way):
    """Three transforms, of input, kernel and δ, and three products; pooling has none."""

    def __init__(self, layer):
        super().__init__(layer)
        images, channels, filters = len(layer.x), *layer.kernel.shape[-2:]
        self.fft = ops.FFTConvolution(layer.table, images, channels, filters)

    def convolution(self):
        """Transform input and kernel."""
        self.x = self.fft.transform_input(self.layer.x)
        self.kernel = self.fft.transform_kernel(self.layer.kernel)
        return self.fft.output(self.x, self.kernel)

    def kernel_gradient(self):
        """Transform δ; the input's transform is there."""
        self.delta = self.fft.transform_output_gradient(self.layer.y)
        return self.fft.kernel_gradient(self.x, self.delta)

    def input_gradient(self):
        """Transform nothing: δ's and the kernel's transforms are there."""
        return self.fft.input_gradient(self.delta, self.kernel)


class Im2col(Way):
    """Windows unrolled into rows, by NumPy."""

    def convolution(self):
        """Multiply all windows with the kernel at once."""
        windows = np.lib.stride_tricks.sliding_window_view(self.layer.x, KERNEL, (1, 2))
        kernel = self.layer.kernel.reshape(-1, self.layer.kernel.shape[-1])
        self.rows = np.moveaxis(windows, 3, -1).reshape(-1, len(kernel))
        return (self.rows @ kernel).reshape(self.layer.y.shape)

    def max_pooling(self):
        """Find the largest of each row."""
        windows = np.lib.stride_tricks.sliding_window_view(self.layer.y, POOL, (1, 2))
        rows = windows[:, :: POOL[0], :: POOL[1]].reshape(*self.layer.pooled.shape, -1)
        self.winner = rows.argmax(axis=-1)[..., np.newaxis]
        return np.take_along_axis(rows, self.winner, -1)[..., 0]

    def pooling_gradient(self):
        """Put each δ into a row of zeros, and lay out the rows as windows."""
        delta = self.layer.pooled[..., np.newaxis]
        rows = np.zeros((*self.layer.pooled.shape, POOL[0] * POOL[1]), delta.dtype)
        np.put_along_axis(rows, self.winner, delta, -1)
        windows = rows.reshape(*self.layer.pooled.shape, *POOL)
        return windows.transpose(0, 1, 4, 2, 5, 3).reshape(self.layer.y.shape)

    def kernel_gradient(self):
        """Multiply the windows with δ; they are there."""
        delta = self.layer.y.reshape(len(self.rows), -1)
        return (self.rows.T @ delta).reshape(self.layer.kernel.shape)

    def input_gradient(self):
        """Multiply δ with the kernel, and add up the windows where they overlap."""
        windows = np.tensordot(self.layer.y, self.layer.kernel, (3, 3))
        gradient = np.zeros_like(self.layer.x)
        rows, columns = self.layer.y.shape[1:3]
        for k, m in np.ndindex(KERNEL):
            gradient[:, k : k + rows, m : m + columns] += windows[:, :, :, k, m]
        return gradient


class Reference(Way):
    """Tap by tap."""

    def convolution(self):
        """Walk the taps from input to output."""
        return ops.conv(self.layer.x, self.layer.kernel, self.layer.table)

    def max_pooling(self):
        """Compare tap with tap."""
        return ops.max_pool(self.layer.y, self.layer.pool)[0]

    def pooling_gradient(self):
        """Give each δ to the winning tap."""
        return ops.max_pool_gradient(self.layer.pooled, self.layer.winner, self.layer.pool)

    def kernel_gradient(self):
        """Walk the taps, reading both sides."""
        return ops.conv_kernel_gradient(self.layer.x, self.layer.y, self.layer.table)

    def input_gradient(self):
        """Walk the taps from output to input."""
        return ops.conv_input_gradient(self.layer.y, self.layer.kernel, self.layer.table)


def native(layer, repeat):
    """Return the C++ core's seconds for each part of a layer, in three small programs."""
    kernel = Variable("kernel", layer.kernel.shape, "float32", lambda *_: layer.kernel, 0)
    sizes = {"table": layer.table, "groups": 1}
    filters = kernel.shape[-1]

    builder = Builder(training=True)
    x, w = builder.feed("input", layer.x.shape[1:]), builder.parameter(kernel)
    y = builder.apply("conv", x, w, shape=layer.y.shape[1:], **sizes)
    program = plan(builder, y, MeanSquaredError())  # J = w Σ y² / filters: with w, δ = y
    feeds = {"input": layer.x, "targets": np.zeros_like(layer.y)}
    feeds["weights"] = np.full(len(layer.x), filters / 2, np.float32)
    seconds, results = profiled(program, feeds, repeat)
    check("native", "convolution", layer, results[y.name])
    check("native", "kernel gradient", layer, results[program.gradients[w.name]])

    builder = Builder()
    delta, w = builder.feed("input", layer.y.shape[1:]), builder.parameter(kernel)
    gradient = builder.apply("conv_input_gradient", delta, w, shape=layer.x.shape[1:], **sizes)
    of_gradient, results = profiled(plan(builder, gradient), {"input": layer.y}, repeat)
    check("native", "input gradient", layer, results[gradient.name])

    builder = Builder()
    y, sizes = builder.feed("input", layer.y.shape[1:]), {"table": layer.pool}
    pooled = builder.apply("max_pool", y, shape=layer.pooled.shape[1:], **sizes)
    winner = builder.buffers[builder.instructions[0].writes[1]]
    gradient = builder.apply("max_pool_gradient", pooled, winner, shape=y.shape, **sizes)
    of_pooling, results = profiled(plan(builder, gradient), {"input": layer.y}, repeat)
    # δ being the maxima, it holds them, each at its winner's place
    check("native", "pooling gradient", layer, results[gradient.name])
    return seconds | of_gradient | of_pooling


def profiled(program, feeds, repeat):
    """Return the seconds of each part that a program has stages for, and its results."""
    seconds = {}
    for stage in profiler.profile(program, feeds, repeat):
        part = OPERATORS.get(stage.name.rpartition(": ")[2].partition(" (")[0])
        if part is not None:
            seconds[part] = stage.seconds
    return seconds, run(program, feeds)


def check(way, part, layer, result):
    """Stop unless a way's numbers are those of the reference."""
    error = np.abs(result - expected(layer, part)).max() / np.abs(expected(layer, part)).max()
    if not error <= TOLERANCE:
        sys.exit(f"{way}, {part}: differs from the reference by {error:.1g} of the largest number")


@cache
def expected(layer, part):
    """Return the reference's numbers."""
    return getattr(Reference(layer), part.replace(" ", "_"))()
