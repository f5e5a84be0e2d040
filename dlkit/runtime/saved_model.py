"""What a SavedModel is made of, read before anything of it is loaded: it is a program, and comes from strangers.

One that touches files or runs Python is refused.
"""

from __future__ import annotations

import collections
import importlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dlkit.errors import ModelFileError
from dlkit.extras import require
from dlkit.filing import read_file
from dlkit.noise import native_noise_aside

SAVED_MODEL = "saved_model.pb"
"""The file that makes a folder one."""
LARGEST_GRAPH_BYTES = 2**31 - 1
"""What the format of protobuf takes."""
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


def checked_graph(folder: Path, signature: str = SIGNATURE) -> Any:
    """The graph that serves, read without loading it.

    Raises:
        ModelFileError: the folder holds no SavedModel with such a signature, or one that runs Python or
            touches files.
    """
    file = folder / SAVED_MODEL
    _check_files(folder)
    saved = message("saved_model_pb2").SavedModel()
    try:
        saved.ParseFromString(read_file(file, LARGEST_GRAPH_BYTES))
    except OSError as error:
        raise ModelFileError(f"{file}: cannot be read: {error.strerror}") from None
    except Exception:  # protobuf's DecodeError, for anything that is not one of its messages
        raise ModelFileError(f"{file}: is not a SavedModel, or cut short") from None
    if not all(graph.HasField("object_graph_def") for graph in saved.meta_graphs):
        raise ModelFileError(
            f"{folder}: was saved by TensorFlow 1, whose SavedModels run code as they are loaded; load it with "
            "tf.compat.v1 where you trust it, and save it again as a tf.Module"
        )
    graphs = [graph for graph in saved.meta_graphs if "serve" in graph.meta_info_def.tags] or list(saved.meta_graphs)
    for graph in saved.meta_graphs:
        for asset in graph.asset_file_def:
            if Path(asset.filename).is_absolute() or ".." in Path(asset.filename).parts:
                raise ModelFileError(f"{folder}: has an asset called {asset.filename!r}, which lies outside of it")
        for op in _forbidden(graph):
            does = "runs Python code" if op in RUNS_PYTHON else "can read or write files"
            raise ModelFileError(
                f"{folder}: has the operation {op}, which {does}; such a SavedModel is not loaded: export the model "
                "without that part (its preprocessing, most likely)"
            )
    if not graphs or signature not in graphs[0].signature_def:
        found = ", ".join(name for name in graphs[0].signature_def if not name.startswith("__")) if graphs else ""
        raise ModelFileError(
            f"{folder}: has no signature called {signature!r} ({found or 'it has none'}); in Python, save it again: "
            f"tf.saved_model.save(model, folder, signatures={{'{signature}': function}})"
        )
    return graphs[0]


def _check_files(folder: Path) -> None:
    """Raise ModelFileError for what is no file: TensorFlow would wait for a pipe for ever."""
    for path in folder.rglob("*"):
        if not path.is_file() and not path.is_dir():
            raise ModelFileError(f"{path}: is no file; copy the SavedModel as tf.saved_model.save wrote it")


def message(module: str) -> Any:
    """A module of TensorFlow's own messages, by its name."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with native_noise_aside():
        require("tensorflow")
        return importlib.import_module(f"tensorflow.core.protobuf.{module}")


def served_nodes(graph: Any, signature: str = SIGNATURE) -> Iterator[Any]:
    """Every node that a signature's answers depend on: those of the graph, and those of the functions it calls."""
    nodes = {node.name: node for node in graph.graph_def.node}
    functions = {function.signature.name: function.node_def for function in graph.graph_def.library.function}
    waiting = [info.name for info in graph.signature_def[signature].outputs.values()]
    needed: dict[str, Any] = {}
    while waiting:
        name = waiting.pop().lstrip("^").partition(":")[0]
        if name not in needed and name in nodes:
            needed[name] = nodes[name]
            waiting.extend(nodes[name].input)
    yield from needed.values()
    called = {name for node in needed.values() for name in _called(node)}
    for name in sorted(_reachable(functions, called)):
        yield from functions[name]


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
