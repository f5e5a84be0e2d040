"""The class that a conditional generator is told: after its noise come as many numbers as classes, one-hot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def told(noise: NDArray[np.float32], places: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """(N, latent + classes) numbers with the last of them one-hot: the class of the number in `places` (N,)."""
    one_hot = np.eye(classes, dtype=np.float32)[places]
    return np.concatenate([noise[:, :-classes], one_hot], axis=1)


def told_each(noise: NDArray[np.float32], places: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """The same noise for every class in `places` (M,): (N, latent + classes) → (M · N, latent + classes).

    Class by class, so that a picture with N images a row has a class in each row and a noise in each column.
    """
    return told(np.tile(noise, (len(places), 1)), np.repeat(places, len(noise)), classes)
