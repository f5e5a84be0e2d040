"""Whole models that Keras 2 saved (.h5, and .keras files of tf_keras), in a form that Keras 3 reads.

Keras 3 (3.15) refuses a recurrent or depthwise layer for a key that says nothing, and reads "hard_sigmoid",
which Keras 2 computes otherwise (they differ by up to 0.083). What comes out is held against tf_keras.
"""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dlkit.conversion.contents import LARGEST_CONFIG_BYTES, check_levels, configuration_in, refuse_foreign_code
from dlkit.conversion.kinds import weights_only
from dlkit.errors import ConversionError, ModelFileError
from dlkit.extras import require
from dlkit.filing import CHUNK_BYTES
from dlkit.frameworks import keras
from dlkit.noise import native_noise_aside
from dlkit.writing import temporary_folder

SAYS_NOTHING = {"time_major": False, "groups": 1}
"""Keys that Keras 3 does not know on the layers that have them, with the value that changes nothing."""
SAYS_SOMETHING_ELSEWHERE = {"groups": {"Conv1D", "Conv2D", "Conv3D", "GroupNormalization"}}
LARGEST_GAP = 1e-4
"""Between the answers of tf_keras and of Keras 3, in units of the largest."""


def config_of(path: Path) -> tuple[dict[str, Any], str]:
    """The configuration in a .keras or .h5 file, and the version of Keras that wrote it ("" where it is not said).

    Raises:
        ModelFileError: it is no such file, or has weights only.
    """
    if path.suffix.lower() == ".keras":
        config, about = configuration_in(path)
        return config, str(about.get("keras_version", ""))
    h5py = require("h5py")
    try:
        with h5py.File(path, "r") as file:
            stored, version = file.attrs.get("model_config"), file.attrs.get("keras_version", "")
            names = set(file)
    except Exception:  # h5py raises what HDF5 says, of many types
        raise ModelFileError(f"{path}: is not an HDF5 file (or cut short)") from None
    if not isinstance(stored, str | bytes):
        if stored is None and names:
            raise weights_only(path)
        raise ModelFileError(f"{path}: is an HDF5 file without a Keras model")
    if len(stored) > LARGEST_CONFIG_BYTES:
        raise ModelFileError(f"{path}: its configuration has {len(stored):,} bytes, and no model needs so many")
    try:
        config = json.loads(stored)
    except (ValueError, RecursionError, TypeError):
        raise ModelFileError(f"{path}: its configuration is corrupt; save the model again") from None
    check_levels(path, config)
    if not isinstance(config, dict):
        raise ModelFileError(f"{path}: its configuration is corrupt; save the model again")
    return config, _text(version)


def is_of_keras_2(version: str) -> bool:
    """Whether that version of Keras is one before 3."""
    return version.partition(".")[0] in ("1", "2")


@contextlib.contextmanager
def readable(path: Path) -> Iterator[Path]:
    """While the block runs: a file with the model of `path` that Keras 3 can read; `path` itself if it is of Keras 3.

    Raises ModelFileError as `config_of` does.
    """
    config, version = config_of(path)
    if not is_of_keras_2(version):
        yield path
        return
    _register_hard_sigmoid()
    text = json.dumps(_for_keras_3(config))
    with temporary_folder() as folder:
        copy = folder / path.with_suffix(path.suffix.lower()).name
        if copy.suffix == ".keras":
            _copy_archive(path, copy, text)
        else:
            shutil.copyfile(path, copy)
            with require("h5py").File(copy, "r+") as file:
                file.attrs["model_config"] = text
        yield copy


def _copy_archive(path: Path, copy: Path, config: str) -> None:
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            if name == "config.json":
                new.writestr(name, config)
                continue
            with old.open(name) as source, new.open(name, "w", force_zip64=True) as part:
                shutil.copyfileobj(source, part, CHUNK_BYTES)


def _for_keras_3(config: Any) -> Any:
    """A configuration of Keras 2 without the keys that say nothing, and with its own hard sigmoid."""
    if isinstance(config, list):
        return [_for_keras_3(part) for part in config]
    if not isinstance(config, dict):
        return config
    made = {key: _for_keras_3(value) for key, value in config.items()}
    kind, inner = made.get("class_name"), made.get("config")
    if isinstance(inner, dict):
        for key, value in SAYS_NOTHING.items():
            if inner.get(key, object()) == value and kind not in SAYS_SOMETHING_ELSEWHERE.get(key, ()):
                del inner[key]
        for key in ("activation", "recurrent_activation"):
            if inner.get(key) == "hard_sigmoid":
                inner[key] = "dlkit>hard_sigmoid_of_keras_2"
    return made


@functools.cache
def _register_hard_sigmoid() -> None:
    """Make Keras know the function; its own has another slope."""

    def hard_sigmoid_of_keras_2(x: Any) -> Any:
        return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)

    keras.saving.register_keras_serializable("dlkit")(hard_sigmoid_of_keras_2)


def check_against_keras_2(path: Path, inputs: list[np.ndarray[Any, Any]], answers: list[np.ndarray[Any, Any]]) -> None:
    """Raise ConversionError unless tf_keras gives `answers` to `inputs`, both in the model's own order.

    Files of Keras 3 pass.
    """
    config, version = config_of(path)
    if not is_of_keras_2(version):
        return
    refuse_foreign_code(path, config)
    with native_noise_aside():
        original = require("tf_keras").models.load_model(path, compile=False, safe_mode=True)
    found = original(inputs[0] if len(inputs) == 1 else inputs, training=False)
    for wanted, given in zip(keras.tree.flatten(found), answers, strict=True):
        gap, scale = float(np.max(np.abs(np.asarray(wanted) - given))), max(1.0, float(np.max(np.abs(wanted))))
        if not gap <= LARGEST_GAP * scale:
            raise ConversionError(
                f"{path}: Keras 3 computes this model of Keras 2 otherwise, its answers are up to {gap:.2g} off; save "
                "it as a SavedModel with tf_keras, model.export('folder'), and export that"
            )


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
