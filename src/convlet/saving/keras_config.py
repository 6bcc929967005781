"""Keras's descriptions of models turned into ours, and ours into Keras's.

A description names classes, with modules and registered names that Keras would import and look up.
Here nothing is: a class is one of the tables' (`keras_classes`), or is refused. What comes out is
read by our own registries, which check every value again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from convlet import layers
from convlet.layers.structures import leaves, mapped
from convlet.saving import keras_classes
from convlet.saving.keras_classes import ANY, KerasClass

Table = Mapping[str, KerasClass]

_MODULES = {
    "Sequential": "keras",
    "Functional": "keras.src.models.functional",
}
_ENTRY = {"module", "class_name", "config", "registered_name"}
_BESIDES = {"build_config", "compile_config", "name", "inbound_nodes", "shared_object_id"}
_OPEN_DTYPES = ("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "InputLayer")
_TENSOR = "__keras_tensor__"
_MOST_LAYERS = 10_000  # ResNet-1001 has 3,400; making a chain takes the square of their number


# --- reading ---


def opened(entry: Any, what: str) -> tuple[str, dict[str, Any]]:
    """Return class name and configuration of an entry, of which nothing is looked up.

    Raises
    ------
    ValueError
        If it is not of its form, or names a class that is not Keras's own.
    """
    if not isinstance(entry, dict) or not {"class_name", "config"} <= set(entry):
        raise ValueError(f"a {what} must be a dict of class_name and config, got {entry!r:.80}")
    name, config, module = entry["class_name"], entry["config"], entry.get("module", "keras")
    if not isinstance(name, str) or not isinstance(module, str):
        raise ValueError(f"a {what}'s class_name and module must be strings, got {entry!r:.80}")
    if module.split(".")[0] != "keras":
        raise ValueError(f"the {what} {name!r} is of {module!r:.60}, and no class of Keras's own")
    if entry.get("registered_name") not in (None, name):
        registered = entry["registered_name"]
        raise ValueError(f"the {what} {name!r} is registered as {registered!r:.60}, by a stranger")
    if not isinstance(config, dict):
        raise ValueError(f"the {what} {name!r} must have a dict as its config, got {config!r:.60}")
    unknown = set(entry) - _ENTRY - _BESIDES
    if unknown:
        raise ValueError(f"the {what} {name!r} has {sorted(unknown)[0]!r:.60}, which is not known")
    return name, config


def _read(entry: Any, what: str, table: Table) -> dict[str, Any]:
    """Return our description of an object that Keras describes."""
    name, config = opened(entry, what)
    if name not in table:
        raise ValueError(f"the file asks for the {what} {name!r:.60}, which convlet has not")
    return {"class_name": name, "config": _without_neutral(name, config, table[name])}


def _without_neutral(name: str, config: Mapping[str, Any], known: KerasClass) -> dict[str, Any]:
    """Return a configuration without the arguments that Keras alone has; they must say nothing."""
    ours = {}
    for key, value in config.items():
        if key not in known.theirs or (_is_term(key) and isinstance(value, dict)):
            ours[key] = _plain(value)
        elif known.theirs[key] is not ANY and not _is_same(value, known.theirs[key]):
            raise ValueError(f"{name}: {key} is not supported, got {value!r:.80}")
    return ours


def _is_term(key: str) -> bool:
    """Return whether an argument is a regularizer or a constraint."""
    return key.endswith(keras_classes.TERMS)


def _plain(value: Any) -> Any:
    """Return the numbers of an array that Keras describes, all else as it is."""
    if isinstance(value, dict) and value.get("class_name") == "__tensor__":
        config = value.get("config")
        return config.get("value", value) if isinstance(config, dict) else value
    return value


def _is_same(value: Any, neutral: Any) -> bool:
    return type(value) is type(neutral) and value == neutral


def _dtype(value: Any) -> Any:
    """Return the name of a float type, which Keras describes by a policy."""
    if not isinstance(value, dict):
        return value
    name, config = opened(value, "float type")
    if name != "DTypePolicy" or set(config) != {"name"}:
        raise ValueError(f"the float type {name!r:.60} is not supported")
    return config["name"]


_PARTS: Mapping[str, Table] = {
    "initializer": keras_classes.INITIALIZERS,
    "regularizer": keras_classes.REGULARIZERS,
    "constraint": keras_classes.CONSTRAINTS,
}


def _part(kind: str, value: Any) -> Any:
    """Return our description of an initializer or the like; names stay as they are."""
    return _read(value, kind, _PARTS[kind]) if isinstance(value, dict) else value


class ModelReader:
    """Turns Keras's description of a model into ours.

    It remembers which layers it met: one that stands in two models would be two layers here.
    """

    def __init__(self) -> None:
        self._met: set[int] = set()
        self._layers = 0

    def read(self, entry: Any) -> dict[str, Any]:
        """Return our description of a model or a layer.

        Raises
        ------
        ValueError
            For whatever is not of Keras's form, or what convlet has not.
        """
        name, config = opened(entry, "layer")
        self._layers += 1
        if self._layers > _MOST_LAYERS:
            raise ValueError(f"the model has more than {_MOST_LAYERS} layers")
        self._check_alone(name, entry.get("shared_object_id"))
        if name == "Sequential":
            return {"class_name": name, "config": self._sequential(config)}
        if name == "Functional":
            return {"class_name": name, "config": self._functional(config)}
        ours = _read(entry, "layer", keras_classes.LAYERS)
        ours["config"] = self._converted(name, ours["config"])
        return ours

    def _check_alone(self, name: str, number: Any) -> None:
        if number is None:
            return
        if type(number) is not int:
            raise ValueError(f"the layer {name!r} has no number as its shared_object_id")
        if number in self._met:
            raise ValueError(f"a layer {name!r} is shared by two models, which is not supported")
        self._met.add(number)

    def _converted(self, name: str, config: dict[str, Any]) -> dict[str, Any]:
        """Return a layer's configuration with its values in our form."""
        if name == "InputLayer":
            config = _without_batch(config)
        return {key: _value(key, value) for key, value in config.items()}

    def _sequential(self, config: dict[str, Any]) -> dict[str, Any]:
        ours = {k: _value(k, v) for k, v in config.items() if k != "build_input_shape"}
        ours["layers"] = [self.read(entry) for entry in _entries("Sequential", config)]
        return ours

    def _functional(self, config: dict[str, Any]) -> dict[str, Any]:
        entries = _entries("Functional", config)
        return {**config, "layers": [self._node(entry) for entry in entries]}

    def _node(self, entry: Any) -> dict[str, Any]:
        """Return our entry of a layer in a graph."""
        ours = self.read(entry)
        calls = entry.get("inbound_nodes")
        if not isinstance(calls, list):
            raise ValueError("Functional: inbound_nodes must be a list, as Keras 3 writes it")
        return {**ours, "name": entry.get("name"), "inbound_nodes": [_call(c) for c in calls]}


