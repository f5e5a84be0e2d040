"""One scheme of a converted model: its file, the proof, the bundle."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dlkit.bundle.loading import Bundle
from dlkit.bundle.writing import Reference, write_bundle
from dlkit.calibration.samples import HeldOut
from dlkit.conversion.making import Float, Made, append_files, make_file
from dlkit.conversion.metadata import add_metadata
from dlkit.datasets import stratified
from dlkit.devices.proving import proven_on_device
from dlkit.pipeline.finishing import finish_of
from dlkit.pipeline.plan import Plan
from dlkit.pipeline.preparing import Prepared
from dlkit.pipeline.proving import prove
from dlkit.pipeline.streaming import Step
from dlkit.progress import SILENT, Progress
from dlkit.report import Report
from dlkit.schemes import SCHEMES, Scheme
from dlkit.trained import Trained

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLES_IN_BUNDLE, SAMPLES_WITHOUT_LABELS, SEED = 10, 3, 0


@dataclasses.dataclass(frozen=True)
class Proven:
    """A file that passed, from which nothing is written yet.

    Attributes:
        file: the .tflite file.
        reference: what the float model said on the test split; None where there is none.
        weights_sha256: of the float model's weights.
        step: the proven file of one step of a recurrent network; None without one.
    """

    file: Path
    report: Report
    reference: Reference | None
    weights_sha256: str
    step: Step | None = None


def exported(
    prepared: Prepared, scheme: Scheme, folder: Path, force: bool, progress: Progress
) -> tuple[Bundle, Report]:
    """Make the file of a scheme, prove it and write its bundle to `folder`.

    Raises:
        VerificationRefused: it broke its promise or lost too much; nothing was written.
        IllegalCombination, ConversionError, UnknownName, OutputError: as they say.
    """
    made = labelled_file(prepared.plan, prepared.answers.converted, scheme, progress)
    proven = proven_file(prepared, made, scheme, progress)
    return bundled(prepared.plan, proven, folder, force, progress=progress)


def labelled_file(plan: Plan, converted: Float, scheme: Scheme, progress: Progress) -> Made:
    """The file of a scheme, with labels and preprocessing in it. Raises as `make_file` does."""
    trained, raw = plan.trained, plan.samples.calibration.raw
    calibration = {name: inputs.apply(raw[name]) for name, inputs in trained.inputs.items()}
    made = make_file(converted, scheme, calibration, progress, plan.method, plan.keep_float, plan.keep_int8)
    return _labelled(made, trained, scheme)


def proven_file(
    prepared: Prepared, made: Made, scheme: Scheme, progress: Progress, max_drop: float | None = None
) -> Proven:
    """Prove a made file, see `prove`. Raises VerificationRefused as it does."""
    plan, answers, streaming = prepared.plan, prepared.answers, prepared.streaming
    with progress.step("Proving it against the float model") as advance:
        report, reference = prove(answers, made, plan.trained, plan.samples, scheme, plan.target, advance, max_drop)
    step = streaming.made(scheme) if streaming else None
    if step:
        report = dataclasses.replace(report, streamed=step.gates)
    if scheme.needs_calibration:
        report = dataclasses.replace(report, warnings=(*plan.warnings, *report.warnings))
    device = proven_on_device(made.file, answers.inputs(plan.samples.gate), plan.target, progress)
    report = dataclasses.replace(report, device=device)
    return Proven(made.file, report, reference, answers.converted.weights_sha256, step)


def bundled(
    plan: Plan,
    proven: Proven,
    folder: Path,
    force: bool,
    besides: Mapping[str, bytes] = MappingProxyType({}),
    progress: Progress = SILENT,
) -> tuple[Bundle, Report]:
    """Write the bundle of a proven file, with further files `besides` by their names, and what its target needs.

    Raises OutputError; IllegalCombination, ConversionError and ExtraMissing as a finishing step does.
    """
    step, samples = proven.step, few_samples(plan.samples.gate)
    return write_bundle(
        folder,
        proven.file,
        plan.trained,
        proven.report,
        samples,
        proven.reference,
        weights_sha256=proven.weights_sha256,
        replace=force,
        step=(step.file, step.described) if step else None,
        besides=besides,
        device=plan.target,
        finish=finish_of(plan, SCHEMES[proven.report.scheme], samples, progress),
    )


def few_samples(held_out: HeldOut) -> dict[str, NDArray[Any]]:
    """The samples that travel in the bundle: one of each class first, or just a few where there are none."""
    if held_out.labels is None:
        return {name: raw[:SAMPLES_WITHOUT_LABELS] for name, raw in held_out.raw.items()}
    chosen = stratified(held_out.labels, SAMPLES_IN_BUNDLE, SEED)
    return {name: raw[chosen] for name, raw in held_out.raw.items()}


def _labelled(made: Made, trained: Trained, scheme: Scheme) -> Made:
    """The file with labels and preprocessing in it and behind it; beside the float file, which others are made from."""
    file = made.file
    if file == made.float_file:
        file = shutil.copyfile(made.file, made.file.with_name("float32.tflite"))
    about = f"{trained.name}, {scheme.name}, made by dlkit"
    add_metadata(file, trained.name, about, trained.inputs, trained.labels)
    inputs = {name: preprocessing.as_dict() for name, preprocessing in trained.inputs.items()}
    described = {"labels": trained.labels, "inputs": inputs}
    labels = "".join(f"{label}\n" for label in trained.labels)
    append_files(file, {"labels.txt": labels.encode(), "dlkit.json": json.dumps(described).encode()})
    return dataclasses.replace(made, file=file)
