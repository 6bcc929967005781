"""PyTorch, in its own layout or in channels_last, as it is or compiled."""

from __future__ import annotations

import time

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from contenders.contender import BaseContender, operator_data
from contenders.layouts import channels_first
from networks import (
    EPSILON,
    Activation,
    Add,
    BatchNorm,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    GlobalPool,
    MaxPool,
)

# the softmax is left to the loss
_ACTIVATIONS = {
    "tanh": [nn.Tanh],
    "relu": [nn.ReLU],
    "relu6": [nn.ReLU6],
    "linear": [],
    "softmax": [],
}


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
        optimizer = torch.optim.SGD(model.parameters(), network.learning_rate)
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
        optimizer = torch.optim.SGD(model.parameters(), network.learning_rate)

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
        if network.is_chain:
            model = nn.Sequential(*(_module(layer, *shapes) for layer, *shapes in network.shapes()))
        else:
            model = _Graph(network)
        remaining = iter(channels_first(network, weights))
        with torch.no_grad():
            for module in model.modules():
                names = ("weight", "bias", "running_mean", "running_var")
                for tensor in (getattr(module, name, None) for name in names):
                    if tensor is not None:
                        tensor.copy_(torch.from_numpy(next(remaining)))
        return model.to(memory_format=self.format)


class _Graph(nn.Module):
    """A network whose layers may read any earlier one."""

    def __init__(self, network):
        super().__init__()
        self.layers = network.layers
        self.parts = nn.ModuleList(_module(layer, *shapes) for layer, *shapes in network.shapes())

    def forward(self, x):
        named = {}
        for layer, part in zip(self.layers, self.parts, strict=True):
            x = named[layer.reads] if layer.reads else x
            x = x + named[layer.other] if isinstance(layer, Add) else part(x)
            if layer.name:
                named[layer.name] = x
        return x


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


def _module(layer, before, after):
    """Return one layer as a module of PyTorch's."""
    activation = "linear"
    match layer:
        case Conv(channels, kernel, activation, stride):
            first, last = layer.pads(before[0])
            groups = channels if isinstance(layer, DepthwiseConv) else 1
            padding = first if first == last else 0
            modules = [] if first == last else [nn.ZeroPad2d((first, last, first, last))]
            modules += [
                nn.Conv2d(before[-1], channels, kernel, stride, padding, 1, groups, bias=layer.bias)
            ]
        case BatchNorm():
            modules = [nn.BatchNorm2d(before[-1], EPSILON)]
        case Activation(activation):
            modules = []
        case Add():
            modules = [nn.Identity()]
        case MaxPool(size):
            modules = [nn.MaxPool2d(size)]
        case GlobalPool():
            modules = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        case Flatten():
            modules = [nn.Flatten()]
        case Dense(units, activation):
            modules = [nn.Linear(before[-1], units)]
    modules += [make() for make in _ACTIVATIONS[activation]]
    return modules[0] if len(modules) == 1 else nn.Sequential(*modules)
