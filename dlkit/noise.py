"""Native libraries write to descriptor 2 whatever they like; this keeps it off the user's screen."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def native_noise_aside() -> Iterator[None]:
    """Send descriptor 2 nowhere while the block runs; what fails in it speaks through its Python error."""
    if sys.stderr is None:  # closed by whoever started us
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
