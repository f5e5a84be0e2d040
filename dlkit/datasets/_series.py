"""Files of series → arrays.

.ts: `#` comments, `@` facts, then after `@data` a series a line: features divided by `:`, steps by `,`, the class last.
.tsv: a series of one feature a line: the class first, then the steps, divided by tabs; NaN behind a short one.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.datasets._arrays import Labelled
from dlkit.errors import DataError
from dlkit.runtime.inputs import content_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


SMALL_BYTES, MOST_TIMES = 2**28, 100
"""What padding may always take; what is more, and so many times what the series have, is a mistake."""


@dataclasses.dataclass(frozen=True)
class Series:
    """Of one file.

    Attributes:
        values: (steps, features) float32 each.
        labels: the class of each.
        called: the file.
    """

    values: list[NDArray[Any]]
    labels: list[str]
    called: str


def stacked(files: tuple[str, ...], pad: bool) -> list[Labelled]:
    """The series of each file, all of one length. Raises DataError if they are not, and are not to be padded."""
    read = [_read(Path(file)) for file in files]
    lengths = {len(values) for series in read for values in series.values}
    if len(lengths) > 1 and not pad:
        raise DataError(
            f"{files[0]}: series of {min(lengths)} to {max(lengths)} steps; data.options.pad = true puts zeros before "
            "the shorter ones"
        )
    features = {values.shape[1] for series in read for values in series.values}
    if len(features) > 1:
        raise DataError(f"{files[0]}: series of {min(features)} to {max(features)} features; each needs as many")
    longest = max(lengths)
    padded = 4 * longest * max(features) * sum(len(series.values) for series in read)
    if padded > max(SMALL_BYTES, MOST_TIMES * sum(values.nbytes for series in read for values in series.values)):
        raise DataError(
            f"{files[0]}: series of {min(lengths)} to {longest} steps would take {padded:,} bytes, nearly all of them "
            "zeros before the shorter ones; cut the longest"
        )

    def whole(values: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([np.zeros((longest - len(values), values.shape[1]), np.float32), values])

    return [
        Labelled(np.stack([whole(values) for values in series.values]), np.asarray(series.labels), series.called)
        for series in read
    ]


def _read(path: Path) -> Series:
    try:
        text = content_of(path).decode("utf-8")
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not text in UTF-8") from None
    series = _read_ts(text, path) if path.suffix == ".ts" else _read_tsv(text, path)
    if not series.values:
        raise DataError(f"{path}: holds no series")
    return series


def _read_ts(text: str, path: Path) -> Series:
    values: list[NDArray[Any]] = []
    labels: list[str] = []
    in_data = False
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        where = f"{path}, line {number}"
        if not line or line.startswith("#"):
            continue
        if not in_data:
            key, *facts = line.lower().split()
            in_data = key == "@data"
            if key == "@timestamps" and facts == ["true"]:
                raise DataError(f"{where}: series with time stamps are not read; save them without")
            if key in ("@classlabel", "@targetlabel") and (key != "@classlabel" or facts[:1] != ["true"]):
                raise DataError(f"{where}: its series have no classes, and a classifier is trained on classes")
            continue
        *features, label = line.split(":")
        columns = [_numbers(feature.split(","), where) for feature in features]
        if not columns or len({len(column) for column in columns}) > 1:
            raise DataError(f"{where}: {len(columns)} features of different lengths; each needs as many steps")
        values.append(np.stack(columns, axis=1))
        labels.append(label.strip())
    return Series(values, labels, str(path))


def _read_tsv(text: str, path: Path) -> Series:
    values: list[NDArray[Any]] = []
    labels: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        label, *cells = line.rstrip().split("\t")
        while cells and cells[-1].lower() == "nan":
            cells.pop()
        values.append(_numbers(cells, f"{path}, line {number}")[:, np.newaxis])
        labels.append(label.strip())
    return Series(values, labels, str(path))


def _numbers(cells: list[str], where: str) -> NDArray[Any]:
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # becomes infinite, which is told
            numbers = np.asarray(cells, np.float32)
    except ValueError:
        missing = "?" in [cell.strip() for cell in cells]
        found = "a value is missing (?)" if missing else f"{','.join(cells)[:40]!r} is not numbers"
        raise DataError(f"{where}: {found}; mend the line or take it out") from None
    if not len(numbers) or not np.isfinite(numbers).all():
        raise DataError(f"{where}: holds NaN, infinity or nothing; mend the line or take it out")
    return numbers
