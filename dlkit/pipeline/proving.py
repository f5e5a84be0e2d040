"""The last step before a bundle: a made file → what was measured of it, or a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dlkit.bundle.writing import Reference
from dlkit.conversion.answering import judged_export
from dlkit.conversion.layer_errors import MOST_SAMPLES, layer_errors, worth_keeping
from dlkit.conversion.layer_names import layer_names
from dlkit.conversion.making import Made
from dlkit.conversion.samples import ExportSamples, HeldOut
from dlkit.errors import ConversionError, VerificationRefused
from dlkit.progress import Advance
from dlkit.report import Comparison, LayerError, Report, keep_float_advice
from dlkit.runtime.inspection import Inspection, inspect_model
from dlkit.schemes import Scheme
from dlkit.targets import Target
from dlkit.trained import Trained
from dlkit.verify import Judged, check_conversion, compare, refuse_broken, refuse_unless_good

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_LAYERS = 10
"""That a report names; the others lose less."""
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
    layers, keep, unmeasured = _layers(made, trained, samples.gate, scheme, advance)
    try:
        refuse_unless_good(inspection, scheme, gate, max_drop)
    except VerificationRefused as refusal:
        raise VerificationRefused(f"{refusal}{keep_float_advice(keep)}") from None
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
        warnings=_warnings(gate, after.outputs, inspection) + unmeasured,
        minimum_runtime=inspection.minimum_runtime,
        unknown_versions=inspection.unknown_versions,
        layers=layers[:MOST_LAYERS],
        keep_float=keep,
    )
    return report, remembered


def _layers(
    made: Made, trained: Trained, held_out: HeldOut, scheme: Scheme, advance: Advance
) -> tuple[tuple[LayerError, ...], tuple[str, ...], tuple[str, ...]]:
    """What every layer loses, which to keep float, and a warning where that could not be measured."""
    if made.file == made.float_file:
        return (), (), ()
    inputs = {"": trained.preprocessing.apply(held_out.raw[:MOST_SAMPLES])}
    try:
        found = layer_errors(made.float_file, made.file, inputs, layer_names(trained.model), advance)
    except ConversionError as error:
        return (), (), (f"what each layer loses could not be measured: {error}",)
    return found.layers, worth_keeping(found.layers), ()


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
