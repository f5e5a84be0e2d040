"""A Keras model that stores and computes in float16 or bfloat16, for servers; runs in a child process."""

from __future__ import annotations

from typing import Any

from dlkit.frameworks import keras
from dlkit.frameworks import tensorflow as tf


def in_shorter_floats(model: keras.Model, dtype: str, objects: dict[str, Any]) -> keras.Model:
    """The same model with every layer computing in `dtype`, and every kernel stored so; outputs too are in it.

    Vectors (biases, and the statistics of a normalisation, which may be beyond 65,504) stay in float32.

    Args:
        model: in float32.
        dtype: "float16" or "bfloat16".
        objects: custom classes and functions it is made of.
    """
    config = _with_policy(keras.saving.serialize_keras_object(model), f"mixed_{dtype}")
    again = keras.saving.deserialize_keras_object(config, custom_objects=objects, safe_mode=True)
    again.set_weights([keras.ops.convert_to_numpy(weight) for weight in model.weights])
    for variable in again.weights:
        if variable.dtype == "float32" and len(variable.shape) > 1:
            variable._value = tf.Variable(tf.cast(variable.value, dtype), trainable=False)
    return again


def _with_policy(config: Any, policy: str) -> Any:
    """A configuration with `policy` for every policy of single precision in it."""
    if isinstance(config, list):
        return [_with_policy(part, policy) for part in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy" and config["config"]["name"] == "float32":
        return {**config, "config": {**config["config"], "name": policy}}
    return {key: _with_policy(value, policy) for key, value in config.items() if key != "compile_config"}
