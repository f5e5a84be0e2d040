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

from dlkit.conversion.batches import count_of_samples, read_batch
from dlkit.conversion.loading import load
from dlkit.conversion.named_ends import arranged, by_name, input_names
from dlkit.conversion.thin import Kernel, float_file, given, specifications
from dlkit.conversion.without_loops import without_loops
from dlkit.digest import sha256_of_arrays
from dlkit.errors import ConversionError, ModelFileError
from dlkit.frameworks import keras
from dlkit.frameworks import tensorflow as tf
from dlkit.networks._layers import custom_layers
from dlkit.progress import Advance
from dlkit.runtime.arrays import write_npz
from dlkit.schemes import SCHEMES


def convert(
    model: str, inputs: str, saved_model: str, tflite: str, reference: str, weights_sha256: str, advance: Advance
) -> None:
    """Convert a .keras file to a float32 .tflite file, and run the model itself on held-out inputs.

    Args:
        model: the .keras file.
        inputs: .npz of the network's inputs by name, (N, *shape) each.
        saved_model: folder for the SavedModel in between; it stays there unless the model is a large one.
        tflite: file for the result.
        reference: .npz for what the Keras model answers to `inputs`, by name, (N, ...) float32 each.
        weights_sha256: text file for the sha256 of the model's weights.
    """
    loaded = load_model(Path(model))
    weights = (np.asarray(weight.value) for weight in loaded.weights)  # where they are; get_weights copies them all
    Path(weights_sha256).write_text(sha256_of_arrays(weights), encoding="ascii")
    answers = by_name(loaded, loaded.predict(arranged(loaded, read_batch(inputs)), batch_size=8, verbose=0))
    write_npz(reference, {name: values.astype(np.float32) for name, values in answers.items()})
    ready = without_loops(loaded)

    def converted(kernels: Sequence[Kernel]) -> bytes:
        _save(ready, saved_model, kernels)
        content: bytes = tf.lite.TFLiteConverter.from_saved_model(saved_model).convert()
        if kernels:
            shutil.rmtree(saved_model)  # it has not all weights
        return content

    float_file(ready, converted, Path(tflite))


def quantize_saved_model(
    model: str, saved_model: str, scheme: str, calibration: str, tflite: str, advance: Advance
) -> None:
    """Make the file of a scheme with the TFLite converter; the way for what litert-quantizer has no form of.

    Args:
        model: the .keras file.
        saved_model: folder that `convert` was given; written if `convert` left none.
        scheme: name of one whose quantizer is "cast" or "static".
        calibration: .npz of the network's inputs by name, (N, *shape) float32 each; read only if the scheme needs it.
        tflite: file for the result.
    """
    wanted = SCHEMES[scheme]
    if not Path(saved_model).exists():
        _save(without_loops(load_model(Path(model))), saved_model)
    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if wanted.quantizer == "cast":
        converter.target_spec.supported_types = [tf.float16]
    else:
        samples = read_batch(calibration)
        count = count_of_samples(samples)

        def representative_dataset():  # type: ignore[no-untyped-def]
            for row in range(count):
                sample = {name: values[row : row + 1] for name, values in samples.items()}
                # By name it asks a deprecated interpreter which input is which; it need not where there is one.
                yield sample if len(sample) > 1 else list(sample.values())
                advance(row + 1, count)

        converter.representative_dataset = representative_dataset
        kernels = tf.lite.OpsSet
        wide = kernels.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.target_spec.supported_ops = [wide if wanted.activations == "int16" else kernels.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.as_dtype(wanted.io)
    Path(tflite).write_bytes(converter.convert())


def load_model(path: Path) -> keras.Model:
    """The Keras model in a .keras file; nothing in the file is executed (safe mode).

    Raises:
        ModelFileError: the file is missing, is no .keras archive, is corrupt, or needs code of its own.
        ConversionError: the shape of an input is not fixed.
    """
    if not zipfile.is_zipfile(path):
        raise ModelFileError(f"{path}: is not a .keras file (no archive, or cut short)")
    try:
        model = load(path, custom_layers())
    except Exception as error:  # Keras raises what its layers raise; each is about the file
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelFileError(f"{path}: Keras cannot load this file: {reason}") from None
    for name, tensor in zip(input_names(model), model.inputs, strict=True):
        if None in tensor.shape[1:]:
            which = f" of {name!r}" if len(model.inputs) > 1 else ""
            raise ConversionError(
                f"{path}: the input shape{which} {tensor.shape} is open; a device needs fixed sizes: "
                "build the model with every size but the batch given"
            )
    return model


def _save(model: keras.Model, folder: str, kernels: Sequence[Kernel] = ()) -> None:
    """The SavedModel of `model`: inputs (1, *shape) and outputs (1, ...) by name; `kernels` are inputs of it too."""
    module = tf.Module()
    apart = {id(kernel.variable) for kernel in kernels}
    module.held = [variable.value for variable in model.variables if id(variable) not in apart]
    specs = {
        name: tf.TensorSpec([1, *tensor.shape[1:]], tensor.dtype, name=name)
        for name, tensor in zip(input_names(model), model.inputs, strict=True)
    }

    def serve(**named):  # type: ignore[no-untyped-def]
        with given(kernels, named):
            return by_name(model, model(arranged(model, named), training=False))

    module.serve = tf.function(serve)
    signature = module.serve.get_concrete_function(**specs, **specifications(kernels))
    tf.saved_model.save(module, folder, signatures={"serving_default": signature})
