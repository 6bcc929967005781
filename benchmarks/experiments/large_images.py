"""The cost of a convolution for each output, from small images to large ones.

    python benchmarks/experiments/large_images.py [--batch 4 --batch 32] [--largest 512]

A 3 x 3 convolution of 64 to 64 channels between other layers, in training, forward and both
gradients: nanoseconds of the two threads for an output, and how many times the best of the row.
The median of some rounds, each of which goes through all sizes.
"""

import time

import click
import numpy as np

from convlet import config
from convlet.engine import Builder, Variable, plan
from convlet.engine.native import NativeProgram
from convlet.losses import MeanSquaredError
from convlet.ops import tap_table

CHANNELS = 64
PASSES = ("conv", "conv_input_gradient", "conv_kernel_gradient")


def program_of(size):
    """Return a network of one convolution; a bias before it asks for the input's gradient."""

    def variable(name, *shape):
        return Variable(name, shape, "float32", lambda *_: 0.01 * np.ones(shape, np.float32), 0)

    builder = Builder(training=True)
    x = builder.feed("input", (size, size, CHANNELS))
    x = builder.apply("add_bias", x, builder.parameter(variable("shift", CHANNELS)), shape=x.shape)
    kernel = builder.parameter(variable("kernel", 3, 3, CHANNELS, CHANNELS))
    table = tap_table((size, size), (3, 3), padding="same")
    with builder.scope("op"):
        y = builder.apply("conv", x, kernel, shape=x.shape, table=table, groups=1)
    return plan(builder, y, MeanSquaredError())


def seconds_of(size, batch, repeats):
    """Return the seconds of each pass."""
    program = program_of(size)
    native = NativeProgram(program, batch, config.instruction_set())
    shape = (batch, size, size, CHANNELS)
    feeds = {"input": np.ones(shape, np.float32), "targets": np.zeros(shape, np.float32)}
    feeds["weights"] = np.ones(shape[:-1], np.float32)
    native.run(feeds)
    native.plan.set_profiling(True)
    native.plan.take_profile()
    start = time.perf_counter()
    for _ in range(repeats):
        native.run(feeds)
    whole = (time.perf_counter() - start) / repeats
    profile = native.plan.take_profile()
    total = sum(seconds for _, seconds, _ in profile)
    return [
        whole
        * sum(s for name, s, _ in profile if name.split(" (")[0].endswith(f": {which}"))
        / total
        for which in PASSES
    ]


@click.command()
@click.option("--batch", "batches", type=int, multiple=True, default=(4, 32))
@click.option("--largest", type=int, default=512, help="Rows and columns.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
def main(batches, largest, rounds):
    """Print a table for each batch size."""
    sizes = [size for size in (32, 64, 128, 256, 512) if size <= largest]
    for batch in batches:
        print(f"batch {batch}".ljust(24) + "".join(f"{size:>7}²     " for size in sizes))
        timed = [
            [seconds_of(size, batch, max(2, 256 // size * 8)) for size in sizes]
            for _ in range(rounds)
        ]
        seconds = np.median(timed, axis=0)
        for number, which in enumerate(PASSES):
            each = [
                1e9 * of[number] / (batch * size * size * CHANNELS)
                for of, size in zip(seconds, sizes, strict=True)
            ]
            print(which.ljust(24) + "".join(f"{e:7.3f} {e / min(each):4.2f}  " for e in each))


if __name__ == "__main__":
    main()
