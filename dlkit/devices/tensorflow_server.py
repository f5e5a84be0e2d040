"""A model server, as far as this machine has it: a process of its own that loads the model anew and knows nothing else.

TensorFlow loads a SavedModel there as TensorFlow Serving does, ONNX Runtime an ONNX file as Triton does. Where OpenVINO
is installed it reads the model too: a reader that shares no code with the one that wrote it.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.conversion.batches import read_batch
from dlkit.conversion.child import run_task
from dlkit.devices import Runtime
from dlkit.devices.second_reader import is_installed, second_answers
from dlkit.devices.served_graphs import read_served
from dlkit.errors import ConversionError, EndedBySystem, ModelFileError
from dlkit.filing import bytes_in
from dlkit.progress import Advance
from dlkit.runtime.arrays import write_npz
from dlkit.runtime.named_ends import NamedEnds
from dlkit.runtime.served import open_here
from dlkit.targets import Target
from dlkit.verdict import Budget, Figure, Placement, Verdict
from dlkit.writing import temporary_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

TIME_LIMIT_S = 600.0
PROBES, SEED = 3, 0
"""Samples of noise by which readers are compared."""
APART = {"float32": 1e-4, "float16": 1e-1, "bfloat16": 1.0}
"""How far two readers may be apart, in units of the largest output: sums are in another order, and OpenVINO keeps in
single precision what is stored in a shorter one. In bfloat16 that is told, and nothing refused for it."""


def examine(file: Path, target: Target, advance: Advance) -> Verdict:
    """Read, loaded and run there: with an open batch, each sample apart from the others; and by OpenVINO, if here."""
    with temporary_folder() as folder:
        places = {name: folder / name for name in ("told.json", "inputs.npz", "outputs.npz")}
        told, inputs, outputs = places.values()
        run_task("dlkit.devices.tensorflow_server:look", advance, TIME_LIMIT_S, frameworks=False, model=str(file),
                 told=str(told), inputs=str(inputs), outputs=str(outputs))  # fmt: skip
        facts = json.loads(told.read_text(encoding="utf-8"))
        blocks, notes = tuple(facts["blocks"]), tuple(facts["notes"])
        figures: tuple[Figure, ...] = ()
        if not blocks:
            figures, apart, further = _second(file, inputs, read_batch(outputs), facts["computes_in"])
            blocks, notes = blocks + apart, notes + further
    placements = tuple(Placement(*row) for row in facts["operations"])
    ends = f"{_listed(facts['inputs'])} → {_listed(facts['outputs'])}"
    how = f"loaded by {facts['reader']} in a process of its own: {ends}"
    blocks += tuple(f"{p.count} {p.operation}: {p.reason}" for p in placements if not p.place)
    return Verdict(target.name, how, placements, (Budget("size", bytes_in(file)),), figures, blocks, notes)


def answers(
    file: Path, inputs: Mapping[str, NDArray[np.float32]], target: Target, advance: Advance
) -> dict[str, NDArray[np.float32]]:
    """What it answers there, in batches."""
    with temporary_folder() as folder:
        given, found = folder / "inputs.npz", folder / "outputs.npz"
        write_npz(given, dict(inputs))
        run_task("dlkit.devices.tensorflow_server:answer", advance, TIME_LIMIT_S, frameworks=False, model=str(file),
                 inputs=str(given), result=str(found))  # fmt: skip
        return read_batch(found)


def answer(model: str, inputs: str, result: str, advance: Advance) -> None:
    """The child's side of `answers`: outputs as an archive."""
    write_npz(result, open_here(Path(model)).run_named(read_batch(inputs), advance))


def look(model: str, told: str, inputs: str, outputs: str, advance: Advance) -> None:
    """The child's side of `examine`: facts as JSON; if it can be served, noise and what is answered to it."""
    file = Path(model)
    served = read_served(file)
    facts: dict[str, Any] = dataclasses.asdict(served) | {"reader": _reader(file)}
    if not served.blocks:
        session = open_here(file)
        noise = _noise(session)
        found = session.run_named(noise, advance)
        write_npz(inputs, noise)
        write_npz(outputs, found)
        facts["blocks"] = _mixed(session, noise, found, APART[facts["computes_in"]])
    Path(told).write_text(json.dumps(facts), encoding="utf-8")


def _reader(model: Path) -> str:
    name, distribution = ("TensorFlow", "tensorflow") if model.is_dir() else ("ONNX Runtime", "onnxruntime")
    return f"{name} {importlib.metadata.version(distribution)}"


def _listed(ends: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in ends.items())


def _noise(session: NamedEnds) -> dict[str, NDArray[np.float32]]:
    """From 0 to 1, where whole numbers are taken 0 and 1; the same every time."""
    random = np.random.default_rng(SEED)
    shapes = {name: (PROBES, *end.shape[1:]) for name, end in session.inputs.items()}
    drawn = {name: random.random(shape, np.float32) for name, shape in shapes.items()}
    return {name: np.round(x) if session.inputs[name].counts else x for name, x in drawn.items()}


def _mixed(
    session: NamedEnds,
    noise: Mapping[str, NDArray[np.float32]],
    together: Mapping[str, NDArray[np.float32]],
    limit: float,
) -> list[str]:
    """A sentence if samples alone are answered otherwise than together, as by a layer that looks over the batch."""
    blocks = []
    alone = [session.run_named({name: x[n : n + 1] for name, x in noise.items()}) for n in range(PROBES)]
    for name, values in together.items():
        gap = _gap(values, np.concatenate([answers[name] for answers in alone]))
        if not gap <= limit:
            blocks.append(
                f"{name!r} of a sample depends on the others of its batch (by {gap:.3g} of the largest), and a server "
                "puts requests of strangers together; take the layer out that looks over the batch"
            )
    return blocks


def _second(
    file: Path, inputs: Path, wanted: Mapping[str, NDArray[np.float32]], computes_in: str
) -> tuple[tuple[Figure, ...], tuple[str, ...], tuple[str, ...]]:
    """The gap to OpenVINO's answers as a figure, a block if it is beyond all rounding, notes."""
    if not is_installed():
        return (), (), ("no second reader was asked; for OpenVINO: pip install 'dlkit[openvino]'",)
    try:
        found = second_answers(file, inputs)
        gap = max(_gap(values, found[name]) for name, values in wanted.items())
    except (ModelFileError, ConversionError, EndedBySystem, KeyError) as error:
        why = f"it has no output {error}" if isinstance(error, KeyError) else str(error)
        return (), (), (f"no second reader: {why}",)
    reader = f"OpenVINO {importlib.metadata.version('openvino').partition('-')[0]}"
    another = f"{reader} reads another network in it: its answers"
    if gap == np.inf:
        return (), (f"{another} are of another shape, or hold NaN or infinity",), ()
    figures = (Figure("second read", gap, f"of the largest output is the gap to what {reader} makes of it"),)
    if gap <= APART[computes_in] or computes_in == "bfloat16":
        return figures, (), ()
    return figures, (f"{another} are {gap:.3g} of the largest away",), ()


def _gap(wanted: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """The largest difference, in units of the largest number or of 1; infinite for another shape, NaN or infinity."""
    if wanted.shape != found.shape:
        return float("inf")
    with np.errstate(invalid="ignore", over="ignore"):
        gap = float(np.max(np.abs(wanted - found))) / max(1.0, float(np.max(np.abs(wanted))))
    return gap if np.isfinite(gap) else float("inf")


TENSORFLOW_SERVER = Runtime(
    "tensorflow_server",
    "TensorFlow or ONNX Runtime, in a process of its own",
    examine,
    answers,
    of_folders=True,
)
