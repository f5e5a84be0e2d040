"""The only file that touches the TFLite converter; its functions run in a child process.

A Keras model becomes a SavedModel with a static batch of 1 and every variable stored once (Keras'
own export stores each twice), and that becomes a .tflite file: no shape operations, batch
normalisation folded, activations fused.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dlkit.conversion.loading import load
from dlkit.conversion.thin import Kernel, float_file, given, specifications
from dlkit.conversion.without_loops import without_loops
from dlkit.digest import sha256_of_arrays
from dlkit.errors import ConversionError, ModelFileError
from dlkit.frameworks import keras
from dlkit.frameworks import tensorflow as tf
from dlkit.networks._layers import custom_layers
from dlkit.progress import Advance


def convert(
    model: str, inputs: str, saved_model: str, tflite: str, reference: str, weights_sha256: str, advance: Advance
) -> None:
    """Convert a .keras file to a float32 .tflite file, and run the model itself on held-out inputs.

    Args:
        model: the .keras file.
        inputs: .npy of (N, *shape) float32 network inputs.
        saved_model: folder for the SavedModel in between; it stays there unless the model is a large one.
        tflite: file for the result.
        reference: .npy for what the Keras model answers to `inputs`, (N, ...) float32.
        weights_sha256: text file for the sha256 of the model's weights.
    """
    loaded = load_model(Path(model))
    weights = (np.asarray(weight.value) for weight in loaded.weights)  # where they are; get_weights copies them all
    Path(weights_sha256).write_text(sha256_of_arrays(weights), encoding="ascii")
    np.save(reference, loaded.predict(np.load(inputs), batch_size=8, verbose=0).astype(np.float32))
    ready = without_loops(loaded)

    def converted(kernels: Sequence[Kernel]) -> bytes:
        _save(ready, saved_model, kernels)
        content: bytes = tf.lite.TFLiteConverter.from_saved_model(saved_model).convert()
        if kernels:
            shutil.rmtree(saved_model)  # it has not all weights
        return content

    float_file(ready, converted, Path(tflite))


def quantize_saved_model(model: str, saved_model: str, calibration: str, tflite: str, advance: Advance) -> None:
    """Quantize with the TFLite converter to full int8; the way for what litert-quantizer has no int8 form of.

    Args:
        model: the .keras file.
        saved_model: folder that `convert` was given; written if `convert` left none.
        calibration: .npy of (N, *shape) float32 network inputs.
        tflite: file for the result.
    """
    samples = np.load(calibration)
    if not Path(saved_model).exists():
        _save(without_loops(load_model(Path(model))), saved_model)

    def representative_dataset():  # type: ignore[no-untyped-def]
        for done, sample in enumerate(samples, start=1):
            yield [sample[np.newaxis]]
            advance(done, len(samples))

    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative_dataset
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    Path(tflite).write_bytes(converter.convert())


def load_model(path: Path) -> keras.Model:
    """The Keras model in a .keras file; nothing in the file is executed (safe mode).

    Raises:
        ModelFileError: the file is missing, is no .keras archive, is corrupt, or needs code of its own.
        ConversionError: the model has no fixed input shape, or several inputs or outputs.
    """
    if not zipfile.is_zipfile(path):
        raise ModelFileError(f"{path}: is not a .keras file (no archive, or cut short)")
    try:
        model = load(path, custom_layers())
    except Exception as error:  # Keras raises what its layers raise; each is about the file
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelFileError(f"{path}: Keras cannot load this file: {reason}") from None
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        found = f"{len(model.inputs)} inputs and {len(model.outputs)} outputs"
        raise ConversionError(f"{path}: the model has {found}; dlkit converts models with one of each")
    if None in model.inputs[0].shape[1:]:
        raise ConversionError(
            f"{path}: the input shape {model.inputs[0].shape} is open; a device needs fixed sizes: "
            "build the model with every size but the batch given"
        )
    return model


def _save(model: keras.Model, folder: str, kernels: Sequence[Kernel] = ()) -> None:
    """The SavedModel of `model` with the signature (1, *shape) → (1, ...); `kernels` are inputs of it too."""
    module = tf.Module()
    apart = {id(kernel.variable) for kernel in kernels}
    module.held = [variable.value for variable in model.variables if id(variable) not in apart]
    tensor = model.inputs[0]
    name = tensor.name.partition(":")[0]
    spec = tf.TensorSpec([1, *tensor.shape[1:]], tensor.dtype, name=name)

    def serve(**named):  # type: ignore[no-untyped-def]
        with given(kernels, named):
            return {"output": model(named[name], training=False)}

    module.serve = tf.function(serve)
    signature = module.serve.get_concrete_function(**{name: spec}, **specifications(kernels))
    tf.saved_model.save(module, folder, signatures={"serving_default": signature})
