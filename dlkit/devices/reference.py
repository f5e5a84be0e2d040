"""LiteRT's reference kernels, which say what an integer file computes: a device is held against them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlkit.conversion.batches import mapped_batch, read_batch
from dlkit.conversion.child import run_task
from dlkit.progress import Advance
from dlkit.runtime.arrays import write_npz
from dlkit.runtime.local import FAST, REFERENCE, LocalSession
from dlkit.runtime.output_steps import steps_of
from dlkit.writing import temporary_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def reference_answers(
    file: Path, inputs: Mapping[str, NDArray[Any]], advance: Advance, *, fast: bool = False
) -> dict[str, NDArray[np.float32]]:
    """What a .tflite file computes by definition, from a child process: as `Session.run_named` has it.

    An integer file is run by the reference kernels, a float one by the fast ones: sums differ in their order alone.

    Args:
        fast: run an integer file by the fast kernels too.

    Raises:
        ModelFileError: it is no .tflite file, or the runtime refuses it.
        ConversionError: the runtime crashes on it.
    """
    with temporary_folder() as folder:
        given, found = folder / "inputs.npz", folder / "outputs.npz"
        write_npz(given, dict(inputs))
        run_task("dlkit.devices.reference:answer", advance, frameworks=False, tflite=str(file), inputs=str(given),
                 result=str(found), kernels="fast" if fast else "reference")  # fmt: skip
        return read_batch(found)


def answer(tflite: str, inputs: str, result: str, kernels: str, advance: Advance) -> None:
    """The child's side: outputs as an archive."""
    content = Path(tflite).read_bytes()
    session = LocalSession(content, 1, REFERENCE if kernels == "reference" and steps_of(content) else FAST)
    write_npz(result, session.run_named(mapped_batch(inputs), advance))
