"""LiteRT on a GPU: a file is read for what the accelerator lacks, then run on whatever GPU is here and compared."""

from __future__ import annotations

import collections
import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlkit.devices import Runtime
from dlkit.devices._gpu_forms import Obstacle, obstacles
from dlkit.devices.operations import promised
from dlkit.errors import ConversionError, ExtraMissing, ModelFileError
from dlkit.progress import Advance, ignore
from dlkit.runtime.adapters import NO_GPU, found_adapter
from dlkit.runtime.inspection import MALFORMED, Inspection, inspect_file
from dlkit.targets import Target
from dlkit.verdict import Budget, Figure, Placement, Verdict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dlkit.devices._gpu_runs import GpuRun
    from dlkit.runtime.dtypes import TensorFormat

STEPS, GAP = 1.0, 1e-5
PRECISION = (
    "run in 32-bit arithmetic; phones take 16 bits unless told otherwise (GpuOptions: enforce_f32), which is not "
    "tried here"
)
MOST_NAMED = 3
"""Layers that are named of those that are refused for the same reason."""


def examine(file: Path, target: Target, advance: Advance) -> Verdict:
    """Read; where nothing is in the way and there is a GPU, also run there on one random input and compared."""
    inspection = inspect_file(file)
    try:
        found = obstacles(file.read_bytes(), target)
    except MALFORMED:  # an operation without an input that it must have, or with options of another
        raise ModelFileError(f"{file}: the .tflite file is corrupt; copy or export it again") from None
    blocks = (*_sentences(found), *promised(inspection, target))
    budget = Budget("flash (the file)", inspection.size, target.flash_bytes or None)
    if blocks:
        how = "its operations were read; as they do not all run, nothing was run"
        return Verdict(target.name, how, _placements(inspection, found), (budget,), blocks=blocks)
    return _run_once(file, inspection, target, budget, advance)


def _run_once(file: Path, inspection: Inspection, target: Target, budget: Budget, advance: Advance) -> Verdict:
    """The verdict on a file in whose way nothing is known to be."""
    from dlkit.devices._gpu_runs import run_on_gpu

    inputs = _random_inputs(file)
    run = run_on_gpu(file, inputs, advance)
    if run.no_gpu:
        placements = _placements(inspection, ())
        notes = (f"not run: {NO_GPU}",)
        return Verdict(target.name, "its operations were read, nothing was run", placements, (budget,), notes=notes)
    version = importlib.metadata.version("ai-edge-litert")
    how = f"compiled by LiteRT {version} for {run.adapter or 'a GPU'}"
    if run.outputs is None:
        refused = tuple(Obstacle(name, "", f"the accelerator says: {why}") for name, why in run.refused.items())
        blocks = _sentences(refused) or (f"the accelerator does not run it: {run.failure}",)
        return Verdict(target.name, how, _placements(inspection, refused), (budget,), blocks=blocks)
    figure, blocks = _compared(file, inputs, run)
    placements = _placements(inspection, ())
    return Verdict(target.name, f"{how} and run there", placements, (budget,), (figure,), blocks, (PRECISION,))


def _random_inputs(file: Path) -> dict[str, NDArray[Any]]:
    """One seeded sample, (1, ...) for each input."""
    import numpy as np

    from dlkit.runtime.litert import formats_of

    rng = np.random.default_rng(0)
    return {name: _random(rng, end) for name, end in formats_of(file)[0].items()}


def _random(rng: np.random.Generator, end: TensorFormat) -> NDArray[Any]:
    """Evenly from all that a quantized tensor can hold, from 0 to 1 for floats; 0 where numbers are words of a text."""
    import numpy as np

    if end.quantized:
        limits = np.iinfo(end.dtype)
        return end.dequantize(rng.integers(limits.min, limits.max, end.shape, endpoint=True).astype(end.dtype))
    return np.zeros(end.shape, np.float32) if end.counts else rng.random(end.shape, np.float32)


