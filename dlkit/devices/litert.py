"""LiteRT on the processor: the runtime by which every file is proven."""

from __future__ import annotations

from pathlib import Path

from dlkit.devices import Runtime
from dlkit.devices.operations import placed, promised
from dlkit.progress import Advance
from dlkit.runtime.inspection import inspect_file
from dlkit.runtime.litert import Session
from dlkit.targets import Target
from dlkit.verdict import Budget, Verdict


def examine(file: Path, target: Target, advance: Advance) -> Verdict:
    """The file read and loaded; what it takes beside is measured by `dlkit bench`."""
    inspection = inspect_file(file)
    placements, blocks = placed(inspection, target, "CPU")
    blocks += promised(inspection, target)
    if not blocks:
        Session(file)
    budget = Budget("flash (the file)", inspection.size, target.flash_bytes or None)
    return Verdict(target.name, "read, and loaded by LiteRT on this machine", placements, (budget,), blocks=blocks)


LITERT = Runtime("litert", "LiteRT with its XNNPACK delegate, on the processor", examine)
