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

    python examples/lecture_bottleneck.py --plot bottleneck.svg
"""

import statistics
import time

import plots
from bottleneck_ways import (
    FFT,
    TOLERANCE,
    Im2col,
    Layer,
    Loops,
    Reference,
    check,
    native,
    network,
)
from command_line import parser_of

from convlet import arguments, config

LOOPED = 2  # images for the loops, about 0.1 s each
BYTES = 1_200_000  # of memory for each image, measured: spectra and unrolled windows most of all
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
    if options.plot:
        draw(rows, options.plot, options.images)


def parse_arguments():
    """Return what was asked for on the command line, checked before anything is measured."""
    parser = parser_of(
        __doc__,
        plot=True,
        images=(500, "images in the batch"),
        repeat=(7, "how often to measure each"),
    )
    options = parser.parse_args()
    try:
        arguments.bytes_fit_memory("--images", f"{options.images} of them", options.images * BYTES)
    except ValueError as error:
        parser.error(str(error))
    return options


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
    """Draw the table: a group of bars for each part, on a logarithmic scale."""
    figure = plots.figure(12, 5)
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
    plots.save(figure, path)


if __name__ == "__main__":
    main()
