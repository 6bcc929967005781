"""PyTorch, in its own layout or in channels_last, as it is or compiled."""

from __future__ import annotations

import time

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from contenders.contender import LEARNING_RATE, BaseContender, operator_data
from contenders.layouts import channels_first
from networks import Conv, Dense, Flatten, MaxPool

_ACTIVATIONS = {"tanh": [nn.Tanh], "softmax": []}  # the softmax is left to the loss


class Contender(BaseContender):
    """A loop as PyTorch's tutorials write it.

    Parameters
    ----------
    threads : int
    channels_last : bool
        Whether images and kernels are stored with the channels innermost.
    compiled : bool
        Whether ``torch.compile`` compiles network and loss together.
    """

    def __init__(self, threads, channels_last=False, compiled=False):
        super().__init__(threads)
        torch.set_num_threads(threads)
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.compile = torch.compile if compiled else lambda function: function

    def version(self):
        return f"PyTorch {torch.__version__}"

    def training(self, network, weights, x, y):
        model = self._model(network, weights)
        optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE)
        x, y = self._images(x), torch.from_numpy(y)
        loss_of = self.compile(lambda x, y: cross_entropy(model(x), y))

        def step():
            optimizer.zero_grad()
            loss = loss_of(x, y)
            loss.backward()
            optimizer.step()
            return loss.item()

        return step

    def inference(self, network, weights, x):
        model = self._model(network, weights).eval()
        x = self._images(x)
        predict = self.compile(lambda x: model(x).softmax(1))

        def prediction():
            with torch.inference_mode():
                return predict(x).numpy()

        return prediction

    def fit(self, network, weights, batch):
        model = self._model(network, weights)
        optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE)

        def epoch(x, y):
            x, y = self._images(x), torch.from_numpy(y)
            right = torch.zeros((), dtype=torch.int64)
            for indices in torch.randperm(len(x)).split(batch):
                optimizer.zero_grad()
                labels = y[indices]
                logits = model(x[indices].contiguous(memory_format=self.format))
                cross_entropy(logits, labels).backward()
                optimizer.step()
                right += (logits.argmax(1) == labels).sum()
            return right.item() / len(x)

        return epoch

    def operator(self, operator):
        x, kernel = map(torch.from_numpy, operator_data(operator))
        x = self._stored(x.movedim(-1, 1))
        # ours is (window, in, out), transposed (window, out, in): theirs begins with the last
        kernel = self._stored(kernel.movedim((-1, -2), (0, 1)))
        passes = (
            _pooling(operator, x) if operator.kind.endswith("pool") else _conv(operator, x, kernel)
        )
        y = passes["forward"]()
        y = y[0] if isinstance(y, tuple) else y
        delta = self._stored(2 * y / operator.filters)

        def timed():
            seconds = {}
            for name in operator.passes:
                start = time.perf_counter()
                passes[name]() if name == "forward" else passes[name](delta)
                seconds[name] = time.perf_counter() - start
            return seconds

        sizes = [y.abs().mean()]
        if "kernel" in operator.passes:
            sizes.append(passes["kernel"](delta)[1].abs().mean())
        return timed, sizes

    def _stored(self, tensor):
        """Return a tensor of any rank in our format, which 1-D ones have not."""
        last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(tensor.ndim)
        if self.format == torch.contiguous_format or last is None:
            return tensor.contiguous()
        return tensor.contiguous(memory_format=last)

    def peak(self, size):
        a, b = torch.rand(size, size), torch.rand(size, size)
        return lambda: a @ b

    def _images(self, x):
        """Return images with the channels where PyTorch names them, stored in our format."""
        return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=self.format)

    def _model(self, network, weights):
        """Return the network; its outputs lack the softmax."""
        modules = [
            module for layer, *shapes in network.shapes() for module in _modules(layer, *shapes)
        ]
        model = nn.Sequential(*modules)
        with torch.no_grad():
            ours = channels_first(network, weights)
            for parameter, weight in zip(model.parameters(), ours, strict=True):
                parameter.copy_(torch.from_numpy(weight))
        return model.to(memory_format=self.format)


def _conv(operator, x, kernel):
    """Return the passes of a convolution."""
    rank = len(operator.grid)
    settings = (
        [operator.stride] * rank,
        [operator.padding] * rank,
        [operator.dilation] * rank,
        operator.kind == "conv_transpose",
        [0] * rank,
        operator.groups,
    )

    def back(mask):
        return lambda delta: torch.ops.aten.convolution_backward(
            delta, x, kernel, None, *settings, mask
        )

    return {
        "forward": lambda: torch.ops.aten.convolution(x, kernel, None, *settings),
        "input": back([True, False, False]),
        "kernel": back([False, True, False]),
    }


def _pooling(operator, x):
    """Return the passes of a pooling; the maximum keeps where it was, as in training."""
    rank, aten = len(operator.grid), torch.ops.aten
    if rank == 1:  # PyTorch itself does it as 2-D
        x = x.unsqueeze(2)
    axes = max(rank, 2)
    window = [1] * (axes - rank) + list(operator.kernel)
    strides = [1] * (axes - rank) + [operator.stride] * rank
    padding, dilation = [0] * axes, [1] * axes
    if operator.kind == "average_pool":
        arguments = (window, strides, padding, False, True, None)
        return {
            "forward": lambda: aten.avg_pool2d(x, *arguments),
            "input": lambda delta: aten.avg_pool2d_backward(delta, x, *arguments),
        }
    arguments = (window, strides, padding, dilation, False)
    _, indices = aten.max_pool2d_with_indices(x, *arguments)
    return {
        "forward": lambda: aten.max_pool2d_with_indices(x, *arguments),
        "input": lambda delta: aten.max_pool2d_with_indices_backward(delta, x, *arguments, indices),
    }


def _modules(layer, before, after):
    """Return one layer as PyTorch's modules."""
    match layer:
        case Conv(channels, kernel, activation):
            modules = [nn.Conv2d(before[-1], channels, kernel)]
        case MaxPool(size):
            return [nn.MaxPool2d(size)]
        case Flatten():
            return [nn.Flatten()]
        case Dense(units, activation):
            modules = [nn.Linear(before[-1], units)]
    return modules + [make() for make in _ACTIVATIONS[activation]]
