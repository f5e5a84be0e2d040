"""Inference on a GPU: LiteRT's accelerator for them, which computes in floating point whatever the file stores.

Its native code crashes on some files and says why it refuses others on descriptor 2: to be used in a process of its
own. Nothing falls back to the processor here: a file runs on the GPU as a whole, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.errors import ModelFileError
from dlkit.extras import require
from dlkit.runtime.dtypes import TensorFormat
from dlkit.runtime.litert import formats_of
from dlkit.runtime.named_ends import NamedEnds

if TYPE_CHECKING:
    from numpy.typing import NDArray

RUNTIME = "ai_edge_litert.compiled_model"
TAKEN = frozenset({"bool", "float16", "float32", "int32", "int8", "uint8"})
"""Types of inputs and outputs that its buffers have."""


class AcceleratedSession(NamedEnds):
    """A .tflite file that was compiled for the GPU.

    Attributes:
        inputs, outputs: as `litert.Session` has them.

    Raises:
        ModelFileError: the file is none that the runtime takes, or the accelerator refuses it.
        ExtraMissing: ai-edge-litert is not installed.
    """

    backend = "GPU"

    def __init__(self, model: Path) -> None:
        self._name = str(model)
        self.inputs, self.outputs = formats_of(model)
        for name, end in (self.inputs | self.outputs).items():
            if end.dtype not in TAKEN:
                raise ModelFileError(
                    f"{model}: {name!r} is {end.dtype}, which the GPU accelerator neither takes nor gives"
                )
        try:
            self._compiled = _compiled(model)
            self._given = _buffers(self._compiled, "inputs", list(self.inputs))
            self._computed = _buffers(self._compiled, "outputs", list(self.outputs))
        except (RuntimeError, ValueError) as error:
            raise ModelFileError(f"{model}: the GPU accelerator refuses this file: {_last_line(error)}") from None
        if not self._compiled.is_fully_accelerated():
            raise ModelFileError(f"{model}: the GPU accelerator takes only a part of this file")

    def run_named(
        self, batch: Mapping[str, NDArray[Any]], advance: Callable[[int, int], None] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """As `litert.Session.run_named`; one inference per sample."""
        count = self._checked(batch)
        outputs = {name: np.empty((count, *end.shape[1:]), np.float32) for name, end in self.outputs.items()}
        for row in range(count):
            self.set_inputs({name: samples[row] for name, samples in batch.items()})
            for name, stored in self._run().items():
                outputs[name][row] = self.outputs[name].dequantize(stored)
            if advance:
                advance(row + 1, count)
        return outputs

    def set_inputs(self, sample: Mapping[str, NDArray[Any]]) -> None:
        """Put one sample, (*shape) for each input, into the model's inputs."""
        for name, values in sample.items():
            self._given[name].write(self.inputs[name].quantize(values))

    def invoke(self) -> None:
        """One inference on whatever the input holds, with its outputs back in memory; for timing."""
        self._run()

    def _run(self) -> dict[str, NDArray[Any]]:
        """Outputs as the file stores them, (*shape) each; reading them is what waits for the GPU."""
        try:
            self._compiled.run_by_index(0, list(self._given.values()), list(self._computed.values()))
            return {name: self._read(name, self.outputs[name]) for name in self._computed}
        except (RuntimeError, ValueError) as error:
            raise ModelFileError(f"{self._name}: the GPU accelerator fails on this file: {_last_line(error)}") from None

    def _read(self, name: str, end: TensorFormat) -> NDArray[Any]:
        shape = end.shape[1:]
        return np.asarray(self._computed[name].read(int(np.prod(shape)), np.dtype(end.dtype))).reshape(shape)


def _compiled(model: Path) -> Any:
    """For the GPU alone, in 32-bit arithmetic: 16 bits are the accelerator's own choice where a GPU has them."""
    compiled_model = require(RUNTIME)
    options = compiled_model.Options(
        hardware_accelerators=compiled_model.HardwareAccelerator.GPU,
        gpu_options=compiled_model.GpuOptions(enforce_f32=True),
    )
    return compiled_model.CompiledModel.from_file(str(model), options=options)


def _buffers(compiled: Any, kind: str, names: list[str]) -> dict[str, Any]:
    """A buffer for each input or output, in the order that the compiled file takes them in; by our `names`.

    Theirs are those of the signature; where the file has none they are those of its tensors, in its order.
    """
    theirs = next(iter(compiled.get_signature_list().values()))[kind]
    made = compiled.create_input_buffers(0) if kind == "inputs" else compiled.create_output_buffers(0)
    if len(made) != len(names):
        raise ValueError(f"it has {len(made)} {kind}, the file {len(names)}")
    return dict(zip(theirs if set(theirs) == set(names) else names, made, strict=True))


def _last_line(error: Exception) -> str:
    lines = [line.strip(" └") for line in str(error).splitlines() if line.strip(" └")]
    return lines[-1] if lines else type(error).__name__
