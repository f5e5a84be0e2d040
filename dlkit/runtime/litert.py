"""On-device inference with LiteRT: one file, one input, one output, real numbers in and out."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.errors import DataError, ModelFileError
from dlkit.extras import require
from dlkit.noise import native_noise_aside
from dlkit.runtime.dtypes import TensorFormat

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_THREADS = 256
"""The runtime's native code crashes where the system has no more threads to give."""


class Session:
    """A loaded .tflite file.

    Attributes:
        input, output: formats of its one input and its one output.

    Raises:
        ModelFileError: the file is missing, is no .tflite file, is broken, or has several inputs or outputs.
        DataError: fewer than 1 or more than 256 threads.
        ExtraMissing: ai-edge-litert is not installed.
    """

    def __init__(self, model: Path | bytes, threads: int | None = None) -> None:
        name = str(model) if isinstance(model, Path) else "the model"
        _check_mark(model, name)
        interpreter_class = require("ai_edge_litert.interpreter").Interpreter
        threads = min(4, os.cpu_count() or 1) if threads is None else threads
        if not 1 <= threads <= MOST_THREADS:
            raise DataError(f"{threads} threads; the runtime takes 1 to {MOST_THREADS}")
        try:
            with native_noise_aside():  # it announces its delegate
                self._interpreter = interpreter_class(**_source(model), num_threads=threads)
                self._interpreter.allocate_tensors()
            inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        except (ValueError, RuntimeError) as error:
            raise _refused(name, error) from None
        if len(inputs) != 1 or len(outputs) != 1:
            raise ModelFileError(f"{name}: has {len(inputs)} inputs and {len(outputs)} outputs; one of each can be run")
        self._name, self._input_index, self._output_index = name, inputs[0]["index"], outputs[0]["index"]
        self.input, self.output = _format(inputs[0]), _format(outputs[0])
        if self.input.shape[:1] != (1,) or self.output.shape[:1] != (1,):
            found = f"{self.input.shape} → {self.output.shape}"
            raise ModelFileError(f"{name}: computes {found}; only files that take one sample at a time can be run")

    def run(self, batch: NDArray[np.float32], advance: Callable[[int, int], None] | None = None) -> NDArray[np.float32]:
        """Network input (N, *shape) float32 → output (N, *shape) float32, one inference per sample.

        Variable tensors are reset before each: a fused LSTM would otherwise begin where the
        sample before it ended. Raises DataError for another shape, NaN or infinity, ModelFileError
        if the runtime fails on the file.
        """
        wanted = self.input.shape[1:]
        if batch.shape[1:] != wanted:
            raise DataError(f"input of shape {batch.shape[1:]}, but the model takes {wanted}")
        if not np.isfinite(batch).all():
            raise DataError("input with NaN or infinite values")
        outputs = np.empty((len(batch), *self.output.shape[1:]), np.float32)
        for row, sample in enumerate(batch):
            self._interpreter.reset_all_variables()
            self.set_input(sample)
            self.invoke()
            if advance:
                advance(row + 1, len(batch))
            outputs[row] = self.output.dequantize(self._interpreter.get_tensor(self._output_index))[0]
        return outputs

    def set_input(self, sample: NDArray[np.float32]) -> None:
        """Put one sample (*shape) float32 into the model's input."""
        self._interpreter.set_tensor(self._input_index, self.input.quantize(sample)[np.newaxis])

    def invoke(self) -> None:
        """One inference on whatever the input holds; for timing."""
        try:
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise _refused(self._name, error) from None


def _refused(name: str, error: Exception) -> ModelFileError:
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return ModelFileError(f"{name}: the runtime refuses this file: {reason}")


def _source(model: Path | bytes) -> dict[str, Any]:
    """A file by its name, so that it is mapped and not read; by its content where its name is no Unicode."""
    if isinstance(model, bytes):
        return {"model_content": model}
    try:
        str(model).encode()
    except UnicodeEncodeError:
        return {"model_content": model.read_bytes()}
    return {"model_path": str(model)}


def _check_mark(model: Path | bytes, name: str) -> None:
    """Raise ModelFileError for what is plainly no .tflite file: it must not reach native code."""
    if isinstance(model, bytes):
        content = model
    else:
        try:
            with model.open("rb") as file:
                content = file.read(8)
        except OSError as error:
            raise ModelFileError(f"{name}: cannot be read: {error.strerror}") from None
    if content[4:8] != b"TFL3":
        raise ModelFileError(f"{name}: is not a .tflite file (the mark 'TFL3' is missing)")


def _format(details: dict[str, Any]) -> TensorFormat:
    scale, zero_point = details["quantization"]
    shape = tuple(int(n) for n in details["shape"])
    return TensorFormat(details["name"], shape, np.dtype(details["dtype"]).name, float(scale), int(zero_point))
