"""A table: one sample a line, a column that names its class, all others its numbers."""

from __future__ import annotations

import csv as table_reader
import dataclasses
import functools
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlkit.datasets import Dataset, Wanted, source
from dlkit.datasets._fractions import Divided
from dlkit.errors import DataError, suggestion

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True, kw_only=True)
class CsvOptions(Divided):
    """Of a table.

    Attributes:
        path: the file, UTF-8; its first line names the columns.
        label: the column that holds the class, a number or a name.
        ignore: columns that are neither, for instance an identifier.
        shape: of a sample, whose numbers stand in the order of its rows, for instance [8, 8, 1] or [steps, features];
            by default one number a column, in one dimension.
        separator: between columns.
        raw_range: as of `npz`.
    """

    path: str
    label: str
    ignore: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    separator: str = ","
    raw_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.separator) != 1:
            raise ValueError(f"data.options.separator = {self.separator!r} must be one character")
        if any(n < 1 for n in self.shape):
            raise ValueError(f"data.options.shape = {list(self.shape)} must be whole numbers from 1 on")


@source(CsvOptions, gives="a .csv table with a line of names: a sample a line, its class in the column `label`")
def csv(options: CsvOptions, wanted: Wanted) -> Dataset:
    """Samples (N, *shape) float32."""
    from dlkit.datasets._arrays import stamp

    return _opened(options, stamp(options.path))


@functools.lru_cache(maxsize=1)
def _opened(options: CsvOptions, stamp: object) -> Dataset:
    import numpy as np

    from dlkit.datasets._arrays import Given, Labelled, dataset_of_arrays
    from dlkit.runtime.inputs import content_of

    where = f"data.options.path = {options.path!r}"
    try:
        text = content_of(Path(options.path)).decode("utf-8-sig")  # spreadsheets put a mark before the first name
    except UnicodeDecodeError:
        raise DataError(f"{where}: is not text in UTF-8; save it as such") from None
    features, classes = _columns(text, options, where)
    shape = options.shape or features.shape[1:]
    if math.prod(shape) != features.shape[1]:
        raise DataError(
            f"{where}: {features.shape[1]} columns of numbers, but data.options.shape = {list(shape)} takes "
            f"{math.prod(shape)}"
        )
    labelled = Labelled(features.reshape(len(features), *shape), np.asarray(classes), where)
    return dataset_of_arrays(Given("csv", options.path, {"": labelled}, options, options.raw_range))


def _columns(text: str, options: CsvOptions, where: str) -> tuple[NDArray[Any], list[str]]:
    """(N, columns) float32 of numbers, and the class of each line. Raises DataError with the line and column."""
    import numpy as np

    lines = table_reader.reader(io.StringIO(text), delimiter=options.separator, strict=True)
    rows: list[list[float]] = []
    classes: list[str] = []
    try:
        names = [name.strip() for name in next(lines, [])]
        _check_names(names, options, where)
        label = names.index(options.label)
        others = [i for i, name in enumerate(names) if i != label and name not in options.ignore]
        for cells in lines:
            if not cells:
                continue
            if len(cells) != len(names):
                raise DataError(
                    f"{where}, line {lines.line_num}: {len(cells)} columns, but the first line names {len(names)}"
                )
            rows.append([_number(cells[i], names[i], lines.line_num, where) for i in others])
            classes.append(cells[label].strip())
    except table_reader.Error as error:
        raise DataError(f"{where}, line {lines.line_num}: {error}") from None
    if not rows or not others:
        raise DataError(
            f"{where}: has {len(rows)} lines of {len(others)} columns of numbers; there is nothing to learn"
        )
    return np.asarray(rows, np.float32), classes


def _check_names(names: list[str], options: CsvOptions, where: str) -> None:
    if not any(names):
        raise DataError(f"{where}: is empty; its first line names the columns")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{where}: two columns are called {twice[0]!r}; its first line has to name the columns")
    for key, wanted in (("label", options.label), *(("ignore", name) for name in options.ignore)):
        if wanted not in names:
            raise DataError(f"{where}: data.options.{key}: no column is called {wanted!r}; {suggestion(wanted, names)}")


def _number(cell: str, column: str, line: int, where: str) -> float:
    try:
        if "_" in cell:  # Python's own 1_000 is none elsewhere
            raise ValueError
        value = float(cell)
    except ValueError:
        raise DataError(
            f"{where}, line {line}: {cell.strip()[:40]!r} in column {column!r} is no number; if none of it is meant to "
            f"be, data.options.ignore = ['{column}']"
        ) from None
    if not math.isfinite(value):
        raise DataError(f"{where}, line {line}: {cell.strip()!r} in column {column!r}; take the line out or mend it")
    return value
