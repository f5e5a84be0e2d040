"""What the benchmarks found, as one JSON file: the machine, the versions, and of every measurement all raw values."""

from __future__ import annotations

import dataclasses
import datetime
import importlib.metadata
import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pairing import Ratio, ratio_of
from processes import Used

VERSIONS_OF = (
    "dlkit", "tensorflow", "keras", "ai-edge-litert", "litert-quantizer", "onnxruntime", "tf2onnx", "openvino", "numpy",
    "click",
)  # fmt: skip
CLOCK, CPU, MEMORY = "clock", "cpu", "memory"


@dataclasses.dataclass(frozen=True)
class Measurement:
    """One thing that was done in several ways, in turn.

    Attributes:
        part: of the benchmarks.
        what: was done.
        unit: of the times: s or ms.
        taken: quantity ("clock", "cpu", "memory" in MB) → way → a value for each round.
        failed: way → how it ended.
        ours: the way whose values are divided by the others'.
    """

    part: str
    what: str
    unit: str
    taken: dict[str, dict[str, list[float]]]
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    ours: str = "dlkit"

    @property
    def others(self) -> list[str]:
        """The ways beside ours that worked."""
        return [way for way in self.taken[CPU] if way != self.ours]

    def ratio(self, quantity: str, other: str) -> Ratio | None:
        """Of dlkit's values by those of another way; None where one of both has none."""
        values = self.taken.get(quantity, {})
        if other not in values or self.ours not in values:
            return None
        return ratio_of(values[self.ours], values[other])


def measurement_of(
    part: str, what: str, taken: dict[str, list[Used]], failed: dict[str, str], unit: str = "s", ours: str = "dlkit"
) -> Measurement:
    """Of what processes used; times in `unit`."""
    factor = {"s": 1.0, "ms": 1e3}[unit]
    quantities = {
        CLOCK: {name: [_short(factor * used.clock_s) for used in runs] for name, runs in taken.items()},
        CPU: {name: [_short(factor * used.cpu_s) for used in runs] for name, runs in taken.items()},
    }
    if any(used.memory_mb for runs in taken.values() for used in runs):
        quantities[MEMORY] = {name: [_short(used.memory_mb) for used in runs] for name, runs in taken.items()}
    return Measurement(part, what, unit, quantities, failed, ours)


def _short(value: float) -> float:
    """Four digits that count."""
    return float(f"{value:.4g}")


def machine() -> dict[str, Any]:
    """What all was measured on."""
    cpu = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    facts = dict(line.split("\t: ", 1) for line in cpu.replace("\t\t", "\t").splitlines() if "\t: " in line)
    flags = set(facts.get("flags", "").split())
    told = [name for name in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8") if name in flags]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": facts.get("model name", platform.processor()).strip() or platform.machine(),
        "instructions": told,
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 1e9, 1),
        "system": f"{platform.system()} {platform.release().split('-')[0]}, Python {platform.python_version()}",
    }


def versions() -> dict[str, str]:
    """Of what is installed of all that is measured."""
    found = {}
    for name in VERSIONS_OF:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@dataclasses.dataclass(frozen=True)
class Results:
    """A file of results."""

    date: str
    machine: dict[str, Any]
    versions: dict[str, str]
    measurements: tuple[Measurement, ...] = ()

    def of(self, part: str) -> list[Measurement]:
        return [each for each in self.measurements if each.part == part]

    def with_these(self, new: Sequence[Measurement]) -> Results:
        """The same; a measurement of the same thing is replaced where it stands."""
        kept = {(each.part, each.what): each for each in self.measurements}
        kept |= {(each.part, each.what): each for each in new}
        return dataclasses.replace(self, measurements=tuple(kept.values()))


def new_results() -> Results:
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return Results(today, machine(), versions())


def read_results(path: Path) -> Results:
    told = json.loads(path.read_text(encoding="utf-8"))
    return Results(**{**told, "measurements": tuple(Measurement(**each) for each in told["measurements"])})


def write_results(path: Path, results: Results) -> None:
    """A measurement a line."""
    told = dataclasses.asdict(results)
    lines = [json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in told.pop("measurements")]
    head = json.dumps(told, ensure_ascii=False)[:-1]
    path.write_text(f'{head}, "measurements": [\n' + ",\n".join(lines) + "\n]}\n", encoding="utf-8")
