"""Loading a large .keras file with every weight in memory once; runs in a child process.

Keras gives a new model random weights, and holds the whole file in memory while it replaces them:
2.7 GB and 7 s for VGG16. Here the model is built without numbers and gets those of the file at once:
1.9 GB and 2.5 s.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from dlkit.frameworks import keras
from dlkit.frameworks import tensorflow as tf
from dlkit.writing import temporary_folder

LEAST_BYTES = 2**26
"""A smaller file is left to Keras."""
_CONFIG, _WEIGHTS, _PLAIN = "config.json", "model.weights.h5", {"metadata.json", "config.json", "model.weights.h5"}


def load(path: Path, custom_objects: dict[str, Any]) -> keras.Model:
    """What `keras.models.load_model` gives for a .keras file in safe mode, not compiled; raises what that raises."""
    if path.stat().st_size >= LEAST_BYTES:
        try:
            return _lean(path, custom_objects)
        except Exception:  # whatever is unusual about the file, Keras loads it or says what is wrong
            keras.backend.clear_session()
    return keras.models.load_model(path, custom_objects=custom_objects, compile=False, safe_mode=True)


def _lean(path: Path, custom_objects: dict[str, Any]) -> keras.Model:
    """The model; raises ValueError, among others, if the file needs more than its configuration and weights."""
    with temporary_folder() as folder:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read(_CONFIG))
            if set(archive.namelist()) != _PLAIN or _has_shared_objects(config):
                raise ValueError("assets, or objects that are the same in several places")
            with keras.StatelessScope(initialize_variables=False):
                model = keras.saving.deserialize_keras_object(
                    {**config, "compile_config": None}, custom_objects=custom_objects, safe_mode=True
                )
            archive.extract(_WEIGHTS, folder)
        # In this scope Keras keeps what is assigned to a variable, and leaves the variable as it is: without a value.
        with keras.StatelessScope(initialize_variables=False) as loaded:
            model.load_weights(folder / _WEIGHTS)
    for variable in model.variables:
        value = loaded.get_current_value(variable)
        if value is not None:  # the state of a random generator may not be in the file
            variable._initializer = lambda shape, dtype=None, value=value: value
    with keras.StatelessScope():
        pass  # at its end Keras gives the variables that have no value their initial one
    if not all(isinstance(variable.value, tf.Variable) for variable in model.variables):
        raise ValueError("a variable without a value")
    return model


def _has_shared_objects(config: Any) -> bool:
    """Whether a configuration has an object in several places of which it matters that it is one.

    A policy of dtypes has no state, and what makes new weights makes none here.
    """
    if isinstance(config, list):
        return any(map(_has_shared_objects, config))
    if not isinstance(config, dict):
        return False
    if "shared_object_id" in config:
        return config.get("module") != "keras.initializers" and config.get("class_name") != "DTypePolicy"
    return any(map(_has_shared_objects, config.values()))
