"""Coral's Edge TPU: a file held against the published requirements. Neither its compiler nor a device is asked.

The compiler makes one operation of all up to the first that the Edge TPU does not run; that one and everything after
it runs on the host's processor, by LiteRT, which is what a file is proven with here.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable
from pathlib import Path

from dlkit.devices import Runtime
from dlkit.devices._edgetpu_forms import Operator, operators_of, reason_against
from dlkit.devices.operations import lacks, promised
from dlkit.errors import ModelFileError
from dlkit.progress import Advance
from dlkit.runtime.inspection import MALFORMED, Inspection, inspect_file
from dlkit.targets import Target
from dlkit.verdict import Budget, Placement, Verdict

TPU, CPU = "Edge TPU", "CPU"
CACHE_BYTES = 8 * 10**6
"""About 8 MB of SRAM for parameters: coral.ai/docs/edgetpu/compiler, "Parameter data caching"."""
COMPILED = "CUSTOM edgetpu-custom-op"
OF_LITERT = frozenset({"CUSTOM TFLite_Detection_PostProcess"})
"""Custom operations that the runtime on the host has."""
HOW = "static check against Coral's published requirements; the compiler was not asked and nothing was run"
UNCONFIRMED = (
    "compile it with Coral's edgetpu_compiler (Debian package edgetpu-compiler), whose log has the last word: it "
    "leaves out operations for reasons that it does not publish, among them large tensors"
)
FLOAT_ENDS = {"QUANTIZE": "numbers come as float32", "DEQUANTIZE": "numbers leave as float32"}


def examine(file: Path, target: Target, advance: Advance) -> Verdict:
    """Which operations the Edge TPU would run, which the processor and why, and the parameters on the chip."""
    inspection = inspect_file(file)
    blocks = (*_foreign(inspection), *promised(inspection, target))
    if blocks:
        return Verdict(target.name, HOW, (), blocks=blocks)
    try:
        found = list(_placed(operators_of(file.read_bytes()), target))
    except MALFORMED:  # an operation without an input that it must have, or with options of another
        raise ModelFileError(f"{file}: the .tflite file is corrupt; copy or export it again") from None
    parameters = _parameter_bytes(operator for operator, reason in found if not reason)
    placements = _placements(found)
    budgets = (
        Budget("flash (the file)", inspection.size, target.flash_bytes or None),
        Budget("parameters (on the chip)", parameters),
    )
    if not any(placement.place == TPU for placement in placements):
        first = next((reason for operator, reason in found if operator.name not in FLOAT_ENDS), "it is empty")
        block = f"no operation runs on the Edge TPU ({first}); use --scheme int8"
        return Verdict(target.name, HOW, placements, budgets[:1], blocks=(block,))
    return Verdict(target.name, HOW, placements, budgets, notes=tuple(_notes(found, parameters)))


def _foreign(inspection: Inspection) -> list[str]:
    """A sentence for each operation that neither the Edge TPU nor LiteRT has."""
    if COMPILED in inspection.ops:
        return ["it is compiled for an Edge TPU already; check the file that it was compiled from"]
    foreign = [name for name in inspection.ops if name.startswith("CUSTOM") and name not in OF_LITERT]
    return [
        f"{inspection.ops[name]} {name}: a custom operation, which LiteRT on the host does not have" for name in foreign
    ]


def _placed(operators: Iterable[Operator], target: Target) -> Iterable[tuple[Operator, str]]:
    """Every operation with the reason why it runs on the processor; "" on the Edge TPU."""
    broken = ""
    for operator in operators:
        reason = broken or _float_end(operator) or _own_reason(operator, target)
        if reason and not broken and not _float_end(operator):
            broken = f"comes after {operator.name}, where the Edge TPU's part of the file ends"
        yield operator, reason


def _float_end(operator: Operator) -> str:
    """Why an input or output of real numbers is turned on the processor; it does not end the Edge TPU's part."""
    ends = operator.inputs if operator.name == "QUANTIZE" else operator.outputs
    is_end = operator.name in FLOAT_ENDS and ends[0].dtype == "FLOAT32"
    return FLOAT_ENDS[operator.name] + ", which the processor turns" if is_end else ""


def _own_reason(operator: Operator, target: Target) -> str:
    if operator.name not in target.operations:
        return lacks(target, operator.name) or "the Edge TPU has no control flow"
    return reason_against(operator)


def _placements(found: list[tuple[Operator, str]]) -> tuple[Placement, ...]:
    """Counted by operation and reason, in the file's order."""
    counts = collections.Counter((operator.name, reason) for operator, reason in found)
    return tuple(Placement(name, count, CPU if reason else TPU, reason) for (name, reason), count in counts.items())


def _parameter_bytes(operators: Iterable[Operator]) -> int:
    """Of the constants that these operations read, each counted once."""
    constants = {tensor for operator in operators for tensor in operator.inputs if tensor.stored_bytes}
    return sum(tensor.stored_bytes for tensor in constants)


def _notes(found: list[tuple[Operator, str]], parameters: int) -> Iterable[str]:
    on_cpu = [(operator, reason) for operator, reason in found if reason and not _float_end(operator)]
    if on_cpu:
        operator, reason = on_cpu[0]
        layer = operator.outputs[0].name.partition(";")[0] if operator.outputs else ""
        yield (
            f"the Edge TPU's part ends at {operator.name} {layer} ({reason}): that and the {len(on_cpu) - 1} after it "
            "run on the processor, which is much slower"
        )
    if parameters > CACHE_BYTES:
        yield (
            f"{parameters:,} bytes of parameters are more than the 8 MB that the chip keeps; the rest is fetched for "
            "each inference, which is slower"
        )
    yield UNCONFIRMED


EDGETPU = Runtime("edgetpu", "an Edge TPU beside LiteRT; a static check", examine, only_examined=True)
