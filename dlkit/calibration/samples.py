"""Which samples calibrate a file and which prove it; the two never overlap."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.calibration.linting import Calibration, warnings_about
from dlkit.calibration.sources import Samples, held_out_apart, read_samples
from dlkit.datasets import Split, stratified
from dlkit.errors import DataError
from dlkit.networks import NETWORKS
from dlkit.recipe import Recipe
from dlkit.recipe_data import held_out_noise, latent_noise, preprocessing_of, splits_of, through_noise
from dlkit.runtime.preprocessing import Preprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dlkit.runtime.rows import Rows

    Data = Path | str | NDArray[Any] | Mapping[str, Any] | Iterable[Any]
    """A file or folder; from Python also arrays, or samples one by one. See `sources.read_samples`."""

# A fifth of the samples, but enough to be a sample at all and no more than a few minutes of VGG16.
MINIMUM_SAMPLES, LEAST_HELD_OUT, MOST_HELD_OUT = 10, 3, 100


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """Samples no one has trained on or calibrated with, unless the recipe trains with the validation split.

    Attributes:
        name: for the report.
        raw: input name → (N, ...) raw values.
        labels: (N,) classes, 0 and 1 where they are of a model without class names; None where there are none.
        fingerprint: sha256 of the split they are, "" where they are none.
        clean: input name → (N, ...) raw values without the noise that is laid over `raw`; None where there is none.
        targets: (N, horizon, features) raw values that are to be forecast; None where nothing is.
    """

    name: str
    raw: Mapping[str, Rows]
    labels: NDArray[np.int64] | None
    fingerprint: str = ""
    clean: Mapping[str, Rows] | None = None
    targets: NDArray[np.float32] | None = None

    def rows(self, positions: NDArray[np.int64]) -> HeldOut:
        """The samples at `positions`, in their order."""

        def some(arrays: Mapping[str, Rows]) -> dict[str, NDArray[Any]]:
            return {name: np.asarray(rows[positions]) for name, rows in arrays.items()}

        return HeldOut(
            self.name,
            some(self.raw),
            None if self.labels is None else self.labels[positions],
            clean=None if self.clean is None else some(self.clean),
            targets=None if self.targets is None else self.targets[positions],
        )

    @property
    def wanted(self) -> Mapping[str, Rows]:
        """Raw values that an auto-encoder is to give."""
        return self.raw if self.clean is None else self.clean


@dataclasses.dataclass(frozen=True)
class ExportSamples:
    """What an export needs to see.

    Attributes:
        calibration: raw values of the training split, or of what was given, with their source and labels.
        gate: what the file must pass on.
        test: looked at once, for the report.
        asked_for: whether the number of calibration samples is one that a recipe's author chose.
    """

    calibration: Samples
    gate: HeldOut
    test: HeldOut | None
    asked_for: bool = False

    def warnings(self, inputs: Mapping[str, Preprocessing], classes: int) -> list[str]:
        """What may be wrong with the calibration samples. Raises DataError for what certainly is."""
        # A series may repeat itself, a night without sun for instance: windows alike are not the same window.
        apart_in_time = self.gate.targets is not None
        held_out = [] if apart_in_time else [self.gate] + ([self.test] if self.test else [])
        raw = self.calibration.raw
        return warnings_about(
            Calibration(
                raw=raw,
                inputs={name: preprocessing.apply(raw[name]) for name, preprocessing in inputs.items()},
                # What features of a sound can be is known, but no sounds fill it.
                raw_ranges={name: p.raw_range for name, p in inputs.items() if p.is_bounded and not p.sound},
                held_out=[{name: part.raw[name] for name in inputs} for part in held_out],
                labels=self.calibration.labels,
                classes=classes or None,
                asked_for=self.asked_for,
            )
        )


def samples_of_recipe(recipe: Recipe, name: str) -> ExportSamples:
    """Calibration from the training split, spread over the classes; the gate on validation; test for the report.

    Args:
        name: of the network's input.
    """
    if NETWORKS[recipe.network.name].task == "generation":
        return _samples_of_generator(recipe, name)
    splits, raw_range = splits_of(recipe), preprocessing_of(recipe).raw_range
    train = splits.train.rows(stratified(splits.train.labels, recipe.export.calibration_samples, recipe.seed))
    calibration = through_noise(train, held_out_noise(recipe), raw_range, recipe.seed)
    gate = "validation, trained on too" if recipe.training.with_validation else "validation"
    of = f", {' and '.join(recipe.anomaly.classes)} alone" if recipe.anomaly is not None else ""
    return ExportSamples(
        calibration=Samples(
            {name: np.asarray(calibration.samples)}, train.labels, f"training split of {recipe.data.name}{of}"
        ),
        gate=_held_out(gate, splits.validation, name),
        test=_held_out("test", splits.test, name),
        asked_for=True,
    )


def _samples_of_generator(recipe: Recipe, name: str) -> ExportSamples:
    """Noise, drawn anew for each purpose; there are no right answers, so nothing is kept for the report alone."""
    seed = recipe.seed
    calibration = latent_noise(recipe, recipe.export.calibration_samples, seed + 1)
    return ExportSamples(
        calibration=Samples({name: calibration}, None, "standard normal noise"),
        gate=HeldOut("other noise", {name: latent_noise(recipe, MOST_HELD_OUT, seed + 2)}, None),
        test=None,
        asked_for=True,
    )


def _held_out(name: str, split: Split, input_name: str) -> HeldOut:
    clean = None if split.clean is None else {input_name: split.clean}
    labels = split.labels if split.targets is None else None
    return HeldOut(name, {input_name: split.samples}, labels, split.fingerprint, clean, split.targets)


def calibrated_with(
    own: ExportSamples, data: Data, inputs: Mapping[str, Preprocessing], recipe: Recipe
) -> ExportSamples:
    """A recipe's samples with those of `data` in place of the training split; what proves stays. Raises DataError."""
    samples = read_samples(data, inputs, recipe.export.calibration_samples, recipe.seed)
    _check_enough(samples, len(samples))
    # Its classes are those of folders or of another table, which need not be the recipe's.
    calibration = dataclasses.replace(samples, labels=None)
    return dataclasses.replace(own, calibration=calibration, asked_for=False)


