"""The registry: names and configurations to objects, and nothing but ValueErrors from bad ones."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlet import initializers, losses, metrics, optimizers
from convlet.serialization import (
    Configurable,
    Registry,
    constructor_parameters,
    custom_object_scope,
    object_name,
    snake_case,
)


class Shape(Configurable):
    """The base of what the tests register."""


class RoundShape(Shape):
    """A class whose constructor keeps its arguments."""

    def __init__(self, radius: float = 1.0, *, name: str | None = None) -> None:
        self.radius = radius
        self.name = object_name(self, name)


class TiltedShape(RoundShape):
    """A class that passes the rest on, as Keras users write it."""

    def __init__(self, angle: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.angle = angle + 0


class ForgetfulShape(Shape):
    """A class that loses its argument."""

    def __init__(self, radius: float = 1.0) -> None:
        pass


@pytest.fixture
def shapes() -> Registry[Shape]:
    registry = Registry("shape", Shape)
    registry.register(RoundShape, "round")
    registry.register(ForgetfulShape)
    return registry


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("MeanSquaredError", "mean_squared_error"),
        ("TopKCategoricalAccuracy", "top_k_categorical_accuracy"),
        ("SparseTopKCategoricalAccuracy", "sparse_top_k_categorical_accuracy"),
        ("SGD", "sgd"),
        ("Conv2D", "conv2d"),
        ("Conv2DTranspose", "conv2d_transpose"),
        ("GlobalAveragePooling2D", "global_average_pooling2d"),
        ("PReLU", "p_re_lu"),
        ("F1Score", "f1_score"),
        ("L1L2", "l1l2"),
    ],
)
def test_snake_case_is_that_of_keras(name: str, expected: str):
    assert snake_case(name) == expected


@pytest.mark.parametrize("name", ["RoundShape", "round_shape", "round"])
def test_a_class_is_known_by_its_names(shapes: Registry, name: str):
    assert type(shapes.get(name)) is RoundShape


def test_an_instance_is_returned_as_it_is_and_a_class_is_made(shapes: Registry):
    instance = RoundShape(2.0)
    assert shapes.get(instance) is instance
    assert shapes.get(RoundShape).radius == 1.0


def test_a_configuration_makes_an_equal_object(shapes: Registry):
    config = shapes.serialize(RoundShape(2.0, name="r"))
    assert config == {"class_name": "RoundShape", "config": {"radius": 2.0, "name": "r"}}
    assert shapes.serialize(shapes.get(config)) == config


def test_custom_objects_go_before_registered_ones(shapes: Registry):
    custom = {"TiltedShape": TiltedShape, "round": TiltedShape}
    config = {"class_name": "TiltedShape", "config": {"angle": 3.0, "radius": 2.0, "name": "t"}}
    assert shapes.serialize(shapes.get(config, custom)) == config
    assert shapes.get({"class_name": "round", "config": {"angle": 1}}, custom).angle == 1


def test_custom_objects_of_another_kind_hide_nothing(shapes: Registry):
    assert type(shapes.get("round", {"round": int})) is RoundShape


def test_a_scope_s_custom_objects_are_known_to_every_registry_while_it_lasts(shapes: Registry):
    config = {"class_name": "Tilted", "config": {"angle": 1}}
    with custom_object_scope({"Tilted": RoundShape}):
        with custom_object_scope({"Tilted": TiltedShape, "Other": RoundShape}):
            assert type(shapes.get(config)) is TiltedShape
        assert type(shapes.get("Tilted")) is RoundShape
    for name in ("Tilted", "Other"):
        with pytest.raises(ValueError, match=f"shape: unknown '{name}'; known are forgetful_shap"):
            shapes.get(name)


@pytest.mark.parametrize(
    ("identifier", "custom", "message"),
    [
        ("foo", None, "shape: unknown 'foo'; known are forgetful_shape, round_shape"),
        ("foo", {"Mine": RoundShape}, "unknown 'foo'; known are Mine, forgetful_shape, round_"),
        (3, None, "expected a name, a Shape or a dict of 'class_name' and 'config', got 3"),
        (None, None, "shape: expected a name, a Shape or a dict"),
        (int, None, "shape: expected a name, a Shape or a dict"),
        ({"class_name": "round"}, None, "a string 'class_name' and a dict 'config', got {'class_"),
        ({"class_name": 1, "config": {}}, None, "shape: expected a dict of a string 'class_name'"),
        ({"class_name": "round", "config": []}, None, "shape: expected a dict of a string"),
        ({"class_name": "round", "config": {}, "module": "os"}, None, "expected a dict of a str"),
        (
            {"class_name": "round", "config": {"size": 1}},
            None,
            "shape RoundShape: unknown config key 'size'; known are name, radius",
        ),
        ({"class_name": "round", "config": {1: 1}}, None, "unknown config key 1; known are"),
        ({"class_name": "round", "config": {"self": 1}}, None, "unknown config key 'self'"),
        (
            {"class_name": "round", "config": {"name": 1}},
            None,
            "RoundShape: name must be a string of printable characters, got 1",
        ),
        ("os", {"os": json}, "shape: custom_objects['os'] must be a subclass of Shape, got <mod"),
        ("int", {"int": int}, "shape: custom_objects['int'] must be a subclass of Shape, got <cl"),
        (TiltedShape, None, "shape TiltedShape: the config does not fit: "),
        (
            {"class_name": "T", "config": {"angle": "x"}},
            {"T": TiltedShape},
            "shape TiltedShape: the config does not fit: ",
        ),
    ],
)
def test_errors_say_what_came_and_what_would_do(
    shapes: Registry, identifier: object, custom: dict | None, message: str
):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is compared below
        shapes.get(identifier, custom)
    assert message in str(error.value)


def test_long_names_are_shortened_in_messages(shapes: Registry):
    with pytest.raises(ValueError, match=r"unknown 'x{5,30}\.\.\.x{5,30}'; known are"):
        shapes.get("x" * 10**6)


def test_only_what_can_be_described_is_serialized(shapes: Registry):
    with pytest.raises(ValueError, match="shape: expected a Shape, got 'round'"):
        shapes.serialize("round")
    with pytest.raises(
        ValueError,
        match="ForgetfulShape: the argument radius is kept in no attribute of that name, so "
        "get_config must be defined",
    ):
        shapes.serialize(ForgetfulShape())


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3)
    ),
    max_leaves=6,
)
REGISTRIES = [initializers, losses, metrics, optimizers]
CLASS_NAMES = {
    module: [
        name
        for name, cls in vars(module).items()
        if isinstance(cls, type) and issubclass(cls, Configurable)
    ]
    for module in REGISTRIES
}
ARGUMENTS = sorted(
    {"self", "__class__"}.union(
        *(
            constructor_parameters(getattr(module, name))
            for module, names in CLASS_NAMES.items()
            for name in names
        )
    )
)
VALUES = JSON | st.sampled_from([0, 1, 0.5, True, "uniform", "fan_in", float("inf")])


@st.composite
def identifiers(draw: st.DrawFn, class_names: list[str]) -> object:
    """Draw any JSON, dicts of the right form around any JSON, and configs that nearly fit."""
    names = st.sampled_from(class_names)
    config = st.dictionaries(st.sampled_from(ARGUMENTS) | st.text(max_size=8), VALUES, max_size=4)
    well_formed = st.fixed_dictionaries({"class_name": names, "config": config})
    malformed = st.fixed_dictionaries(
        {"class_name": JSON | names, "config": JSON}, optional={"module": JSON}
    )
    return draw(JSON | well_formed | malformed)


@pytest.mark.parametrize("module", REGISTRIES, ids=lambda module: module.__name__)
@given(data=st.data())
@settings(deadline=None, max_examples=150)
def test_a_hostile_file_gives_an_object_or_a_value_error(module: ModuleType, data: st.DataObject):
    identifier = data.draw(identifiers(CLASS_NAMES[module]))
    try:
        instance = module.get(identifier)
    except ValueError:
        return
    config = instance.get_config()
    assert json.loads(json.dumps(config, allow_nan=False)) == config
    assert type(instance).from_config(config).get_config() == config