def _entries(owner: str, config: Mapping[str, Any]) -> list[Any]:
    entries = config.get("layers")
    if not isinstance(entries, list):
        raise ValueError(f"{owner}: the config's layers must be a list, got {entries!r:.60}")
    return entries


def _value(key: str, value: Any) -> Any:
    if key == "dtype":
        return _dtype(value)
    if isinstance(value, dict) and value.get("class_name") == "__numpy__":
        return value["config"].get("value") if isinstance(value.get("config"), dict) else None
    kind = key.rpartition("_")[2]
    return _part(kind, value) if kind in _PARTS else value


def _without_batch(config: dict[str, Any]) -> dict[str, Any]:
    """Return an input's configuration with the shape of one sample.

    A `Sequential` that began without an `Input` has the size of its first batch there, which binds
    Keras to nothing.
    """
    shape = config.get("batch_shape")
    if not isinstance(shape, list) or not shape or type(shape[0]) not in (int, type(None)):
        raise ValueError(f"InputLayer: batch_shape must be [null, ...], got {shape!r:.80}")
    return {**{k: v for k, v in config.items() if k != "batch_shape"}, "shape": shape[1:]}


def _call(call: Any) -> Any:
    """Return a call without what it says about training, which is of no effect in Keras.

    There the model's own ``training`` goes before that of a call, and `fit` and `predict` always
    give one (`keras.src.models.functional.operation_fn`).
    """
    if not isinstance(call, dict) or not isinstance(call.get("kwargs"), dict):
        return call  # our own reader says what is wrong with it
    kwargs = {key: value for key, value in call["kwargs"].items() if key != "training"}
    return {**call, "kwargs": kwargs}


def compilation(config: Any) -> dict[str, Any]:
    """Return the arguments of `Model.compile` for what Keras wrote of its own.

    Raises
    ------
    ValueError
        For whatever is not of Keras's form, or what convlet has not.
    """
    if not isinstance(config, dict):
        raise ValueError(f"compile_config must be a dict, got {config!r:.60}")
    known = {"optimizer", "loss", "loss_weights", "metrics", "weighted_metrics"}
    for key in config:
        if key not in {*known, *keras_classes.COMPILE, *keras_classes.OLD_COMPILE}:
            raise ValueError(f"compile_config has {key!r:.60}, which is not known")
    return {
        "optimizer": _optimizer(config.get("optimizer")),
        "loss": _each(config.get("loss"), "loss", keras_classes.LOSSES),
        "loss_weights": config.get("loss_weights"),
        "metrics": _each(config.get("metrics"), "metric", keras_classes.METRICS),
        "weighted_metrics": _each(config.get("weighted_metrics"), "metric", keras_classes.METRICS),
    }


