"""What a bundle makes where it names no classes: images of noise, or samples again with how well that went."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dlkit.bundle.answers import check_numbers
from dlkit.bundle.loading import Bundle
from dlkit.errors import DataError, suggestion
from dlkit.metrics import mean_squared_error, psnr_db
from dlkit.runtime.conditions import told_each
from dlkit.runtime.inputs import read_samples
from dlkit.runtime.pictures import npy_bytes, pixels_of, png_grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

OUTPUT_SUFFIXES = (".png", ".npy")
IMAGES_MADE, OF_EACH, MOST_MADE = 64, 10, 10_000
"""Of noise that is drawn: unless their number is given; of each class, where one is told; and the most there may be."""
NAMED = 10
"""Classes are told by name where there are no more."""


@dataclasses.dataclass(frozen=True)
class Again:
    """A sample and what an auto-encoder makes of it.

    Attributes:
        name: the file, with the row where a file holds several.
        given, made: (*shape) in the network's range.
        error: mean squared difference of the two.
        psnr_db: the same as a peak signal-to-noise ratio in decibels.
        threshold: of a detector, for which the error is the score of an anomaly; None elsewhere.
    """

    name: str
    given: NDArray[np.float32]
    made: NDArray[np.float32]
    error: float
    psnr_db: float
    threshold: float | None = None

    @property
    def text(self) -> str:
        """What there is to say of it."""
        if self.threshold is not None:
            told = "beyond" if self.error > self.threshold else "within"
            verdict = "anomaly" if self.error > self.threshold else "normal"
            return f"score {self.error:.5f}  {told} {self.threshold:.5f}: {verdict}"
        return f"error {self.error:.5f}  PSNR {self.psnr_db:.2f} dB"

    def as_dict(self) -> dict[str, object]:
        """The same as data."""
        if self.threshold is not None:
            beyond = self.error > self.threshold
            return {"input": self.name, "score": self.error, "threshold": self.threshold, "anomaly": beyond}
        return {"input": self.name, "mean_squared_error": self.error, "psnr_db": self.psnr_db}


@dataclasses.dataclass(frozen=True)
class Made:
    """What a generator makes.

    Attributes:
        images: (N, ...) in its range.
        classes: that it was told, as many images of each, one class after the other; empty where it was told none.
    """

    images: NDArray[np.float32]
    classes: tuple[str, ...] = ()

    @property
    def columns(self) -> int | None:
        """Images a row of a picture with a class in each row; None where there are not several classes."""
        return len(self.images) // len(self.classes) if len(self.classes) > 1 else None

    @property
    def text(self) -> str:
        """How many."""
        count = len(self.images)
        if not self.classes:
            return f"{count} images"
        if len(self.classes) == 1:
            return f"{count} images of class {self.classes[0]}"
        names = f" ({', '.join(self.classes)})" if len(self.classes) <= NAMED else ""
        return f"{count // len(self.classes)} images of each of {len(self.classes)} classes{names}"


def images_made(
    bundle: Bundle,
    names: list[str],
    count: int | None = None,
    seed: int | None = None,
    threads: int | None = None,
    classes: Sequence[str] = (),
) -> Made:
    """What a generator makes of the noise in the files `names`; without any, of noise drawn.

    Args:
        count: of images; of a generator that is told a class, of each.
        classes: those that it is told, with the same noise for each; without any, all of them.

    Raises DataError if the noise is not what the generator takes, if it takes more than noise and gets none, or if it
    is told no class of that name.
    """
    if names and classes:
        raise DataError(f"--class is of noise that is drawn, but {names[0]} is given; leave one out")
    places = _places(bundle, classes) if not names else []
    session = bundle.session(threads)
    count = (OF_EACH if places else IMAGES_MADE) if count is None else count
    if count * max(1, len(places)) > MOST_MADE:
        most, each = MOST_MADE // max(1, len(places)), f" of each of {len(places)} classes" if places else ""
        raise DataError(f"{count} images{each} are more than are made at once; at most {most}: --count {most}")
    if names:
        raws = [sample.raw for sample in read_samples(names, bundle.inputs)]
        noise = {name: np.stack([raw[name] for raw in raws]) for name in bundle.inputs}
    elif len(bundle.inputs) > 1:
        wanted = " and ".join(repr(name) for name in bundle.inputs)
        raise DataError(f"{bundle.folder}: makes images of {wanted}; give a .npz archive with an array for each")
    else:
        noise = {name: inputs.noise(count, seed or 0) for name, inputs in bundle.inputs.items()}
    if places:
        noise = {name: told_each(drawn, np.asarray(places), len(bundle.conditions)) for name, drawn in noise.items()}
    made = next(iter(session.run_named(bundle.prepared(noise)).values()))
    check_numbers(made)
    return Made(made, tuple(bundle.conditions[place] for place in places))


def _places(bundle: Bundle, classes: Sequence[str]) -> list[int]:
    """The numbers of these classes, or of all of them. Raises DataError for one that the generator is not told."""
    known = bundle.conditions
    if classes and not known:
        raise DataError(f"--class is for generators that are told a class, and {bundle.name} is none; leave it out")
    for name in classes:
        if name not in known:
            raise DataError(f"--class {name}: {bundle.name} is told no class of that name; {suggestion(name, known)}")
    return [known.index(name) for name in dict.fromkeys(classes or known)]


def samples_again(bundle: Bundle, names: list[str], threads: int | None = None) -> Iterator[Again]:
    """What an auto-encoder makes of each sample in the files `names`, in order; raises as `read_samples` does."""
    session, preprocessing = bundle.session(threads), bundle.preprocessing
    threshold = bundle.detector.threshold if bundle.detector else None
    for sample in read_samples(names, bundle.inputs):
        given = preprocessing.apply(next(iter(sample.raw.values()))[np.newaxis])
        made = session.run(given)
        check_numbers(made)
        error = mean_squared_error(given, made)
        yield Again(sample.name, given[0], made[0], error, psnr_db(error, preprocessing.span), threshold)


def check_output(output: Path) -> None:
    """Raise DataError unless `output` is called like a file that can be written."""
    if output.suffix.lower() not in OUTPUT_SUFFIXES:
        raise DataError(f"--output {output}: call it NAME.png or, for the numbers themselves, NAME.npy")


def content_of_made(output: Path, bundle: Bundle, made: Made) -> bytes:
    """A generator's images as the content of the file `output`: a grid, or the numbers in the network's range."""
    if output.suffix.lower() == ".npy":
        return npy_bytes(made.images)
    if bundle.picture is None:
        raise DataError(f"{bundle.folder}: does not say how its outputs become pixels: --output NAME.npy")
    return png_grid(pixels_of(made.images, bundle.picture), made.columns)


def content_of_again(output: Path, bundle: Bundle, samples: Iterable[Again]) -> bytes:
    """Reconstructions as the content of the file `output`: each at the right of its sample, or the numbers alone."""
    given, made = (np.stack(values) for values in zip(*((s.given, s.made) for s in samples), strict=True))
    if output.suffix.lower() == ".npy":
        return npy_bytes(made)
    sides = [pixels_of(values, bundle.preprocessing) for values in (given, made)]
    return png_grid(np.concatenate(sides, axis=2))
