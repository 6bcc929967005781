"""The lecture's table of bottlenecks: what each part of its LeNet takes, computed in five ways.

Lecture 001 ("Bottle neck of computational efficiency") times the parts of its network on batches of
500 images, (500, 1, 28, 28) => (500, 20, 24, 24) => (500, 20, 12, 12) => (500, 50, 8, 8) =>
(500, 50, 4, 4), as loops and without them. This does the same, with random images and kernels:

loops      images, filters and positions in Python; for two images, scaled up
FFT        `convlet.ops.FFTConvolution`; going back, the transforms of before are used again
im2col     each window unrolled into a row, so that a convolution is one matrix product, in NumPy
reference  `convlet.ops`: tap by tap, what convlet's reference executor runs
native     convlet's C++ core, each part by itself: the stages of a plan, as the profiler sees them

All are in float32, and all must give the same numbers. Each part's output is the gradient that goes
back through it: J = ½ Σ y², so δ = y. Here no part of the native way is fused with another, and all
of each δ goes back; `convlet bench --profile` shows what is fused in a step of training. The native
times do not hold bringing images into blocks and back.

The lecture's figures are seconds as printed on its slides, here in milliseconds. Those without
loops are by FFT for convolutions, by its "split and concatenate" for max pooling. Its innermost
loop over positions is SciPy's correlate2d or convolve2d. The lecture prints none for going back
through max pooling; what it calls the pooling layer's delta is the second convolution's input
gradient.

It takes up to a minute, and 0.6 GB of memory.

    python examples/lecture_bottleneck.py
"""

import argparse
import statistics
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np

from convlet import arguments, config, ops
from convlet.engine import Builder, Variable, plan, profiler, run
from convlet.losses import MeanSquaredError

EXAMPLES = """examples:
  python examples/lecture_bottleneck.py
  python examples/lecture_bottleneck.py --images 50 --repeat 3
  python examples/lecture_bottleneck.py --picture bottleneck.svg
"""
SHAPES = ((28, 28, 1, 20), (12, 12, 20, 50))  # rows, columns, channels and filters of each layer
KERNEL, POOL = (5, 5), (2, 2)
LOOPED = 2  # images for the loops, about 0.1 s each
BYTES = 1_200_000  # of memory for each image, measured: spectra and unrolled windows most of all
TOLERANCE = 1e-4  # of the largest number; what float32 leaves after half a million additions
OPERATORS = {  # the profiler's name for each part
    "conv": "convolution",
    "max_pool": "max pooling",
    "max_pool_gradient": "pooling gradient",
    "conv_kernel_gradient": "kernel gradient",
    "conv_input_gradient": "input gradient",
}
FORMATS = (".pdf", ".png", ".svg")
COLUMNS = ("loops", "without", "loops", "FFT", "im2col", "reference", "native")

# In the order of a step: the part, its layer, and the lecture's seconds, with loops and without.
# The first layer's input gradient is needed by nobody. For kernel gradients the lecture prints one
# figure by loops and two by FFT and does not say whose they are: here in the order of going back.
PARTS = (
    ("convolution", 1, 1.658412, 1.068898),
    ("max pooling", 1, 28.168195, 0.192727),
    ("convolution", 2, 25.103031, 1.434986),
    ("max pooling", 2, 7.882903, 0.037395),
    ("pooling gradient", 2, None, None),
    ("kernel gradient", 2, 22.929981, 1.609941),
    ("input gradient", 2, 26.442805, 1.003557),
    ("pooling gradient", 1, None, None),
    ("kernel gradient", 1, None, 1.106790),
)


def main():
    """Measure, print the table, draw the picture."""
    options = parse_arguments()
    config.set_executor("native")  # whatever the environment says
    layers = network(options.images)
    print(
        f"{options.images} images, milliseconds, medians of {options.repeat}. Native: "
        f"{config.instruction_set()}, threads: {config.threads()}.\n"
    )
    rows = measure(layers, options.repeat)
    print(table(rows))
    print(
        f"\nLoops took {min(LOOPED, options.images)} of the images and are scaled up.\n"
        f"All ways agree to {TOLERANCE:g} of the largest number.\n"
        "The lecture's figures are for 500 images on a machine that it does not name; nor does it\n"
        "say which layers its kernel gradients belong to."
    )
    if options.picture:
        draw(rows, options.picture, options.images)
        print(f"Picture: {options.picture}")


