"""The second half of the pipeline: a Keras model on disk → a proven bundle."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.bundle.loading import Bundle
from dlkit.bundle.writing import Reference, write_bundle
from dlkit.conversion.making import Made, append_files, make_file
from dlkit.conversion.samples import ExportSamples, HeldOut, samples_of_folder, samples_of_recipe
from dlkit.datasets import stratified
from dlkit.errors import DataError, IllegalCombination
from dlkit.progress import SILENT, Advance, Progress
from dlkit.report import Comparison, Report
from dlkit.runtime.inspection import inspect_model
from dlkit.schemes import SCHEMES, Scheme
from dlkit.targets import TARGETS, Target
from dlkit.trained import Trained
from dlkit.verify import Judged, check_conversion, compare, refuse_unless_good
from dlkit.writing import check_writable, refuse_existing

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLES_IN_BUNDLE = 10
SAMPLES_WITHOUT_LABELS = 3
MAX_DROP, CALIBRATION_SAMPLES, SEED = 0.01, 300, 0
"""What a recipe would say, for a model without one."""


def bundle_folder(out: Path, name: str, target: str, scheme: str) -> Path:
    """Where the bundle of a model is written."""
    return out / name / f"{target}-{scheme}"


def export(
    trained: Trained,
    scheme: str | None = None,
    target: str | None = None,
    *,
    data: Path | None = None,
    out: Path = Path("exported"),
    force: bool = False,
    progress: Progress = SILENT,
) -> tuple[Bundle, Report]:
    """Convert, quantize, prove and bundle a model as `out`/name/target-scheme/.

    Args:
        scheme, target: default to the recipe's, else to float32 and cpu.
        data: a folder of images to calibrate with and prove on; without it the recipe's dataset.

    Raises:
        VerificationRefused: the file broke its promise or lost too much; nothing was written.
        DataError: there is no data to calibrate with or prove on.
        IllegalCombination, ConversionError, OutputError: as they say.
    """
    wanted = trained.recipe.export if trained.recipe else None
    chosen = SCHEMES[scheme or (wanted.scheme if wanted else "float32")]
    device = TARGETS[target or (wanted.target if wanted else "cpu")]
    _check_legal(chosen, device)
    folder = bundle_folder(out, trained.name, device.name, chosen.name)
    refuse_existing(folder, replace=force)
    check_writable(folder.parent)
    with progress.step("Reading samples"):
        samples = _samples(trained, chosen, data)
    with tempfile.TemporaryDirectory(prefix="dlkit-") as temporary:
        made = _made(trained, chosen, samples, Path(temporary), progress)
        with progress.step("Proving it against the float model") as advance:
            report, reference = _proven(made, trained, samples, chosen, device, advance)
        few = _few(samples.gate)
        bundle = write_bundle(folder, made.file, trained, report, few, reference, replace=force)
    return bundle, report


def _check_legal(scheme: Scheme, target: Target) -> None:
    if scheme.name not in target.schemes:
        raise IllegalCombination(
            f"{target.name} cannot run {scheme.name} files; it runs {', '.join(target.schemes)}: "
            f"--scheme {target.schemes[0]}"
        )


def _samples(trained: Trained, scheme: Scheme, data: Path | None) -> ExportSamples:
    own = samples_of_recipe(trained.recipe) if trained.recipe else None
    if data is not None:
        given = samples_of_folder(data, trained.preprocessing, CALIBRATION_SAMPLES, SEED)
        return dataclasses.replace(given, test=own.test if own else None)
    if own is not None:
        return own
    purpose = "to calibrate with and to prove the file on" if scheme.needs_calibration else "to prove the file on"
    shape = "×".join(str(n) for n in trained.preprocessing.image or trained.preprocessing.shape)
    raise DataError(
        f"{trained.name} has no data set {purpose}; name a folder of images (about 100; any size, they are fitted "
        f"to {shape}): add --data FOLDER"
    )


def _few(held_out: HeldOut) -> NDArray[Any]:
    """The samples that travel in the bundle: one of each class first, or just a few where there are none."""
    if held_out.labels is None:
        return held_out.raw[:SAMPLES_WITHOUT_LABELS]
    return held_out.raw[stratified(held_out.labels, SAMPLES_IN_BUNDLE, SEED)]


def _made(trained: Trained, scheme: Scheme, samples: ExportSamples, folder: Path, progress: Progress) -> Made:
    """The file, labelled; the Keras model has answered the gate's samples and then those of the test split."""
    held_out = [samples.gate.raw] + ([samples.test.raw] if samples.test else [])
    prepare = trained.preprocessing.apply
    inputs = np.concatenate([prepare(raw) for raw in held_out])
    made = make_file(trained.model, scheme, prepare(samples.calibration), inputs, folder, progress)
    described = {"labels": trained.labels, "preprocessing": dataclasses.asdict(trained.preprocessing)}
    labels = "".join(f"{label}\n" for label in trained.labels)
    append_files(made.file, {"labels.txt": labels.encode(), "dlkit.json": json.dumps(described).encode()})
    return made


def _proven(
    made: Made, trained: Trained, samples: ExportSamples, scheme: Scheme, target: Target, advance: Advance
) -> tuple[Report, Reference | None]:
    """The report of a file that passed. Raises VerificationRefused for one that did not."""
    content, original = made.file.read_bytes(), made.float_file.read_bytes()
    inspection = inspect_model(content, made.file.name)
    count = len(samples.gate.raw)

    def compared(held_out: HeldOut, reference: NDArray[np.float32]) -> Comparison:
        inputs = trained.preprocessing.apply(held_out.raw)
        before = Judged(original, inputs, advance)
        check_conversion(reference, before)
        after = before if made.file == made.float_file else Judged(content, inputs, advance)
        return compare(held_out.name, reference, before, after, held_out.labels)

    gate = compared(samples.gate, made.reference[:count])
    max_drop = trained.recipe.export.max_drop if trained.recipe else MAX_DROP
    refuse_unless_good(inspection, scheme, gate, max_drop)
    test, remembered = None, None
    if samples.test is not None:
        outputs = made.reference[count:]
        test = compared(samples.test, outputs)
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
        float_bytes=len(original),
        ops=inspection.ops,
        tensors=inspection.tensors,
    )
    return report, remembered
