"""The course and the result of a training as tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence


def csv_of(history: Sequence[dict[str, float]]) -> bytes:
    """A line an epoch, from 1 on, with a column for each number that was measured."""
    columns = list(dict.fromkeys(key for entry in history for key in entry))
    text = io.StringIO()
    writer = csv.DictWriter(text, ["epoch", *columns], lineterminator="\n")
    writer.writeheader()
    writer.writerows({"epoch": number, **entry} for number, entry in enumerate(history, 1))
    return text.getvalue().encode()


def confusion_csv(confusion: Sequence[Sequence[int]], labels: Sequence[str]) -> bytes:
    """A line for each class, with the number of its samples that were taken for each class."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["class", *labels])
    writer.writerows([label, *row] for label, row in zip(labels, confusion, strict=True))
    return text.getvalue().encode()
