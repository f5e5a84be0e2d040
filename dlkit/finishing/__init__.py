"""The shelf of finishing steps: what a device needs beside a proven file. A target names them in its TOML."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlkit.progress import Advance, ignore
from dlkit.runtime.preprocessing import Preprocessing
from dlkit.schemes import Scheme
from dlkit.shelf import Shelf, entries_of_modules
from dlkit.targets import Target

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True)
class Finishing:
    """What a step is given.

    Attributes:
        file: the proven .tflite or .onnx file, or the folder of a SavedModel.
        name: of the model.
        task: what the network is for, see `networks.Task`; "" where that is not known.
        labels: class names in the order of the output; empty where the outputs are no classes.
        inputs: input name → from raw values to network input.
        samples: input name → (N, ...), a few raw held-out samples, those that travel in the bundle.
        manifest: what the bundle's manifest says so far: formats of inputs and outputs, picture, forecast, ….
    """

    file: Path
    name: str
    scheme: Scheme
    target: Target
    task: str
    labels: tuple[str, ...]
    inputs: Mapping[str, Preprocessing]
    samples: Mapping[str, NDArray[Any]]
    manifest: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    advance: Advance = ignore


@dataclasses.dataclass(frozen=True)
class Finished:
    """What a step made.

    Attributes:
        files: path in the bundle, with / → content; a step's own are in a folder of its own.
        notes: what a user should know of them, a sentence each.
    """

    files: Mapping[str, bytes]
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Finish:
    """A finishing step.

    Attributes:
        name: as in a target's `finish`.
        summary: one line: what it makes.
        make: raises IllegalCombination, ConversionError and ExtraMissing for what it cannot make.
    """

    name: str
    summary: str
    make: Callable[[Finishing], Finished]


FINISHES: Shelf[Finish] = Shelf(
    "finishing step", lambda: entries_of_modules("dlkit.finishing", Finish, lambda finish: finish.name)
)
