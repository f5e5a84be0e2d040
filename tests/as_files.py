"""Pictures and arrays as the bytes of files."""

from __future__ import annotations

import io
from typing import Any

import numpy as np


def encoded(picture: Any, format: str, **options: Any) -> bytes:
    """A Pillow image as a file of `format`."""
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


def npy(array: Any) -> bytes:
    """An array as a .npy file."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()