def _optimizer(value: Any) -> Any:
    ours = _named_or_read(value, "optimizer", keras_classes.OPTIMIZERS)
    if isinstance(ours, dict) and isinstance(ours["config"].get("learning_rate"), dict):
        schedule = _read(ours["config"]["learning_rate"], "schedule", keras_classes.SCHEDULES)
        ours["config"]["learning_rate"] = schedule
    return ours


def _named_or_read(value: Any, what: str, table: Table) -> Any:
    return value if value is None or isinstance(value, str) else _read(value, what, table)


def _each(value: Any, what: str, table: Table) -> Any:
    """Return losses or metrics, alone or in lists and dicts of names."""
    if isinstance(value, list):
        return [_each(item, what, table) for item in value]
    if isinstance(value, dict) and "class_name" not in value:
        return {name: _each(item, what, table) for name, item in value.items()}
    return _named_or_read(value, what, table)


# --- writing ---


def described(model: Any) -> dict[str, Any]:
    """Return Keras's description of a model.

    Raises
    ------
    ValueError
        If it holds a layer, or a layer an argument, that Keras has not.
    """
    return _written(model, layers.registry.serialize(model)["config"], None)


def _written(layer: Any, config: Mapping[str, Any], input_shape: Any) -> dict[str, Any]:
    """Return Keras's description of a layer, given our configuration of it."""
    name = type(layer).__name__
    if not type(layer).__module__.startswith("convlet."):
        raise _unknown(layer.owner, f"layer {name}")
    if name == "Sequential":
        entry = _entry(name, _written_chain(layer, config), list(layer.input_shape))
        return {**entry, "compile_config": {}}
    if name == "Functional":
        entry = _entry(name, _written_graph(layer, config))
        return {**entry, "build_config": {"input_shape": None}, "compile_config": {}}
    if name not in keras_classes.LAYERS:
        raise _unknown(layer.owner, f"layer {name}")
    known = keras_classes.LAYERS[name]
    theirs = _with_neutral(layer.owner, name, config, known)
    theirs = {key: _written_value(layer, name, key, value) for key, value in theirs.items()}
    return _entry(name, _reshaped(name, theirs), input_shape if known.notes_shape else None)


def _unknown(owner: str, what: str) -> ValueError:
    return ValueError(f"{owner}: Keras has no {what}; a .safetensors file can hold the model")


def _entry(name: str, config: dict[str, Any], input_shape: Any = None) -> dict[str, Any]:
    entry = {
        "module": _MODULES.get(name, "keras.layers"),
        "class_name": name,
        "config": config,
        "registered_name": name if name == "Functional" else None,
    }
    return entry if input_shape is None else {**entry, "build_config": {"input_shape": input_shape}}


def _with_neutral(
    owner: str, name: str, config: Mapping[str, Any], known: KerasClass
) -> dict[str, Any]:
    """Return a configuration with Keras's own arguments, and without ours, which must say nothing.

    Raises
    ------
    ValueError
        If one of ours says something that Keras's class cannot do.
    """
    for key, neutral in known.ours.items():
        if neutral is not ANY and config[key] != neutral:
            raise _unknown(owner, f"{name} with {key}={config[key]!r}")
    theirs = {k: keras_classes.DEFAULTS[k] if v is ANY else v for k, v in known.theirs.items()}
    return theirs | {key: value for key, value in config.items() if key not in known.ours}


def _written_value(layer: Any, name: str, key: str, value: Any) -> Any:
    if key == "dtype" and name not in _OPEN_DTYPES:
        return _policy(value)
    if key.endswith("_initializer"):
        return _written_initializer(layer.owner, value)
    if _is_term(key) and value is not None:
        return _written_object(layer.owner, key.rpartition("_")[2], value)
    return value


def _policy(dtype: str) -> dict[str, Any]:
    return _object("keras", "DTypePolicy", {"name": dtype})


