"""How long files take here, in turns, so that what disturbs the machine hits all alike."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping
from pathlib import Path

from dlkit.errors import ModelFileError
from dlkit.progress import Progress
from dlkit.runtime.clock import time_file

ROUNDS, RUNS, THREADS = 5, 40, 1


@dataclasses.dataclass(frozen=True)
class Times:
    """Of one file.

    Attributes:
        latency_ms: median wall time of an inference, in the quietest round.
        times_first: how many times as long as the first file, in the median of the rounds; 1 of itself.
        always_slower: whether it took longer than the first file in every round.
    """

    latency_ms: float
    times_first: float
    always_slower: bool


def timed_in_turns(files: Mapping[str, Path], progress: Progress, rounds: int = ROUNDS) -> dict[str, Times]:
    """Time each file alone in a process of its own, one after the other, and all of them again.

    Args:
        files: name → .tflite file; others are held against the first. One that cannot be run here is left out, and so
            is one whose time the clock does not tell.
    """
    medians: dict[str, list[float]] = {name: [] for name in files}
    with progress.step(f"Timing {len(files)} files" if len(files) > 1 else "Timing it") as advance:
        for number in range(rounds):
            for place, (name, file) in enumerate(files.items()):
                if number == 0 or medians[name]:
                    try:
                        median_ms = time_file(file, THREADS, RUNS).median_ms
                    except ModelFileError:
                        median_ms = 0.0
                    medians[name] = [*medians[name], median_ms] if median_ms > 0 else []
                advance(number * len(files) + place + 1, rounds * len(files))
    first = next(iter(medians.values()), [])
    return {name: _times(found, first or found) for name, found in medians.items() if found}


def _times(found: list[float], first: list[float]) -> Times:
    ratios = [mine / theirs for mine, theirs in zip(found, first, strict=True)]
    return Times(min(found), statistics.median(ratios), min(ratios) > 1)
