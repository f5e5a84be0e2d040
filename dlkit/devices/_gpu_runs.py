"""A file on LiteRT's GPU accelerator, in a child process: it may crash, hang, refuse it, or find no GPU."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlkit.conversion.batches import mapped_batch, read_batch
from dlkit.conversion.child import run_task
from dlkit.errors import ConversionError, ModelFileError
from dlkit.progress import Advance
from dlkit.runtime.adapters import adapter_in, none_found
from dlkit.runtime.arrays import write_npz
from dlkit.runtime.litert_gpu import AcceleratedSession
from dlkit.writing import temporary_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TIME_LIMIT_S = 300.0
"""ResNet-50 takes 11 s an inference on a software GPU."""
REFUSED = re.compile(
    r"^ERROR: Following operations are not supported.*?\n(.*?)^(?:No|\d+) operations will run", re.M | re.S
)
_PREFIX = re.compile(r"^(?:[EF]\d{4} [\d:.]+\s+\d+ \S+\] |ERROR: (?:\[\S+\] )?)(?P<said>\S.*)", re.M)


@dataclasses.dataclass(frozen=True)
class GpuRun:
    """What came of it.

    Attributes:
        outputs: by name, (N, ...) float32 each; None where it did not run.
        adapter: the GPU, see `adapters.found_adapter`; "" where none was asked for yet.
        no_gpu: whether it did not run because there is none.
        refused: operation → why the accelerator does not take it, in its own words.
        failure: what happened, where it did not run; "" if it did.
    """

    outputs: dict[str, NDArray[np.float32]] | None
    adapter: str
    no_gpu: bool = False
    refused: Mapping[str, str] = dataclasses.field(default_factory=dict)
    failure: str = ""


def run_on_gpu(
    file: Path, inputs: Mapping[str, NDArray[Any]], advance: Advance, time_limit_s: float = TIME_LIMIT_S
) -> GpuRun:
    """Run a whole .tflite file there; inputs by name, (N, ...) each.

    Raises:
        DataError: the inputs are not those that the file takes.
        ExtraMissing: ai-edge-litert is not installed.
    """
    with temporary_folder() as folder:
        given, found, log = folder / "inputs.npz", folder / "outputs.npz", folder / "gpu.txt"
        write_npz(given, dict(inputs))
        try:
            run_task("dlkit.devices._gpu_runs:answer", advance, time_limit_s, frameworks=False, tflite=str(file),
                     inputs=str(given), result=str(found), log=str(log))  # fmt: skip
        except (ConversionError, ModelFileError) as error:
            return _failed(log.read_text(errors="replace") if log.exists() else "", error)
        return GpuRun(read_batch(found), adapter_in(log.read_text(errors="replace")))


def answer(tflite: str, inputs: str, result: str, log: str, advance: Advance) -> None:
    """The child's side: outputs as an archive; what native code says goes to `log`, which survives a crash."""
    with Path(log).open("wb") as said:
        os.dup2(said.fileno(), 2)
    write_npz(result, AcceleratedSession(Path(tflite)).run_named(mapped_batch(inputs), advance))


def _failed(log: str, error: Exception) -> GpuRun:
    adapter = adapter_in(log)
    if none_found(log):
        return GpuRun(None, "", no_gpu=True, failure="no GPU was found")
    said = REFUSED.search(log)
    refused: dict[str, str] = {}
    for line in said[1].splitlines() if said else ():
        operation, _, reason = line.partition(": ")
        if reason and reason.strip() not in refused.get(operation, ""):
            refused[operation] = "; ".join(filter(None, (refused.get(operation, ""), reason.strip())))
    return GpuRun(None, adapter, refused=refused, failure=_told(log, error))


def _told(log: str, error: Exception) -> str:
    """One line: how it ended, and the first thing that native code complained of."""
    text = str(error)
    if crashed := re.search(r"crashed \((\w+)\)", text):
        ended = f"it crashes ({crashed[1]})"
    elif late := re.search(r"no result after .*", text):
        ended = late[0]
    else:
        ended = text.partition(": ")[2] or text
    complaint = _PREFIX.search(log)
    return f"{ended}: {complaint['said'].strip()[:200]}" if complaint else ended
