"""The shelf of datasets: named, with source, licence and fixed splits.

A dataset is a function that returns its `Splits` (raw values, before preprocessing);
`@dataset(...)` puts it on the shelf under its own name. Training, calibration and validation see
`train` and `validation`; `test` is looked at once, for the report.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dlkit.shelf import Shelf, entries_of_modules

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True)
class Split:
    """Samples with their labels.

    Attributes:
        samples: (N, *shape) raw values, for instance pixels.
        labels: (N,) int64 class numbers.
        clean: the samples without the noise that a recipe laid over them; None if there is none.
        original: the split as the dataset has it, where the samples were changed for a network.
    """

    samples: NDArray[Any]
    labels: NDArray[np.int64]
    clean: NDArray[Any] | None = None
    original: Split | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, positions: NDArray[np.int64]) -> Split:
        """The samples at these positions."""
        clean = None if self.clean is None else self.clean[positions]
        return Split(self.samples[positions], self.labels[positions], clean)

    @property
    def wanted(self) -> NDArray[Any]:
        """(N, *shape) what an auto-encoder is to give: the samples, without noise."""
        return self.samples if self.clean is None else self.clean

    @property
    def fingerprint(self) -> str:
        """sha256 of shapes, types, samples and labels as the dataset has them: the same split gives the same string."""
        if self.original is not None:
            return self.original.fingerprint
        digest = hashlib.sha256()
        for array in (self.samples, self.labels):
            digest.update(f"{array.shape} {array.dtype.str} ".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()


@dataclasses.dataclass(frozen=True)
class Splits:
    """Three disjoint parts of one dataset."""

    train: Split
    validation: Split
    test: Split


@dataclasses.dataclass(frozen=True)
class Dataset:
    """What is known of a dataset without loading it.

    Attributes:
        name: the loading function's name.
        shape: of one sample, for instance (8, 8, 1).
        labels: class names; their number is the number of classes.
        raw_range: smallest and largest raw value a sample can hold.
        samples: number in (train, validation, test).
        source: where it comes from, with an address.
        licence: under which it may be passed on.
        load: reads it; samples are raw values.
        statistics: mean and deviation of each feature in the training split, without padding; of images none.
    """

    name: str
    shape: tuple[int, ...]
    labels: tuple[str, ...]
    raw_range: tuple[float, float]
    samples: tuple[int, int, int]
    source: str
    licence: str
    load: Callable[[], Splits]
    statistics: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())

    @property
    def classes(self) -> int:
        return len(self.labels)


def dataset(**facts: Any) -> Callable[[Callable[[], Splits]], Callable[[], Splits]]:
    """Put a loading function on the shelf; `facts` are the attributes of `Dataset` but for name and load."""

    def put(load: Callable[[], Splits]) -> Callable[[], Splits]:
        load.entry = Dataset(name=load.__name__, load=load, **facts)  # type: ignore[attr-defined]
        return load

    return put


def stratified(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Positions of `count` samples, spread over the classes as evenly as the classes allow, seeded.

    Takes one sample of each class in turn, in a seeded order inside the class; fewer than `count`
    positions come back only if there are fewer samples.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    by_class = [rng.permutation(np.flatnonzero(labels == value)) for value in np.unique(labels)]
    rounds = max((len(positions) for positions in by_class), default=0)
    in_turn = [p[turn] for turn in range(rounds) for p in by_class if turn < len(p)]
    return np.asarray(in_turn[:count], dtype=np.int64)


DATASETS: Shelf[Dataset] = Shelf(
    "dataset", lambda: entries_of_modules("dlkit.datasets", Dataset, lambda dataset: dataset.name)
)
