"""A proven file on its device: examined, run in the device's runtime, held against what it computes by definition."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.devices import RUNTIMES, Runtime
from dlkit.devices.before_softmax import ROUNDING, allowed_by_scores
from dlkit.devices.reference import reference_answers
from dlkit.errors import ConversionError, ModelFileError, VerificationRefused
from dlkit.progress import Progress
from dlkit.report import DeviceProof
from dlkit.runtime.output_steps import steps_of
from dlkit.targets import Target

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLES, OF_LARGE_FILES = 16, 2
"""That are run on a device; of a large file fewer, as reference kernels take seconds for each there."""
LARGE_BYTES = 4 * 2**20


def proven_on_device(
    file: Path,
    inputs: Mapping[str, NDArray[Any]],
    target: Target,
    progress: Progress,
    expected: Mapping[str, NDArray[np.float32]] | None = None,
) -> DeviceProof | None:
    """The proof that a file runs on its target; None where the proof of the file itself was that.

    Args:
        inputs: input name → (N, ...) float32, held-out network inputs; the first few are run.
        expected: output name → what is to be answered to them; None asks LiteRT, of a .tflite file.

    Raises:
        VerificationRefused: the device cannot run it, or computes something else; all that is wrong is named.
        ExtraMissing: the tool that stands for the device is not installed.
    """
    runtime = RUNTIMES[target.runtime]
    told = runtime.only_examined or target.flash_bytes or target.ram_bytes or target.finish
    if runtime.answers is None and not told:
        return None
    try:
        with progress.step(f"Examining it for {target.name}") as advance:
            verdict = runtime.examine(file, target, advance)
    except (ModelFileError, ConversionError) as error:
        raise _refused(target, str(error)) from None
    if not verdict.fits:
        raise _refused(target, "; ".join(verdict.obstacles))
    if runtime.answers is None:
        return DeviceProof(verdict, samples=0)
    large = file.is_file() and file.stat().st_size > LARGE_BYTES
    few = {name: np.asarray(values[: OF_LARGE_FILES if large else SAMPLES]) for name, values in inputs.items()}
    try:
        gaps = held_on_device(file, few, target, progress, expected)
    except (ModelFileError, ConversionError, Beyond) as error:
        raise _refused(target, str(error)) from None
    return DeviceProof(verdict, len(next(iter(few.values()))), *gaps)


class Beyond(Exception):
    """A device computes something else; the text says how far it is, and how far it may be."""


def held_on_device(
    file: Path,
    inputs: Mapping[str, NDArray[Any]],
    target: Target,
    progress: Progress,
    expected: Mapping[str, NDArray[np.float32]] | None = None,
) -> tuple[float, float, float | None]:
    """Run network inputs in the target's runtime, which has `answers`, and hold what it gives against `expected`.

    Args:
        expected: as of `proven_on_device`.

    Returns:
        Largest gap, what is allowed and the gap in steps, of the output that is nearest to its limit.

    Raises:
        Beyond: one is beyond its limit.
        ModelFileError, ConversionError, ExtraMissing: as `Runtime` says.
    """
    runtime = RUNTIMES[target.runtime]
    answers, count = runtime.answers, len(next(iter(inputs.values())))
    assert answers is not None
    with progress.step(f"Running it on {target.name}") as advance:
        found = answers(file, inputs, target, advance)
        by_litert = functools.partial(reference_answers, advance=advance, fast=runtime.fast_kernels)
        wanted = by_litert(file, inputs) if expected is None else _first(expected, count)
        steps = steps_of(file.read_bytes()) if expected is None else {}
        try:
            return _gaps(runtime, wanted, found, steps)
        except Beyond:
            if not steps:
                raise
            further = allowed_by_scores(
                file, inputs, lambda beside, batch: answers(beside, batch, target, advance), by_litert, runtime.steps
            )
            return _gaps(runtime, wanted, found, steps, further)


def _first(outputs: Mapping[str, NDArray[np.float32]], count: int) -> dict[str, NDArray[np.float32]]:
    return {name: values[:count] for name, values in outputs.items()}


def _gaps(
    runtime: Runtime,
    wanted: Mapping[str, NDArray[np.float32]],
    found: Mapping[str, NDArray[np.float32]],
    steps: Mapping[int, float],
    further: Mapping[int, float] = MappingProxyType({}),
) -> tuple[float, float, float | None]:
    """Largest gap, what is allowed and the gap in steps, of the output that is nearest to its limit or furthest beyond.

    Args:
        further: place of an output → what is allowed of it in place of the runtime's steps.

    Raises Beyond if one is beyond.
    """
    worst: tuple[float, float, float | None] | None = None
    for place, (name, expected) in enumerate(wanted.items()):
        given = found.get(name)
        if given is None or given.shape != expected.shape:
            shape = "nothing" if given is None else str(given.shape)
            raise Beyond(f"{runtime.name} gives {shape} as output {name!r} in place of {expected.shape}")
        gap, step = float(np.max(np.abs(given - expected))), steps.get(place)
        allowed = (runtime.steps + ROUNDING) * step if step else runtime.gap * max(1.0, float(np.max(np.abs(expected))))
        allowed = max(allowed, further.get(place, 0.0))
        if not gap <= allowed:
            told = f"{gap / step:.1f} steps of its 8-bit output" if step else f"{gap:.3g}"
            limit = f"{allowed / step:.3g}" if step else f"{allowed:.3g}"
            raise Beyond(f"its outputs are up to {told} from what the file computes (limit {limit})")
        excess = gap / allowed if allowed else math.inf if gap else 0.0
        if worst is None or excess >= worst[0] / worst[1]:
            worst = gap, allowed or 1.0, gap / step if step else None
    assert worst is not None
    return worst


def _refused(target: Target, why: str) -> VerificationRefused:
    return VerificationRefused(f"the file was refused for {target.name} and no bundle was written: {why}")
