"""LiteRT.js, the runtime of browsers: really loaded and run in Chromium without a window, where that can be had."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dlkit.devices import Runtime
from dlkit.devices.operations import placed, promised
from dlkit.errors import ConversionError, ExtraMissing
from dlkit.progress import Advance
from dlkit.runtime.inspection import inspect_file
from dlkit.runtime.litert import Session
from dlkit.targets import Target
from dlkit.verdict import Budget, Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dlkit.runtime.inspection import Inspection

TAKEN = ("float32", "int32")
"""Number formats of inputs and outputs that the page can give and read."""


def examine(file: Path, target: Target, advance: Advance) -> Verdict:
    """The file read, and run once in Chromium on zeros; where there is no Chromium or no LiteRT.js, read alone."""
    inspection = inspect_file(file)
    placements, blocks = placed(inspection, target, "CPU")
    blocks += promised(inspection, target) + _formats(inspection)
    how, tried, notes = _tried(file) if not blocks else ("read; not run, as it cannot run", blocks, ())
    budget = Budget("download", inspection.size, target.flash_bytes or None)
    return Verdict(target.name, how, placements, (budget,), blocks=tried, notes=notes)


def _formats(inspection: Inspection) -> tuple[str, ...]:
    """A sentence for each input and output that LiteRT.js does not take."""
    return tuple(
        f"{kind} {end.name!r} is {end.dtype}, but LiteRT.js takes {' and '.join(TAKEN)}; "
        "export with --scheme int8_float_io"
        for kind, ends in (("input", inspection.inputs), ("output", inspection.outputs))
        for end in ends
        if end.dtype not in TAKEN
    )


def _tried(file: Path) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """How the file was tried in a browser, what stands in the way, and what else to know."""
    from dlkit.web.packages import VERSION
    from dlkit.web.running import run_in_browser

    zeros = {name: np.zeros((1, *end.shape[1:]), np.float32) for name, end in Session(file).inputs.items()}
    try:
        run_in_browser(file, zeros)
    except ExtraMissing as error:
        return "static check, nothing was run", (), (str(error),)
    except ConversionError as error:
        return f"run by LiteRT.js {VERSION} in Chromium", (str(error),), ()
    return f"run by LiteRT.js {VERSION} (WebAssembly) in Chromium", (), ()


def answers(
    file: Path, inputs: Mapping[str, NDArray[np.float32]], target: Target, advance: Advance
) -> dict[str, NDArray[np.float32]]:
    """What LiteRT.js computes with WebAssembly, from a Chromium of its own with a time limit."""
    from dlkit.web.running import run_in_browser

    return run_in_browser(file, inputs)


def require_tools() -> None:
    """Raise ExtraMissing unless there are a Chromium and LiteRT.js."""
    from dlkit.web.chromium import find_chromium
    from dlkit.web.packages import litert_js

    find_chromium()
    litert_js()


LITERT_JS = Runtime(
    "litert_js", "LiteRT.js (WebAssembly) in Chromium", examine, answers, fast_kernels=True, require_tools=require_tools
)
