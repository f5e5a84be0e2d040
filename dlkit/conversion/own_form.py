"""A loaded Keras model in the form that is exported: with inputs that say their shapes, computing in float32."""

from __future__ import annotations

from typing import Any

from dlkit.conversion.named_ends import input_names
from dlkit.conversion.without_loops import every_layer
from dlkit.errors import ConversionError
from dlkit.frameworks import keras

SHORTER_OR_LONGER = {"float16", "bfloat16", "float64"}
"""Floats that no scheme computes with; weights in float16 come after conversion."""


def with_inputs(model: keras.Model, where: str) -> keras.Model:
    """`model`, or a functional model around it if it is of a class of the user's own, which does not say its inputs.

    Raises:
        ConversionError: it was saved before it was ever called, so that nothing tells the shape of its input.
    """
    if getattr(model, "inputs", None):
        return model
    shapes = (model.get_build_config() or {}) if model.built else {}
    shapes = shapes.get("input_shape", shapes.get("shapes_dict"))
    if not shapes:
        raise ConversionError(
            f"{where}: the model has no input: it was saved before it was built; begin it with keras.Input(shape), or "
            "call it once on a batch, and save it again"
        )
    inputs = _inputs_like(shapes, "input")
    return keras.Model(inputs, model(inputs), name=model.name)


def _inputs_like(shapes: Any, name: str) -> Any:
    """Inputs for the shapes, batch first, that a model was called with: one, a list or a table of them."""
    if isinstance(shapes, dict):
        return {key: _inputs_like(shape, key) for key, shape in shapes.items()}
    if shapes and isinstance(shapes[0], list | tuple):
        return [_inputs_like(shape, f"{name}_{number}") for number, shape in enumerate(shapes)]
    return keras.Input(tuple(shapes[1:]), name=name)


def check_inputs(model: keras.Model, where: str) -> None:
    """Raise ConversionError unless every input holds numbers and has a fixed shape, and no layer remembers samples."""
    for layer in every_layer(model):
        if getattr(layer, "stateful", False):
            raise ConversionError(
                f"{where}: the layer {layer.name!r} keeps its state from one sample to the next; build the model with "
                "stateful=False and copy the weights: for whole sequences it computes the same"
            )
    for name, tensor in zip(input_names(model), model.inputs, strict=True):
        which = f" of {name!r}" if len(model.inputs) > 1 else ""
        if getattr(tensor, "sparse", False) or getattr(tensor, "ragged", False):
            raise ConversionError(
                f"{where}: the input {name!r} is {'sparse' if tensor.sparse else 'ragged'}; a device takes plain "
                "arrays: build the model with keras.Input(shape), and fill up short samples"
            )
        if tensor.dtype == "string":
            raise ConversionError(
                f"{where}: the input {name!r} is text; a device takes numbers: leave TextVectorization or StringLookup "
                "outside, and build the model from their result on, keras.Input((length,), dtype='int32')"
            )
        if tensor.shape[0] not in (None, 1):
            raise ConversionError(
                f"{where}: takes {tensor.shape[0]} samples at a time ({name!r}), and a device has one: build the model "
                "without batch_size, and copy the weights"
            )
        if None in tensor.shape[1:]:
            raise ConversionError(
                f"{where}: the input shape{which} {tensor.shape} is open; a device needs fixed sizes: "
                "build the model with every size but the batch given"
            )


def in_float32(model: keras.Model, objects: dict[str, Any]) -> tuple[keras.Model, str]:
    """The same model with every layer and input in float32, and what it computed in; (model, "") if it is so already.

    A model built under mixed precision does not convert (`tensor<1x10xf16>`, tensorflow 2.21); its weights
    are float32 already.
    """
    config = keras.saving.serialize_keras_object(model)
    found: set[str] = set()
    changed = _in_float32(config, found)
    if not found:
        return model, ""
    again = keras.saving.deserialize_keras_object(changed, custom_objects=objects, safe_mode=True)
    again.set_weights([weight.astype("float32") if weight.dtype != "int32" else weight for weight in _numbers(model)])
    policies = {name for name in found if name.startswith("mixed_")}
    return again, ", ".join(sorted(policies or found))


def _numbers(model: keras.Model) -> list[Any]:
    return [keras.ops.convert_to_numpy(weight) for weight in model.weights]


def _in_float32(config: Any, found: set[str]) -> Any:
    """A configuration with float32 for every other policy or dtype of floats; these are put into `found`."""
    if isinstance(config, list):
        return [_in_float32(part, found) for part in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        name = config["config"]["name"]
        if not (name.startswith("mixed_") or name in SHORTER_OR_LONGER):
            return config
        found.add(name)
        return {**config, "config": {**config["config"], "name": "float32"}}
    made = {key: _in_float32(value, found) for key, value in config.items() if key != "compile_config"}
    if isinstance(config.get("dtype"), str) and config["dtype"] in SHORTER_OR_LONGER:
        found.add(config["dtype"])
        made["dtype"] = "float32"
    return made
