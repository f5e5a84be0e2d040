"""A SavedModel from elsewhere → a SavedModel that takes one sample at a time; runs in a child process.

Keras 3 cannot load one; its serving signature is converted as it is. A SavedModel is a program: before
it is loaded, its graphs are read, and one that touches files or runs Python is refused.
"""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dlkit.conversion.batches import Batch, count_of_samples
from dlkit.conversion.kinds import SAVED_MODEL
from dlkit.errors import ConversionError, ModelFileError
from dlkit.frameworks import tensorflow as tf

SIGNATURE = "serving_default"
RUNS_PYTHON = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}
TOUCHES_FILES = {
    "DeleteOldDirs", "GenerateVocabRemapping", "InitializeTableFromTextFile", "InitializeTableFromTextFileV2",
    "LoadAndRemapMatrix", "MatchingFiles", "MergeV2Checkpoints", "PrintV2", "ReadFile", "Restore", "RestoreSlice",
    "RestoreV2", "Save", "SaveSlices", "SaveV2", "WriteFile",
}  # fmt: skip
TOUCHES_FILES_MARK = re.compile(r"Dataset|Reader|Summary|^Debug|Rpc|FileSystem|ImportEvent|Checkpoint|Filename")
SAVING_ITSELF = {"MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename"}
"""What every SavedModel has for its own variables; loading one does not run it."""
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
    graph = _checked(folder)
    signature = graph.signature_def[SIGNATURE]
    inputs = {name: _end(folder, name, info) for name, info in sorted(signature.inputs.items())}
    return inputs, {name: _output(info) for name, info in sorted(signature.outputs.items())}


def _checked(folder: Path) -> Any:
    """The graph that serves. Raises ModelFileError as `ends_of` does."""
    file = folder / SAVED_MODEL
    saved = message("saved_model_pb2").SavedModel()
    try:
        saved.ParseFromString(file.read_bytes())
    except Exception:  # protobuf's DecodeError, for anything that is not one of its messages
        raise ModelFileError(f"{file}: is not a SavedModel, or cut short") from None
    if not all(graph.HasField("object_graph_def") for graph in saved.meta_graphs):
        raise ModelFileError(
            f"{folder}: was saved by TensorFlow 1, whose SavedModels run code as they are loaded; load it with "
            "tf.compat.v1 where you trust it, and save it again as a tf.Module"
        )
    graphs = [graph for graph in saved.meta_graphs if "serve" in graph.meta_info_def.tags] or list(saved.meta_graphs)
    for graph in saved.meta_graphs:
        for op in _forbidden(graph):
            does = "runs Python code" if op in RUNS_PYTHON else "can read or write files"
            raise ModelFileError(
                f"{folder}: has the operation {op}, which {does}; such a SavedModel is not loaded: export the model "
                "without that part (its preprocessing, most likely)"
            )
    if not graphs or SIGNATURE not in graphs[0].signature_def:
        found = ", ".join(name for name in graphs[0].signature_def if not name.startswith("__")) if graphs else ""
        raise ModelFileError(
            f"{folder}: has no signature called {SIGNATURE!r} ({found or 'it has none'}); in Python, save it again: "
            f"tf.saved_model.save(model, folder, signatures={{'{SIGNATURE}': function}})"
        )
    return graphs[0]


def message(module: str) -> Any:
    """A module of TensorFlow's own messages, by its name."""
    tf.constant  # noqa: B018 - imports it, quietly
    import importlib

    return importlib.import_module(f"tensorflow.core.protobuf.{module}")


def _forbidden(graph: Any) -> Iterator[str]:
    """Operations that touch files or run Python, anywhere but in what saves and restores the variables themselves."""
    functions = {function.signature.name: function.node_def for function in graph.graph_def.library.function}
    served = _reachable(functions, _names_served(graph, functions))
    own = {graph.saver_def.save_tensor_name, graph.saver_def.restore_op_name}
    own = {name.partition(":")[0].lstrip("^") for name in own}
    outside = [node for node in graph.graph_def.node if node.name not in own]
    for node in (*outside, *(node for name in sorted(served) for node in functions[name])):
        if _is_forbidden(node.op):
            yield node.op
    for name in sorted(functions.keys() - served):
        yield from (node.op for node in functions[name] if _is_forbidden(node.op) and node.op not in SAVING_ITSELF)


def _names_served(graph: Any, functions: dict[str, Any]) -> set[str]:
    """Functions that something may call after loading: those of objects, and those of the graph's own nodes."""
    own = {graph.saver_def.save_tensor_name.partition(":")[0], graph.saver_def.restore_op_name}
    objects = set(graph.object_graph_def.concrete_functions)
    called = {name for node in graph.graph_def.node if node.name not in own for name in _called(node)}
    return (objects | called) & functions.keys()


def _reachable(functions: dict[str, Any], names: set[str]) -> set[str]:
    """`names` and all functions they call."""
    found: set[str] = set()
    waiting = collections.deque(names)
    while waiting:
        name = waiting.popleft()
        if name in found or name not in functions:
            continue
        found.add(name)
        waiting.extend(called for node in functions[name] for called in _called(node))
    return found


def _called(node: Any) -> Iterator[str]:
    yield node.op  # a function may be called by its name alone
    for value in node.attr.values():
        if value.func.name:
            yield value.func.name
        yield from (function.name for function in value.list.func)


def _is_forbidden(op: str) -> bool:
    if op.startswith("__inference"):  # a function, whose own operations are looked at
        return False
    return op in RUNS_PYTHON or op in TOUCHES_FILES or TOUCHES_FILES_MARK.search(op) is not None


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
