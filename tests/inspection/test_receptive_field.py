"""Receptive fields: published ones, by hand, and beside the Jacobians of random networks."""

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlet import Input, Layer, Model, Sequential, applications, layers
from convlet.inspection import matrix, receptive_field
from convlet.inspection.receptive_field import receptive_fields


def fields_of(model, *names):
    fields = receptive_fields(model)
    return [(fields[name].size[0], fields[name].stride[0]) for name in names]


def test_published_fields():
    """Araujo, Norris and Sim, Computing receptive fields of convolutional neural networks, 2019."""
    assert fields_of(applications.AlexNet(), "conv1", "pool2", "pool5") == [
        (11, 4),
        (67, 16),
        (195, 32),
    ]
    assert fields_of(applications.VGG16(), "block5_pool") == [(212, 32)]
    assert fields_of(applications.ResNet50(), "conv5_block3_out") == [(483, 32)]
    assert fields_of(applications.ResNet101(), "conv5_block3_out") == [(1027, 32)]
    assert fields_of(applications.MobileNet(), "conv_pw_13_relu") == [(315, 32)]


def test_dilation_sees_more_with_as_many_taps():
    """Lecture 003: three 3x3 convolutions see 7 positions, dilated by 1, 2 and 4 they see 15."""
    for rates, size in (((1, 1, 1), 7), ((1, 2, 4), 15)):
        chain = [layers.Conv2D(1, 3, dilation_rate=rate) for rate in rates]
        assert receptive_field(Sequential([Input((20, 20, 1)), *chain])).size == (size, size)


def test_layers_by_themselves():
    field = receptive_field(layers.Conv2D(4, (3, 5), (1, 2)))
    assert field == ((3, 5), (1, 2))
    assert receptive_field(layers.MaxPooling1D(2)) == ((2,), (2,))
    assert receptive_field(layers.Conv2DTranspose(1, 4, 2)).size == (2, 2)
    assert receptive_field(layers.Conv2DTranspose(1, 4, 2)).stride == (Fraction(1, 2),) * 2
    assert receptive_field(layers.ZeroPadding3D(1)) == ((1, 1, 1), (1, 1, 1))
    assert receptive_field(layers.GlobalMaxPooling1D()) == ((None,), (0,))


def test_through_a_graph_the_largest_counts():
    x = Input((16, 16, 2))
    near = layers.Conv2D(2, 1, 2)(x)
    far = layers.Conv2D(2, 5, 2, padding="same")(x)
    y = layers.Concatenate()([near, far, layers.Conv2D(2, (3, 7), 2, "same")(x)])
    assert receptive_field(Model(x, y)) == ((5, 7), (2, 2))
    inner = Sequential([Input((8, 8, 6)), layers.Conv2D(1, 3, name="inside")])
    assert receptive_field(Model(x, inner(y))) == ((9, 11), (2, 2))
    outputs = receptive_field(Model(x, {"near": near, "all": layers.Flatten()(near)}))
    assert outputs == {"near": ((1, 1), (2, 2)), "all": ((16, 16), (0, 0))}


def test_gates_see_everything():
    x = Input((8, None, 2))
    gate = layers.Dense(2)(layers.GlobalAveragePooling2D(keepdims=True)(x))
    y = layers.Multiply()([layers.Conv2D(2, 3, padding="same")(x), gate])
    assert receptive_field(Model(x, y)) == ((8, None), (0, 0))
    normalized = layers.LayerNormalization()(x)
    assert receptive_field(Model(x, normalized)) == ((1, 1), (1, 1))
    normalized = layers.GroupNormalization(1)(x)
    assert receptive_field(Model(x, normalized)).stride == (0, 0)


def test_axes_that_change_places():
    """As in the shortcuts that add channels of zeros; in between there is no grid."""
    x = Input((9, 8, 2))
    turned = layers.Permute((2, 1, 3))(layers.MaxPooling2D((3, 1))(x))
    assert receptive_field(Model(x, turned)) == ((1, 3), (1, 3))
    model = applications.ResNet20()
    assert receptive_fields(model)["conv3_block1_0_turn"] is None
    assert fields_of(model, "conv2_block3_out", "conv4_block3_out") == [(15, 1), (81, 4)]


class Own(Layer):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.Dense(2), "layer must be a model, or a layer that slides a window over a grid, "),
        (
            Sequential([Input((4, 1)), Own(), layers.Conv1D(1, 2)], name="m"),
            r"receptive_field: what Sequential 'm' sees is not known",
        ),
        (Sequential([Input((4,)), layers.Dense(2)]), "sees is not known"),
        (Sequential([Input((4, 4, 1)), layers.Reshape((2, 8, 1))]), "sees is not known"),
    ],
)
def test_refusals(layer, message):
    with pytest.raises(ValueError, match=message):
        receptive_field(layer)


@st.composite
def chains(draw):
    """Return layers along one axis in which nothing cancels out."""
    positive = {"kernel_initializer": "ones", "dtype": "float64"}
    chain = []
    for _ in range(draw(st.integers(1, 3))):
        kind, size, step = draw(st.tuples(st.sampled_from("cdpu"), *[st.integers(1, 3)] * 2))
        if kind == "c":
            chain.append(layers.Conv1D(1, size, step, **positive))
        elif kind == "d":
            chain.append(layers.Conv1D(1, size, dilation_rate=step, **positive))
        elif kind == "p":
            chain.append(layers.AveragePooling1D(size, step, dtype="float64"))
        else:
            chain.append(layers.UpSampling1D(size, dtype="float64"))
    return chain or [layers.Conv1D(1, 3, **positive)]


@settings(max_examples=25, deadline=None)
@given(chains())
def test_fields_are_those_of_the_matrix(chain):
    """The outermost inputs that some output depends on, and how far they move between outputs."""
    model = Sequential([Input((80, 1), dtype="float64"), *chain])
    field = receptive_field(model)
    rows = matrix(model, (80, 1))[0] != 0
    first, last = rows.argmax(axis=1), 80 - rows[:, ::-1].argmax(axis=1)
    moved = first[-1] - first[0] - (len(first) - 1) * field.stride[0]
    copies = [layer.size[0] for layer in chain if isinstance(layer, layers.UpSampling1D)]
    if copies:  # neighbouring outputs that are copies see the same
        assert (last - first).max() <= field.size[0]
        assert abs(moved) < math.prod(copies) * field.stride[0]
    else:
        assert (last - first).max() == field.size[0]
        assert moved == 0
