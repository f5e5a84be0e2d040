"""What is wrong with calibration samples, told before a file is made with them.

What certainly spoils the ranges, or the proof that is to follow, is refused; what may be meant is a
warning for the report.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dlkit.runtime.rows import Rows

LEAST_SAMPLES = 7
"""Fewer are refused where no one asked for so few; what is left of ten images when three are held out."""
ENOUGH_SAMPLES = 100
"""Fewer are warned of."""
NARROW = 0.25
"""Samples that fill less than this part of the raw range are warned of."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        refused: whether nothing may be calibrated with these samples.
        text: one line: what was found, and what to do where they are refused.
    """

    refused: bool
    text: str


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Samples to calibrate with, and what is known about them.

    Attributes:
        raw: input's name → (N, *shape) raw values, before preprocessing.
        inputs: input's name → (N, *shape) network inputs, after it.
        raw_ranges: input's name → smallest and largest raw value that training had (`Preprocessing.raw_range`),
            of inputs for which that is known.
        held_out: of each part of the samples that are to prove the file, input's name → (M, *shape) raw values.
        labels: (N,) classes, None where there are none.
        classes: how many there are to learn, None where there are none.
        asked_for: whether a recipe or a user asked for just this number of samples.
    """

    raw: Mapping[str, NDArray[Any]]
    inputs: Mapping[str, NDArray[np.float32]]
    raw_ranges: Mapping[str, tuple[float, float]]
    held_out: Sequence[Mapping[str, Rows]]
    labels: NDArray[np.int64] | None = None
    classes: int | None = None
    asked_for: bool = False


def warnings_about(calibration: Calibration) -> list[str]:
    """The warnings among the findings. Raises DataError, all of it in one line, for the first that is refused."""
    found = findings(calibration)
    for finding in found:
        if finding.refused:
            raise DataError(finding.text)
    return [finding.text for finding in found]


def findings(calibration: Calibration) -> list[Finding]:
    """What is wrong, the worst first; nothing further where samples are missing or no numbers."""
    for check in (_unequal, _not_finite):
        if found := list(check(calibration)):
            return found
    checks = (_few, _out_of_range, _one_class, _copies, _constant, _overlap)
    found = [finding for check in checks for finding in check(calibration)]
    return sorted(found, key=lambda finding: not finding.refused)


def _unequal(c: Calibration) -> Iterator[Finding]:
    lengths = {name: len(array) for name, array in c.raw.items()}
    if not lengths or 0 in lengths.values():
        yield Finding(True, "there are no calibration samples; give some with --data")
    elif len(set(lengths.values())) > 1:
        found = ", ".join(f"{count} for {name}" for name, count in lengths.items())
        yield Finding(True, f"calibration samples: {found}; each input needs as many")


def _not_finite(c: Calibration) -> Iterator[Finding]:
    for arrays, where in ((c.raw, ""), (c.inputs, " after preprocessing")):
        for name, array in arrays.items():
            bad = ~np.isfinite(array)
            if bad.any():
                rows = np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1))
                found = f"{len(rows)} of {len(array)} calibration samples hold NaN or infinity{where}"
                yield Finding(True, f"{_of(c, name)}{found}, the first is sample {rows[0]}; take them out or mend them")


def _few(c: Calibration) -> Iterator[Finding]:
    count = _count(c)
    if count < LEAST_SAMPLES and not c.asked_for:
        text = f"{count} calibration samples are too few; give at least {LEAST_SAMPLES}, 100 are better"
        yield Finding(True, text)
    elif count < ENOUGH_SAMPLES:
        yield Finding(False, f"only {count} calibration samples; from 100 on ranges hardly change any more")


