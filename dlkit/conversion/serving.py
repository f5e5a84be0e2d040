"""Models for servers: a Keras model → a SavedModel or an ONNX file with an open batch; runs in a child process.

Keras' own export stores each variable twice (3.15); here each is stored once. Beside the signature that
takes what the network takes there is one that takes raw values, with the preprocessing inside.
"""

from __future__ import annotations

import collections
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dlkit.conversion.batches import read_batch
from dlkit.conversion.custom_code import custom_objects
from dlkit.conversion.named_ends import arranged, by_name, input_names
from dlkit.conversion.onnx_file import write_onnx
from dlkit.conversion.shorter_floats import in_shorter_floats
from dlkit.conversion.tflite import answers_of, loaded_model
from dlkit.errors import VerificationRefused
from dlkit.frameworks import keras
from dlkit.frameworks import tensorflow as tf
from dlkit.networks._layers import custom_layers
from dlkit.progress import Advance
from dlkit.runtime.arrays import write_npz
from dlkit.runtime.preprocessing import Preprocessing, preprocessing_from
from dlkit.runtime.saved_model import SIGNATURE
from dlkit.runtime.served import SavedModelSession, open_here
from dlkit.schemes import SCHEMES

RAW = "raw"
"""The signature with the preprocessing inside."""
_PLUMBING = {"Const", "Identity", "NoOp", "Placeholder", "ReadVariableOp", "StatefulPartitionedCall", "PartitionedCall"}


def serve(
    model: str, inputs: str, scheme: str, preprocessing: str, served: str, reference: str, facts: str,
    advance: Advance, custom: str = "",
) -> None:  # fmt: skip
    """Make the model of a scheme for servers, and run the Keras model itself on held-out inputs.

    Args:
        model: the .keras or .h5 file.
        inputs: .npz of the network's inputs by name, (N, *shape) each.
        scheme: name of one whose format is no .tflite.
        preprocessing: JSON of input name → Preprocessing.
        served: folder of the SavedModel, or the .onnx file, for the result.
        reference: .npz for what the Keras model answers to `inputs`, by name, (N, ...) float32 each.
        facts: .json file for "weights_sha256", "notes", "ops" (operation → count) and "tensors" (dtype → weights).
        custom: what `custom_code.as_argument` gave.
    """
    wanted = SCHEMES[scheme]
    loaded, notes = loaded_model(Path(model), custom)
    answers, identity = answers_of(loaded, Path(model), inputs)
    write_npz(reference, {name: values.astype(np.float32) for name, values in answers.items()})
    if wanted.weights != "float32":
        loaded = in_shorter_floats(loaded, wanted.weights, {**custom_layers(), **custom_objects(custom)})
    if wanted.format == "onnx":
        ops, tensors = write_onnx(loaded, Path(served))
    else:
        prepared = {name: preprocessing_from(table) for name, table in json.loads(preprocessing).items()}
        ops, tensors = _save(loaded, prepared, Path(served))
    told = {"weights_sha256": identity, "notes": notes, "ops": ops, "tensors": tensors}
    Path(facts).write_text(json.dumps(told), encoding="utf-8")


def answer_served(
    served: str, inputs: str, raw: str, prepared: str, outputs: str, tolerance: str, advance: Advance
) -> None:
    """What a made model answers to an archive of inputs, as another.

    Args:
        raw: .npz of raw values, for the signature that prepares them.
        prepared: .npz of the network inputs that they become.
        tolerance: of the answers to the first, against those to the second; in units of the largest.

    Raises:
        VerificationRefused: with the preprocessing inside, it answers otherwise.
    """
    model = open_here(Path(served))
    found = model.run_named(read_batch(inputs), advance)
    write_npz(outputs, found)
    if not Path(served).is_dir() or not all(np.isfinite(values).all() for values in found.values()):
        return  # what is not finite is refused for that
    answers = SavedModelSession(Path(served), signature=RAW).run_named(read_batch(raw))
    for name, wanted in model.run_named(read_batch(prepared)).items():
        values = answers[name]
        gap, limit = float(np.max(np.abs(values - wanted))), float(tolerance) * max(1.0, float(np.max(np.abs(wanted))))
        if not gap <= limit:
            raise VerificationRefused(
                f"the SavedModel was refused and no bundle was written: its signature {RAW!r}, with the preprocessing "
                f"inside, is up to {gap:.3g} from {SIGNATURE!r} (limit {limit:.3g})"
            )


def raw_dtype(preprocessing: Preprocessing) -> str:
    """What a server is sent: bytes of an image where these are its values, else float32."""
    return "uint8" if preprocessing.image and preprocessing.raw_range == (0.0, 255.0) else "float32"


def _save(
    model: keras.Model, preprocessing: Mapping[str, Preprocessing], folder: Path
) -> tuple[dict[str, int], dict[str, int]]:
    """Write the SavedModel. Returns operation → count, and dtype → numbers of its weights."""
    module = tf.Module()
    dtypes = {name: tensor.dtype for name, tensor in zip(input_names(model), model.inputs, strict=True)}

    def answers(**named: Any) -> dict[str, Any]:
        outputs = by_name(model, model(arranged(model, named), training=False))
        return {name: tf.cast(values, tf.float32) for name, values in outputs.items()}

    def prepared(**raw: Any) -> dict[str, Any]:
        return answers(**{name: tf.cast(_applied(preprocessing[name], raw[name]), dtypes[name]) for name in raw})

    module.serve, module.raw = tf.function(answers, autograph=False), tf.function(prepared, autograph=False)
    network = {
        name: tf.TensorSpec([None, *tensor.shape[1:]], dtypes[name], name=name)
        for name, tensor in zip(input_names(model), model.inputs, strict=True)
    }
    raw = {name: tf.TensorSpec([None, *p.raw_shape], raw_dtype(p), name=name) for name, p in preprocessing.items()}
    signature = module.serve.get_concrete_function(**network)
    signatures = {SIGNATURE: signature, RAW: module.raw.get_concrete_function(**raw)}
    # What it reads, and not the state of a dropout's random generator, which is another each time.
    read = {id(variable) for variable in signature.variables}
    module.held = [variable._value for variable in model.variables if id(variable._value) in read]
    tf.saved_model.save(module, str(folder), signatures=signatures)
    (folder / "fingerprint.pb").unlink(missing_ok=True)  # has a random number in it, and nothing needs it
    counts = collections.Counter(node.op for node in _nodes(signature.graph.as_graph_def()) if node.op not in _PLUMBING)
    sizes: collections.Counter[str] = collections.Counter()
    for variable in model.weights:
        sizes[np.dtype(tf.as_dtype(variable._value.dtype).as_numpy_dtype).name] += int(np.prod(variable.shape))
    return dict(sorted(counts.items())), dict(sizes)


def _nodes(graph: Any) -> Iterator[Any]:
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def


def _applied(preprocessing: Preprocessing, raw: tf.Tensor) -> tf.Tensor:
    """`Preprocessing.apply` of raw values (N, *raw_shape), as part of the graph."""
    x = tf.cast(raw, tf.float32)
    if preprocessing.color == "bgr":
        x = x[..., ::-1]
    x = x * tf.constant(preprocessing.scale, tf.float32) + tf.constant(preprocessing.offset, tf.float32)
    return tf.reshape(x, [-1, *preprocessing.shape])
