"""One scheme of a converted model: its file, the proof, the bundle."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.bundle.loading import Bundle
from dlkit.bundle.writing import Reference, write_bundle
from dlkit.calibration.samples import HeldOut
from dlkit.conversion.making import Float, Made, append_files, make_file
from dlkit.conversion.metadata import add_metadata
from dlkit.datasets import stratified
from dlkit.devices.proving import proven_on_device
from dlkit.pages.writing import page_maker
from dlkit.pipeline.finishing import finish_of
from dlkit.pipeline.plan import Plan
from dlkit.pipeline.preparing import Prepared
from dlkit.pipeline.proving import prove
from dlkit.pipeline.streaming import Step
from dlkit.progress import SILENT, Progress
from dlkit.report import Report
from dlkit.schemes import SCHEMES, Scheme
from dlkit.trained import Trained
from dlkit.training.histories import csv_of

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
        known: of the samples that travel in a bundle, see `known_of_few`.
        step: the proven file of one step of a recurrent network; None without one.
    """

    file: Path
    report: Report
    reference: Reference | None
    weights_sha256: str
    known: Mapping[str, NDArray[Any]]
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
    known = known_of_few(plan.samples.gate, answers.original.wanted(plan.samples.gate))
    return Proven(made.file, report, reference, answers.converted.weights_sha256, known, step)


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
        besides={**besides_of(plan.trained), **besides},
        known=proven.known,
        device=plan.target,
        finish=finish_of(plan, SCHEMES[proven.report.scheme], samples, progress),
        page=page_maker(progress),
    )


def few_samples(held_out: HeldOut) -> dict[str, NDArray[Any]]:
    """The samples that travel in the bundle: one of each class first, or just a few where there are none."""
    return {name: np.asarray(raw[_few(held_out)]) for name, raw in held_out.raw.items()}


def known_of_few(held_out: HeldOut, wanted: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[Any]]:
    """What is known of those samples, by the names of arrays in a bundle; see `bundle`.

    Args:
        wanted: output name → (N, ...) what the float model answers to all of `held_out`.
    """
    few = _few(held_out)
    known: dict[str, NDArray[Any]] = {f"float {name}": np.asarray(values[few]) for name, values in wanted.items()}
    if held_out.labels is not None:
        known["label"] = held_out.labels[few]
    if held_out.targets is not None:
        known["wanted"] = held_out.targets[few]
    elif held_out.clean is not None:
        [known["wanted"]] = (np.asarray(clean[few]) for clean in held_out.clean.values())
    return known


def besides_of(trained: Trained) -> dict[str, bytes]:
    """Further files that a bundle holds of its model: the course of its training, where there was one."""
    return {"history.csv": csv_of(trained.history)} if trained.history else {}


def _few(held_out: HeldOut) -> slice | NDArray[np.int64]:
    """Which samples travel in a bundle."""
    if held_out.labels is None:
        return slice(SAMPLES_WITHOUT_LABELS)
    return stratified(held_out.labels, SAMPLES_IN_BUNDLE, SEED)


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
