"""Pixels → PNG, without Pillow: a device that has none draws its page too."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def png(pixels: NDArray[np.uint8]) -> bytes:
    """(H, W) grey or (H, W, 1 or 3) pixels as the content of a PNG file; the same pixels give the same bytes."""
    image = pixels if pixels.ndim == 3 else pixels[..., np.newaxis]
    height, width, channels = image.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # each begins with its filter, none
    rows[:, 1:] = image.reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_part(kind, content) for kind, content in parts)


def data_uri(pixels: NDArray[np.uint8]) -> str:
    """The same as the address of an image inside a page."""
    return f"data:image/png;base64,{base64.b64encode(png(pixels)).decode('ascii')}"


def _part(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
