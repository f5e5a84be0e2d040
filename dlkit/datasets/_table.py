"""A .csv file → its lines below a line of names, and the numbers in them."""

from __future__ import annotations

import collections
import csv
import dataclasses
import io
import math
from pathlib import Path

from dlkit.errors import DataError, suggestion
from dlkit.runtime.inputs import content_of

LARGEST_NUMBER = 3.4028234663852886e38
"""Of 32 bits."""


@dataclasses.dataclass(frozen=True)
class Table:
    """Of one file.

    Attributes:
        names: of the columns, each once.
        lines: number and cells of each, as many as there are names; empty ones left out.
        where: the file, for messages.
    """

    names: list[str]
    lines: list[tuple[int, list[str]]]
    where: str

    def place(self, name: str, key: str) -> int:
        """Of the column that data.options.`key` names. Raises DataError if there is none."""
        if name not in self.names:
            raise DataError(
                f"{self.where}: data.options.{key}: no column is called {name!r}; {suggestion(name, self.names)}"
            )
        return self.names.index(name)

    def numbers(self, places: list[int], advice: str) -> list[list[float]]:
        """The numbers of each line in these columns. Raises DataError with line and column of what is none.

        Args:
            advice: what to do about a column of which nothing is meant to be a number; "{}" stands for its name.
        """
        return [[self._number(cells[i], self.names[i], line, advice) for i in places] for line, cells in self.lines]

    def _number(self, cell: str, column: str, line: int, advice: str) -> float:
        value = as_number(cell)
        if value is None:
            raise DataError(
                f"{self.where}, line {line}: {cell.strip()[:40]!r} in column {column!r} is no number; if none of it is "
                f"meant to be, {advice.format(column)}"
            )
        if not abs(value) <= LARGEST_NUMBER:
            what = f"{cell.strip()[:40]!r} in column {column!r}"
            beyond = " is beyond the numbers of 32 bits" if math.isfinite(value) else ""
            raise DataError(f"{self.where}, line {line}: {what}{beyond}; take the line out or mend it")
        return value


def as_number(cell: str) -> float | None:
    """The number in a cell, None if it is none; Python's own 1_000 is none elsewhere."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def read_table(path: str, separator: str, where: str) -> Table:
    """Raises DataError for what is no text in UTF-8, has no names or has lines of other lengths."""
    try:
        text = content_of(Path(path)).decode("utf-8-sig")  # spreadsheets put a mark before the first name
    except UnicodeDecodeError:
        raise DataError(f"{where}: is not text in UTF-8; save it as such") from None
    try:
        rows = csv.reader(io.StringIO(text), delimiter=separator, strict=True)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: data.options.separator = {separator!r} cannot be one: {error}") from None
    lines: list[tuple[int, list[str]]] = []
    try:
        names = [name.strip() for name in next(rows, [])]
        _check_names(names, where)
        for cells in rows:
            if cells and len(cells) != len(names):
                raise DataError(
                    f"{where}, line {rows.line_num}: {len(cells)} columns, but the first line names {len(names)}"
                )
            if cells:
                lines.append((rows.line_num, cells))
    except csv.Error as error:
        raise DataError(f"{where}, line {rows.line_num}: {error}") from None
    return Table(names, lines, where)


def _check_names(names: list[str], where: str) -> None:
    if not any(names):
        raise DataError(f"{where}: is empty; its first line names the columns")
    if twice := sorted(name for name, count in collections.Counter(names).items() if count > 1):
        raise DataError(f"{where}: two columns are called {twice[0][:40]!r}; its first line has to name the columns")
