"""Graphs of layers: how they are built, shared, nested, taken apart and frozen."""

import re

import numpy as np
import pytest

from convlet import Model, Sequential, clone_model, layers, random
from convlet.layers import Add, Concatenate, Conv2D, Dense, Dropout, Flatten, Input
from convlet.models import Functional
from networks import blobs, graph, small_network
from numerics import normal


def siamese():
    """Return a model that calls one layer on both of its inputs."""
    a, b = Input((4,), name="a"), Input((4,), name="b")
    shared = Dense(3, name="shared")
    return Model([a, b], layers.Subtract(name="difference")([shared(a), shared(b)]))


# --- what a graph is ---


def test_model_called_with_tensors_is_a_functional_model():
    x = Input((3,))
    assert type(Model(x, Dense(2)(x))) is Functional
    assert type(Model(inputs=x, outputs=Dense(2)(x))) is Functional
    assert Model(x, x, "net").name == Model(x, x, name="net").name == "net"
    assert isinstance(Model(x, x), Model)
    assert Model(x, x).name == "functional"
    assert not isinstance(Sequential(), Functional)


def test_a_tensor_knows_shape_type_and_where_it_comes_from():
    x = Input((None, 3), name="x", dtype="float64")
    y = Dense(2, dtype="float64", name="last")(x)
    assert (y.shape, y.dtype) == ((None, None, 2), "float64")
    assert y.node.layer.name == "last"
    assert y.node.layer.input is x
    assert y.node.layer.output is y
    assert repr(y) == "<KerasTensor shape=(None, None, 2) dtype=float64 from Dense 'last'>"


def test_layers_have_keras_s_order_and_names():
    """Keras 3.15 gives the order a, b, d, c, s, main, aux for this graph."""
    a, b = Input((4,), name="a"), Input((4,), name="b")
    d = Dense(3, name="d")
    x, y = d(a), d(b)
    s, c = Add(name="s")([x, y]), Concatenate(name="c")([x, y])
    model = Model([a, b], [Dense(2, name="main")(c), Dense(1, name="aux")(s)])
    assert [layer.name for layer in model.layers] == ["a", "b", "d", "c", "s", "main", "aux"]
    assert list(model.named_weights()) == [
        f"{name}/{weight}" for name in ("d", "main", "aux") for weight in ("kernel", "bias")
    ]
    assert model.input_shape == [(None, 4), (None, 4)]
    assert model.output_shape == [(None, 2), (None, 1)]
    assert (model.input_names, model.output_names) == (["a", "b"], ["main", "aux"])
    assert model.inputs == model.input == [a, b]


def test_default_names_give_way_to_given_ones():
    x = Input((3,))
    model = Model(x, Dense(2)(Dense(2, name="dense")(Dense(2)(x))))
    names = [layer.name for layer in model.layers]
    assert names == ["input_layer", "dense_1", "dense", "dense_2"]


def test_a_dict_of_outputs_goes_by_its_sorted_keys():
    x = Input((3,), name="x")
    model = Model({"x": x}, {"b": Dense(1)(x), "a": Dense(2)(x)})
    assert model.output_names == ["a", "b"]
    assert model.output_shape == {"a": (None, 2), "b": (None, 1)}
    given = model.predict_on_batch({"x": np.ones((4, 3))})
    assert {name: array.shape for name, array in given.items()} == {"a": (4, 2), "b": (4, 1)}


def test_outputs_of_one_layer_are_numbered():
    a, b = Input((3,)), Input((3,))
    shared = Dense(2, name="shared")
    assert Model([a, b], [shared(a), shared(b)]).output_names == ["shared", "shared_1"]


def test_a_graph_of_more_layers_than_python_stands_calls():
    given = x = Input((2,))
    for _ in range(1500):
        x = layers.Activation("linear")(x)
    model = Model(given, x)
    assert len(model.layers) == 1501
    assert len(Functional.from_config(model.get_config()).layers) == 1501


# --- shared layers and models inside models ---