def samples_of_data(
    data: Data, inputs: Mapping[str, Preprocessing], labels: tuple[str, ...], calibration_samples: int, seed: int
) -> ExportSamples:
    """A fifth of the samples in `data` (at most 100), drawn by `seed`, is held out; others calibrate.

    Args:
        labels: the classes of the model. What is held out has right answers where `data` says the number of
            each sample's class, or its folder is called like one; for a model without classes, which may
            tell two apart by one output, where `data` says 0 or 1 of each.

    Raises:
        DataError: `data` is missing or broken, or holds fewer than 10 different samples.
    """
    samples = read_samples(data, inputs, calibration_samples + MOST_HELD_OUT, seed)
    count = min(MOST_HELD_OUT, max(LEAST_HELD_OUT, len(samples) // 5))
    held_out, rest = held_out_apart(samples, count, seed)
    _check_enough(samples, len(held_out) + len(rest))
    rest = rest.rows(np.arange(min(len(rest), calibration_samples)))
    gate = HeldOut(f"held-out {samples.source}", held_out.raw, _right_answers(held_out, labels))
    return ExportSamples(dataclasses.replace(rest, source=f"other {samples.source}"), gate, None)


def _right_answers(samples: Samples, labels: tuple[str, ...]) -> NDArray[np.int64] | None:
    """(N,) places in `labels`, or 0 and 1 where there are no labels; None where the samples have others, or none.

    Samples of one class alone say nothing of one output that tells two apart.
    """
    if samples.labels is None:
        return None
    if not labels:
        # Which of two folders is class 1 would be a guess.
        return samples.labels if not samples.class_names and set(samples.labels.tolist()) == {0, 1} else None
    if not samples.class_names:
        return samples.labels if int(samples.labels.max()) < len(labels) else None
    if not set(samples.class_names) <= set(labels):
        return None
    places = np.asarray([labels.index(name) for name in samples.class_names], np.int64)
    return places[samples.labels]


def _check_enough(samples: Samples, different: int) -> None:
    if different < MINIMUM_SAMPLES:
        copies = f" (and {len(samples) - different} copies)" if len(samples) > different else ""
        found = f"{different} different samples{copies} in {samples.source}"
        raise DataError(f"--data: {found}; at least {MINIMUM_SAMPLES} are needed, 100 are better")
