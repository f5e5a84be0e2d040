"""The shelf of runtimes: what executes a file on a kind of device, and how that is tried on this machine.

One file per runtime; a target names it in its TOML.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dlkit.errors import RecipeError
from dlkit.progress import Advance
from dlkit.schemes import SCHEMES
from dlkit.shelf import Shelf, entries_of_modules
from dlkit.targets import Target, read_target
from dlkit.verdict import Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

Examine = Callable[[Path, Target, Advance], Verdict]
Answers = Callable[[Path, "Mapping[str, NDArray[np.float32]]", Target, Advance], "dict[str, NDArray[np.float32]]"]

if TYPE_CHECKING:
    import numpy as np


def no_tools() -> None:
    """For what needs none beside dlkit's own requirements."""


@dataclasses.dataclass(frozen=True)
class Runtime:
    """What executes a file on a kind of device.

    Attributes:
        name: as a target's `runtime` says it.
        summary: one line.
        examine: (file, target, advance) → the verdict on any .tflite file, dlkit's own or not. Raises ModelFileError
            for what is none, ExtraMissing without the tool that it asks, ConversionError where that fails.
        answers: (file, network inputs by name, (N, ...) float32 each, target, advance) → outputs by name, (N, ...)
            float32: run in the runtime itself, in a child process; inputs and outputs are called and quantized as
            `runtime.litert.Session` does. Raises as `examine` does. None where nothing here can run it, or
            where it was proven by that very runtime.
        steps: of an 8-bit output, how many it may be from LiteRT's reference kernels.
        gap: how far a float output may be from LiteRT's, in units of the largest of them.
        fast_kernels: whether integers are computed there by LiteRT's fast kernels, XNNPACK's: it is held against those
            of this processor then, which themselves may be some steps from the reference kernels.
        require_tools: raises ExtraMissing, with what to type, where what stands for the device is not here; asked
            before anything is trained or converted for it.
        only_examined: whether a verdict without a run is all that there is of a proof for it here.
        of_folders: whether its files are folders, as a SavedModel is.
    """

    name: str
    summary: str
    examine: Examine
    answers: Answers | None = None
    steps: float = 1.0
    gap: float = 1e-5
    only_examined: bool = False
    fast_kernels: bool = False
    require_tools: Callable[[], None] = no_tools
    of_folders: bool = False


RUNTIMES: Shelf[Runtime] = Shelf(
    "runtime", lambda: entries_of_modules("dlkit.devices", Runtime, lambda runtime: runtime.name)
)


def known_target(name: str) -> Target:
    """`targets.read_target`, of whose runtime and schemes something is known.

    Raises:
        UnknownName: there is no such target, or no such runtime or scheme as it names.
        RecipeError: its file cannot be read as a target.
    """
    target = read_target(name)
    runtime = RUNTIMES[target.runtime]
    for scheme in target.schemes:
        if SCHEMES[scheme].format == "tflite" and runtime.of_folders:
            raise RecipeError(f"{name}: schemes = {list(target.schemes)}: {runtime.name} runs no {scheme} files")
    return target
