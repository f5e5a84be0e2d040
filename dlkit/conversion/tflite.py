"""The only file that touches the TFLite converter; its functions run in a child process.

What is exported is a Keras model, a SavedModel or a .tflite file (see `kinds`). A Keras model becomes a
SavedModel with a static batch of 1 and every variable stored once (Keras' own export stores each twice),
and that becomes a .tflite file: no shape operations, batch normalisation folded, activations fused.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlkit.conversion.batches import count_of_samples, mapped_batch, read_batch
from dlkit.conversion.contents import bounded_memory
from dlkit.conversion.custom_code import custom_objects
from dlkit.conversion.given_tflite import take
from dlkit.conversion.integer_forms import use_integer_forms
from dlkit.conversion.kinds import kind_of
from dlkit.conversion.legacy_keras import check_against_keras_2, config_of, readable
from dlkit.conversion.loading import load
from dlkit.conversion.loading_failures import cannot_load
from dlkit.conversion.named_ends import arranged, by_name, input_names
from dlkit.conversion.own_form import check_inputs, in_float32, with_inputs
from dlkit.conversion.plain_transposes import make_plain
from dlkit.conversion.saved_models import ends_of, one_at_a_time
from dlkit.conversion.thin import Kernel, float_file, given, specifications
from dlkit.conversion.without_loops import without_loops
from dlkit.digest import sha256_of, sha256_of_arrays
from dlkit.errors import DlkitError
from dlkit.frameworks import keras
from dlkit.frameworks import tensorflow as tf
from dlkit.networks._layers import custom_layers
from dlkit.progress import Advance
from dlkit.runtime.arrays import write_npz
from dlkit.runtime.litert import Session
from dlkit.schemes import SCHEMES

BATCHES = 32
"""Of samples whose inputs are in memory together."""


def convert(
    model: str,
    inputs: str,
    saved_model: str,
    tflite: str,
    reference: str,
    weights_sha256: str,
    advance: Advance,
    custom: str = "",
    notes: str = "",
    avoid: str = "",
) -> None:
    """Convert a model to a float32 .tflite file, and run the model itself on held-out inputs.

    Args:
        model: the .keras, .h5 or .tflite file, or the folder of a SavedModel.
        inputs: .npz of the network's inputs by name, (N, *shape) each.
        saved_model: folder for the SavedModel in between; it stays there unless the model is a large one. A .tflite
            file needs none.
        tflite: file for the result.
        reference: .npz for what the model answers to `inputs`, by name, (N, ...) float32 each.
        weights_sha256: text file for the sha256 of the model's weights.
        custom: what `custom_code.as_argument` gave.
        notes: .json file for what a user should know about the conversion, a list of sentences.
        avoid: forms of layers that the target does not run, `targets.Target.avoid` with commas between.
    """
    path, file = Path(model), Path(tflite)
    kind = kind_of(path)
    noted: list[str] = []
    if kind == "tflite":
        take(path, file)
        answers = Session(file).run_named(mapped_batch(inputs), advance)
        identity = sha256_of(file)
    elif kind == "saved_model":
        answers, weights = one_at_a_time(path, mapped_batch(inputs), saved_model, advance)
        identity = sha256_of_arrays(weights)
        file.write_bytes(tf.lite.TFLiteConverter.from_saved_model(saved_model).convert())
    else:
        answers, identity, noted = _convert_keras(path, inputs, saved_model, file, custom, avoid)
    if "joined_transpose" in avoid.split(",") and kind != "tflite":
        make_plain(file)
    write_npz(reference, {name: values.astype(np.float32) for name, values in answers.items()})
    Path(weights_sha256).write_text(identity, encoding="ascii")
    if notes:
        Path(notes).write_text(json.dumps(noted), encoding="utf-8")


def _convert_keras(
    path: Path, inputs: str, saved_model: str, tflite: Path, custom: str, avoid: str
) -> tuple[dict[str, Any], str, list[str]]:
    """The model's own answers, the sha256 of its weights, and what is to be noted."""
    loaded, noted = loaded_model(path, custom)
    answers, identity = answers_of(loaded, path, inputs)
    ready = without_loops(loaded, fuse="fused_lstm" not in avoid.split(","))

    def converted(kernels: Sequence[Kernel]) -> bytes:
        _save(ready, saved_model, kernels)
        content: bytes = tf.lite.TFLiteConverter.from_saved_model(saved_model).convert()
        if kernels:
            shutil.rmtree(saved_model)  # it has not all weights
        return content

    float_file(ready, converted, tflite)
    return answers, identity, noted


