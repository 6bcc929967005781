"""Keras's weights file: HDF5, in the layout of Keras 3's `saving_lib`.

Each layer has a group under ``layers``, named after its class and numbered within its model, and in
it ``vars`` with its arrays ``0``, ``1``, ...; a model among the layers has ``layers`` of its own.
``optimizer/vars`` holds the steps made, the learning rate unless it follows a schedule, and what
the optimizer remembers of each trainable weight.

An HDF5 file can name other files, and describe arrays that it does not hold. So every step goes
through `_member`, which follows hard links alone, and an array is read only if its bytes lie in the
file as they are.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from convlet.saving.weights import Header
from convlet.serialization import snake_case

_OPTIMIZER = "optimizer/vars"
_UNUSED = ("seed_generator",)  # in a layer's group; ours draw from generators of their own
_COUNTING = ("normalization",)  # layers whose last array is a number that Keras no longer uses

# A group and its links take 1 to 3 KB, a weights file of 12 layers without weights 29 KB.
_BYTES_BESIDES, _BYTES_PER_LAYER = 2**16, 2**14
_WIDEST = 8  # bytes of a number
_MOST_SLOTS = 4  # arrays that an optimizer remembers of a weight: AMSGrad's 3, and the average


class Place(NamedTuple):
    """Where a layer's weights are.

    Attributes
    ----------
    group : str
        The layer's group in the file, "" for the model itself.
    name : str
        The layer's name.
    weights : list of str
        The paths of its weights in our model, in order.
    counts : bool
        Whether a number follows them in the file that has no meaning.
    """

    group: str
    name: str
    weights: list[str]
    counts: bool = False


def places(model: Any, group: str = "", path: str = "") -> Iterator[Place]:
    """Yield where the weights of a model's layers are, the model itself first."""
    yield Place(group, model.name, [])
    counts: dict[str, int] = {}
    for layer in model.layers:
        kind = snake_case(type(layer).__name__)
        number = counts[kind] = counts.get(kind, -1) + 1
        below = _joined(group, "layers", f"{kind}_{number}" if number else kind)
        own = f"{path}{layer.name}/"
        if hasattr(layer, "layers"):
            yield from places(layer, below, own)
        else:
            weights = [own + name for name in layer.named_weights()]
            yield Place(below, layer.name, weights, bool(weights) and kind in _COUNTING)


def _joined(*parts: str) -> str:
    return "/".join(part for part in parts if part)


def most_bytes(model: Any) -> int:
    """Return how many bytes a file of a model's weights, with an optimizer's state, may have."""
    numbers = sum(variable.size for variable in model.weights)
    layers = sum(1 for _ in places(model))
    besides = _BYTES_BESIDES + _BYTES_PER_LAYER * layers
    return besides + (1 + _MOST_SLOTS) * (_WIDEST * numbers + 2**10 * len(model.weights))


