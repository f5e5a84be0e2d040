"""What a page tells of a bundle: read from its files by their types, whoever wrote them."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import types
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dlkit.bundle.loading import LARGEST_SAMPLES_BYTES, Bundle
from dlkit.errors import DataError, ModelFileError, RecipeError
from dlkit.filing import read_file
from dlkit.pages.latency import Latencies
from dlkit.pages.layer_sizes import FileSizes, sizes_of
from dlkit.reading import read_dataclass
from dlkit.report import Report
from dlkit.runtime.arrays import read_npz
from dlkit.runtime.inspection import FUSED_LSTM

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T")
LARGEST_REPORT_BYTES, LARGEST_HISTORY_BYTES = 2**25, 2**24
History = dict[str, list[float]]
"""What was measured → a number for each epoch; NaN where there is none."""


@dataclasses.dataclass(frozen=True)
class Facts:
    """All that a page is made of.

    Attributes:
        bundle: whose.
        folder: what the bundle's folder is called.
        report: what was measured when it was made.
        history: the course of the training; empty where it is not known.
        arrays: of samples.npz, see `bundle`.
        sizes: of its .tflite file; None of a model for servers.
        latencies: measured on this machine.
    """

    bundle: Bundle
    folder: str
    report: Report
    history: History
    arrays: dict[str, NDArray[Any]]
    sizes: FileSizes | None
    latencies: Latencies


def facts_of(bundle: Bundle, latencies: Latencies, folder: str = "") -> Facts:
    """Read them. Raises ModelFileError if a file is not what it should be.

    Args:
        folder: what the bundle's folder will be called, where it is not yet.
    """
    report = report_of(bundle)
    names = [error.layer for error in report.layers]
    fused = [e.layer for e in sorted(report.layers, key=lambda e: e.place) if e.operation == FUSED_LSTM]
    sizes = sizes_of(bundle.model, names, fused) if bundle.model.suffix == ".tflite" else None
    return Facts(
        bundle,
        folder or bundle.folder.resolve().name,
        report,
        _history_of(bundle),
        _arrays_of(bundle),
        sizes,
        latencies,
    )


def report_of(bundle: Bundle) -> Report:
    """Its report.json. Raises ModelFileError if that is none, or is missing."""
    path = bundle.folder / "report.json"
    if "report.json" not in bundle.manifest["sha256"]:
        raise ModelFileError(f"{bundle.folder}: has no report.json that its manifest names; export the bundle again")
    try:
        content = read_file(path, LARGEST_REPORT_BYTES)
        table = json.loads(content, parse_constant=_refused, parse_float=_finite)
        report = read_dataclass(Report, _known(Report, table), str(path))
        _check(report)
        return report
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror}") from None
    except RecipeError as error:  # which says what is where another thing is wanted
        raise ModelFileError(f"{error}; export the bundle again") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ModelFileError(f"{path}: is not a report of dlkit, or is corrupt; export the bundle again") from None


def _refused(text: str) -> float:
    raise ValueError(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _known(hint: Any, value: Any) -> Any:
    """`value` without the keys of tables that this dlkit does not know, which a later one may have written."""
    arguments = [a for a in typing.get_args(hint) if a is not type(None)]
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return _known(arguments[0], value) if len(arguments) == 1 else value
    if typing.get_origin(hint) is tuple and isinstance(value, list):
        inner = arguments[0] if arguments[-1] is Ellipsis else None
        return [_known(inner, each) for each in value] if inner else value
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        hints = typing.get_type_hints(hint)
        return {key: _known(hints[key], each) for key, each in value.items() if key in hints}
    return value


def _check(report: Report) -> None:
    """Raise ValueError unless what types do not tell holds too."""
    counts = [*report.ops.items(), *report.tensors.items()]
    if not report.gates or not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for _, n in counts):
        raise ValueError
    if any(number < 0 for part in report.confusions for pair in (*part.float, *part.exported) for number in pair):
        raise ValueError
    if min(report.bytes, report.float_bytes, report.gzip_bytes, report.float_gzip_bytes) < 0:
        raise ValueError


def _arrays_of(bundle: Bundle) -> dict[str, NDArray[Any]]:
    path = bundle.folder / "samples.npz"
    try:
        return read_npz(read_file(path, LARGEST_SAMPLES_BYTES), str(path), LARGEST_SAMPLES_BYTES)
    except (DataError, OSError) as error:
        raise ModelFileError(f"{error}; export the bundle again") from None


def _history_of(bundle: Bundle) -> History:
    """See `Facts.history`. Raises ModelFileError if the file is no table of numbers."""
    if "history.csv" not in bundle.manifest["sha256"]:
        return {}
    path = bundle.folder / "history.csv"
    try:
        rows = list(csv.DictReader(io.StringIO(_text(path))))
        columns = [name for name in (rows[0] if rows else {}) if name != "epoch"]
        return {name: [float(row[name]) if row[name] else math.nan for row in rows] for name in columns}
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, csv.Error):
        raise ModelFileError(f"{path}: is not the history of a training; export the bundle again") from None


def _text(path: Path) -> str:
    return read_file(path, LARGEST_HISTORY_BYTES).decode("utf-8")
