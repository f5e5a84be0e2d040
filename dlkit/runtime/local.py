"""A .tflite file that LiteRT runs in this very process: for one that has been started for nothing else.

Native code may crash on a file, hang or take any amount of memory; elsewhere a `litert.Session` keeps that apart.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.errors import DataError, ModelFileError
from dlkit.extras import require
from dlkit.filing import first_bytes
from dlkit.noise import native_noise_aside
from dlkit.runtime.dtypes import TensorFormat
from dlkit.runtime.named_ends import NamedEnds

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_THREADS = 256
"""The runtime's native code crashes where the system has no more threads to give."""
LARGEST_END_BYTES = 2**31
"""Of an input or output; the runtime counts its numbers in 32 bits."""
FAST, REFERENCE, PLAIN = "AUTO", "BUILTIN_REF", "BUILTIN_WITHOUT_DEFAULT_DELEGATES"
"""Kernels: XNNPACK's where it has them, those that define what each operation gives, and LiteRT's own."""


class LocalSession(NamedEnds):
    """A loaded .tflite file.

    Attributes:
        inputs, outputs: name → format, in the file's order. Names are those of its signature; where it
            has none, those of its tensors.
        backend: "XNNPACK" if that took any operation over, else "LiteRT", whose own kernels then run.

    Raises:
        ModelFileError: the file is missing, is no .tflite file, is broken, or takes other than one sample at a time.
        DataError: fewer than 1 or more than 256 threads.
        ExtraMissing: ai-edge-litert is not installed.
    """

    def __init__(self, model: Path | bytes, threads: int, kernels: str = FAST, *, ready: bool = True) -> None:
        """`kernels`: `FAST`, `REFERENCE` or `PLAIN`; with `ready` off it tells its formats alone, and is not set up."""
        self._name = name_of(model)
        check_file(model, threads)
        interpreter = require("ai_edge_litert.interpreter")
        try:
            with native_noise_aside():  # it announces its delegate
                self._interpreter = interpreter.Interpreter(
                    **_source(model),
                    num_threads=threads,
                    experimental_op_resolver_type=interpreter.OpResolverType[kernels],
                )
                if ready:
                    self._interpreter.allocate_tensors()
            inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
            given, computed = _signature_names(self._interpreter)
            self.backend = self._told_backend() if ready else ""
            self._places = _by_name(inputs, given), _by_name(outputs, computed)
            self.inputs, self.outputs = ({key: _format(end) for key, end in ends.items()} for ends in self._places)
        except Exception as error:  # its bindings raise what they raise; each is about the file
            raise _refused(self._name, error) from None
        _check_ends(self._name, self.inputs, self.outputs)

    def _told_backend(self) -> str:
        # A delegate's part is listed among the operations; LiteRT has no other way to ask.
        operations = self._interpreter._get_ops_details()
        return "XNNPACK" if any(operation["op_name"] == "DELEGATE" for operation in operations) else "LiteRT"

    def run_named(
        self, batch: Mapping[str, NDArray[Any]], advance: Callable[[int, int], None] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Network inputs by name, (N, *shape) each → outputs by name, (N, *shape) float32; one inference per sample.

        Variable tensors are reset before each: a fused LSTM would otherwise begin where the
        sample before it ended. Raises DataError for another name, shape or number of samples, for NaN, infinity,
        or a fraction where the file takes whole numbers; ModelFileError if the runtime fails on the file.
        """
        count = self._checked(batch)
        outputs = {name: np.empty((count, *end.shape[1:]), np.float32) for name, end in self.outputs.items()}
        for row in range(count):
            with self._about_the_file():
                self._interpreter.reset_all_variables()
            self.set_inputs({name: samples[row] for name, samples in batch.items()})
            self.invoke()
            if advance:
                advance(row + 1, count)
            with self._about_the_file():
                for name, end in self.outputs.items():
                    outputs[name][row] = end.dequantize(self._interpreter.get_tensor(self._places[1][name]["index"]))[0]
        return outputs

    def set_inputs(self, sample: Mapping[str, NDArray[Any]]) -> None:
        """Put one sample, (*shape) for each input, into the model's inputs."""
        with self._about_the_file():
            for name, values in sample.items():
                stored = self.inputs[name].quantize(values)[np.newaxis]
                self._interpreter.set_tensor(self._places[0][name]["index"], stored)

    def invoke(self) -> None:
        """One inference on whatever the input holds; for timing."""
        with self._about_the_file():
            self._interpreter.invoke()

    @contextlib.contextmanager
    def _about_the_file(self) -> Iterator[None]:
        """What the runtime's bindings raise in the block says something of the file."""
        try:
            yield
        except Exception as error:
            raise _refused(self._name, error) from None


def check_file(model: Path | bytes, threads: int) -> None:
    """Raise ModelFileError for what is plainly no .tflite file, and DataError for a number of threads that cannot be.

    Neither may reach native code.
    """
    _check_mark(model, name_of(model))
    if not 1 <= threads <= MOST_THREADS:
        raise DataError(f"{threads} threads; the runtime takes 1 to {MOST_THREADS}")


def name_of(model: Path | bytes) -> str:
    """What a model is called in messages."""
    return str(model) if isinstance(model, Path) else "the model"


def _check_ends(name: str, inputs: dict[str, TensorFormat], outputs: dict[str, TensorFormat]) -> None:
    """Raise ModelFileError unless a sample at a time goes in and comes out, of a size that can be."""
    for end in (*inputs.values(), *outputs.values()):
        if min(end.shape, default=0) < 0 or math.prod(end.shape) * np.dtype(end.dtype).itemsize > LARGEST_END_BYTES:
            raise ModelFileError(f"{name}: {end.name!r} has the shape {end.shape}, which no runtime computes")
    if any(end.shape[:1] != (1,) for end in (*inputs.values(), *outputs.values())):
        found = " → ".join(", ".join(str(e.shape) for e in ends.values()) for ends in (inputs, outputs))
        raise ModelFileError(f"{name}: computes {found}; only files that take one sample at a time can be run")


def _signature_names(interpreter: Any) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    """Tensor number → its names in the first signature, of inputs and of outputs."""
    signatures = interpreter.get_signature_list()
    if not signatures:
        return {}, {}
    runner = interpreter.get_signature_runner(next(iter(signatures)))
    named = []
    for details in (runner.get_input_details(), runner.get_output_details()):
        names: dict[int, list[str]] = {}
        for name, end in details.items():
            names.setdefault(int(end["index"]), []).append(name)
        named.append(names)
    return named[0], named[1]


def _by_name(ends: list[dict[str, Any]], names: dict[int, list[str]]) -> dict[str, dict[str, Any]]:
    """The interpreter's details of each input or output, under a name that no other has."""
    found: dict[str, dict[str, Any]] = {}
    for position, end in enumerate(ends):
        known = names.get(int(end["index"]), [])
        name = known.pop(0) if known else end["name"].removeprefix("serving_default_").partition(":")[0]
        found[name if name and name not in found else f"{name}_{position}"] = end
    return found


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
            content = first_bytes(model, 8)
        except OSError as error:
            raise ModelFileError(f"{name}: cannot be read: {error.strerror}") from None
    if content[4:8] != b"TFL3":
        raise ModelFileError(f"{name}: is not a .tflite file (the mark 'TFL3' is missing)")


def _format(details: dict[str, Any]) -> TensorFormat:
    scale, zero_point = details["quantization"]
    shape = tuple(int(n) for n in details["shape"])
    return TensorFormat(details["name"], shape, np.dtype(details["dtype"]).name, float(scale), int(zero_point))
