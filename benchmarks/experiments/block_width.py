"""How many images a block should hold: three passes of a convolution, by batch and by shape.

    python benchmarks/experiments/block_width.py [--threads 2] [--seconds 0.1]

For each of six shapes and five batch sizes: the GFLOP/s of forward pass, input gradient and kernel
gradient with 1 lane (the roles of images and channels swapped), 16, 32 and 64. `lanes_for` in
convlet/engine/lanes.py holds what came out; docs/experiments.md has a table.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from convlet import config, losses
from convlet.engine import Builder, Program, plan
from convlet.engine.native import NativeProgram
from convlet.engine.variable import Variable
from convlet.ops import tap_table

SHAPES = [
    (28, 1, 32),
    (28, 32, 32),
    (28, 64, 64),
    (14, 128, 128),
    (14, 256, 256),
    (7, 512, 512),
]
BATCHES = [1, 4, 16, 32, 128]
LANES = [1, 16, 32, 64]
PASSES = {"conv": "forward", "conv_input_gradient": "input", "conv_kernel_gradient": "kernel"}


def _variable(name: str, *shape: int) -> Variable:
    def draw(shape: tuple[int, ...], dtype: str, seed: int) -> np.ndarray:
        return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)

    return Variable(name, shape, "float32", draw, len(name))


def convolution(size: int, channels: int, filters: int) -> Program:
    """Return a program of one 3 x 3 convolution with all three passes.

    A bias before it makes the gradient by its input necessary.
    """
    builder = Builder(training=True)
    grid = (size, size)
    x = builder.feed("input", (*grid, channels))
    bias = builder.parameter(_variable("bias", channels))
    x = builder.apply("add_bias", x, bias, shape=x.shape)
    kernel = builder.parameter(_variable("kernel", 3, 3, channels, filters))
    table = tap_table(grid, (3, 3), padding="same")
    y = builder.apply("conv", x, kernel, shape=(*grid, filters), table=table, groups=1)
    return plan(builder, y, losses.MeanSquaredError())


def rates(program: Program, images: int, lanes: int, seconds: float) -> dict[str, float]:
    """Return the GFLOP/s of each pass: operations by the best time that all threads took."""
    generator = np.random.default_rng(0)
    x = generator.random((images, *program.buffers["input"].shape), np.float32)
    y = np.zeros((images, *program.buffers[program.output].shape), np.float32)
    feeds = {"input": x, "targets": y, "weights": np.ones(images, np.float32)}
    native = NativeProgram(program, images, config.instruction_set(), lanes)
    native.run(feeds)
    native.plan.set_profiling(True)
    best: dict[str, float] = {}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        native.plan.take_profile()
        native.run(feeds)
        for name, spent, operations in native.plan.take_profile():
            operator = name.split(": ")[1]
            if operator in PASSES:
                rate = operations / spent * config.threads() / 1e9
                best[PASSES[operator]] = max(rate, best.get(PASSES[operator], 0.0))
    return best


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.1, help="for each entry of the table")
    arguments = parser.parse_args()
    config.set_threads(arguments.threads)
    print(f"{config.instruction_set()}, {arguments.threads} threads; GFLOP/s of all threads")
    print("forward / input gradient / kernel gradient, for lanes " + ", ".join(map(str, LANES)))
    for size, channels, filters in SHAPES:
        program = convolution(size, channels, filters)
        print(f"{size} x {size}, {channels} to {filters} channels")
        for images in BATCHES:
            cells = []
            for lanes in LANES:
                if lanes > 4 * images and lanes > 16:
                    cells.append("")
                    continue
                found = rates(program, images, lanes, arguments.seconds)
                cells.append(" / ".join(f"{found[name]:3.0f}" for name in PASSES.values()))
            print(f"  batch {images:3d}  " + "  ".join(f"{cell:15s}" for cell in cells))


if __name__ == "__main__":
    main()