def answers_of(loaded: keras.Model, path: Path, inputs: str) -> tuple[dict[str, Any], str]:
    """What a model, that was loaded from `path`, answers to an archive of inputs, and the sha256 of its weights."""
    weights = (np.asarray(weight.value) for weight in loaded.weights)  # where they are; get_weights copies them all
    identity = sha256_of_arrays(weights)
    held_out = mapped_batch(inputs)
    at_once = loaded.inputs[0].shape[0] or 8
    found: dict[str, list[Any]] = {}
    for start in range(0, count_of_samples(held_out), BATCHES * at_once):
        rows = {name: np.array(values[start : start + BATCHES * at_once]) for name, values in held_out.items()}
        outputs = loaded.predict(arranged(loaded, rows), batch_size=at_once, verbose=0)
        for name, values in by_name(loaded, outputs).items():
            found.setdefault(name, []).append(values)
    answers = {name: np.concatenate(values) for name, values in found.items()}
    check_against_keras_2(path, keras.tree.flatten(arranged(loaded, held_out)), list(answers.values()))
    return answers, identity


def quantize_saved_model(
    model: str, saved_model: str, scheme: str, calibration: str, tflite: str, advance: Advance, custom: str = ""
) -> None:
    """Make the file of a scheme with the TFLite converter; the way for what litert-quantizer has no form of.

    Args:
        model: the .keras or .h5 file, or the folder of a SavedModel.
        saved_model: folder that `convert` was given; written if `convert` left none.
        scheme: name of one whose quantizer is "cast" or "static".
        calibration: .npz of the network's inputs by name, (N, *shape) float32 each; read only if the scheme needs it.
        tflite: file for the result.
        custom: what `custom_code.as_argument` gave.
    """
    wanted = SCHEMES[scheme]
    if not Path(saved_model).exists():
        _save(without_loops(load_model(Path(model), custom)), saved_model)
    if wanted.quantizer == "static":
        use_integer_forms(Path(saved_model))
    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if wanted.quantizer == "cast":
        converter.target_spec.supported_types = [tf.float16]
    else:
        samples = read_batch(calibration)
        count = count_of_samples(samples)
        dtypes = _input_dtypes(saved_model)

        def representative_dataset():  # type: ignore[no-untyped-def]
            for row in range(count):
                sample = {name: values[row : row + 1].astype(dtypes[name]) for name, values in samples.items()}
                # By name it asks a deprecated interpreter which input is which; it need not where there is one.
                yield sample if len(sample) > 1 else list(sample.values())
                advance(row + 1, count)

        converter.representative_dataset = representative_dataset
        kernels = tf.lite.OpsSet
        wide = kernels.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.target_spec.supported_ops = [wide if wanted.activations == "int16" else kernels.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.as_dtype(wanted.io)
    Path(tflite).write_bytes(converter.convert())


def _input_dtypes(saved_model: str) -> dict[str, str]:
    """Input name → dtype, of the signature."""
    return {name: end.dtype for name, end in ends_of(Path(saved_model))[0].items()}


def load_model(path: Path, custom: str = "") -> keras.Model:
    """The Keras model in a .keras or .h5 file, in the form that is exported: see `loaded_model`."""
    return loaded_model(path, custom)[0]


def loaded_model(path: Path, custom: str = "") -> tuple[keras.Model, list[str]]:
    """The Keras model in a .keras or .h5 file, in float32, and what is to be noted of that.

    Nothing in the file is executed (safe mode), with custom code neither.

    Args:
        custom: what `custom_code.as_argument` gave.

    Raises:
        ModelFileError: the file is missing, is no such file, is corrupt, or needs code of its own.
        ConversionError: the shape of an input is not fixed, or it is no number.
    """
    objects = {**custom_layers(), **custom_objects(custom)}
    with readable(path) as file:
        try:
            with bounded_memory(path):
                model = with_inputs(load(file, objects), str(path))
                check_inputs(model, str(path))
                model, before = in_float32(model, objects)
        except DlkitError:
            raise
        except Exception as error:  # Keras raises what its layers raise; each is about the file
            raise cannot_load(path, error, *config_of(path)) from None
    return model, [f"the model computes in {before}; the file, and what it was held against, in float32"] * bool(before)


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
