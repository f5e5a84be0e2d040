"""Which kind of model a file or folder from elsewhere is, told by its name and what lies in it; nothing is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from dlkit.errors import ModelFileError
from dlkit.runtime.saved_model import SAVED_MODEL

Kind = Literal["keras", "h5", "saved_model", "tflite"]

_SUFFIXES: dict[str, Kind] = {".keras": "keras", ".h5": "h5", ".hdf5": "h5", ".tflite": "tflite"}


def looks_like_model(path: Path) -> bool:
    """Whether `path` is named like a model file, or is a folder with a SavedModel in it."""
    return path.suffix.lower() in _SUFFIXES or (path / SAVED_MODEL).is_file()


def kind_of(path: Path) -> Kind:
    """The kind of a model file or folder.

    Raises:
        ModelFileError: there is none at `path`, it is of no kind that can be exported, or has weights only.
    """
    if path.is_dir():
        if (path / SAVED_MODEL).is_file():
            return "saved_model"
        raise ModelFileError(f"{path}: is a folder without {SAVED_MODEL}, so no SavedModel; name the model file in it")
    if not path.is_file():
        raise ModelFileError(f"there is no file {path}")
    if path.name.endswith(".weights.h5"):
        raise weights_only(path)
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise ModelFileError(
            f"{path}: is no model file by its name; export takes .keras, .h5 and .tflite files and SavedModel folders"
        )
    return kind


def weights_only(path: Path) -> ModelFileError:
    """The error for a file of weights that has no network."""
    return ModelFileError(
        f"{path}: holds weights without their network; in Python, build the network, model.load_weights({path.name!r}) "
        "and model.save('whole.keras'), and export that"
    )
