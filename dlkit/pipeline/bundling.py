"""One scheme of a converted model: its file, the proof, the bundle."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlkit.bundle.loading import Bundle
from dlkit.bundle.writing import write_bundle
from dlkit.calibration.samples import HeldOut
from dlkit.conversion.making import Made, append_files, make_file
from dlkit.conversion.metadata import add_metadata
from dlkit.datasets import stratified
from dlkit.pipeline.preparing import Prepared
from dlkit.pipeline.proving import prove
from dlkit.progress import Progress
from dlkit.report import Report
from dlkit.schemes import Scheme
from dlkit.trained import Trained

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLES_IN_BUNDLE, SAMPLES_WITHOUT_LABELS, SEED = 10, 3, 0


def exported(
    prepared: Prepared, scheme: Scheme, folder: Path, force: bool, progress: Progress
) -> tuple[Bundle, Report]:
    """Make the file of a scheme, prove it and write its bundle to `folder`.

    Raises:
        VerificationRefused: it broke its promise or lost too much; nothing was written.
        IllegalCombination, ConversionError, UnknownName, OutputError: as they say.
    """
    plan, answers, streaming = prepared.plan, prepared.answers, prepared.streaming
    trained, raw = plan.trained, plan.samples.calibration.raw
    calibration = {name: inputs.apply(raw[name]) for name, inputs in trained.inputs.items()}
    made = make_file(answers.converted, scheme, calibration, progress, plan.method, plan.keep_float)
    made = _labelled(made, trained, scheme)
    with progress.step("Proving it against the float model") as advance:
        report, reference = prove(answers, made, trained, plan.samples, scheme, plan.target, advance)
    step = streaming.made(scheme) if streaming else None
    if step:
        report = dataclasses.replace(report, streamed=step.gates)
    if scheme.needs_calibration:
        report = dataclasses.replace(report, warnings=(*plan.warnings, *report.warnings))
    few, identity = few_samples(plan.samples.gate), answers.converted.weights_sha256
    bundle = write_bundle(
        folder,
        made.file,
        trained,
        report,
        few,
        reference,
        weights_sha256=identity,
        replace=force,
        step=(step.file, step.described) if step else None,
    )
    return bundle, report


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