def h5py() -> Any:
    """Return the library that reads and writes HDF5.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        import h5py as library
    except ImportError:
        raise ImportError(
            "Keras's files need h5py: pip install 'convlet[keras]', or pip install h5py"
        ) from None
    return library


# --- writing ---


def as_hdf5(
    model: Any, weights: Mapping[str, np.ndarray], optimizer: list[np.ndarray] | None = None
) -> bytes:
    """Return a weights file.

    Parameters
    ----------
    model : Model
    weights : mapping of str to ndarray
        By their paths in the model.
    optimizer : list of ndarray, optional
        What the optimizer remembers, in Keras's order.
    """
    buffer = io.BytesIO()
    with h5py().File(buffer, "w") as file:
        for place in places(model):
            arrays = [weights[path] for path in place.weights]
            arrays += [np.zeros((), np.int32)] * place.counts
            _write_group(file, _joined(place.group, "vars"), place.name, arrays)
        if optimizer is not None:
            _write_group(file, _OPTIMIZER, model.optimizer.name, optimizer)
    return buffer.getvalue()


def _write_group(file: Any, path: str, name: str, arrays: list[np.ndarray]) -> None:
    group = file.create_group(path)
    group.attrs["name"] = name
    for number, array in enumerate(arrays):
        group.create_dataset(str(number), data=array, track_times=False)


# --- reading ---


class KerasWeights:
    """An open weights file; see `ArrayFile`.

    Parameters
    ----------
    file : h5py.File
    size : int
        Bytes of the file.
    model : Model
        Whose weights they are to be.

    Raises
    ------
    ValueError
        If its groups are not those of the model's layers, or an array is not plainly in the file.
    """

    def __init__(self, file: Any, size: int, model: Any) -> None:
        self._file = file
        self._left = size
        self._size = size
        self._arrays: dict[str, Any] = {}
        self.weights: Header = {}
        self._check_layers({place.group for place in places(model)})
        for place in places(model):
            found = self._arrays_in(_joined(place.group, "vars"))
            if len(found) != len(place.weights) + place.counts:
                raise ValueError(
                    f"the weights file has {len(found)} arrays for {place.name!r}, needed are "
                    f"{len(place.weights) + place.counts}"
                )
            for path, array in zip(place.weights, found, strict=not place.counts):
                self._arrays[path] = array
                self.weights[path] = array.dtype.name, array.shape

    def _check_layers(self, known: set[str]) -> None:
        """Raise a ValueError if there is a layer's group that the model has no layer for."""
        holders = {group.rpartition("/")[0] for group in known if group}
        for holder in sorted(holders):
            group = self._group(holder)
            for name in group or ():
                if f"{holder}/{name}" not in known:
                    raise ValueError(f"the model has no layer for {f'{holder}/{name}'!r}")

    def _group(self, path: str) -> Any:
        """Return a group, None if it is not there."""
        group = self._file
        for name in path.split("/"):
            group = _member(group, name)
            if group is None:
                return None
            if not isinstance(group, h5py().Group):
                raise ValueError(f"{path!r} in the weights file is no group")
        return group

    def _arrays_in(self, path: str) -> list[Any]:
        """Return the arrays 0, 1, ... of a group."""
        holder, _, name = path.rpartition("/")
        group = self._group(path)
        if group is None:
            return []
        if holder.rpartition("/")[0].endswith("layers"):
            self._check_parts(holder, name)
        names = [str(number) for number in range(len(group))]
        if set(group) != set(names):
            raise ValueError(f"{path!r} in the weights file must hold arrays 0, 1, ...")
        return [self._plain(group, path, name) for name in names]

    def _check_parts(self, path: str, arrays: str) -> None:
        """Raise a ValueError if a layer's group holds what we know no meaning of."""
        known = {arrays, "layers", *_UNUSED}
        for name in self._group(path):
            if name not in known:
                raise ValueError(f"{f'{path}/{name}'!r} in the weights file has no meaning here")

    def _plain(self, group: Any, path: str, name: str) -> Any:
        """Return an array, having seen that its numbers lie in the file, in a row and as they are.

        No two arrays can be the same bytes: together they have as many as there are.
        """
        where = f"{path}/{name}"
        array = _member(group, name)
        if not isinstance(array, h5py().Dataset):
            raise ValueError(f"{where!r} in the weights file is no array")
        if array.dtype.kind not in "iuf":
            raise ValueError(f"{where!r} in the weights file holds no numbers")
        settings = array.id.get_create_plist()
        is_plain = settings.get_layout() == h5py().h5d.CONTIGUOUS
        if not is_plain or settings.get_external_count() or settings.get_nfilters():
            raise ValueError(
                f"{where!r} in the weights file is external, virtual or compressed; Keras writes "
                "arrays as they are"
            )
        size = math.prod(array.shape or ()) * array.dtype.itemsize
        begin = array.id.get_offset()
        self._left -= size
        if begin is None or begin + size > self._size or self._left < 0 or array.shape is None:
            raise ValueError(f"{where!r} is not in the weights file, which is too short for it")
        return array

    def read(self, name: str) -> np.ndarray:
        """Return one array."""
        with _damage():
            return self._arrays[name][()]

    def read_optimizer(self, fixed: int, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
        """Return the optimizer's arrays, the steps made first.

        Parameters
        ----------
        fixed : int
            How many there are in any case. An optimizer that has made no step may have no others.
        shapes : list of tuple of int
            Those of all arrays.

        Raises
        ------
        ValueError
            If there is anything else.
        """
        with _damage():
            found = self._arrays_in(_OPTIMIZER)
            if len(found) not in (fixed, len(shapes)):
                raise ValueError(
                    f"the optimizer's state has {len(found)} arrays, needed are "
                    f"{len(shapes)}; compile=False leaves it unread"
                )
            for number, shape in enumerate(shapes[: len(found)]):
                kind = "iu" if number == 0 else "f"
                if found[number].shape != shape or found[number].dtype.kind not in kind:
                    raise ValueError(
                        f"{_OPTIMIZER}/{number} has type {found[number].dtype} and shape "
                        f"{found[number].shape}, needed is shape {shape}"
                    )
            return [array[()] for array in found]


def _member(group: Any, name: str) -> Any:
    """Return what a group holds under a name, None if nothing.

    Raises
    ------
    ValueError
        If it is a link to another file or another name.
    """
    if not group.id.links.exists(name.encode()):  # `in` would follow the link
        return None
    link = group.get(name, getlink=True)
    if type(link) is not h5py().HardLink:
        raise ValueError(f"{name!r} in the weights file is a {type(link).__name__}, and leads away")
    return group[name]


@contextmanager
def _damage() -> Iterator[None]:
    """Turn what HDF5 raises for damaged files into a ValueError."""
    try:
        yield
    except (OSError, RuntimeError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"no HDF5 file, or a damaged one: {error}") from None
    except MemoryError:
        raise ValueError(
            "the HDF5 file is damaged: it asks for more memory than there is"
        ) from None


@contextmanager
def open_hdf5(content: bytes, model: Any) -> Iterator[KerasWeights]:
    """Open a weights file that has been read into memory.

    Raises
    ------
    ImportError
        If h5py is not installed.
    ValueError
        If the file is damaged, or not one of the model's weights.
    """
    library = h5py()
    with _damage():
        file = library.File(io.BytesIO(content), "r")
    try:
        with _damage():
            weights = KerasWeights(file, len(content), model)
        yield weights
    finally:
        file.close()
