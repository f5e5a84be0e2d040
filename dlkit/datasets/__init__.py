"""The shelf of datasets: named, with source, licence and fixed splits; and of sources, which open a user's own.

A dataset is a function that returns its `Splits` (raw values, before preprocessing);
`@dataset(...)` puts it on the shelf under its own name. A source is a function that takes options, a frozen
dataclass, and returns the `Dataset` that it finds there; `@source(...)` puts it on the same shelf.
Training, calibration and validation see `train` and `validation`; `test` is looked at once, for the report.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from dlkit.shelf import Shelf, entries_of_modules

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dlkit.runtime.front_end import FrontEnd
    from dlkit.runtime.rows import Rows

NO_RANGE = (-3.4028234663852886e38, 3.4028234663852886e38)
"""Of raw values whose range no one knows: `runtime.preprocessing.ANY_NUMBER`, without numpy."""

Kept = Literal["package", "keras", "yours"]
"""Where a dataset is: in this package, fetched by Keras when it is loaded, or where the user has it."""


@dataclasses.dataclass(frozen=True)
class Split:
    """Samples with their labels.

    Attributes:
        samples: (N, *shape) raw values, for instance pixels; an array, or rows that are made when they are asked for.
        labels: (N,) int64 class numbers; 0 where there are no classes.
        clean: the samples without the noise that a recipe laid over them; None if there is none.
        original: the split as the dataset has it, where the samples were changed for a network.
        targets: (N, horizon, features) raw values that come after each sample of a series; None of other samples.
    """

    samples: Rows
    labels: NDArray[np.int64]
    clean: Rows | None = None
    original: Split | None = None
    targets: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, positions: NDArray[np.int64]) -> Split:
        """The samples at these positions, in memory."""
        clean = None if self.clean is None else self.clean[positions]
        targets = None if self.targets is None else self.targets[positions]
        return Split(self.samples[positions], self.labels[positions], clean, targets=targets)

    @property
    def wanted(self) -> Rows:
        """(N, *shape) what an auto-encoder is to give: the samples, without noise."""
        return self.samples if self.clean is None else self.clean

    @property
    def fingerprint(self) -> str:
        """sha256 of shapes, types, samples, labels and targets as the dataset has them: the same for the same split.

        Of image files it is one of the files.
        """
        from dlkit.runtime.rows import LazyRows, bytes_of

        if self.original is not None:
            return self.original.fingerprint
        digest = hashlib.sha256()
        for rows in (self.samples, self.labels, *([] if self.targets is None else [self.targets])):
            for part in rows.identity() if isinstance(rows, LazyRows) else bytes_of(rows):
                digest.update(part)
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
        name: the loading function's name, or the source's.
        shape: of one sample, for instance (8, 8, 1).
        labels: class names; their number is the number of classes. None of series that are to be forecast.
        raw_range: smallest and largest raw value a sample can hold.
        samples: number in (train, validation, test); None where only loading tells.
        source: where it comes from, with an address.
        licence: under which it may be passed on.
        load: reads it; samples are raw values.
        statistics: mean and deviation of each feature in the training split, without padding; of images none, of
            sounds where they are asked for.
        kept: where it is.
        horizon: steps after each sample that are to be forecast; 0 of what is no series to be forecast.
        sound: what makes samples, (frames, features), of sounds; None of other data.
        season: steps after which such a series is alike; 0 if no one says.
        naive_errors: of such a series, how far each feature is on average from what it was a season before, or a step
            before if there is no season; in the part that is trained on.
    """

    name: str
    shape: tuple[int, ...]
    labels: tuple[str, ...]
    raw_range: tuple[float, float]
    samples: tuple[int, int, int] | None
    source: str
    licence: str
    load: Callable[[], Splits]
    statistics: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    kept: Kept = "package"
    horizon: int = 0
    sound: FrontEnd | None = None
    season: int = 0
    naive_errors: tuple[float, ...] = ()

    @property
    def classes(self) -> int:
        return len(self.labels)

    @property
    def is_bounded(self) -> bool:
        """Whether the range of raw values is known."""
        return self.raw_range != NO_RANGE


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What the rest of a recipe wants of a source.

    Attributes:
        image: (height, width, channels) of the image that its network reads or makes; None if it takes none.
        resize: how an image of other proportions is fitted, see `recipe.DataPart`.
        standard: whether the preprocessing is by mean and deviation of each feature, which may cost a pass over all.
    """

    image: tuple[int, int, int] | None
    resize: str
    standard: bool = False


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a user's own data come from.

    Attributes:
        name: the opening function's name.
        gives: what it finds, for lists.
        options: a frozen dataclass; a recipe's [data.options] are its fields.
        open: the dataset at these options. Raises DataError if there is none, or not a good one.
    """

    name: str
    gives: str
    options: type[Any]
    open: Callable[[Any, Wanted], Dataset]

    @property
    def defaults(self) -> dict[str, Any]:
        """Every option with its default, first those that have none: "required"."""
        missing, fields = dataclasses.MISSING, dataclasses.fields(self.options)
        required = {field.name: "required" for field in fields if field.default is missing}
        return required | {field.name: field.default for field in fields if field.default is not missing}


def dataset(**facts: Any) -> Callable[[Callable[[], Splits]], Callable[[], Splits]]:
    """Put a loading function on the shelf; `facts` are the attributes of `Dataset` but for name and load."""

    def put(load: Callable[[], Splits]) -> Callable[[], Splits]:
        load.entry = Dataset(name=load.__name__, load=load, **facts)  # type: ignore[attr-defined]
        return load

    return put


Open = Callable[[Any, Wanted], Dataset]


def source(options: type[Any], gives: str) -> Callable[[Open], Open]:
    """Put an opening function on the shelf; the arguments are the attributes of `Source`."""

    def put(opening: Open) -> Open:
        opening.entry = Source(opening.__name__, gives, options, opening)  # type: ignore[attr-defined]
        return opening

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


DATASETS: Shelf[Dataset | Source] = Shelf(
    "dataset", lambda: entries_of_modules("dlkit.datasets", (Dataset, Source), lambda entry: entry.name)
)
