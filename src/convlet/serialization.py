"""Objects as JSON and back: what may be written in a file, and what may be read from one.

A class that can be written in a file is ``Configurable``; a ``Registry`` turns names and
configurations into objects of one kind. Files are not trusted: nothing is imported or run because
a file names it. Only classes that were registered, or that the caller hands over, are made, and
whatever else a file holds ends in a ``ValueError``.
"""

from __future__ import annotations

import inspect
import re
import reprlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Generic, Self, TypeVar

from convlet import arguments

# A hostile file may hold values of any length and depth: messages show the beginning only.
_shortened = reprlib.Repr()
_shortened.maxstring = _shortened.maxother = 60

# What a constructor may raise for arguments of types that it does not expect.
_MISFITS = (TypeError, AttributeError, LookupError, ArithmeticError, RecursionError)


def snake_case(name: str) -> str:
    """Return a class's name as Keras spells it in lower case: ``"TopKAccuracy"``, top_k_accuracy.

    A digit stays with what precedes it: ``"Conv2DTranspose"`` becomes ``"conv2d_transpose"``.
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])", "_", name).lower()


def object_name(owner: object, name: object) -> str:
    """Return an object's name: the one it was given, or its class's in snake case for None.

    Raises
    ------
    ValueError
        If the name is not a string, or empty.
    """
    class_name = type(owner).__name__
    if name is None:
        return snake_case(class_name)
    if not isinstance(name, str) or not name or not name.isprintable():
        raise arguments.invalid(class_name, "name", "a string of printable characters", name)
    return name


def constructor_parameters(cls: type) -> list[str]:
    """Return the names of a constructor's parameters.

    Where a constructor passes ``**kwargs`` on, the parameters of the next one count as well.
    """
    names: dict[str, None] = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        _, *parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
        kinds = {parameter.kind for parameter in parameters}
        variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        names |= dict.fromkeys(p.name for p in parameters if p.kind not in variadic)
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            break
    return list(names)


class Configurable:
    """An object that a dict of JSON types describes completely.

    A constructor that keeps each argument in an attribute of the same name needs no
    ``get_config`` of its own.
    """

    # arguments that a configuration may leave out
    not_in_config: frozenset[str] = frozenset()

    # what a configuration holds besides arguments, for a `from_config` that knows it
    only_in_config: frozenset[str] = frozenset()

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, as JSON types.

        Raises
        ------
        ValueError
            If the constructor did not keep one of its arguments.
        """
        names = constructor_parameters(type(self))
        lost = [name for name in names if not hasattr(self, name)]
        if lost:
            raise ValueError(
                f"{type(self).__name__}: the argument {lost[0]} is kept in no attribute of that "
                "name, so get_config must be defined"
            )
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return a new object from what ``get_config`` returned."""
        return cls(**config)


_scope: ContextVar[Mapping[str, type]] = ContextVar("custom_objects")


@contextmanager
def custom_object_scope(custom_objects: Mapping[str, type]) -> Iterator[None]:
    """While active, every registry knows these classes by these names, too."""
    token = _scope.set({**_scope.get({}), **custom_objects})
    try:
        yield
    finally:
        _scope.reset(token)


T = TypeVar("T", bound=Configurable)


class Registry(Generic[T]):
    """The classes of one kind, under the names that users and files call them by.

    Parameters
    ----------
    kind : str
        What the classes are, for messages: ``"loss"``.
    base : type
        The class that they all derive from.
    spelled : callable, optional
        Makes of a class's name the string that stands for it; snake case if left out.
    """

    def __init__(
        self, kind: str, base: type[T], spelled: Callable[[str], str] = snake_case
    ) -> None:
        self.kind = kind
        self.base = base
        self.spelled = spelled
        self._classes: dict[str, type[T]] = {}
        article = "an" if base.__name__.startswith(tuple("AEIOU")) else "a"
        self._one = f"{article} {base.__name__}"

    def register(self, cls: type[T], *aliases: str) -> None:
        """Make a class known under its name, its name as a string, and ``aliases``."""
        for name in (cls.__name__, self.spelled(cls.__name__), *aliases):
            self._classes[name] = cls

    def get(self, identifier: object, custom_objects: Mapping[str, type] | None = None) -> T:
        """Return the object that ``identifier`` stands for.

        Parameters
        ----------
        identifier : object
            An object of this kind, returned as it is; a class or a name, made with its defaults;
            or what ``serialize`` returned.
        custom_objects : mapping of str to type, optional
            One's own classes by name. They go before the registered ones.

        Raises
        ------
        ValueError
            For unknown names, dicts of another form, and configurations that the class refuses.
        """
        if isinstance(identifier, self.base):
            return identifier
        if isinstance(identifier, type) and issubclass(identifier, self.base):
            return self._make(identifier, {})
        known = {**_scope.get({}), **(custom_objects or {})}
        if isinstance(identifier, str):
            return self._make(self._find(identifier, known), {})
        if isinstance(identifier, dict):
            name, config = self._unpack(identifier)
            hint = "; one's own are handed over in custom_objects"
            return self._make(self._find(name, known, hint), config)
        raise ValueError(
            f"{self.kind}: expected a name, {self._one} or a dict of 'class_name' and "
            f"'config', got {_shortened.repr(identifier)}"
        )

    def names(self) -> list[str]:
        """Return the strings that stand for the registered classes, in order."""
        return sorted({self.spelled(cls.__name__) for cls in self._classes.values()})

    def find(self, name: str) -> type[T]:
        """Return the class that is registered under a name.

        Raises
        ------
        ValueError
            If there is none.
        """
        return self._find(name, {})

    def serialize(self, instance: T) -> dict[str, Any]:
        """Return ``{"class_name": ..., "config": ...}``, from which ``get`` makes an equal object.

        Raises
        ------
        ValueError
            If ``instance`` is not of this kind or cannot be written in a file.
        """
        if not isinstance(instance, self.base):
            raise ValueError(f"{self.kind}: expected {self._one}, got {_shortened.repr(instance)}")
        config = instance.get_config()
        for name in constructor_parameters(type(instance)):
            if name not in config and name not in instance.not_in_config:
                raise ValueError(
                    f"{self.kind} {type(instance).__name__}: get_config must return the argument "
                    f"{name}, too"
                )
        return {"class_name": type(instance).__name__, "config": config}

    def _unpack(self, identifier: dict[Any, Any]) -> tuple[str, dict[Any, Any]]:
        name, config = identifier.get("class_name"), identifier.get("config")
        well_formed = set(identifier) == {"class_name", "config"}
        if not (well_formed and isinstance(name, str) and isinstance(config, dict)):
            raise ValueError(
                f"{self.kind}: expected a dict of a string 'class_name' and a dict 'config', "
                f"got {_shortened.repr(identifier)}"
            )
        return name, config

    def _find(self, name: str, custom_objects: Mapping[str, type], hint: str = "") -> type[T]:
        own = custom_objects.get(name)
        if isinstance(own, type) and issubclass(own, self.base):
            return own
        # One's own classes of other kinds do not hide the registered ones: Keras's losses and
        # metrics share names, and so may a user's.
        if name in self._classes:
            return self._classes[name]
        if own is not None:
            raise ValueError(
                f"{self.kind}: custom_objects[{name!r}] must be a subclass of "
                f"{self.base.__name__}, got {_shortened.repr(own)}"
            )
        raise ValueError(
            f"{self.kind}: unknown {_shortened.repr(name)}; known are "
            + ", ".join(sorted({*self.names(), *custom_objects}))
            + hint
        )

    def _make(self, cls: type[T], config: dict[Any, Any]) -> T:
        known = {*constructor_parameters(cls), *cls.only_in_config}
        for key in config:
            if key not in known:
                raise ValueError(
                    f"{self.kind} {cls.__name__}: unknown config key {_shortened.repr(key)}; "
                    f"known are {', '.join(sorted(known)) or 'none'}"
                )
        try:
            return cls.from_config(dict(config))
        except _MISFITS as error:
            raise ValueError(
                f"{self.kind} {cls.__name__}: the config does not fit: {error}"
            ) from error
