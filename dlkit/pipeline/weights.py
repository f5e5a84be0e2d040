"""Weights from elsewhere → into a network that was just built.

A file is held against the network layer by layer before Keras reads a number of it; no model in it is
revived. ImageNet weights come through `keras.applications`, which knows where they are and their checksums.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dlkit.conversion.hdf5 import check_hdf5
from dlkit.errors import DataError, ModelFileError
from dlkit.frameworks import keras
from dlkit.networks import NETWORKS, Network
from dlkit.outlines import outlined
from dlkit.pipeline.weight_files import SUFFIXES, StoredLayer, refuse_difference, shapes_of, stored_layers
from dlkit.training.supervised import last_with_weights

IMAGENET = "imagenet"


def load_weights(model: keras.Model, network: Network, options: Mapping[str, Any], source: str) -> None:
    """Give `model` the weights of `source`: "imagenet", or a file.

    Args:
        options: that `model` was built with.

    Raises:
        DataError: there are no such weights for this network, or they cannot be fetched.
        ModelFileError: the file is missing, is no weights file, or is of another network; the text
            names the first layer that differs.
    """
    if source == IMAGENET:
        _load_imagenet(model, network, options)
    else:
        _load_file(model, Path(source))


def take_over_weights(model: keras.Model, network: Network, options: Mapping[str, Any], source: str) -> None:
    """Give `model` the weights of `source`, as `load_weights` does, but for a last layer for other classes.

    Raises as `load_weights` does.
    """
    if source == IMAGENET:
        other = {key: value for key, value in options.items() if key != "classes"}
        check_source(network, other, source)
        theirs = network.build(other)
        _load_imagenet(theirs, network, other)
    else:
        theirs = network.build({**options, "classes": _classes_in(Path(source), model)})
        load_weights(theirs, network, options, source)
    last = last_with_weights(model)
    for layer, its in zip(model.layers, theirs.layers, strict=True):
        if layer is not last or shapes_of(layer) == shapes_of(its):
            layer.set_weights(its.get_weights())


def _classes_in(path: Path, model: keras.Model) -> int:
    """How many classes the last layer in a file of weights is for; those of `model` where that cannot be said."""
    check_file(path, "transfer.weights")
    last = last_with_weights(model)
    check_hdf5(path)
    stored = stored_layers(path, model)
    ours = [layer for layer in model.layers if layer.weights]
    here = stored[ours.index(last)].shapes if len(stored) == len(ours) else []
    biases = [shape for shape in here if len(shape) == 1]
    return biases[0][0] if len(biases) == 1 else int(model.output_shape[-1])


def imagenet_labels() -> tuple[str, ...]:
    """The thousand classes in the order of the outputs. Raises DataError if they cannot be fetched."""
    decode = keras.applications.imagenet_utils.decode_predictions
    return tuple(name for [(_, name, _)] in _fetched("class names", decode, np.eye(1000), top=1))


def check_source(network: Network, options: Mapping[str, Any], source: str) -> None:
    """Raise what `load_weights` would of a source that cannot fit, before anything is built."""
    if source != IMAGENET:
        check_file(Path(source))
        return
    if not network.applications:
        have = ", ".join(name for name, other in NETWORKS.items() if other.applications)
        raise DataError(f"there are no ImageNet weights of {network.name}; there are of {have}")
    classes = options.get("classes", network.classes)
    if classes != network.classes and network.gives_scores(options):
        raise DataError(
            f"the ImageNet weights of {network.name} are for {network.classes} classes, not {classes}; leave classes "
            "out, or leave the classifier out: --set include_top=false"
        )


def check_file(path: Path, key: str = "--weights") -> None:
    """Raise ModelFileError unless there is a file of a kind that Keras reads weights from."""
    if not path.name.endswith(SUFFIXES):
        known = "imagenet, or a .keras, .weights.h5 or .h5 file"
        raise ModelFileError(f"{key} {path}: is no weights file that Keras reads; it takes {known}")
    if not path.is_file():
        raise ModelFileError(f"{key} {path}: there is no such file")


def _load_imagenet(model: keras.Model, network: Network, options: Mapping[str, Any]) -> None:
    check_source(network, options, IMAGENET)
    constructor = getattr(keras.applications, network.applications)
    wanted = {
        "include_top": network.gives_scores(options),
        "input_shape": tuple(options.get("input_shape", network.input)),
        **network.applications_options,
    }
    outline = outlined(lambda: constructor(weights=None, **wanted))
    theirs = [StoredLayer(layer.name, shapes_of(layer)) for layer in outline.layers if layer.weights]
    refuse_difference(model, theirs, f"the ImageNet weights of {network.name}")
    model.set_weights(_fetched("ImageNet weights", constructor, weights=IMAGENET, **wanted).get_weights())


def _fetched(what: str, fetch: Any, *arguments: Any, **options: Any) -> Any:
    """What `fetch` downloads or finds in Keras' cache, checked against its checksum there."""
    keras.utils.disable_interactive_logging()  # its bar would mix with ours
    try:
        return fetch(*arguments, **options)
    except Exception as error:  # Keras raises plain Exception for the network, ValueError for a checksum
        raise DataError(
            f"cannot fetch the {what}: {_first_line(error)}; connect to the network, or fetch them where there is one "
            "and name their file in place of 'imagenet'"
        ) from None
    finally:
        keras.utils.enable_interactive_logging()


def _load_file(model: keras.Model, path: Path) -> None:
    check_hdf5(path)
    refuse_difference(model, stored_layers(path, model), str(path))
    try:
        model.load_weights(str(path))
    except Exception as error:  # Keras raises what h5py and its layers raise; each is about the file
        raise ModelFileError(f"{path}: Keras cannot load these weights: {_first_line(error)}") from None
    for layer in model.layers:
        if not all(np.isfinite(values).all() for values in layer.get_weights()):
            raise ModelFileError(f"{path}: the weights of {layer.name!r} hold NaN or infinity")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
