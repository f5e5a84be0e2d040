"""The second half of the pipeline: a Keras model on disk → a proven bundle."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.bundle.loading import Bundle
from dlkit.bundle.writing import write_bundle
from dlkit.conversion.making import Made, append_files, make_file
from dlkit.conversion.metadata import add_metadata
from dlkit.conversion.samples import ExportSamples, HeldOut, calibrated_with, samples_of_folder, samples_of_recipe
from dlkit.datasets import stratified
from dlkit.errors import DataError, IllegalCombination, ModelFileError, OutputError
from dlkit.pipeline.proving import prove
from dlkit.progress import SILENT, Progress
from dlkit.recipe import Recipe, different_keys
from dlkit.report import Report
from dlkit.runtime.tensor_names import tensor_names
from dlkit.schemes import SCHEMES, Scheme
from dlkit.targets import TARGETS, Target
from dlkit.trained import Trained
from dlkit.writing import check_writable, refuse_existing, temporary_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLES_IN_BUNDLE = 10
SAMPLES_WITHOUT_LABELS = 3
CALIBRATION_SAMPLES, SEED = 300, 0
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
        data: a folder of images to calibrate with, in place of the recipe's training split; for a
            model without a recipe, to prove it on too.

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
    _check_name(trained, folder.parent)
    refuse_existing(folder, replace=force)
    check_writable(folder.parent)
    with progress.step("Reading samples"):
        samples = _samples(trained, chosen, data)
    with temporary_folder() as temporary:
        made = _made(trained, chosen, samples, temporary, progress)
        with progress.step("Proving it against the float model") as advance:
            report, reference = prove(made, trained, samples, chosen, device, advance)
        few = _few(samples.gate)
        identity = made.weights_sha256
        bundle = write_bundle(
            folder, made.file, trained, report, few, reference, weights_sha256=identity, replace=force
        )
    return bundle, report


def as_recipe_says(trained: Trained, recipe: Recipe) -> Trained:
    """`trained` with [export] and [expect] of `recipe`. Raises ModelFileError if the rest is not what trained it."""
    different = different_keys(trained.recipe, recipe, ("export", "expect")) if trained.recipe else ["recipe"]
    if different:
        raise ModelFileError(
            f"{trained.model} was made with other values of {', '.join(different)}; train it again with --force, "
            f"or export it as it is: dlkit export {trained.name}"
        )
    return dataclasses.replace(trained, recipe=recipe)


def _check_legal(scheme: Scheme, target: Target) -> None:
    if scheme.name not in target.schemes:
        raise IllegalCombination(
            f"{target.name} cannot run {scheme.name} files; it runs {', '.join(target.schemes)}: "
            f"--scheme {target.schemes[0]}"
        )


def _check_name(trained: Trained, folder: Path) -> None:
    """Raise OutputError if a model from elsewhere would put its bundles beside a model of ours."""
    ours = folder / "model.keras"
    if not trained.network and ours.exists():
        raise OutputError(f"{folder} belongs to {ours}; rename {trained.model.name}, or choose another --out DIR")


def _samples(trained: Trained, scheme: Scheme, data: Path | None) -> ExportSamples:
    if trained.recipe is not None:
        own = samples_of_recipe(trained.recipe)
        return own if data is None else calibrated_with(own, data, trained.preprocessing, trained.recipe)
    if data is not None:
        return samples_of_folder(data, trained.preprocessing, CALIBRATION_SAMPLES, SEED)
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
    [(names, _), *_], _ = tensor_names(made.file)
    about = f"{trained.name}, {scheme.name}, made by dlkit"
    add_metadata(made.file, trained.name, about, {names[0]: trained.preprocessing}, trained.labels)
    described = {"labels": trained.labels, "preprocessing": dataclasses.asdict(trained.preprocessing)}
    labels = "".join(f"{label}\n" for label in trained.labels)
    append_files(made.file, {"labels.txt": labels.encode(), "dlkit.json": json.dumps(described).encode()})
    return made
