"""What a bundle makes where it names no classes: images of noise, or samples again with how well that went."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dlkit.bundle.answers import check_numbers
from dlkit.bundle.loading import Bundle
from dlkit.errors import DataError
from dlkit.metrics import mean_squared_error, psnr_db
from dlkit.runtime.inputs import read_samples
from dlkit.runtime.pictures import npy_bytes, pixels_of, png_grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

OUTPUT_SUFFIXES = (".png", ".npy")
IMAGES_MADE, MOST_MADE = 64, 10_000
"""Of noise that is drawn: unless their number is given, and the most there may be."""


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


def images_made(
    bundle: Bundle, names: list[str], count: int | None = None, seed: int | None = None, threads: int | None = None
) -> NDArray[np.float32]:
    """(N, ...) what a generator makes, in its range: of the noise in the files `names`; without any, of noise drawn.

    Raises DataError if the noise is not what the generator takes, or if it takes more than noise and gets none.
    """
    count = IMAGES_MADE if count is None else count
    if count > MOST_MADE:
        raise DataError(f"{count} images are more than are made at once; at most {MOST_MADE}: --count {MOST_MADE}")
    if names:
        raws = [sample.raw for sample in read_samples(names, bundle.inputs)]
        noise = {name: np.stack([raw[name] for raw in raws]) for name in bundle.inputs}
    elif len(bundle.inputs) > 1:
        wanted = " and ".join(repr(name) for name in bundle.inputs)
        raise DataError(f"{bundle.folder}: makes images of {wanted}; give a .npz archive with an array for each")
    else:
        noise = {name: inputs.noise(count, seed or 0) for name, inputs in bundle.inputs.items()}
    [made] = bundle.session(threads).run_named(bundle.prepared(noise)).values()
    check_numbers(made)
    return made


def samples_again(bundle: Bundle, names: list[str], threads: int | None = None) -> Iterator[Again]:
    """What an auto-encoder makes of each sample in the files `names`, in order; raises as `read_samples` does."""
    session, preprocessing = bundle.session(threads), bundle.preprocessing
    threshold = bundle.detector.threshold if bundle.detector else None
    for sample in read_samples(names, bundle.inputs):
        [given] = bundle.prepared({name: raw[np.newaxis] for name, raw in sample.raw.items()}).values()
        made = session.run(given)
        check_numbers(made)
        error = mean_squared_error(given, made)
        yield Again(sample.name, given[0], made[0], error, psnr_db(error, preprocessing.span), threshold)


def check_output(output: Path) -> None:
    """Raise DataError unless `output` is called like a file that can be written."""
    if output.suffix.lower() not in OUTPUT_SUFFIXES:
        raise DataError(f"--output {output}: call it NAME.png or, for the numbers themselves, NAME.npy")


def content_of_made(output: Path, bundle: Bundle, made: NDArray[np.float32]) -> bytes:
    """A generator's images as the content of the file `output`: a grid, or the numbers in the network's range."""
    if output.suffix.lower() == ".npy":
        return npy_bytes(made)
    if bundle.picture is None:
        raise DataError(f"{bundle.folder}: does not say how its outputs become pixels: --output NAME.npy")
    return png_grid(pixels_of(made, bundle.picture))


def content_of_again(output: Path, bundle: Bundle, samples: Iterable[Again]) -> bytes:
    """Reconstructions as the content of the file `output`: each at the right of its sample, or the numbers alone."""
    given, made = (np.stack(values) for values in zip(*((s.given, s.made) for s in samples), strict=True))
    if output.suffix.lower() == ".npy":
        return npy_bytes(made)
    sides = [pixels_of(values, bundle.preprocessing) for values in (given, made)]
    return png_grid(np.concatenate(sides, axis=2))
