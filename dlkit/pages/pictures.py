"""A sample, or what a network makes of one, as something to look at: an image, a line, or its numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.pages.charts import Line, sparkline
from dlkit.pages.html import Html, element
from dlkit.pages.png import data_uri
from dlkit.runtime.preprocessing import ANY_NUMBER, Preprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST_SIDE = 112
"""Pixels; a larger image is averaged to fewer."""
FEW_NUMBERS = 6
"""As many are written; more are drawn."""
FEATURES_SHOWN, LEAST_BANDS = 3, 5
"""Lines of a series of so many features; with more of them it is drawn as an image."""


def raw_picture(raw: NDArray[Any], inputs: Preprocessing, told: str) -> Html:
    """Raw values of one sample, (*raw_shape); `told` says what it is to those who cannot see it."""
    values = raw.astype(np.float64)
    if inputs.image is not None and values.size == math.prod(inputs.image):
        low, high = inputs.raw_range
        return _image((values.reshape(inputs.image) - low) / (high - low), told)
    return values_picture(values, told)


def made_picture(made: NDArray[np.float32], inputs: Preprocessing, told: str) -> Html:
    """Values in the range of a network's input, (*shape): what an auto-encoder or a generator gives."""
    if inputs.image is not None and made.size == math.prod(inputs.image):
        values = (made.astype(np.float64).reshape(inputs.image) - np.asarray(inputs.offset)) / np.asarray(inputs.scale)
        values = values[..., ::-1] if inputs.color == "bgr" else values
        low, high = inputs.raw_range
        return _image((values - low) / (high - low), told)
    return values_picture(made.astype(np.float64), told)


def values_picture(values: NDArray[np.float64], told: str) -> Html:
    """Numbers of any shape: few are written, a series is a line for each of its features, a table is an image."""
    flat = np.squeeze(values)
    if flat.size <= FEW_NUMBERS:
        return element("p", "  ".join(f"{value:.4g}" for value in np.ravel(flat)))
    if flat.ndim == 2 and flat.shape[1] >= LEAST_BANDS:
        known = np.clip(np.nan_to_num(flat), *ANY_NUMBER)
        low, high = float(known.min()), float(known.max())
        return _image(((known - low) / (high - low) if high > low else known * 0.0)[..., np.newaxis], told)
    lines = flat.reshape(len(flat), -1) if flat.ndim >= 2 else flat[:, np.newaxis]
    names = [f"feature {i + 1}" if lines.shape[1] > 1 else "value" for i in range(min(FEATURES_SHOWN, lines.shape[1]))]
    return sparkline(told, [Line(n, lines[:, i].tolist(), dashed=i % 2 == 1) for i, n in enumerate(names)])


def _image(parts: NDArray[np.float64], told: str) -> Html:
    """An image of (H, W, 1 or 3) parts of 1."""
    small = _reduced(np.clip(np.nan_to_num(parts), 0.0, 1.0))
    pixels = np.round(small * 255.0).astype(np.uint8)
    height, width = pixels.shape[:2]
    style = "pixels" if max(height, width) <= LARGEST_SIDE // 2 else None
    return element("img", src=data_uri(pixels), alt=told, width=width, height=height, class_=style)


def _reduced(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """An image of at most `LARGEST_SIDE` pixels on a side, each the mean of a block of pixels."""
    height, width, channels = image.shape
    factor = math.ceil(max(height, width) / LARGEST_SIDE)
    rows, columns = max(1, height // factor), max(1, width // factor)
    if factor == 1:
        return image
    if height < factor or width < factor:
        return image[:: max(1, height // rows)][:rows, :: max(1, width // columns)][:, :columns]
    blocks = image[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor, channels)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float64)
