"""Arrays of samples and labels → a dataset: what its classes are, its range, its splits and its statistics."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.datasets import NO_RANGE, Dataset, Split, Splits
from dlkit.datasets._copies import kept_apart
from dlkit.datasets._fractions import Divided, InSplits
from dlkit.datasets._splitting import divided
from dlkit.errors import DataError
from dlkit.runtime.rows import ChosenRows, Rows, batches_of, is_lazy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Range = tuple[float, float]

BYTES = (0.0, 255.0)
MOST_DIGITS = 18
"""Of a label that is a whole number; Python makes none of a text of thousands."""
AT_ONCE = 1024
"""Samples that are looked at together."""


@dataclasses.dataclass(frozen=True)
class Labelled:
    """Samples with what their classes are called.

    Attributes:
        samples: (N, ...) numbers.
        labels: (N,) class numbers or names.
        called: where they are, for messages.
    """

    samples: Rows
    labels: NDArray[Any]
    called: str


@dataclasses.dataclass(frozen=True)
class Given:
    """What a source found.

    Attributes:
        name: of the source.
        where: the file, for messages.
        parts: "train", and "validation" and "test" if they are given; or "" alone, for all samples.
        options: how what is not given is drawn.
        raw_range: what the user says it is; None if nothing is said.
        classes: names of the classes 0, 1 … as the user says them; () if they are called as they are numbered.
    """

    name: str
    where: str
    parts: Mapping[str, Labelled]
    options: Divided
    raw_range: Range | None = None
    classes: tuple[str, ...] = ()


def dataset_of_arrays(given: Given) -> Dataset:
    """Raises DataError for arrays that do not belong together, hold NaN, or are outside the range that is said.

    And for equal samples in two of the splits that are given, unless those are to be left out.
    """
    parts = {part: _shaped(labelled) for part, labelled in given.parts.items()}
    first = next(iter(parts.values()))
    shape = tuple(first.samples.shape[1:])
    for labelled in parts.values():
        _check_shapes(labelled, shape, first.called)
    raw_range = _range(given, first, shape)
    dtype = np.result_type(*(labelled.samples.dtype for labelled in parts.values()))
    identities = {part: _surveyed(labelled, raw_range, dtype) for part, labelled in parts.items()}
    parts, identities = _apart(given, parts, identities)
    names, numbers = _numbered(given, parts)
    splits = _divided(given, parts, names, numbers, identities)
    return Dataset(
        name=given.name,
        shape=shape,
        labels=names,
        raw_range=raw_range,
        samples=(len(splits.train), len(splits.validation), len(splits.test)),
        source=given.where,
        licence="the user's own",
        load=lambda: splits,
        statistics=statistics_of(splits.train.samples) if len(shape) < 3 else ((), ()),
        kept="yours",
    )


def stamp(*paths: str) -> tuple[tuple[int, int, int], ...]:
    """What changes when a file does; () for one that is not there, which reading it will tell."""
    found = [Path(path).stat() for path in paths if os.path.exists(path)]  # noqa: PTH110 - false of a name too long
    return tuple((state.st_ino, state.st_mtime_ns, state.st_size) for state in found)


def _shaped(labelled: Labelled) -> Labelled:
    """Bytes (N, height, width) are grey images; (N,) numbers are series of one."""
    samples = labelled.samples
    if samples.dtype.kind not in "uifb":
        raise DataError(f"{labelled.called}: holds {samples.dtype}, not numbers")
    if samples.dtype != np.uint8 or samples.ndim != 3 or is_lazy(samples):
        return labelled
    return dataclasses.replace(labelled, samples=np.asarray(samples)[..., np.newaxis])


def _check_shapes(labelled: Labelled, shape: tuple[int, ...], first: str) -> None:
    samples, labels = labelled.samples, labelled.labels
    if samples.ndim < 2 or 0 in samples.shape:
        raise DataError(f"{labelled.called}: has the shape {samples.shape}; give samples as rows, (N, …)")
    if samples.shape[1:] != shape:
        raise DataError(f"{labelled.called}: samples of {samples.shape[1:]}, but those of {first} are of {shape}")
    if labels.shape != (len(samples),):
        found = f"{len(samples)} samples and labels of shape {labels.shape}"
        raise DataError(f"{labelled.called}: {found}; give one label for each sample, (N,)")


def _range(given: Given, first: Labelled, shape: tuple[int, ...]) -> Range:
    if given.raw_range is not None:
        low, high = given.raw_range
        if not low < high:
            raise DataError(f"{given.where}: data.options.raw_range = [{low:g}, {high:g}] must rise")
        return low, high
    if first.samples.dtype == np.uint8:
        return BYTES
    if len(shape) == 3:
        raise DataError(
            f"{first.called}: images of {first.samples.dtype}; say the values of black and white: "
            "data.options.raw_range = [LOWEST, HIGHEST]"
        )
    return NO_RANGE


def _surveyed(labelled: Labelled, raw_range: Range, dtype: np.dtype[Any]) -> list[bytes]:
    """A hash of each sample, the same for equal numbers: of `dtype`, -0 as 0.

    Raises DataError for NaN, infinity and what is outside the range.
    """
    low, high = raw_range
    identities: list[bytes] = []
    for batch in batches_of(labelled.samples, AT_ONCE):
        bad = ~np.isfinite(batch).reshape(len(batch), -1).all(axis=1)
        if bad.any():
            row = len(identities) + int(np.flatnonzero(bad)[0])
            raise DataError(f"{labelled.called}: sample {row} holds NaN or infinity; take it out or mend it")
        least, most = float(batch.min()), float(batch.max())  # the limits may be beyond the type of the samples
        if not (least >= low and most <= high):
            found = f"{least:g} to {most:g}"
            raise DataError(f"{labelled.called}: values from {found}, but data.options.raw_range = [{low:g}, {high:g}]")
        alike = batch.astype(dtype) + dtype.type(0)
        identities += [hashlib.blake2b(sample.tobytes(), digest_size=16).digest() for sample in alike]
    return identities


def _apart(
    given: Given, parts: Mapping[str, Labelled], identities: Mapping[str, list[bytes]]
) -> tuple[dict[str, Labelled], dict[str, list[bytes]]]:
    """No sample in two of the splits that are given."""
    if len(parts) == 1:
        return dict(parts), dict(identities)
    copies = given.options.copies if isinstance(given.options, InSplits) else "refuse"
    kept = kept_apart(identities, copies, given.where, lambda place: f"{place[0]}[{place[1]}]")
    apart, told = dict(parts), dict(identities)
    for part, positions in kept.items():
        if len(positions) < len(identities[part]):
            samples, labels = _rows(parts[part].samples, positions), parts[part].labels[positions]
            apart[part] = dataclasses.replace(parts[part], samples=samples, labels=labels)
            told[part] = [identities[part][position] for position in positions]
    return apart, told


def _numbered(given: Given, parts: Mapping[str, Labelled]) -> tuple[tuple[str, ...], dict[str, NDArray[np.int64]]]:
    """Names of the classes in order, and class numbers of each part."""
    train = next(iter(parts.values()))
    kind = train.labels.dtype.kind
    if kind not in "uiU":
        raise DataError(f"{train.called}: labels of {train.labels.dtype}; give class numbers as integers")
    if given.classes:
        values: Sequence[Any] = range(len(given.classes))
        names = given.classes
    else:
        found = np.unique(train.labels).tolist()
        values = sorted(found, key=int) if kind == "U" and all(_is_whole(value) for value in found) else found
        names = tuple(str(value) for value in values)
    place = {value: number for number, value in enumerate(values)}
    numbers: dict[str, NDArray[np.int64]] = {}
    for part, labelled in parts.items():
        if unknown := sorted(set(labelled.labels.tolist()) - place.keys()):
            known = ", ".join(names[:10]) + (" …" if len(names) > 10 else "")
            raise DataError(f"{labelled.called}: label {unknown[0]!r} is none of the classes {known}")
        numbers[part] = np.asarray([place[value] for value in labelled.labels.tolist()], np.int64)
    return names, numbers


def _is_whole(text: str) -> bool:
    return len(text) <= MOST_DIGITS and text.isascii() and text.removeprefix("-").isdigit()


def _divided(
    given: Given,
    parts: Mapping[str, Labelled],
    names: tuple[str, ...],
    numbers: Mapping[str, NDArray[np.int64]],
    identities: Mapping[str, list[bytes]],
) -> Splits:
    """The splits that are given, and what is missing of them drawn from what there is to train on."""
    whole = next(iter(parts))
    splits = {part: Split(parts[part].samples, numbers[part]) for part in parts if part != whole}
    drawn = ["train", *(part for part in ("validation", "test") if part not in splits)]
    fractions = [getattr(given.options, part) for part in drawn[1:]]
    rows = divided(numbers[whole], identities[whole], fractions, given.options.split_seed, names, given.where)
    for part, positions in zip(drawn, rows, strict=True):
        splits[part] = Split(_rows(parts[whole].samples, positions), numbers[whole][positions])
    return Splits(**splits)


def _rows(samples: Rows, positions: NDArray[np.int64]) -> Rows:
    if is_lazy(samples):
        return ChosenRows(samples, positions)
    rows: NDArray[Any] = np.asarray(samples)[positions]
    return rows


def statistics_of(samples: Rows) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each feature, the last axis; the deviation of one that never varies counts as 1."""
    features = samples.shape[-1]
    total, squares, count = np.zeros(features), np.zeros(features), 0
    for batch in batches_of(samples, AT_ONCE):
        rows = batch.reshape(-1, features).astype(np.float64)
        total += rows.sum(axis=0)
        count += len(rows)
    mean = total / count
    for batch in batches_of(samples, AT_ONCE):
        squares += ((batch.reshape(-1, features).astype(np.float64) - mean) ** 2).sum(axis=0)
    deviation = np.sqrt(squares / count)
    deviation[deviation == 0] = 1.0
    return tuple(mean.tolist()), tuple(deviation.tolist())
