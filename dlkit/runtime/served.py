"""Inference on servers: a SavedModel with TensorFlow, an ONNX file with ONNX Runtime; by name, in batches.

`open_model` chooses by what lies there, so that a bundle of any format runs by the same commands; native code that
reads a file from anywhere does so in a process of its own.
"""

from __future__ import annotations

import abc
import functools
import os
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.errors import DataError, ModelFileError
from dlkit.extras import check_installed, require
from dlkit.filing import bytes_in
from dlkit.noise import native_noise_aside
from dlkit.runtime.dtypes import TensorFormat
from dlkit.runtime.forked import Forked, forked, serve, spawned
from dlkit.runtime.limits import limit_memory
from dlkit.runtime.litert import Session
from dlkit.runtime.local import MOST_THREADS, LocalSession
from dlkit.runtime.named_ends import NamedEnds
from dlkit.runtime.saved_model import SIGNATURE, checked_graph

if TYPE_CHECKING:
    from numpy.typing import NDArray

AT_ONCE = 32
"""Samples in a batch."""
SERVES = "from dlkit.runtime.served import serve_model; serve_model()"
_ONNX_DTYPES = {"tensor(float)": "float32", "tensor(int32)": "int32", "tensor(int64)": "int64", "tensor(bool)": "bool"}


