"""TensorFlow Lite Micro: its own runtime, built for this machine, stands for the microcontroller.

What it computes is what it computes there, with the plain kernels: bit for bit as LiteRT's reference kernels for
convolutions and pooling; fully connected layers and LSTMs round once more, and may be a step away.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.conversion.arena import arena_bytes
from dlkit.conversion.batches import mapped_batch, read_batch
from dlkit.conversion.child import run_task
from dlkit.devices import Runtime
from dlkit.devices._tflm_operations import OPERATIONS
from dlkit.devices.operations import placed, promised
from dlkit.digest import sha256_of
from dlkit.errors import ConversionError, IllegalCombination
from dlkit.extras import check_installed, require
from dlkit.progress import Advance, ignore
from dlkit.runtime.arrays import write_npz
from dlkit.runtime.inspection import inspect_file
from dlkit.runtime.local import LocalSession
from dlkit.runtime.named_ends import NamedEnds
from dlkit.targets import Target
from dlkit.verdict import Budget, Verdict
from dlkit.writing import temporary_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

MARGIN = 8
"""An eighth is added to the arena that was measured: kernels of a processor's own may want memory to work in."""
ROUND_BYTES = 1024
LARGE_ARENA = 2**30
TIME_LIMIT_S = 600.0


def examine(file: Path, target: Target, advance: Advance) -> Verdict:
    """Operations that the runtime lacks are named; of the others the arena is measured, and held against the RAM."""
    inspection = inspect_file(file)
    known = target if target.operations else dataclasses.replace(target, operations=OPERATIONS)
    placements, blocks = placed(inspection, known, "CPU")
    blocks += promised(inspection, target)
    flash = Budget("flash (the file)", inspection.size, target.flash_bytes or None)
    if blocks:
        how = "operations held against those of TensorFlow Lite Micro; it was not run"
        return Verdict(target.name, how, placements, (flash,), blocks=blocks)
    try:
        ram = Budget("RAM (arena)", recommended_arena(file, advance), target.ram_bytes or None)
    except (IllegalCombination, ConversionError) as error:
        return Verdict(target.name, _how(), placements, (flash,), blocks=(str(error),))
    notes = (
        f"the arena is that of a 64-bit machine with an eighth added; {target.name} has shorter pointers, and its own "
        "kernels may want more to work in. The code of the runtime comes on top of the flash",
    )
    return Verdict(target.name, _how(), placements, (flash, ram), notes=notes)


def _how() -> str:
    return f"run by TensorFlow Lite Micro {version('tflite-micro')} on this machine"


def recommended_arena(file: Path, advance: Advance = ignore) -> int:
    """Bytes of the arena that a file needs, with a margin, in whole KiB. Raises as `arena_bytes` does."""
    check_installed("tflite_micro")
    least = _arena(sha256_of(file), file, advance)
    return -(-least * (MARGIN + 1) // MARGIN // ROUND_BYTES) * ROUND_BYTES


@functools.lru_cache(maxsize=32)
def _measured(digest: str) -> list[int]:
    """What is known of a file's arena: nothing at first, then one number."""
    return []


def _arena(digest: str, file: Path, advance: Advance) -> int:
    known = _measured(digest)
    if not known:
        known.append(arena_bytes(file, advance))
    return known[0]


def answers(
    file: Path, inputs: Mapping[str, NDArray[np.float32]], target: Target, advance: Advance
) -> dict[str, NDArray[np.float32]]:
    """What the runtime computes, in a child process. Raises ExtraMissing, ModelFileError, ConversionError."""
    check_installed("tflite_micro")
    with temporary_folder() as folder:
        given, found = folder / "inputs.npz", folder / "outputs.npz"
        write_npz(given, dict(inputs))
        run_task(
            "dlkit.devices.tflm:answer",
            advance,
            TIME_LIMIT_S,
            frameworks=False,
            tflite=str(file),
            inputs=str(given),
            result=str(found),
        )
        return read_batch(found)


def answer(tflite: str, inputs: str, result: str, advance: Advance) -> None:
    """The child's side: outputs as an archive."""
    write_npz(result, TflmSession(Path(tflite).read_bytes()).run_named(mapped_batch(inputs), advance))


class TflmSession(NamedEnds):
    """A .tflite file loaded by TensorFlow Lite Micro, in an arena that is large enough for any.

    It may crash on a file that it does not support, or run a loop for ever: in a child process alone.
    """

    def __init__(self, content: bytes) -> None:
        ends = LocalSession(content, 1)
        self._name, self.inputs, self.outputs = "the model", ends.inputs, ends.outputs
        runtime = require("tflite_micro.python.tflite_micro.runtime")
        self._interpreter: Any = runtime.Interpreter.from_bytes(content, arena_size=LARGE_ARENA)

    def run_named(
        self, batch: Mapping[str, NDArray[Any]], advance: Callable[[int, int], None] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        count = self._checked(batch)
        outputs = {name: np.empty((count, *end.shape[1:]), np.float32) for name, end in self.outputs.items()}
        for row in range(count):
            self._interpreter.reset()  # variables of a fused LSTM
            self.set_inputs({name: samples[row] for name, samples in batch.items()})
            self.invoke()
            if advance:
                advance(row + 1, count)
            for place, (name, end) in enumerate(self.outputs.items()):
                outputs[name][row] = end.dequantize(self._interpreter.get_output(place))[0]
        return outputs

    def set_inputs(self, sample: Mapping[str, NDArray[Any]]) -> None:
        for place, (name, end) in enumerate(self.inputs.items()):
            self._interpreter.set_input(end.quantize(sample[name])[np.newaxis], place)

    def invoke(self) -> None:
        self._interpreter.invoke()


def require_tools() -> None:
    """Raise ExtraMissing unless the runtime is installed."""
    check_installed("tflite_micro")


TFLM = Runtime("tflm", "TensorFlow Lite Micro", examine, answers, require_tools=require_tools)
