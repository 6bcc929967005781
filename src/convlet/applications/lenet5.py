"""LeNet-5 as it was published in 1998, with what later LeNets leave out."""

from __future__ import annotations

from collections.abc import Sequence

from convlet import arguments
from convlet.layers import (
    Activation,
    Conv2D,
    Dense,
    Flatten,
    Input,
    Layer,
    RadialBasis,
    Rescaling,
    Softmax,
    TableConv2D,
    TrainableSubsampling2D,
)
from convlet.models import Sequential

_CONNECTIONS = (
    "#...###..####.##",
    "##...###..####.#",
    "###...###..#.###",
    ".###..####..#.##",
    "..###..####.##.#",
    "...###..####.###",
)
"""Which maps of S2, the rows, the 16 maps of C3 see: the paper's table I."""


def _squashed(layer: Layer) -> list[Layer]:
    """Return a layer and, behind it, the paper's f(a) = 1.7159 tanh(2/3 a)."""
    name = layer.name
    return [
        layer,
        Rescaling(2 / 3, name=f"{name}_slope"),
        Activation("tanh", name=f"{name}_tanh"),
        Rescaling(1.7159, name=f"{name}_amplitude"),
    ]


def LeNet5(  # noqa: N802 - called like a class, as Keras's applications are
    include_top: bool = True, input_shape: Sequence[int] = (32, 32, 1), classes: int = 10
) -> Sequential:
    """Return LeNet-5 as of 1998: 60,000 trainable weights, and the fixed codes of the classes.

    C1, C3 and C5 are 5x5 convolutions of 6, 16 and 120 maps, C3's with a connection table; S2 and
    S4 take the mean of 2x2 positions with a coefficient and a bias for each map; F6 has 84 units.
    Up to there every unit is f(a) = 1.7159 tanh(2/3 a). The output units are Gaussian: y_i is the
    squared distance of F6 from the code of class i, and what the model gives is the softmax of -y.

    Parameters
    ----------
    include_top : bool
        Whether to have the output units; without them the model gives the 84 units of F6.
    input_shape : tuple of int
        Rows, columns, channels; at least 32 rows and columns.
    classes : int
        Number of outputs.

    Raises
    ------
    ValueError
        If an argument is not of its form, or images are too small.

    Notes
    -----
    Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, *Gradient-based learning applied to
    document recognition*, 1998, section II; lecture 000, figure 4.

    Training with "sparse_categorical_crossentropy" lowers the paper's formula 9 without its class
    of rubbish. Its formula 8, the squared loss, is 84 times the mean squared error between F6 and
    the codes of the right classes::

        f6 = Model(model.input, model.get_layer("F6_amplitude").output)
        codes = model.get_layer("output").centers.value
        f6.compile("sgd", "mean_squared_error")
        f6.fit(x, codes[labels])

    Codes are random signs, which the paper names as an alternative to its drawings of characters
    of 7x12 pixels. The subsampling's coefficient multiplies the mean, in the paper the sum.
    """
    chain: list[Layer] = []
    table = [[int(mark == "#") for mark in row] for row in _CONNECTIONS]
    for layer in (
        Conv2D(6, 5, name="C1"),
        TrainableSubsampling2D(2, activation="linear", name="S2"),
        TableConv2D(table, 5, name="C3"),
        TrainableSubsampling2D(2, activation="linear", name="S4"),
        Conv2D(120, 5, name="C5"),
    ):
        chain += _squashed(layer)
    chain += [Flatten(name="flatten"), *_squashed(Dense(84, name="F6"))]
    if arguments.boolean("LeNet5", "include_top", include_top):
        chain += [
            RadialBasis(classes, name="output", trainable=False),
            Rescaling(-1.0, name="closeness"),
            Softmax(name="predictions"),
        ]
    return Sequential([Input(input_shape), *chain], name="lenet-5")
