"""One residual stage with batch normalization, phase by phase, beside PyTorch's.

    python benchmarks/experiments/residual_stage.py [--images 32] [--size 28] [--channels 64]

y = relu(x + bn(conv(relu(bn(conv(x)))))), forward and backward. Batch normalization needs sums over
the whole batch, two forward and two backward for each, so the program is cut into phases there and
buffers go through memory between them. The library has no batch normalization yet: its passes
over memory are stood in for by kernels of the same traffic (sums by the bias gradient's,
normalising by rescaling), so the times are right and the numbers are not. What this decided is
in docs/experiments.md.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from convlet import _native, config
from convlet.engine.tables import native_table
from convlet.ops import tap_table


class ResidualStage:
    """The plan, written stage by stage; ``phases`` says what each phase is for."""

    def __init__(self, images: int, size: int, channels: int, lanes: int) -> None:
        self.plan = _native.Plan(config.instruction_set(), images, lanes)
        self._positions, self._channels = size * size, channels
        self._table = native_table(tap_table((size, size), (3, 3), padding="same"))
        self._shape = (9, 1, channels, channels)
        self.phases: list[str] = []
        floats = self._positions * channels
        self._buffers = {
            name: self.plan.add_buffer(4 * floats * lanes, True, 0)
            for name in ("x", "y1", "h1", "y2", "out", "d2", "dy2", "dh1", "dy1", "dx")
        }
        self.slots: list[np.ndarray] = [
            np.random.default_rng(0).random((images, floats), np.float32),
            *(np.ones(9 * channels * channels, np.float32) * 0.01 for _ in range(4)),
        ]
        self._write()

    def _phase(self, name: str, together: bool = False) -> None:
        self.phases.append(name)
        self.plan.begin_phase(together)

    def _sum_over_batch(self, *names: str) -> None:
        """Add up a buffer's channels, once for each name; the next phase is the shards' sum."""
        gradients = []
        for name in names:
            self.slots.append(np.zeros(self._channels, np.float32))
            gradient = self.plan.add_gradient(self._channels, len(self.slots) - 1, True)
            buffer = self._buffers[name]
            _native.bias_gradient(
                self.plan, "sum", buffer, gradient, self._positions, self._channels
            )
            gradients.append(gradient)
        self._phase("statistics", together=True)
        for gradient in gradients:
            _native.add_up(self.plan, "statistics", gradient)

    def _rescale(self, x: str, y: str) -> None:
        scale = [1.0] * self._channels
        _native.rescale(
            self.plan,
            "normalise",
            self._buffers[x],
            self._buffers[y],
            scale,
            scale,
            self._positions,
        )

    def _convolution(self, weights: int, transposed: bool, x: str, y: str) -> None:
        _native.convolution(
            self.plan,
            "convolution",
            self._table,
            self._shape,
            transposed,
            weights,
            self._buffers[x],
            self._buffers[y],
        )

    def _kernel_gradient(self, x: str, delta: str, slot: int) -> None:
        gradient = self.plan.add_gradient(9 * self._channels**2, slot, True)
        _native.kernel_gradient(
            self.plan,
            "kernel gradient",
            self._table,
            self._shape,
            self._buffers[x],
            self._buffers[delta],
            gradient,
            False,
        )

    def _relu(self, x: str, y: str) -> None:
        floats = self._positions * self._channels
        function = _native.Activation.relu
        _native.activation(self.plan, "relu", function, self._buffers[x], self._buffers[y], floats)

    def _relu_gradient(self, delta: str, y: str, x_delta: str) -> None:
        _native.activation_gradient(
            self.plan,
            "relu gradient",
            _native.Activation.relu,
            self._buffers[delta],
            self._buffers[y],
            self._buffers[x_delta],
            self._positions * self._channels,
        )

    def _add(self, x: str, y: str, z: str) -> None:
        floats = self._positions * self._channels
        buffers = [self._buffers[name] for name in (x, y, z)]
        _native.add(self.plan, "add", buffers[0], buffers[1], buffers[2], floats)

    def _write(self) -> None:
        self._phase("pack kernels", together=True)
        packed = {
            (slot, transposed): _native.pack_kernel(
                self.plan, "pack", slot, self._table, self._shape, transposed
            )
            for slot in (1, 2)
            for transposed in (False, True)
        }
        floats = self._positions * self._channels
        self._phase("convolution 1, sums")
        _native.load_images(self.plan, "load", 0, self._buffers["x"], floats, False)
        self._convolution(packed[1, False], False, "x", "y1")
        self._sum_over_batch("y1", "y1")
        self._phase("normalise 1, relu, convolution 2, sums")
        self._rescale("y1", "h1")
        self._relu("h1", "h1")
        self._convolution(packed[2, False], False, "h1", "y2")
        self._sum_over_batch("y2", "y2")
        self._phase("normalise 2, add, relu, relu's gradient, sums")
        self._rescale("y2", "d2")
        self._add("d2", "x", "out")
        self._relu("out", "out")
        self._relu_gradient("out", "out", "d2")
        self._sum_over_batch("d2", "y2")
        self._phase("gradient of normalise 2, of convolution 2, of relu, sums")
        self._rescale("d2", "dy2")
        self._add("dy2", "y2", "dy2")
        self._convolution(packed[2, True], True, "dy2", "dh1")
        self._kernel_gradient("h1", "dy2", 3)
        self._relu_gradient("dh1", "h1", "dh1")
        self._sum_over_batch("dh1", "y1")
        self._phase("gradient of normalise 1, of convolution 1")
        self._rescale("dh1", "dy1")
        self._add("dy1", "y1", "dy1")
        self._convolution(packed[1, True], True, "dy1", "dx")
        self._kernel_gradient("x", "dy1", 4)
        self._add("dx", "d2", "dx")

    def times(self, rounds: int) -> list[tuple[str, float]]:
        """Return the median milliseconds of each phase."""
        taken: list[list[float]] = [[] for _ in self.phases]
        for _ in range(rounds):
            for number in range(len(self.phases)):
                start = time.perf_counter()
                self.plan.run(number, number + 1, self.slots, config.threads())
                taken[number].append(1e3 * (time.perf_counter() - start))
        return [(n, statistics.median(t)) for n, t in zip(self.phases, taken, strict=True)]


def torch_times(images: int, size: int, channels: int, rounds: int) -> dict[str, float]:
    """Return the median milliseconds of PyTorch's stage, forward and both ways."""
    import torch

    torch.set_num_threads(config.threads())

    def block() -> torch.nn.Module:
        convolution = torch.nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        return torch.nn.Sequential(convolution, torch.nn.BatchNorm2d(channels))

    result = {}
    for name, layout in (
        ("contiguous", torch.contiguous_format),
        ("channels_last", torch.channels_last),
    ):
        first, second = (block().to(memory_format=layout) for _ in range(2))
        x = torch.rand(images, channels, size, size).to(memory_format=layout).requires_grad_()
        forward, both = [], []
        for _ in range(rounds):
            start = time.perf_counter()
            y = torch.relu(x + second(torch.relu(first(x))))
            forward.append(1e3 * (time.perf_counter() - start))
            y.sum().backward()
            both.append(1e3 * (time.perf_counter() - start))
        result[f"{name}, forward"] = statistics.median(forward)
        result[f"{name}, forward and back"] = statistics.median(both)
    return result


def main() -> None:
    """Print the phases' times, and PyTorch's where it is installed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--size", type=int, default=28)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    a = parser.parse_args()
    config.set_threads(a.threads)
    operations = 6 * 2 * 9 * a.channels**2 * a.size**2 * a.images
    print(f"{a.images} images of {a.size} x {a.size} x {a.channels}; {operations / 1e9:.2f} GFLOP")
    for lanes in (1, 16, 32):
        times = ResidualStage(a.images, a.size, a.channels, lanes).times(a.rounds)
        total = sum(milliseconds for _, milliseconds in times)
        print(f"{lanes} lanes: {total:.2f} ms, {operations / total / 1e6:.0f} GFLOP/s")
        for name, milliseconds in times:
            if milliseconds > 0.02 * total:
                print(f"  {milliseconds:8.2f} ms  {name}")
    try:
        for name, milliseconds in torch_times(a.images, a.size, a.channels, a.rounds).items():
            print(f"PyTorch, {name}: {milliseconds:.2f} ms")
    except ImportError:
        print("PyTorch is not installed")


if __name__ == "__main__":
    main()
