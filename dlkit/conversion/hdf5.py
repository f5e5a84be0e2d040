"""HDF5 files, read through once in a process of their own before this one opens them: the library is native code."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

from dlkit.conversion.child import run_task
from dlkit.conversion.contents import MOST_TIMES, SMALL_BYTES, bounded_memory, configuration_in
from dlkit.errors import ConversionError, EndedBySystem, ModelFileError
from dlkit.extras import require
from dlkit.progress import Advance, ignore
from dlkit.writing import temporary_folder

TIME_LIMIT_S = 300.0
WEIGHTS = "model.weights.h5"
AT_ONCE = 2**22
"""Numbers that are in memory together."""


def check_hdf5(path: Path) -> None:
    """Raise ModelFileError if the HDF5 file `path`, or the one in a .keras file, cannot be read through.

    Or if an array of it says that it is far larger than what is stored, or lies in another file.
    """
    try:
        run_task("dlkit.conversion.hdf5:read_through", ignore, TIME_LIMIT_S, frameworks=False, path=str(path))
    except (ConversionError, EndedBySystem) as error:
        raise ModelFileError(f"{path}: cannot be read: {error}") from None


def read_through(path: str, advance: Advance) -> None:
    """The child's side: every array and attribute, once."""
    file = Path(path)
    h5py = require("h5py")
    with bounded_memory(file), temporary_folder() as folder:
        stored = file
        if file.suffix.lower() == ".keras":
            configuration_in(file)
            stored = folder / WEIGHTS
            _extract(file, stored)
        try:
            with h5py.File(stored, "r") as opened:
                _check_group(file, opened, h5py, set())
        except ModelFileError:
            raise
        except Exception as error:  # h5py raises what HDF5 says, of many types
            reason = f"it is no HDF5 file, or cut short ({_first_line(error)})"
            raise ModelFileError(f"{path}: cannot be read: {reason}") from None


def _extract(archive: Path, destination: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as parts, parts.open(WEIGHTS) as part, destination.open("wb") as new:
            while chunk := part.read(2**20):
                new.write(chunk)
    except OSError:
        raise
    except Exception as error:  # zipfile raises what its parsers raise; each is about the file
        raise ModelFileError(f"{archive}: holds no weights of Keras: {_first_line(error)}") from None


def _check_group(file: Path, group: Any, h5py: Any, seen: set[Any]) -> None:
    """The group and what is below it; links are not followed, and those out of the file refused."""
    if group.id in seen:
        return
    seen.add(group.id)
    dict(group.attrs.items())
    for name in group:
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            raise ModelFileError(
                f"{file}: {name!r} lies in another file, {str(link.filename)[:80]!r}; save it as one file"
            )
        if not isinstance(link, h5py.HardLink):
            continue
        item = group[name]
        dict(item.attrs.items())
        if isinstance(item, h5py.Group):
            _check_group(file, item, h5py, seen)
        elif isinstance(item, h5py.Dataset):
            _check_array(file, name, item)


def _check_array(file: Path, name: str, array: Any) -> None:
    if array.external or array.is_virtual:
        raise ModelFileError(f"{file}: the array {name!r} lies in another file; save it as one file")
    count = math.prod(array.shape or ())
    size, stored = count * array.dtype.itemsize, array.id.get_storage_size()
    if size > max(SMALL_BYTES, MOST_TIMES * min(stored, file.stat().st_size)):
        raise ModelFileError(
            f"{file}: the array {name!r} says it has {size:,} bytes, and {stored:,} are stored; save the file again"
        )
    if not array.shape:
        array[()]
        return
    row = max(1, count // max(1, array.shape[0]))
    for start in range(0, array.shape[0], max(1, AT_ONCE // row)):
        array[start : start + max(1, AT_ONCE // row)]


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")[:200] or type(error).__name__
