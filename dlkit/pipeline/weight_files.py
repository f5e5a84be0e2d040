"""What is in a file of Keras weights, told by names and shapes; no number of it is read.

Three forms: the Keras 3 archive (.keras) and weights (.weights.h5), which keep a layer under the name
of its class with a number, and the legacy .h5, which keeps layers in order. Links out of the file
are not followed.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dlkit.errors import ModelFileError, system_reason
from dlkit.frameworks import keras

SUFFIXES = (".keras", ".weights.h5", ".h5", ".hdf5")
Shapes = list[tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class StoredLayer:
    """A layer in a file: its name there and the shapes of its weights."""

    name: str
    shapes: Shapes


def shapes_of(layer: keras.layers.Layer) -> Shapes:
    """The shapes of a layer's weights, sorted: files differ in their order within a layer."""
    return sorted(tuple(weight.shape) for weight in layer.weights)


def stored_layers(path: Path, model: keras.Model) -> list[StoredLayer]:
    """The layers with weights in a file, in the order of `model` where the file itself has none.

    Raises ModelFileError if the file cannot be read as one of weights.
    """
    import h5py

    try:
        if path.name.endswith(".keras"):
            with (
                zipfile.ZipFile(path) as archive,
                archive.open("model.weights.h5") as member,
                h5py.File(member, "r") as file,
            ):
                return _by_class(file, model)
        with h5py.File(path, "r") as file:
            return _by_class(file, model) if path.name.endswith(".weights.h5") else _in_order(file)
    except zipfile.BadZipFile:
        raise ModelFileError(f"{path}: is not a .keras file (no archive, or cut short)") from None
    except (KeyError, ValueError, TypeError, RuntimeError, AttributeError):
        raise ModelFileError(f"{path}: holds no weights of Keras") from None
    except OSError as error:
        reason = system_reason(error) if error.strerror and error.errno else "it is no HDF5 file, or cut short"
        raise ModelFileError(f"{path}: cannot be read: {reason}") from None


def refuse_difference(model: keras.Model, stored: list[StoredLayer], where: str) -> None:
    """Raise ModelFileError naming the first layer whose weights are not those of `model`."""
    layers = [layer for layer in model.layers if layer.weights]
    for layer, other in itertools.zip_longest(layers, stored):
        if layer is None:
            raise ModelFileError(
                f"{where}: hold the layer {other.name!r} ({_told(other.shapes)}), which {_not_here(model)}"
            )
        if other is None or not other.shapes:
            raise ModelFileError(f"{where}: hold no weights for the layer {layer.name!r}, which {_wants(layer)}")
        if shapes_of(layer) != sorted(other.shapes):
            raise ModelFileError(
                f"{where}: do not fit: the layer {layer.name!r} {_wants(layer)}, and {other.name!r} in the file has "
                f"{_told(other.shapes)}; they are of another network, or of other options"
            )


def _wants(layer: Any) -> str:
    return f"takes {_told(shapes_of(layer))}"


def _not_here(model: Any) -> str:
    return f"{model.name} with these options does not have"


def _told(shapes: Shapes) -> str:
    return ", ".join("×".join(str(n) for n in shape) or "one number" for shape in sorted(shapes, key=len, reverse=True))


def _by_class(file: Any, model: keras.Model) -> list[StoredLayer]:
    """Keras 3: each layer is a group called like its class; in the order of `model`, what it lacks after that."""
    groups = {key: group for key, group in file["layers"].items() if group is not None}
    found = {}
    for key, group in groups.items():
        shapes = [tuple(item.shape) for item in _datasets(group) if item.dtype.kind == "f"]  # others are random states
        if shapes:
            found[key] = StoredLayer(str(group["vars"].attrs.get("name", key) if "vars" in group else key), shapes)
    wanted = [key for key, layer in zip(_keys(model), model.layers, strict=True) if layer.weights]
    ours = [found.pop(key, StoredLayer(key, [])) for key in wanted]
    return [*ours, *found.values()]


def _keys(model: keras.Model) -> Iterator[str]:
    """The name Keras 3 gives each layer in a file: of its class in snake case, with a number from the second on."""
    seen: Counter[str] = Counter()
    for layer in model.layers:
        name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", type(layer).__name__))
        name = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
        yield f"{name}_{seen[name]}" if seen[name] else name
        seen[name] += 1


def _in_order(file: Any) -> list[StoredLayer]:
    """Legacy: groups in the order of the attribute `layer_names` (in parts where it is long)."""
    root = file["model_weights"] if "layer_names" not in file.attrs and "model_weights" in file else file
    names = [name for key in _parts(root.attrs, "layer_names") for name in root.attrs[key]]
    if not names:
        raise KeyError("layer_names")
    texts = [name.decode() if isinstance(name, bytes) else str(name) for name in names]
    layers = [StoredLayer(name, [tuple(item.shape) for item in _datasets(root[name])]) for name in texts]
    return [layer for layer in layers if layer.shapes]


def _parts(attributes: Any, name: str) -> list[str]:
    """`layer_names`, or `layer_names0`, `layer_names1` … where one attribute was too long for the format."""
    if name in attributes:
        return [name]
    return list(itertools.takewhile(lambda key: key in attributes, (f"{name}{i}" for i in itertools.count())))


def _datasets(group: Any) -> list[Any]:
    """Every array below `group`; links to other places or files are not followed."""
    import h5py

    found: list[Any] = []
    group.visititems(lambda name, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
    return found