def _out_of_range(c: Calibration) -> Iterator[Finding]:
    """Raw values that cannot be, or can hardly be, those that training had."""
    for name, (low, high) in c.raw_ranges.items():
        array, of = c.raw[name], _of(c, name)
        least, most = float(array.min()), float(array.max())
        found = f"calibration samples from {least:g} to {most:g}, but training had raw values from {low:g} to {high:g}"
        slack = 1e-6 * (high - low)
        if least < low - slack or most > high + slack:
            yield Finding(True, f"{of}{found}; give them as they are before preprocessing")
        elif high > 2 and most <= 1 and array.dtype.kind == "f" and not np.array_equal(array, np.round(array)):
            yield Finding(True, f"{of}{found}; they look scaled already: give them as they are before preprocessing")
        elif most - least < NARROW * (high - low):
            yield Finding(False, f"{of}{found}: are they scaled already?")
        elif low < 0 <= least:
            yield Finding(False, f"{of}{found}: none is negative")


def _one_class(c: Calibration) -> Iterator[Finding]:
    if c.labels is None or not c.classes or c.classes < 2:
        return
    present = np.unique(c.labels)
    if len(present) == 1:
        found = f"all {_count(c)} calibration samples are of one class (number {present[0]} of {c.classes})"
        yield Finding(_count(c) >= LEAST_SAMPLES, f"{found}; take some of each")
    elif len(present) < min(c.classes, _count(c)):
        yield Finding(False, f"calibration samples of {len(present)} of {c.classes} classes")


def _copies(c: Calibration) -> Iterator[Finding]:
    count, different = _count(c), len(set(identities(c.raw)))
    if different == 1 and count > 1:
        yield Finding(True, f"all {count} calibration samples are the same; give different ones")
        return
    if different < count:
        yield Finding(False, f"{count - different} of {count} calibration samples are copies of others")
    for name, array in c.raw.items():
        if len(c.raw) > 1 and count > 1 and len(set(identities({name: array}))) == 1:
            yield Finding(False, f"input {name!r} is the same in all {count} calibration samples")


def _constant(c: Calibration) -> Iterator[Finding]:
    """One input of several may well be constant, a mask of ones for instance; all of them hardly."""
    count = _count(c)
    blank = {name: int(_are_blank(array).sum()) for name, array in c.raw.items()}
    if count > 1 and set(blank.values()) == {count}:
        yield Finding(True, f"each of the {count} calibration samples holds one value throughout; give real ones")
        return
    for name, rows in blank.items():
        if rows:
            yield Finding(False, f"{_of(c, name)}{rows} of {count} calibration samples hold one value throughout")


def _overlap(c: Calibration) -> Iterator[Finding]:
    """Two blank samples are alike without being the same one."""
    held_out = {identity for part in c.held_out for identity in identities(part)}
    blank = np.logical_and.reduce([_are_blank(array) for array in c.raw.values()])
    rows = [row for row, seen in enumerate(identities(c.raw)) if seen in held_out and not blank[row]]
    if rows:
        found = f"{len(rows)} of {_count(c)} calibration samples are also among those that are to prove the file"
        yield Finding(True, f"{found}, the first is sample {rows[0]}; take them out of one of the two")


def _are_blank(array: NDArray[Any]) -> NDArray[np.bool_]:
    """(N,) whether a sample of several values holds only one."""
    rows = array.reshape(len(array), -1)
    blank: NDArray[np.bool_] = (rows == rows[:, :1]).all(axis=1) & (rows.shape[1] > 1)
    return blank


def identities(samples: Mapping[str, Rows]) -> Iterator[bytes]:
    """A hash of each sample's values, whatever type they are stored in."""
    arrays = [samples[name] for name in sorted(samples)]
    for row in zip(*arrays, strict=True):
        digest = hashlib.blake2b(digest_size=16)
        for values in row:
            digest.update((np.ravel(values).astype(np.float64) + 0.0).tobytes())  # -0.0 is 0.0
        yield digest.digest()


def _count(c: Calibration) -> int:
    return len(next(iter(c.raw.values())))


def _of(c: Calibration, name: str) -> str:
    """Which input, where there are several."""
    return f"input {name!r}: " if len(c.raw) > 1 else ""
