"""Samples of a dataset in the size a network reads: as a runner would fit their image files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.extras import require
from dlkit.runtime.preprocessing import Preprocessing
from dlkit.runtime.rows import ChangedRows, Rows, is_lazy

if TYPE_CHECKING:
    from numpy.typing import NDArray


def fitted_samples(samples: Rows, preprocessing: Preprocessing) -> Rows:
    """Raw values (N, h, w, 1 or 3) → raw values (N, *image) of the size and colours of the network's image.

    They take the way of an image file, through pixels 0…255, so that a network is trained on what its
    bundle will make of such a file. Samples that fit come back as they are; others that are made when they are asked
    for are fitted then.
    """
    image = preprocessing.image
    if image is None or samples.shape[1:] in preprocessing.sample_shapes:
        return samples
    if is_lazy(samples):
        return ChangedRows(samples, lambda rows, _: _fitted(rows, preprocessing), image, np.float32)
    return _fitted(np.asarray(samples), preprocessing)


def _fitted(samples: NDArray[Any], preprocessing: Preprocessing) -> NDArray[np.float32]:
    require("PIL")
    from PIL import Image

    low, high = preprocessing.raw_range
    pixels = np.round((samples.astype(np.float64) - low) / (high - low) * 255).astype(np.uint8)
    if pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    return np.stack([preprocessing.raw_image(Image.fromarray(p), f"sample {n}") for n, p in enumerate(pixels)])
