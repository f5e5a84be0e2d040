"""Series of the UCR and UEA archives: NAME_TRAIN and NAME_TEST, as .ts files or in the UCR's .tsv form."""

from __future__ import annotations

import dataclasses
import functools
import os
from pathlib import Path

from dlkit.datasets import Dataset, Wanted, source
from dlkit.datasets._fractions import InSplits
from dlkit.errors import DataError


@dataclasses.dataclass(frozen=True, kw_only=True)
class UcrOptions(InSplits):
    """Of a data set of series.

    Attributes:
        path: the folder that holds its two files.
        name: of the data set, where the folder holds several.
        pad: put zeros before series that are shorter than the longest, which are refused otherwise.
        raw_range: as of `npz`.
    """

    path: str
    name: str = ""
    pad: bool = False
    raw_range: tuple[float, float] | None = None


@source(UcrOptions, gives="series of the UCR and UEA archives, NAME_TRAIN and NAME_TEST as .ts or .tsv, in a folder")
def ucr(options: UcrOptions, wanted: Wanted) -> Dataset:
    """Series (N, steps, features) float32. The test split is the archive's; validation is drawn from its TRAIN."""
    from dlkit.datasets._arrays import stamp

    files = _files(options)
    return _opened(options, files, stamp(*files))


@functools.lru_cache(maxsize=1)
def _opened(options: UcrOptions, files: tuple[str, str], stamp: object) -> Dataset:
    from dlkit.datasets._arrays import Given, dataset_of_arrays
    from dlkit.datasets._series import stacked

    train, test = stacked(files, options.pad)
    return dataset_of_arrays(Given("ucr", options.path, {"train": train, "test": test}, options, options.raw_range))


def _files(options: UcrOptions) -> tuple[str, str]:
    """The files to train and to test on. Raises DataError unless there is one of each."""
    folder = Path(options.path)
    if not os.path.isdir(folder):  # noqa: PTH112 - false of a name that is too long
        raise DataError(
            f"data.options.path = {options.path!r}: there is no such folder (looked for {folder.absolute()})"
        )
    found = sorted(p for p in folder.iterdir() if p.stem.endswith("_TRAIN") and p.suffix in (".ts", ".tsv"))
    named = [path for path in found if options.name in ("", path.stem.removesuffix("_TRAIN"))]
    if len(named) != 1:
        shown = ", ".join(path.name for path in found) or "none"
        raise DataError(
            f"{folder}: needs one {options.name or 'NAME'}_TRAIN.ts or .tsv, and holds {shown}; say which with "
            "data.options.name, or keep one form of it"
        )
    test = named[0].with_name(named[0].name.replace("_TRAIN.", "_TEST."))
    if not test.is_file():
        raise DataError(f"{test}: there is no such file beside {named[0].name}")
    return str(named[0]), str(test)