def _object(module: str, name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


def _written_initializer(owner: str, description: Mapping[str, Any]) -> dict[str, Any]:
    name, config = description["class_name"], description["config"]
    if name in keras_classes.SAME_INITIALIZERS:
        name, arguments = keras_classes.SAME_INITIALIZERS[name]
        config = {**config, **arguments}
    return _written_object(owner, "initializer", {"class_name": name, "config": config})


_OBJECTS: Mapping[str, tuple[str, Table]] = {
    "initializer": ("keras.initializers", keras_classes.INITIALIZERS),
    "regularizer": ("keras.regularizers", keras_classes.REGULARIZERS),
    "constraint": ("keras.constraints", keras_classes.CONSTRAINTS),
    "loss": ("keras.losses", keras_classes.LOSSES),
    "metric": ("keras.metrics", keras_classes.METRICS),
    "optimizer": ("keras.optimizers", keras_classes.OPTIMIZERS),
    "schedule": ("keras.optimizers.schedules", keras_classes.SCHEDULES),
}


def _written_object(owner: str, what: str, description: Mapping[str, Any]) -> dict[str, Any]:
    """Return Keras's description of an object that a registry has described."""
    name, (module, table) = description["class_name"], _OBJECTS[what]
    if name not in table:
        raise _unknown(owner, f"{what} {name}")
    return _object(module, name, _with_neutral(owner, name, description["config"], table[name]))


def _reshaped(name: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration in which Keras's classes find what they write otherwise than we do."""
    if name == "InputLayer":
        del config["trainable"]
        return {"batch_shape": [None, *config.pop("shape")], **config}
    if name.startswith("SpatialDropout"):
        del config["trainable"]
    if name == "UpSampling1D":
        (config["size"],) = config["size"]
    return config


def _written_chain(model: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    shape = model.input_shape
    first = layers.InputLayer(shape[1:], dtype=model.dtype)
    entries = [_written(first, config["layers"][0]["config"], None)]
    for layer, ours in zip(model.layers, config["layers"][1:], strict=True):
        entries.append(_written(layer, ours["config"], list(shape)))
        shape = layer.compute_output_shape(shape)
    return {
        "name": model.name,
        "trainable": config["trainable"],
        "dtype": _policy(model.dtype),
        "layers": entries,
        "build_input_shape": list(model.input_shape),
    }


def _written_graph(model: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    entries = []
    for layer, ours in zip(model.layers, config["layers"], strict=True):
        calls = ours["inbound_nodes"]
        if any(call["kwargs"].get("training") is not None for call in calls):
            raise _unknown(layer.owner, "training for a single call, which it overrides")
        shapes = _shapes(calls[0]["args"][0]) if calls else None
        entry = _written(layer, ours["config"], shapes)
        entries.append({**entry, "name": layer.name, "inbound_nodes": calls})
    return {**config, "layers": entries}


def _shapes(tensors: Any) -> Any:
    """Return the shapes of the tensors that a layer is called on, in the same form."""
    if isinstance(tensors, dict) and tensors.get("class_name") == _TENSOR:
        return tensors["config"]["shape"]
    return mapped(lambda tensor: tensor["config"]["shape"], tensors)


def written_compilation(model: Any) -> dict[str, Any]:
    """Return what Keras would write about how a model is compiled, {} if it is not.

    Raises
    ------
    ValueError
        If it uses a loss, a metric or an optimizer that Keras has not.
    """
    config = model.get_compile_config()
    if config is None:
        return {}
    owner = model.owner
    return {
        "optimizer": _written_optimizer(owner, config["optimizer"]),
        "loss": _by_output(model, _write_each(owner, "loss", config["loss"])),
        "loss_weights": _by_output(model, config.get("loss_weights")),
        "metrics": _by_output(model, _write_metrics(owner, config["metrics"])),
        "weighted_metrics": _by_output(model, _write_metrics(owner, config["weighted_metrics"])),
        **keras_classes.COMPILE,
    }


def _written_optimizer(owner: str, description: Mapping[str, Any]) -> dict[str, Any]:
    theirs = _written_object(owner, "optimizer", description)
    schedule = theirs["config"]["learning_rate"]
    if isinstance(schedule, dict):
        theirs["config"]["learning_rate"] = _written_object(owner, "schedule", schedule)
    return theirs


def _write_metrics(owner: str, listed: list[Any]) -> list[Any] | None:
    return _write_each(owner, "metric", listed) if any(listed) else None


def _write_each(owner: str, what: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_write_each(owner, what, item) for item in value]
    return _written_object(owner, what, value) if isinstance(value, dict) else value


def _by_output(model: Any, listed: Any) -> Any:
    """Return a list for each output as a dict where the outputs are one: Keras goes by its keys."""
    if isinstance(model.output_form, dict) and isinstance(listed, Sequence):
        return dict(zip(leaves(sorted(model.output_form)), listed, strict=True))
    return listed
