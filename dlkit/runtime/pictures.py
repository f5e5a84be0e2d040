"""What a network makes → a picture to look at: back to pixels, side by side, as PNG."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.errors import DataError
from dlkit.extras import require
from dlkit.runtime.preprocessing import Preprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHOWN_PIXELS = 48
"""Smaller images are enlarged by a whole factor to about this height."""
GAP_PIXELS, GAP_GREY = 2, 128
"""Between two images."""


def pixels_of(values: NDArray[np.float32], preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Values in a network's range (N, *shape) → pixels 0…255 (N, H, W, 1 or 3), RGB; undoes `Preprocessing.apply`.

    Values beyond the ends of the range are cut off there. Raises DataError if no image is behind them.
    """
    if preprocessing.image is None:
        shape = "×".join(str(n) for n in values.shape[1:])
        raise DataError(f"samples of {shape} numbers are no images; write them to a .npy file: --output NAME.npy")
    low, high = preprocessing.raw_range
    images = values.astype(np.float64).reshape(len(values), *preprocessing.image)
    raw = (images - np.asarray(preprocessing.offset)) / np.asarray(preprocessing.scale)
    if preprocessing.color == "bgr":
        raw = raw[..., ::-1]
    return np.asarray(np.clip(np.round((raw - low) / (high - low) * 255.0), 0, 255), np.uint8)


def png_grid(images: NDArray[np.uint8], columns: int | None = None) -> bytes:
    """(N, H, W, 1 or 3) pixels as one PNG, row by row; the same images give the same bytes.

    Args:
        columns: images a row; None makes it about as wide as high.
    """
    require("PIL")
    from PIL import Image

    factor = max(1, round(SHOWN_PIXELS / images.shape[1]))
    large = images.repeat(factor, axis=1).repeat(factor, axis=2)
    count, height, width, channels = large.shape
    columns = min(count, columns or math.ceil(math.sqrt(count * height / width)))
    rows = math.ceil(count / columns)
    down, right = height + GAP_PIXELS, width + GAP_PIXELS
    whole = np.full((rows * down + GAP_PIXELS, columns * right + GAP_PIXELS, channels), GAP_GREY, np.uint8)
    for number, image in enumerate(large):
        top, left = GAP_PIXELS + number // columns * down, GAP_PIXELS + number % columns * right
        whole[top : top + height, left : left + width] = image
    stream = io.BytesIO()
    Image.fromarray(whole[..., 0] if channels == 1 else whole).save(stream, "PNG")
    return stream.getvalue()


def npy_bytes(values: NDArray[Any]) -> bytes:
    """An array as the content of a .npy file."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, values, allow_pickle=False)
    return stream.getvalue()
