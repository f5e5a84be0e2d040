"""A SavedModel from elsewhere → a SavedModel that takes one sample at a time; runs in a child process.

Keras 3 cannot load one; its serving signature is converted as it is. A SavedModel is a program: before
it is loaded, its graphs are read, and one that touches files or runs Python is refused.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from dlkit.conversion.batches import Batch, count_of_samples
from dlkit.errors import ConversionError
from dlkit.frameworks import tensorflow as tf
from dlkit.runtime.saved_model import SIGNATURE, checked_graph

NUMBERS = ("float32", "int32", "int64", "uint8", "int8", "bool")


@dataclasses.dataclass(frozen=True)
class End:
    """An input or output of the serving signature.

    Attributes:
        shape: without the batch.
        dtype: numpy's name.
    """

    shape: tuple[int, ...]
    dtype: str


def ends_of(folder: Path) -> tuple[dict[str, End], dict[str, End]]:
    """Inputs and outputs of the serving signature by name, read without loading anything.

    Raises:
        ModelFileError: the folder holds no SavedModel with such a signature, or one that runs Python or
            touches files.
        ConversionError: an input is no number, or its shape is open.
    """
    graph = checked_graph(folder)
    signature = graph.signature_def[SIGNATURE]
    inputs = {name: _end(folder, name, info) for name, info in sorted(signature.inputs.items())}
    return inputs, {name: _output(info) for name, info in sorted(signature.outputs.items())}


def _end(folder: Path, name: str, info: Any) -> End:
    end = _output(info)
    if end.dtype not in NUMBERS:
        what = "text" if end.dtype == "object" else end.dtype
        raise ConversionError(
            f"{folder}: the input {name!r} is {what}; a file takes {', '.join(NUMBERS)}: do what comes before outside "
            "the model"
        )
    batch = [int(dim.size) for dim in info.tensor_shape.dim[:1]]
    if batch and batch[0] not in (-1, 1):
        raise ConversionError(
            f"{folder}: takes {batch[0]} samples at a time ({name!r}); a device has one: save it with an open batch"
        )
    if not batch or info.tensor_shape.unknown_rank or -1 in end.shape:
        shape = "(?)" if info.tensor_shape.unknown_rank else (None, *(n if n >= 0 else None for n in end.shape))
        raise ConversionError(
            f"{folder}: the input shape of {name!r} {shape} is open; a device needs fixed sizes: save it with every "
            "size but the batch given"
        )
    return end


def _output(info: Any) -> End:
    shape = tuple(int(dim.size) for dim in info.tensor_shape.dim)
    return End(shape[1:], np.dtype(tf.as_dtype(info.dtype).as_numpy_dtype).name)


def one_at_a_time(
    folder: Path, batch: Batch, saved_model: str, advance: Callable[[int, int], None]
) -> tuple[dict[str, np.ndarray[Any, Any]], Iterable[np.ndarray[Any, Any]]]:
    """Save the serving signature of `folder` again, for a batch of 1, and run the SavedModel itself on `batch`.

    Returns:
        What it answers, by output (N, ...); and its variables.
    """
    inputs, _ = ends_of(folder)
    loaded = tf.saved_model.load(str(folder))
    serve = loaded.signatures[SIGNATURE]
    answers: dict[str, list[Any]] = collections.defaultdict(list)
    count = count_of_samples(batch)
    for row in range(count):
        sample = {name: tf.constant(batch[name][row : row + 1], end.dtype) for name, end in inputs.items()}
        for name, values in serve(**sample).items():
            answers[name].append(np.asarray(values))
        advance(row + 1, count)
    shapes = {name: _the_shape(folder, name, values) for name, values in answers.items()}
    module = tf.Module()
    module.loaded = loaded

    def one(**named):  # type: ignore[no-untyped-def]
        found = serve(**named)
        return {name: tf.ensure_shape(found[name], shape) for name, shape in shapes.items()}

    module.serve = tf.function(one, autograph=False)
    specs = {name: tf.TensorSpec((1, *end.shape), end.dtype, name=name) for name, end in inputs.items()}
    signature = module.serve.get_concrete_function(**specs)
    tf.saved_model.save(module, saved_model, signatures={SIGNATURE: signature})
    variables = (np.asarray(variable.read_value()) for variable in serve.variables)
    return {name: np.concatenate(values) for name, values in answers.items()}, variables


def _the_shape(folder: Path, name: str, answers: list[np.ndarray[Any, Any]]) -> tuple[int, ...]:
    """The shape of an output for one sample. Raises ConversionError if it is not the same for all."""
    shapes = {values.shape for values in answers}
    if len(shapes) > 1 or next(iter(shapes))[:1] != (1,):
        found = " and ".join(map(str, sorted(shapes)[:2]))
        raise ConversionError(
            f"{folder}: the shape of the output {name!r} depends on the data ({found}); a file for a device has fixed "
            "shapes: leave that last step to the program around it"
        )
    return next(iter(shapes))
