"""Arm Ethos-U: compiled by vela, whose figures are its model of the device and not measured on silicon.

A compiled file runs on such a device alone; what stands for it here is the file that it was compiled from, in
TensorFlow Lite Micro, the runtime that calls the NPU there.
"""

from __future__ import annotations

import collections
from pathlib import Path

from dlkit.devices import Runtime, tflm
from dlkit.devices.operations import promised
from dlkit.devices.vela import Compiled, compiled
from dlkit.errors import RecipeError
from dlkit.extras import check_installed
from dlkit.progress import Advance
from dlkit.runtime.inspection import Inspection, inspect_file, inspect_model
from dlkit.targets import EthosU, Target
from dlkit.verdict import Budget, Figure, Placement, Verdict

KIB = 1024
NPU = "CUSTOM ethos-u"
ESTIMATED = "cycles and times are vela's model of the device, not measured on one; the compiled file was not run here"
LAYER_COLUMNS = ("Name", "NNG Operator", "Op Cycles", "Network% (cycles)", "MAC Count", "Util% (MAC)")


def examine(file: Path, target: Target, advance: Advance) -> Verdict:
    """The file compiled: what is placed on the NPU, what falls back to the processor and why, memory and cycles."""
    ethos_u = ethos_u_of(target)
    inspection = inspect_file(file)
    if blocks := promised(inspection, target):
        return Verdict(target.name, "read; it was not compiled", (), blocks=blocks)
    found = compiled(file, ethos_u, advance)
    left = inspect_model(found.content, "the compiled file")
    placements = _placements(inspection, left, found)
    how = f"compiled by {found.compiler} for {ethos_u.accelerator} ({found.summary.get('system_config', 'default')})"
    budgets = (
        Budget("flash (the compiled file)", len(found.content), target.flash_bytes or None),
        Budget("SRAM (arena)", round(found.number("sram_memory_used") * KIB), target.ram_bytes or None),
    )
    if not left.ops.get(NPU):
        return Verdict(target.name, how, placements, budgets[:1], blocks=(_nothing_placed(found),))
    return Verdict(target.name, how, placements, budgets, _figures(found), notes=(ESTIMATED,), layers=_layers(found))


def ethos_u_of(target: Target) -> EthosU:
    """What vela is to compile for. Raises RecipeError if the target does not say it."""
    if target.ethos_u is None:
        raise RecipeError(
            f"target {target.name}: runtime = 'ethos_u' needs a table [ethos_u] with accelerator = \"ethos-u55-128\""
        )
    return target.ethos_u


def _placements(inspection: Inspection, left: Inspection, found: Compiled) -> tuple[Placement, ...]:
    """What the compiled file still holds as it was runs on the processor; the rest is in the NPU's operations."""
    reasons = {fallback.operation: fallback.reason for fallback in found.fallbacks}
    most = _commonest(found) or "left to the processor by vela"  # it calls some operations otherwise
    placements = []
    for operation, count in inspection.ops.items():
        stays = min(count, left.ops.get(operation, 0))
        if count > stays:
            placements.append(Placement(operation, count - stays, "NPU"))
        if stays:
            placements.append(Placement(operation, stays, "CPU", reasons.get(operation, most)))
    return tuple(placements)


def _nothing_placed(found: Compiled) -> str:
    """Why nothing is on the NPU: the reason that most operations have."""
    why = f" ({_commonest(found)})" if found.fallbacks else ""
    return f"no operation runs on the NPU{why}: it takes 8-bit and 16-bit integers throughout; use --scheme int8"


def _commonest(found: Compiled) -> str:
    """The reason that most operations have; "" where there is none."""
    counts = collections.Counter(fallback.reason for fallback in found.fallbacks)
    return counts.most_common(1)[0][0] if counts else ""


def _figures(found: Compiled) -> tuple[Figure, ...]:
    cycles, clock = found.number("cycles_total"), found.number("core_clock")
    figures = [
        Figure("cycles", cycles),
        Figure("clock", clock / 1e6, "MHz"),
        Figure("inferences", found.number("inferences_per_second"), "/s"),
        Figure("NPU cycles", found.number("cycles_npu")),
        Figure("multiply-adds", found.number("nn_macs")),
    ]
    for name, key in (("DRAM", "dram_memory_used"), ("NPU flash", "off_chip_flash_memory_used")):
        if found.number(key):
            figures.append(Figure(name, found.number(key), "KiB"))
    return tuple(figures)


def _layers(found: Compiled) -> tuple[dict[str, str], ...]:
    return tuple({key: row.get(key, "") for key in LAYER_COLUMNS} for row in found.layers)


def require_tools() -> None:
    """Raise ExtraMissing unless the compiler and the runtime that calls the NPU are installed."""
    check_installed("ethosu")
    tflm.require_tools()


ETHOS_U = Runtime(
    "ethos_u",
    "TensorFlow Lite Micro, as it calls an Ethos-U, without the NPU",
    examine,
    tflm.answers,
    require_tools=require_tools,
)