class _Served(NamedEnds):
    """A model with an open batch."""

    _sample: dict[str, NDArray[Any]]

    def run_named(
        self, batch: Mapping[str, NDArray[Any]], advance: Callable[[int, int], None] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        count = self._checked(batch)
        outputs = {name: np.empty((count, *end.shape[1:]), np.float32) for name, end in self.outputs.items()}
        for start in range(0, count, AT_ONCE):
            rows = slice(start, min(start + AT_ONCE, count))
            found = self._answers({name: self.inputs[name].quantize(values[rows]) for name, values in batch.items()})
            for name, values in found.items():
                if values.shape != outputs[name][rows].shape:
                    raise ModelFileError(f"{self._name}: gives {values.shape} as {name!r}, not one answer a sample")
                outputs[name][rows] = values
            if advance:
                advance(rows.stop, count)
        return outputs

    def set_inputs(self, sample: Mapping[str, NDArray[Any]]) -> None:
        self._sample = {name: self.inputs[name].quantize(values)[np.newaxis] for name, values in sample.items()}

    def invoke(self) -> None:
        self._answers(self._sample)

    @abc.abstractmethod
    def _answers(self, batch: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Inputs in the file's dtypes → outputs. Raises ModelFileError if the runtime fails on the file."""


class SavedModelSession(_Served):
    """A loaded SavedModel; its graphs are read first, and one that runs Python or touches files is refused.

    Raises:
        ModelFileError: the folder holds no SavedModel with such a signature, or one that must not be loaded.
        DataError: fewer than 1 or more than 256 threads, or others than TensorFlow has started with.
        ExtraMissing: tensorflow is not installed.
    """

    backend = "TensorFlow"

    def __init__(self, folder: Path, threads: int | None = None, signature: str = SIGNATURE) -> None:
        self._name = str(folder)
        _check_threads(threads)
        graph = checked_graph(folder, signature)
        with native_noise_aside():  # it announces that it finds no GPU
            tf = require("tensorflow")
            if threads is not None:
                _start_with(tf, threads)
            try:
                self._loaded = tf.saved_model.load(str(folder))
            except Exception as error:  # TensorFlow raises what it raises; each is about the folder
                raise _broken(self._name, error) from None
        self._tf, self._serve = tf, self._loaded.signatures[signature]
        told = graph.signature_def[signature]
        self.inputs = {name: _end_format(tf, self._name, name, told.inputs[name]) for name in sorted(told.inputs)}
        self.outputs = {name: _end_format(tf, self._name, name, told.outputs[name]) for name in sorted(told.outputs)}

    def _answers(self, batch: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        try:
            found = self._serve(**{name: self._tf.constant(values) for name, values in batch.items()})
            return {name: values.numpy() for name, values in found.items()}
        except self._tf.errors.OpError as error:
            raise _broken(self._name, error) from None


class OnnxSession(_Served):
    """A loaded ONNX file.

    Raises:
        ModelFileError: the file is missing, is no ONNX model or is broken.
        DataError: fewer than 1 or more than 256 threads.
        ExtraMissing: onnxruntime is not installed.
    """

    backend = "ONNX Runtime"

    def __init__(self, file: Path, threads: int | None = None) -> None:
        self._name = str(file)
        _check_threads(threads)
        onnxruntime = require("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or min(4, os.cpu_count() or 1)
        options.log_severity_level = 4
        try:
            with native_noise_aside():
                self._session = onnxruntime.InferenceSession(str(file), options, providers=_providers(onnxruntime))
        except Exception as error:  # its errors have no common class
            raise _broken(self._name, error) from None
        self.inputs = {end.name: _onnx_format(self._name, end) for end in self._session.get_inputs()}
        self.outputs = {end.name: _onnx_format(self._name, end) for end in self._session.get_outputs()}

    def _answers(self, batch: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        try:
            return dict(zip(self.outputs, self._session.run(list(self.outputs), dict(batch)), strict=True))
        except Exception as error:
            raise _broken(self._name, error) from None


def open_model(model: Path, threads: int | None = None) -> NamedEnds:
    """A session of whatever `model` is, in a process of its own: a .tflite or .onnx file, or a SavedModel's folder."""
    if not model.is_dir() and model.suffix != ".onnx":
        return Session(model, threads)
    _check_threads(threads)
    if (runtime := runtime_of(model)) in sys.modules:  # its threads would not be there in what is forked
        return Forked(str(model), lambda: spawned(SERVES, str(model), str(threads or "")), AT_ONCE)
    check_installed(runtime)
    opened = functools.partial(_opened, model, threads)
    return Forked(str(model), lambda: forked(opened, bytes_in(model), MOST_THREADS), AT_ONCE)


def open_here(model: Path, threads: int | None = None) -> NamedEnds:
    """The same in this process: for one that was started for it, or for a file of our own making."""
    if model.is_dir():
        return SavedModelSession(model, threads)
    if model.suffix == ".onnx":
        return OnnxSession(model, threads)
    return LocalSession(model, min(4, os.cpu_count() or 1) if threads is None else threads)


def runtime_of(model: Path) -> str:
    """The module that runs what `model` is."""
    if model.is_dir():
        return "tensorflow"
    return "onnxruntime" if model.suffix == ".onnx" else "ai_edge_litert.interpreter"


def serve_model() -> None:
    """The program of a process that `open_model` starts anew."""
    model = Path(sys.argv[1])
    threads = int(sys.argv[2]) if sys.argv[2] else None
    limit_memory(bytes_in(model) if model.exists() else 0, MOST_THREADS)
    with socket.socket(fileno=3) as connection:
        serve(connection, functools.partial(_opened, model, threads))


def _opened(model: Path, threads: int | None) -> tuple[NamedEnds, str]:
    session = open_here(model, threads)
    return session, session.backend


def _check_threads(threads: int | None) -> None:
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise DataError(f"{threads} threads; the runtime takes 1 to {MOST_THREADS}")


def _start_with(tf: Any, threads: int) -> None:
    """Raise DataError if TensorFlow has started already, with another number of threads."""
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    except RuntimeError:
        if (had := tf.config.threading.get_intra_op_parallelism_threads()) != threads:
            found = f"{had} threads" if had else "a number of threads of its own"
            raise DataError(f"TensorFlow has started with {found} in this process, and keeps them") from None


def _providers(onnxruntime: Any) -> list[str]:
    """A GPU where this build of the runtime has it, and the CPU for the rest."""
    return [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in
            onnxruntime.get_available_providers()]  # fmt: skip


def _end_format(tf: Any, where: str, name: str, info: Any) -> TensorFormat:
    if info.tensor_shape.unknown_rank:
        raise ModelFileError(f"{where}: the shape of {name!r} is not known")
    shape = tuple(int(dim.size) for dim in info.tensor_shape.dim)[1:]
    return _of_one_sample(where, name, shape, np.dtype(tf.as_dtype(info.dtype).as_numpy_dtype).name)


def _onnx_format(where: str, end: Any) -> TensorFormat:
    if end.type not in _ONNX_DTYPES:
        raise ModelFileError(f"{where}: {end.name!r} is {end.type}; dlkit runs {', '.join(_ONNX_DTYPES)}")
    shape = tuple(size if isinstance(size, int) else -1 for size in end.shape[1:])
    return _of_one_sample(where, end.name, shape, _ONNX_DTYPES[end.type])


def _of_one_sample(where: str, name: str, shape: tuple[int, ...], dtype: str) -> TensorFormat:
    if -1 in shape:
        raise ModelFileError(f"{where}: the shape of {name!r} is open; only the number of samples may be")
    return TensorFormat(name, (1, *shape), dtype, 0.0, 0)


def _broken(name: str, error: Exception) -> ModelFileError:
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return ModelFileError(f"{name}: the runtime refuses this model: {reason[:300]}")
