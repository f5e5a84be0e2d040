"""The Fréchet distance of generated images from held-out ones by the features of a given network.

Heusel et al. 2017, arXiv:1706.08500, section 3, take those of Inception v3 trained on ImageNet, 2048 numbers; here the
recipe says whose. Distances of one network alone can be compared, and those of as many images: with fewer, they are
larger.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from dlkit.datasets import Split, Splits
from dlkit.metrics import frechet_distance
from dlkit.pipeline.features import Features
from dlkit.progress import Advance, ignore
from dlkit.runtime.pictures import pixels_of
from dlkit.runtime.preprocessing import Preprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray

AT_ONCE = 1024
"""Real images in the generator's size that are in memory together."""


@dataclasses.dataclass(frozen=True)
class Frechet:
    """Of generated images.

    Attributes:
        frechet_distance: to the test images.
        frechet_real_distance: of training images to them, as many as were generated where there are so many.
        warnings: why they are not to be trusted.
    """

    frechet_distance: float
    frechet_real_distance: float
    warnings: tuple[str, ...] = ()

    @property
    def besides(self) -> dict[str, float]:
        """The distances."""
        return {
            "frechet_distance": self.frechet_distance,
            "frechet_real_distance": self.frechet_real_distance,
        }


def frechet_of(
    features: Features,
    images: NDArray[np.float32],
    splits: Splits,
    preprocessing: Preprocessing,
    advance: Advance = ignore,
) -> Frechet:
    """Of (N, H, W, C) generated images in the range of `preprocessing`; raises as `Features.of` does.

    All images are looked at as pixels of the generator's size: rounded to 8 bits, as a picture would hold them.

    Args:
        advance: is told the images that the network has seen.
    """
    few, done = min(len(images), len(splits.train)), 0
    total = len(splits.test) + few + len(images)

    def of(values: NDArray[np.float32]) -> NDArray[np.float32]:
        nonlocal done
        found = features.of(pixels_of(values, preprocessing), lambda now, _: advance(done + now, total))
        done += len(values)
        return found

    def of_split(split: Split, count: int) -> NDArray[np.float32]:
        """Of so many of its images, evenly spread over it."""
        places = np.linspace(0, len(split) - 1, count).round().astype(np.int64)
        batches = (split.samples[places[start : start + AT_ONCE]] for start in range(0, count, AT_ONCE))
        return np.concatenate([of(preprocessing.apply(batch)) for batch in batches])

    test, train, made = of_split(splits.test, len(splits.test)), of_split(splits.train, few), of(images)
    fewest = min(len(made), len(test))
    warnings: tuple[str, ...] = ()
    if fewest <= features.size:
        warnings = (
            f"the Fréchet distance is of {len(made)} generated and {len(test)} test images by {features.size} "
            "features; where there are no more images than features the covariances are singular and it comes out too "
            "large: compare it only with those of as many images",
        )
    return Frechet(frechet_distance(made, test), frechet_distance(train, test), warnings)
