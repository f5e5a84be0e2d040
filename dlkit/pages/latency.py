"""How long a bundle's model takes on this machine, and the file that keeps it: latency.json.

It differs from one run to the next, so no manifest lists it, and what is read from it is shown and nothing else.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import math
import time

import numpy as np

from dlkit.bundle.loading import STEP, Bundle
from dlkit.errors import DlkitError
from dlkit.pages.machine import cores, processor, system
from dlkit.runtime.clock import Timing, time_runs

NAME = "latency.json"
QUANTILES = (0.5, 0.9, 0.95, 0.99)
THREADS = 1
UNITS = ((1e-3, "s", 1e3), (1.0, "ms", 0.1), (1e3, "µs", -math.inf))
"""What milliseconds are multiplied with, the unit, and from how many milliseconds on."""
PACKAGES = {"LiteRT": "ai-edge-litert", "XNNPACK": "ai-edge-litert", "GPU": "ai-edge-litert",
            "ONNX Runtime": "onnxruntime", "TensorFlow": "tensorflow"}  # fmt: skip
"""What runs a model → the package that it is part of."""


@dataclasses.dataclass(frozen=True)
class Latency:
    """Of one file of a bundle.

    Attributes:
        file: its name in the bundle.
        timing: as `dlkit bench` measures it.
        times_ms: of each inference, in order.
        processor, system: of the machine.
        cores: that could be used; `timing.threads` were.
        runtime: package and version.
        date: when, as year-month-day.
    """

    file: str
    timing: Timing
    times_ms: tuple[float, ...]
    processor: str
    system: str
    cores: int
    runtime: str
    date: str

    def quantiles_ms(self) -> list[tuple[str, float]]:
        """What is called "5 %" … "99 %", with its milliseconds."""
        found = np.quantile(self.times_ms, QUANTILES)
        return [(f"{100 * q:.0f} %", float(value)) for q, value in zip(QUANTILES, found, strict=True)]


@dataclasses.dataclass(frozen=True)
class Latencies:
    """Of all files of a bundle that run here.

    Attributes:
        measured: one for each file.
        problem: why there is none for some; "" if there is no reason.
    """

    measured: tuple[Latency, ...]
    problem: str = ""


def measure_latencies(bundle: Bundle, runs: int, longest_s: float, *, gpu: bool = False) -> Latencies:
    """Time a bundle's files, each in a process of its own.

    Args:
        runs: at most, of each.
        longest_s: no inference is begun after that.
        gpu: on this machine's.
    """
    names = [bundle.model.name, *([STEP] if bundle.manifest.get("streaming") else [])]
    found: list[Latency] = []
    for name in names:
        try:
            timing, times_ms = time_runs(bundle.folder / name, THREADS, runs, longest_s, gpu=gpu)
        except DlkitError as error:
            return Latencies(tuple(found), str(error).replace(f"{bundle.folder}/", ""))
        found.append(
            Latency(name, timing, times_ms, processor(), system(), cores(), _runtime(timing.backend), _today())
        )  # fmt: skip
    return Latencies(tuple(found))


def as_json(latencies: Latencies) -> bytes:
    """The content of latency.json."""
    table = dataclasses.asdict(latencies)
    for latency in table["measured"]:
        latency["times_ms"] = [float(f"{milliseconds:.4g}") for milliseconds in latency["times_ms"]]
    return (json.dumps(table) + "\n").encode()


def told_ms(milliseconds: float) -> str:
    """A time for people: 0.0033 → "3.3 µs"."""
    value, unit = next((milliseconds * f, u) for f, u, least in UNITS if milliseconds >= least)
    return f"{f'{value:#.3g}'.rstrip('.')} {unit}" if value < 1000 else f"{value:,.0f} {unit}"


def _runtime(backend: str) -> str:
    package = PACKAGES.get(backend, "")
    try:
        return f"{package} {importlib.metadata.version(package)}" if package else ""
    except importlib.metadata.PackageNotFoundError:
        return package


def _today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())