def test_a_shared_layer_has_one_set_of_weights_and_adds_up_its_gradients():
    model = siamese()
    assert model.count_params() == 15
    x, z, y = normal(5, 4), normal(5, 4, seed=1), normal(5, 3, seed=2)
    kernel = model.get_weights()[0]
    np.testing.assert_allclose(
        model.predict([x, z], verbose=0), (x - z) @ kernel, rtol=1e-4, atol=1e-6
    )
    model.compile("sgd", "mse")
    model.optimizer.learning_rate = 1.0
    model.train_on_batch([x, z], y)
    step = 2 / y.size * (x - z).T @ ((x - z) @ kernel - y)
    np.testing.assert_allclose(model.get_weights()[0], kernel - step, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(model.get_weights()[1], 0)  # the biases' gradients cancel


def test_a_graph_computes_what_the_chain_of_its_layers_does():
    chain = small_network()
    x, y = blobs(40)
    given = Input((6, 6, 1))
    wrapped = Model(given, chain(given))
    outer = Sequential([Input((6, 6, 1)), Model(chain.input, chain.output)])
    expected = chain.predict(x, verbose=0)
    for model in (wrapped, outer):
        np.testing.assert_array_equal(model.predict(x, verbose=0), expected)
        model.compile("sgd", "sparse_categorical_crossentropy")
    first = wrapped.train_on_batch(x, y)
    assert outer.train_on_batch(x, y) < first  # they share their weights
    assert next(iter(wrapped.named_weights())) == "sequential/conv2d/kernel"


def test_a_model_with_several_inputs_and_outputs_inside_another():
    a, b = Input((3,), name="a"), Input((3,), name="b")
    inner = Model({"a": a, "b": b}, {"sum": Add()([a, b]), "both": Concatenate()([a, b])})
    c, d = Input((3,), name="c"), Input((3,), name="d")
    made = inner({"a": c, "b": d})
    model = Model([c, d], [made["both"], Dense(1)(made["sum"])])
    x, z = normal(4, 3, dtype="float32"), normal(4, 3, seed=1, dtype="float32")
    both, _ = model.predict([x, z], verbose=0)
    np.testing.assert_array_equal(both, np.concatenate([x, z], axis=1))
    np.testing.assert_array_equal(inner([x, z])["sum"], x + z)
    again = clone_model(model)
    assert again.get_config() == model.get_config()


def test_a_sequential_takes_its_input_from_a_graph_in_first_place():
    x = Input((5,))
    model = Sequential([Model(x, Dense(3)(x)), Dense(2)])
    assert model.input_shape == (None, 5)
    assert model.output_shape == (None, 2)


def test_training_false_keeps_a_part_from_dropping_units():
    x = Input((50,))
    inner = Sequential([Dropout(0.5)])
    for training, expected in ((False, False), (None, True), (True, True)):
        model = Model(x, inner(x, training=training))
        model.compile("sgd", "mse")
        dropped = [i.operator for i in model.program("train", (50,)).forward]
        assert ("dropout" in dropped) == expected
    ones = np.ones((3, 50))
    assert (model.predict(ones, verbose=0) == 0).any()  # training=True counts everywhere
    assert inner(ones).all()


def test_a_graph_called_on_arrays():
    x = Input((2,), name="x")
    model = Model(x, Dense(2, use_bias=False)(x))
    (kernel,) = model.get_weights()
    for given in ([[1.0, 2.0], [3.0, 4.0]], np.array([[1, 2], [3, 4]]), {"x": [[1, 2], [3, 4]]}):
        np.testing.assert_allclose(model(given), np.array([[1, 2], [3, 4]]) @ kernel, rtol=1e-6)
    with pytest.raises(ValueError, match="'functional': x must be an array of numbers, got rows"):
        model([[1], [2, 3]])
    both = siamese()
    zeros = both([np.ones((3, 4)), np.ones((3, 4))])
    np.testing.assert_array_equal(zeros, np.zeros((3, 3)))


# --- transfer ---


def test_a_model_up_to_an_inner_layer():
    base = graph()
    inner = Model(base.input, base.get_layer("conv2d").output)
    x = normal(3, 4, 4, 2, dtype="float32")
    np.testing.assert_array_equal(inner.predict(x, verbose=0), base.get_layer("conv2d")(x))
    assert inner.get_layer("conv2d") is base.get_layer("conv2d")


def test_a_sequential_up_to_an_inner_layer_with_a_new_head():
    base = small_network()
    x, y = blobs(60)
    base.trainable = False
    before = base.get_weights()
    features = base.get_layer("flatten").output
    model = Model(base.input, Dense(3, activation="softmax", name="head")(features))
    model.compile("sgd", "sparse_categorical_crossentropy", ["accuracy"])
    head = model.get_layer("head").get_weights()
    history = model.fit(x, y, epochs=3, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert all((a == b).all() for a, b in zip(before, base.get_weights(), strict=True))
    assert (head[0] != model.get_layer("head").get_weights()[0]).any()
    assert model.count_params() == sum(v.size for v in model.weights)


@pytest.mark.parametrize("how", ["Input", "build", "fit"])
def test_layers_of_a_sequential_have_their_tensors_once_it_is_built(how):
    layers = [Dense(3), Dense(2)]
    model = Sequential([Input((4,)), *layers] if how == "Input" else layers)
    if how != "Input":
        with pytest.raises(ValueError, match="or build the Sequential that it is in"):
            _ = layers[0].output
    model.compile("sgd", "mse")
    if how == "build":
        model.build((None, 4))
    if how == "fit":
        model.fit(normal(5, 4), normal(5, 2), verbose=0)
    assert layers[0].input is model.input
    assert layers[1].input is layers[0].output
    assert layers[1].output is model.output
    x = normal(5, 4)
    inner = Model(layers[0].input, layers[0].output).predict(x, verbose=0)
    kernel, bias = layers[0].get_weights()
    np.testing.assert_allclose(inner, x @ kernel + bias, rtol=1e-4)
    model.build((None, 4))  # changes nothing
    model.add(Dense(7))
    assert layers[0].input is model.input
    assert [len(layer.inbound_nodes) for layer in model.layers] == [1, 1, 1]


def test_a_chain_that_could_not_be_built_leaves_its_layers_without_tensors():
    first, last = Dense(3), Conv2D(1, 3)
    model = Sequential([first, last])
    with pytest.raises(ValueError, match="Conv2D"):
        model.build((None, 4))
    assert first.inbound_nodes == last.inbound_nodes == []
    assert not first.built
    model.pop()
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="y must be given"):
        model.fit(normal(5, 4), verbose=0)
    assert first.inbound_nodes == []
    with pytest.raises(ValueError, match="Conv2D"):
        Sequential([Input((4,)), first, last])
    assert last.inbound_nodes == []


def test_a_part_that_grows_gives_the_chain_another_output():
    part = Sequential([Input((4,)), Dense(3)])
    model = Sequential([Input((4,)), part, Dense(2)])
    before = model.output
    model.pop()
    part.add(Dense(5))
    assert model.output.shape == (None, 5)
    model.add(Dense(2))
    assert model.output is not before
    assert Model(model.input, model.output).count_params() == 15 + 20 + 12


def test_a_chain_that_grows_has_a_new_output():
    model = Sequential([Input((4,)), Dense(3)])
    first = model.output
    assert model.output is first
    model.add(Dense(2))
    assert model.output.shape == (None, 2)
    assert model.outputs == [model.output]
    assert model.inputs == [model.input]


def test_freezing_a_layer_and_a_whole_graph():
    model = siamese()
    model.compile("sgd", "mse")
    data = [normal(5, 4), normal(5, 4, seed=1)], normal(5, 3, seed=2)
    model.trainable = False
    before = model.get_weights()
    model.train_on_batch(*data)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
    model.get_layer("shared").trainable = True
    model.train_on_batch(*data)
    assert (before[0] != model.get_weights()[0]).any()
    x = Input((2,))
    assert Model(x, Dense(1)(x), trainable=False).trainable_weights == []


# --- what people see ---


def test_the_summary_says_what_is_connected_to_what():
    lines = []
    siamese().summary(print_fn=lines.append)
    text = "\n".join(re.sub(r" +", " ", line).strip() for line in lines)
    assert "Layer (type) Output shape Param # adds stride Connected to" in text
    assert "a (InputLayer) (None, 4) 0 0 - -" in text
    assert "shared (Dense) (None, 3) 15 24 - a\nb" in text  # 12 for each of two calls
    assert "difference (Subtract) (None, 3) 0 0 - shared\nshared[1][0]" in text
    chain = []
    small_network().summary(print_fn=chain.append)
    assert not any("Connected" in line for line in chain)


# --- what cannot be ---


def tensors():
    a, b = Input((4,), name="a"), Input((4,), name="b")
    return a, b, Dense(2, name="d")(a)


ERRORS = [
    (
        lambda a, b, d: Model(a, Add(name="s")([a, b])),
        "the outputs depend on InputLayer 'b', which is not among the inputs",
    ),
    (lambda a, b, d: Model([a, b], d), "no output depends on InputLayer 'b'"),
    (lambda a, b, d: Model([a, a], d), "InputLayer 'a' stands among the inputs twice"),
    (
        lambda a, b, d: Model(d, Dense(1)(d)),
        "inputs must come from Input, got <KerasTensor shape=(None, 2) dtype=float32 from Dense "
        "'d'>",
    ),
    (
        lambda a, b, d: Model(a),
        "outputs must be what Input or a layer that was called on it gives, got None",
    ),
    (
        lambda a, b, d: Model(3, d),
        "inputs must be what Input or a layer that was called on it gives, got 3",
    ),
    (lambda a, b, d: Model([], d), "inputs must be at least one tensor, got []"),
    (
        lambda a, b, d: Model({"x": a, 1: b}, d),
        "the keys of inputs must be strings, got ['x', 1]",
    ),
    (
        lambda a, b, d: Model([a, b], Add()([a, b]))([a]),
        "x must be a list of 2, or a dict, for 'a', 'b', got a list of 1",
    ),
    (
        lambda a, b, d: Model([a, b], Add()([a, b]))({"a": a, "c": b}),
        "x must be given for 'a', 'b'; there is no 'c'",
    ),
    (lambda a, b, d: Model(a, d)([a, b]), "it must be called on 1 input, got 2"),
]


@pytest.mark.parametrize(("make", "message"), ERRORS)
def test_what_no_graph_can_be_made_of(make, message):
    with pytest.raises(ValueError, match=f"^Functional 'functional': {re.escape(message)}$"):
        make(*tensors())


def test_two_layers_of_one_name():
    x = Input((4,), name="a")
    y = Dense(3)(x)
    message = "Dense 'a': there is a layer named 'a' already; give one of them another name"
    with pytest.raises(ValueError, match=message):
        Model(x, Dense(2, name="a")(y))
    assert y.node.layer.has_default_name


def test_a_model_cannot_stand_inside_itself():
    chain = Sequential([Input((4,)), Dense(4)])
    x = Input((4,))
    graph_of_it = Model(x, chain(x))
    for part in (chain, graph_of_it, Sequential([graph_of_it])):
        with pytest.raises(ValueError, match="'sequential': a model cannot stand inside itself"):
            chain.add(part)
    assert len(chain.layers) == 1


def test_a_chain_takes_layers_of_one_output():
    x = Input((4,))
    two = Model(x, [Dense(1)(x), Dense(2)(x)], name="two")
    message = "'sequential': each layer must give one output, got Functional 'two' with 2"
    with pytest.raises(ValueError, match=message):
        Sequential([Input((4,)), two])
    with pytest.raises(ValueError, match=message):
        Sequential([two])
    with pytest.raises(ValueError, match="add needs a layer, got what Dense 'd' gives"):
        Sequential([Dense(2, name="d")(x)])


def test_a_layer_that_cannot_take_a_tensor_is_as_it_was():
    layer = layers.Conv2D(2, 3)
    with pytest.raises(ValueError, match="Conv2D 'conv2d'"):
        layer(Input((4,)))
    assert not layer.built
    assert layer.inbound_nodes == []
    with pytest.raises(ValueError, match="training must be True or False, got 1"):
        layer(Input((4, 4, 1)), training=1)


def test_equal_seeds_give_equal_graphs():
    x = normal(2, 4, 4, 2)
    predictions = []
    for _ in range(2):
        random.set_random_seed(5)
        model = graph()
        predictions.append(model.predict(x, verbose=0))
    np.testing.assert_array_equal(*predictions)
    assert Flatten()(predictions[0]).shape == (2, 4 * 4 * 7)