def parse_arguments():
    """Return what was asked for on the command line, checked before anything is measured."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--images", type=int, default=500, help="images in the batch (500)")
    parser.add_argument("--repeat", type=int, default=7, help="how often to measure each part (7)")
    parser.add_argument("--picture", type=Path, help="draw bars into this file, with matplotlib")
    options = parser.parse_args()
    for name in ("images", "repeat"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1")
    try:
        arguments.bytes_fit_memory("--images", f"{options.images} of them", options.images * BYTES)
    except ValueError as error:
        parser.error(str(error))
    if options.picture:
        check_picture(parser, options.picture)
    return options


def check_picture(parser, path):
    """Stop unless a picture can be drawn and has a place."""
    if path.suffix not in FORMATS or not path.parent.is_dir():
        parser.error(f"--picture must be a {', '.join(FORMATS)} file in a folder, got {path}")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        parser.error("--picture needs matplotlib: pip install matplotlib")


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


def measure(layers, repeat):
    """Return a row for each part: its name and the seconds of each column, None for no such way."""
    ways = [
        (Loops(Layer(each.x[:LOOPED], each.kernel)), FFT(each), Im2col(each), Reference(each))
        for each in layers
    ]
    of_native = [native(layer, repeat) for layer in layers]
    return [
        (
            f"{part} {number}",
            (
                *lecture,
                *(timed(way, part, repeat, len(layers[0].x)) for way in ways[number - 1]),
                of_native[number - 1][part],
            ),
        )
        for part, number, *lecture in PARTS
    ]


def timed(way, part, repeat, images):
    """Return the median of a part's seconds, scaled to the number of images.

    The first run is checked and does not count.
    """
    compute = getattr(way, part.replace(" ", "_"), None)
    if compute is None:
        return None
    check(type(way).__name__, part, way.layer, compute())
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        compute()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds) * images / len(way.layer.x)


def check(way, part, layer, result):
    """Stop unless a way's numbers are those of the reference."""
    error = np.abs(result - expected(layer, part)).max() / np.abs(expected(layer, part)).max()
    if not error <= TOLERANCE:
        sys.exit(f"{way}, {part}: differs from the reference by {error:.1g} of the largest number")


@cache
def expected(layer, part):
    """Return the reference's numbers."""
    return getattr(Reference(layer), part.replace(" ", "_"))()


def table(rows):
    """Return the rows as text, in milliseconds."""
    lines = [
        f"{'':<19}{'lecture 001':>19} {'here':>10}",
        f"{'':<19}" + "".join(f"{column:>10}" for column in COLUMNS),
    ]
    lines += [f"{name:<19}" + "".join(map(milliseconds, seconds)) for name, seconds in rows]
    return "\n".join(lines)


def milliseconds(seconds):
    """Return a cell with three digits or more."""
    if seconds is None:
        return f"{'-':>10}"
    value = 1e3 * seconds
    return f"{value:>10,.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def draw(rows, path, images):
    """Save a picture of the table: a group of bars for each part, on a logarithmic scale."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(COLUMNS)
    for n, column in enumerate(COLUMNS):
        bars = [(i, 1e3 * seconds[n]) for i, (_, seconds) in enumerate(rows) if seconds[n]]
        places = [i + (n - len(COLUMNS) // 2) * width for i, _ in bars]
        label = f"lecture 001, {column}" if n < 2 else column
        axes.bar(places, [height for _, height in bars], width, label=label)
    axes.set_yscale("log")
    axes.set_ylabel(f"milliseconds for {images} images (the lecture's: 500)")
    axes.set_xticks(range(len(rows)), [name.replace(" ", "\n") for name, _ in rows])
    axes.legend(ncols=len(COLUMNS), loc="lower center", bbox_to_anchor=(0.5, 1))
    figure.savefig(path)


if __name__ == "__main__":
    main()
