"""A bundle against labelled data it has not seen."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.bundle.answers import top_classes
from dlkit.bundle.loading import Bundle
from dlkit.datasets import Split
from dlkit.errors import DataError, ModelFileError, UnknownName, suggestion
from dlkit.filing import read_file
from dlkit.metrics import auc, beside_naive, mean_squared_error, psnr_db, skill, squared_errors
from dlkit.networks import NETWORKS
from dlkit.pipeline.detecting import beyond
from dlkit.progress import Advance, further, ignore
from dlkit.recipe import Recipe, recipe_from
from dlkit.recipe_data import anomalous, asked_of, data_preprocessing, latent_noise, naive_of, splits_of
from dlkit.report import Number
from dlkit.runtime.inputs import files_for, read_inputs

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEASURED = ("forecasting", "reconstruction", "generation")
"""Tasks without classes that there is a measure of."""
AT_ONCE = 1024
LARGEST_REFERENCE_BYTES = 2**28
"""Samples whose inputs are in memory together."""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Quality of a bundle's file.

    Attributes:
        metric: "accuracy", "psnr_db" of an auto-encoder, "auc" of one that detects anomalies, "skill" of a forecaster,
            or "feature_distance" of a generator (lower is better).
        float: of the float model on the same samples; None where it was not measured.
        exported: of the file, measured now.
        agreement: fraction of samples on which both put the same class first; None likewise.
        samples: how many.
        data: which.
        besides: what else is known: of generated images, see `training.judging.Judgement` and `frechet.Frechet`; of an
            anomaly detector its threshold, and the fraction of normal samples (false alarms) and of others (found)
            beyond it; of a forecaster, see `metrics.beside_naive`.
        warnings: why one of the numbers may mean less than it seems to, or is not there.
    """

    metric: str
    float: Number | None
    exported: Number
    agreement: Number | None
    samples: int
    data: str
    besides: Mapping[str, Number] = dataclasses.field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def evaluate(bundle: Bundle, data: str | Path | None = None, advance: Advance = ignore) -> Evaluation:
    """By the metric of its task on the test split of the bundle's dataset, or on a folder of files by class.

    >>> dlkit.evaluate(dlkit.load("exported/digits-tiny/cpu-int8")).exported    # doctest: +SKIP
    0.9944444444444445

    Args:
        data: a folder of images or WAV files in a folder for each class, in place of the test split.
        advance: called with how many samples are done, and of how many.

    Returns:
        The metric of the file, measured now on this machine, and that of the float model on the same samples.

    Raises:
        DataError: there is no telling what the outputs should be; the bundle has no dataset and no folder is
            given; or the data is not what it was.
    """
    recipe, data = bundle.manifest["recipe"], Path(data) if data is not None else None
    task = _task(recipe)
    if bundle.detector is not None and data is not None:
        return _anomalies_in(bundle, data, advance)
    if not bundle.labels and (data is not None or task not in MEASURED):
        raise DataError(f"{bundle.folder}: its outputs are no classes, so there is no accuracy to measure")
    if data is not None:
        return _on_folder(bundle, data, advance)
    if recipe is None:
        raise DataError(
            f"{bundle.folder} was made without a labelled data set; name a folder with a folder of images for each "
            "class: --data FOLDER"
        )
    if task == "generation":
        return _generated(bundle, recipe_from(recipe, str(bundle.folder / "manifest.json")), advance)
    path = bundle.folder / "reference.json"
    again = f"export it again: dlkit export {bundle.manifest['name']}"
    try:
        if path.name not in bundle.manifest["sha256"]:
            raise FileNotFoundError  # whoever put one there: nobody vouches for it
        before = json.loads(read_file(path, LARGEST_REFERENCE_BYTES))
        fingerprint = before["fingerprint"]
    except OSError:
        raise ModelFileError(f"{path}: is missing, which has what the float model answered; {again}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ModelFileError(f"{path}: does not hold what the float model answered; {again}") from None
    wanted = recipe_from(recipe, str(bundle.folder / "manifest.json"))
    split = splits_of(wanted).test
    if fingerprint != split.fingerprint:
        raise _changed(wanted)
    outputs = _outputs(bundle, split, advance)
    measure = _rebuilt if task == "reconstruction" else _classified
    if task == "forecasting":
        measure = partial(_forecast, wanted)
    elif bundle.detector is not None:
        measure = partial(_detected, wanted)
    try:
        return measure(bundle, split, outputs, before, f"test split of {wanted.data.name}")
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        found = f"there is no {error}" if isinstance(error, KeyError) else str(error) or "they are of other samples"
        raise ModelFileError(
            f"{bundle.folder}: cannot be compared with the float model, whose answers in {path.name} do not fit: "
            f"{found}; {again}"
        ) from None


def _outputs(bundle: Bundle, split: Split, advance: Advance) -> NDArray[np.float32]:
    """The bundle's answers to all samples, some at a time: they need not fit into memory."""
    session, outputs = bundle.session(), []
    for start in range(0, len(split), AT_ONCE):
        batch = bundle.preprocessing.apply(split.samples[start : start + AT_ONCE])
        outputs.append(session.run(batch, further(advance, start, len(split))))
    return np.concatenate(outputs)


def _task(recipe: Any) -> str:
    """Of the network that a manifest's recipe names; "" if there is none."""
    try:
        return NETWORKS[recipe["network"]["name"]].task
    except (KeyError, TypeError, UnknownName):
        return ""


def _changed(recipe: Recipe) -> DataError:
    return DataError(
        f"the test split of {recipe.data.name!r} is not the one this bundle was measured on; export it again"
    )


def _classified(
    bundle: Bundle, split: Split, outputs: NDArray[np.float32], before: dict[str, Any], data: str
) -> Evaluation:
    classes, found = np.asarray(before["classes"], np.int64), outputs.argmax(axis=1)
    if classes.shape != split.labels.shape:
        raise ValueError(f"{classes.size} of them for {len(split)} samples")
    return Evaluation(
        metric="accuracy",
        float=float(np.mean(classes == split.labels)),
        exported=float(np.mean(found == split.labels)),
        agreement=float(np.mean(classes == found)),
        samples=len(split),
        data=data,
    )


def _forecast(
    recipe: Recipe, bundle: Bundle, split: Split, outputs: NDArray[np.float32], before: dict[str, Any], data: str
) -> Evaluation:
    assert bundle.forecast is not None and split.targets is not None  # noqa: PT018
    wanted, given = bundle.forecast.apply(split.targets), bundle.preprocessing.apply(split.samples)
    besides = beside_naive(wanted, outputs, given, naive_of(recipe, bundle.preprocessing))
    return Evaluation("skill", float(before["skill"]), skill(wanted, outputs, given), None, len(split), data, besides)


def _rebuilt(
    bundle: Bundle, split: Split, outputs: NDArray[np.float32], before: dict[str, Any], data: str
) -> Evaluation:
    wanted, peak = bundle.preprocessing.apply(split.wanted), bundle.preprocessing.span
    return Evaluation(
        metric="psnr_db",
        float=float(before["psnr_db"]),
        exported=psnr_db(mean_squared_error(wanted, outputs), peak),
        agreement=None,
        samples=len(split),
        data=data,
    )


def _detected(
    recipe: Recipe, bundle: Bundle, split: Split, outputs: NDArray[np.float32], before: dict[str, Any], data: str
) -> Evaluation:
    scores = squared_errors(bundle.preprocessing.apply(split.samples), outputs)
    return _told_apart(bundle, scores, anomalous(recipe, split.labels), float(before["auc"]), data)


def _told_apart(
    bundle: Bundle, scores: NDArray[np.float64], others: NDArray[np.int64], before: float | None, data: str
) -> Evaluation:
    """A detector on samples of which it is known which are normal (0) and which others (1)."""
    assert bundle.detector is not None
    threshold = bundle.detector.threshold
    alarms, found = beyond(threshold, scores, others)
    besides = {"threshold": threshold, "false_alarms": alarms, "found": found}
    return Evaluation("auc", before, auc(scores, others), None, len(scores), data, besides)


def _generated(bundle: Bundle, recipe: Recipe, advance: Advance) -> Evaluation:
    """What a classifier that is trained for it sees in images made of noise; the float model is not there.

    That of the recipe's [measure] looks at them too. Bundles travel without its file; where it is not, that is told.
    """
    from dlkit.pipeline.features import is_missing, load_features
    from dlkit.pipeline.frechet import frechet_of
    from dlkit.training.judging import Judge
    from dlkit.training.measuring import GENERATED, TEST_NOISE

    away = is_missing(recipe.measure)
    features, splits = None if away else load_features(recipe.measure), splits_of(recipe)
    noise = latent_noise(recipe, GENERATED, recipe.seed + TEST_NOISE)
    images = bundle.session().run(bundle.preprocessing.apply(noise), advance)
    preprocessing = data_preprocessing(recipe)
    found = Judge(recipe, splits, preprocessing).judge(images, splits.test, asked_of(recipe, GENERATED))
    besides, warnings = found.besides, tuple[str, ...]()
    if features is not None:
        frechet = frechet_of(features, images, splits, preprocessing)
        besides, warnings = besides | frechet.besides, frechet.warnings
    elif away:
        warnings = (f"there is no file {recipe.measure.features} here, so the Fréchet distance by it is left out",)
    return Evaluation(
        metric="feature_distance",
        float=None,
        exported=found.feature_distance,
        agreement=None,
        samples=GENERATED,
        data=f"noise, beside the test split of {recipe.data.name}",
        besides=besides,
        warnings=warnings,
    )


def _anomalies_in(bundle: Bundle, folder: Path, advance: Advance) -> Evaluation:
    """Images or sounds in folders called like their classes, of which some are normal and all others anomalies."""
    assert bundle.detector is not None
    normal, scores, others = bundle.detector.normal, [], []
    classes, kind = _classes_in(folder, bundle), files_for(bundle.preprocessing)
    session = bundle.session()
    for done, path in enumerate(classes, start=1):
        advance(done, len(classes))
        for sample in read_inputs([str(file) for file in kind.inside(path)], bundle.preprocessing):
            x = bundle.preprocessing.apply(np.asarray(sample.raw)[np.newaxis])
            scores.append(squared_errors(x, session.run(x)))
            others.append(int(path.name not in normal))
    if len(set(others)) < 2:
        raise DataError(f"--data {folder}: needs a folder of {kind.many} called {normal[0]} and one called otherwise")
    return _told_apart(bundle, np.concatenate(scores), np.asarray(others, np.int64), None, f"{folder.name}/")


def _classes_in(folder: Path, bundle: Bundle) -> list[Path]:
    """The folders of images or sounds of a class each. Raises DataError for some that are in none."""
    if not folder.is_dir():
        raise DataError(f"--data {folder}: there is no such folder")
    kind = files_for(bundle.preprocessing)
    if strays := kind.strays(folder):
        raise DataError(f"{strays[0]}: is in no class; put each {kind.one} into the folder of its class")
    # What systems put there (.git, .DS_Store, __MACOSX) is no class.
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))


def _on_folder(bundle: Bundle, folder: Path, advance: Advance) -> Evaluation:
    """Images or sounds in folders called like the labels; the float model is not there to compare with."""
    classes, kind = _classes_in(folder, bundle), files_for(bundle.preprocessing)
    session = bundle.session()
    right: list[bool] = []
    for done, path in enumerate(classes, start=1):
        advance(done, len(classes))
        if path.name not in bundle.labels:
            raise DataError(f"{path}: no class is called {path.name!r}; {suggestion(path.name, bundle.labels)}")
        for sample in read_inputs([str(file) for file in kind.inside(path)], bundle.preprocessing):
            outputs = session.run(bundle.preprocessing.apply(np.asarray(sample.raw)[np.newaxis]))[0]
            [(label, _)] = top_classes(outputs, bundle.labels, 1)
            right.append(label == path.name)
    if not right:
        raise DataError(
            f"--data {folder}: needs a folder of {kind.many} for each class, named {', '.join(bundle.labels[:3])} …"
        )
    return Evaluation("accuracy", None, float(np.mean(right)), None, len(right), f"{folder.name}/")
