"""TensorFlow's optimization toolkit, of which the quantization while training is used."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

_ITS_OWN = "TF_USE_LEGACY_KERAS"


@contextlib.contextmanager
def environment_kept() -> Iterator[None]:
    """What the toolkit sets when it is imported, and what would make another Keras of `tf.keras`, is taken back."""
    before = os.environ.get(_ITS_OWN)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_ITS_OWN, None)
        else:
            os.environ[_ITS_OWN] = before
