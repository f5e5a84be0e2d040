"""What a user gives to calibrate and prove with → raw samples by input, with labels where there are some.

A folder of images or WAV files, or of folders of those of a class each; a .npy array, an .npz archive of arrays
named like the inputs, a .csv table; from Python an array, a mapping of arrays, or samples one by one.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.calibration.image_folders import read_images
from dlkit.calibration.linting import identities
from dlkit.datasets import stratified
from dlkit.errors import DataError
from dlkit.filing import read_file
from dlkit.runtime.arrays import read_npz
from dlkit.runtime.inputs import LARGEST_BYTES, read_inputs
from dlkit.runtime.preprocessing import Preprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray

LABELS = "labels"
"""The name of classes beside arrays of inputs."""


@dataclasses.dataclass(frozen=True)
class Samples:
    """Raw samples and where they came from.

    Attributes:
        raw: input's name → (N, *image) or (N, *shape) raw values, checked by `Preprocessing.raw_sample`.
        labels: (N,) class numbers, None where there are none.
        source: for the report.
        class_names: the folder of each class, in the order of the numbers; () for other sources.
    """

    raw: dict[str, NDArray[Any]]
    labels: NDArray[np.int64] | None
    source: str
    class_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(next(iter(self.raw.values())))

    def rows(self, positions: NDArray[np.int64]) -> Samples:
        """The samples at `positions`, in their order."""
        raw = {name: array[positions] for name, array in self.raw.items()}
        return dataclasses.replace(self, raw=raw, labels=None if self.labels is None else self.labels[positions])


def read_samples(
    data: Path | str | NDArray[Any] | Mapping[str, Any] | Iterable[Any],
    preprocessing: Mapping[str, Preprocessing],
    most: int | None = None,
    seed: int = 0,
) -> Samples:
    """The samples in `data`, or `most` of them, drawn by `seed` and spread over the classes where there are labels.

    Args:
        data: a file or folder; an array (N, *shape) where the model has one input; a mapping of an
            array for each input, and "labels" (N,) if they are known; or an iterable of samples, each an
            array (*shape) or a mapping of one for each input, of which the first `most` are taken.
        preprocessing: of each input of the model, by its name.

    Raises:
        DataError: `data` is missing, empty or broken, does not fit the inputs, or holds NaN, infinity
            or values outside the raw range.
    """
    if isinstance(data, str | Path):
        return _of_path(Path(data), preprocessing, most, seed)
    if isinstance(data, Mapping):
        return _of_arrays(data, preprocessing, "arrays given", "data", most, seed)
    if hasattr(data, "__array__"):
        arrays = {_only(preprocessing, "data: an array"): data}
        return _of_arrays(arrays, preprocessing, "array given", "data", most, seed)
    if isinstance(data, Iterable) and not isinstance(data, bytes):
        return _of_iterable(data, preprocessing, most)
    kinds = "a path, an array, a mapping of arrays or an iterable of samples"
    raise DataError(f"data: is of type {type(data).__name__}; give {kinds}")


def drawn(samples: Samples, most: int | None, seed: int) -> Samples:
    """At most `most` of the samples; of labelled ones as many of each class as there are."""
    return samples.rows(_drawn_rows(len(samples), samples.labels, most, seed))


def _drawn_rows(count: int, labels: NDArray[np.int64] | None, most: int | None, seed: int) -> NDArray[np.int64]:
    if most is None or most >= count:
        return np.arange(count)
    return _order(count, labels, seed)[:most]


def _order(count: int, labels: NDArray[np.int64] | None, seed: int) -> NDArray[np.int64]:
    return stratified(labels, count, seed) if labels is not None else np.random.default_rng(seed).permutation(count)


def held_out_apart(samples: Samples, held_out: int, seed: int) -> tuple[Samples, Samples]:
    """`held_out` of the samples, drawn as `drawn` does, and the others; of equal samples one is kept.

    A copy of what is held out would otherwise calibrate.
    """
    first = {identity: row for row, identity in reversed(list(enumerate(identities(samples.raw))))}
    different = samples.rows(np.sort(np.fromiter(first.values(), np.int64)))
    order = _order(len(different), different.labels, seed)
    return different.rows(order[:held_out]), different.rows(order[held_out:])


def _of_path(path: Path, preprocessing: Mapping[str, Preprocessing], most: int | None, seed: int) -> Samples:
    if path.is_dir():
        only = _only(preprocessing, f"--data {path}: a folder of files")
        images = read_images(path, preprocessing[only], most, seed)
        return Samples({only: images.raw}, images.labels, images.source, images.class_names)
    if path.suffix.lower() == ".npz":
        return _of_arrays(_archive(path), preprocessing, path.name, str(path), most, seed)
    only = _only(preprocessing, f"--data {path}: one array")
    raw = np.stack([sample.raw for sample in read_inputs([str(path)], preprocessing[only])])
    return drawn(Samples({only: raw}, None, path.name), most, seed)


def _archive(path: Path) -> dict[str, NDArray[Any]]:
    try:
        content = read_file(path, LARGEST_BYTES)
    except FileNotFoundError:
        raise DataError(f"--data {path}: there is no such file") from None
    except OSError as error:
        raise DataError(f"--data {path}: cannot be read: {error.strerror}") from None
    return read_npz(content, str(path), LARGEST_BYTES)


def _of_arrays(
    arrays: Mapping[str, Any],
    preprocessing: Mapping[str, Preprocessing],
    source: str,
    where: str,
    most: int | None,
    seed: int,
) -> Samples:
    """An array for each input, rows side by side; the array of a sole input may have any name."""
    given = {name: _array(array, f"{where}, {name}") for name, array in arrays.items()}
    classes = _classes(given.pop(LABELS), where) if LABELS in given and LABELS not in preprocessing else None
    if len(preprocessing) == len(given) == 1:
        given = dict(zip(preprocessing, given.values(), strict=True))
    if set(given) != set(preprocessing):
        wanted, found = ", ".join(preprocessing), ", ".join(map(str, given)) or "none"
        raise DataError(f"{where}: holds arrays named {found}; this model's inputs are {wanted}")
    lengths = {name: len(array) if array.ndim else 0 for name, array in given.items()}
    if classes is not None:
        lengths[LABELS] = len(classes)
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        found = ", ".join(f"{count} in {name}" for name, count in lengths.items())
        raise DataError(f"{where}: {found}; every array needs the same number of samples, at least one")
    rows = _drawn_rows(next(iter(lengths.values())), classes, most, seed)
    raw = {
        name: np.stack([of_input.raw_sample(given[name][row], f"{where}, {name}[{row}]") for row in rows])
        for name, of_input in preprocessing.items()
    }
    return Samples(raw, None if classes is None else classes[rows], source)


def _array(values: Any, where: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError:  # rows of different lengths, or a sample beside its label
        kinds = "an array or a mapping of arrays"
        raise DataError(f"{where}: a {type(values).__name__} that is no array; give {kinds}") from None


def _classes(labels: NDArray[Any], where: str) -> NDArray[np.int64]:
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or labels.min(initial=0) < 0:
        found = f"{labels.dtype} of shape {labels.shape}"
        raise DataError(f"{where}, {LABELS}: {found}; give a class number from 0 on for each sample, as integers (N,)")
    return labels.astype(np.int64)


def _of_iterable(data: Iterable[Any], preprocessing: Mapping[str, Preprocessing], most: int | None) -> Samples:
    """Samples one by one; no further than `most`, as there may be no end."""
    rows: dict[str, list[NDArray[Any]]] = {name: [] for name in preprocessing}
    for number, sample in enumerate(itertools.islice(data, most)):
        for name, values in _by_input(sample, preprocessing, f"data: sample {number}"):
            rows[name].append(preprocessing[name].raw_sample(values, f"data: sample {number}, {name}"))
    if not all(rows.values()):
        raise DataError("data: holds no samples")
    return Samples({name: np.stack(values) for name, values in rows.items()}, None, "samples given")


def _by_input(
    sample: Any, preprocessing: Mapping[str, Preprocessing], where: str
) -> Iterator[tuple[str, NDArray[Any]]]:
    if not isinstance(sample, Mapping):
        sample = {_only(preprocessing, f"{where}: one array"): sample}
    if set(sample) != set(preprocessing):
        raise DataError(
            f"{where}: has {', '.join(map(str, sample))}; this model's inputs are {', '.join(preprocessing)}"
        )
    for name, values in sample.items():
        yield name, _array(values, where)


def _only(preprocessing: Mapping[str, Preprocessing], what: str) -> str:
    """The name of the sole input. Raises DataError where there are several."""
    if len(preprocessing) != 1:
        names = ", ".join(preprocessing)
        raise DataError(
            f"{what} feeds one input, but this model has {len(preprocessing)}: {names}; give arrays by name"
        )
    return next(iter(preprocessing))