def _compared(file: Path, inputs: Mapping[str, NDArray[Any]], run: GpuRun) -> tuple[Figure, tuple[str, ...]]:
    """How far the furthest output is from what the file computes, and a sentence for each that is too far.

    One with NaN or infinity, on either side, is infinitely far: nothing can be said of it.
    """
    import numpy as np

    from dlkit.devices.reference import reference_answers
    from dlkit.runtime.output_steps import steps_of

    assert run.outputs is not None
    steps, gaps, blocks = steps_of(file.read_bytes()), [], []
    for place, (name, expected) in enumerate(reference_answers(file, inputs, ignore).items()):
        with np.errstate(invalid="ignore", over="ignore"):
            gap = float(np.max(np.abs(run.outputs[name] - expected), initial=0.0))
        step, largest = steps.get(place), max(1.0, float(np.max(np.abs(expected), initial=0.0)))
        away, limit, unit = (
            (gap / step, STEPS + 5e-4, "8-bit steps") if step else (gap / largest, GAP, "of the largest")
        )
        away = away if np.isfinite(away) else np.inf
        gaps.append((away / limit, away, unit))
        if away == np.inf:
            where = "on the GPU" if np.isfinite(expected).all() else "by what the file computes"
            blocks.append(f"{name} holds NaN or infinity on a random input, {where}; nothing can be compared")
        elif not away <= limit:
            instead = "; the GPU computes in floating point: use --scheme float16" if step else ""
            blocks.append(f"{name} is {away:.3g} {unit} from what the file computes (limit {limit:.3g}){instead}")
    _, away, unit = max(gaps)
    return Figure("largest gap", away, f"{unit}, on a random input"), tuple(blocks)


def answers(
    file: Path, inputs: Mapping[str, NDArray[np.float32]], target: Target, advance: Advance
) -> dict[str, NDArray[np.float32]]:
    """The outputs that a GPU gives.

    Raises:
        ExtraMissing: there is none here.
        ConversionError: the accelerator refuses the file, crashes on it or does not end.
    """
    from dlkit.devices._gpu_runs import run_on_gpu

    inspect_file(file)
    run = run_on_gpu(file, inputs, advance)
    if run.no_gpu:
        raise ExtraMissing(f"running a file for {target.name}: {NO_GPU}")
    if run.outputs is None:
        why = "; ".join(f"{name}: {reason}" for name, reason in run.refused.items()) or run.failure
        raise ConversionError(f"the GPU accelerator does not run it: {why}")
    return run.outputs


def _placements(inspection: Inspection, found: tuple[Obstacle, ...]) -> tuple[Placement, ...]:
    """Each kind of operation where it runs; of one that runs in some forms alone, both."""
    refused = collections.Counter(obstacle.operation for obstacle in found)
    reasons = {obstacle.operation: obstacle.reason for obstacle in reversed(found)}
    placements = []
    for operation, count in inspection.ops.items():
        stopped = min(count, refused[operation])
        if stopped:
            placements.append(Placement(operation, stopped, "", reasons[operation]))
        if count > stopped:
            placements.append(Placement(operation, count - stopped, "GPU"))
    return tuple(placements)


def _sentences(found: tuple[Obstacle, ...]) -> tuple[str, ...]:
    """One for each operation and reason, with how many they are and the first layers of them."""
    groups: dict[tuple[str, str], list[str]] = {}
    for obstacle in found:
        groups.setdefault((obstacle.operation, obstacle.reason), []).append(obstacle.tensor)
    sentences = []
    for (operation, reason), tensors in groups.items():
        named = [tensor for tensor in dict.fromkeys(tensors) if tensor][:MOST_NAMED]
        where = f" ({', '.join(named)})" if named else ""
        sentences.append(
            f"{len(tensors)} {operation}{where}: {reason}" if operation else f"{', '.join(named)}: {reason}"
        )
    return tuple(sentences)


def require_tools() -> None:
    """Raise ExtraMissing unless a GPU is found."""
    if not found_adapter():
        raise ExtraMissing(NO_GPU)


LITERT_GPU = Runtime(
    "litert_gpu",
    "LiteRT's GPU accelerator (ML Drift; WebGPU over Vulkan on PCs)",
    examine,
    answers,
    STEPS,
    GAP,
    require_tools=require_tools,
)
