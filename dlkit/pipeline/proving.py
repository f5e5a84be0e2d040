"""The last step before a bundle: a made file → what was measured of it, or a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dlkit.bundle.writing import Reference
from dlkit.conversion.answering import judged_export
from dlkit.conversion.making import Made
from dlkit.conversion.samples import ExportSamples, HeldOut
from dlkit.progress import Advance
from dlkit.report import Comparison, Report
from dlkit.runtime.inspection import Inspection, inspect_model
from dlkit.schemes import Scheme
from dlkit.targets import Target
from dlkit.trained import Trained
from dlkit.verify import Judged, check_conversion, compare, refuse_broken, refuse_unless_good

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_DROP = 0.01
"""What a recipe would say, for a model without one."""


def prove(
    made: Made, trained: Trained, samples: ExportSamples, scheme: Scheme, target: Target, advance: Advance
) -> tuple[Report, Reference | None]:
    """The report of a file that passed, and what the float model said on the test split.

    Raises:
        VerificationRefused: the file broke its promise or lost too much on the gate's samples. The
            test split is measured after that and decides nothing.
    """
    content = made.file.read_bytes()
    inspection = inspect_model(content, made.file.name)
    refuse_broken(inspection, scheme, target)  # before the runtime stumbles over it, with less to say
    count = len(samples.gate.raw)

    def judged(held_out: HeldOut) -> tuple[Judged, Judged]:
        inputs = trained.preprocessing.apply(held_out.raw)
        before = judged_export(made.float_file, inputs, advance)
        return before, before if made.file == made.float_file else judged_export(made.file, inputs, advance)

    before, after = judged(samples.gate)
    check_conversion(made.reference[:count], before)
    gate = compare(samples.gate.name, made.reference[:count], before, after, samples.gate.labels)
    max_drop = trained.recipe.export.max_drop if trained.recipe else MAX_DROP
    refuse_unless_good(inspection, scheme, gate, max_drop)
    test, remembered = None, None
    if samples.test is not None:
        outputs = made.reference[count:]
        test = compare(samples.test.name, outputs, *judged(samples.test), samples.test.labels)
        remembered = Reference("test", samples.test.fingerprint, outputs.argmax(axis=1))
    report = Report(
        scheme=scheme.name,
        target=target.name,
        quantizer=made.quantizer,
        gate=gate,
        test=test,
        calibration_samples=len(samples.calibration) if scheme.needs_calibration else 0,
        calibration_source=samples.calibration_source if scheme.needs_calibration else "",
        bytes=len(content),
        float_bytes=made.float_file.stat().st_size,
        ops=inspection.ops,
        tensors=inspection.tensors,
        warnings=_warnings(gate, after.outputs, inspection),
        minimum_runtime=inspection.minimum_runtime,
        unknown_versions=inspection.unknown_versions,
    )
    return report, remembered


def _warnings(gate: Comparison, outputs: NDArray[np.float32], inspection: Inspection) -> tuple[str, ...]:
    """What passed and is still worth knowing."""
    step = inspection.outputs[0].scale
    if gate.agreement is not None and step and float(np.median(outputs.max(axis=1))) < 2 * step:
        return (
            f"the 8-bit output has steps of {step:.4f}, and most answers are below two of them: it cannot tell the "
            f"classes apart, though the scores can ({gate.score_agreement:.4f} have the same class first); a network "
            "built with --set activation=linear gives the scores themselves",
        )
    return ()
