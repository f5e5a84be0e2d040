"""Native libraries write to descriptor 2 whatever they like; this keeps it off the user's screen."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path


class Together(AbstractContextManager[None]):
    """A state of the whole process that threads enter together: the first sets it up, the last takes it down.

    Each by itself would restore what another had set up, and leave it so for ever.
    """

    def __init__(self, make: Callable[[], AbstractContextManager[None]]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._inside = 0
        self._state: AbstractContextManager[None] = contextlib.nullcontext()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._state = self._make()
                self._state.__enter__()
            self._inside += 1

    def __exit__(self, *about: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._state.__exit__(None, None, None)


@contextlib.contextmanager
def _descriptor_2_aside() -> Iterator[None]:
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


_ASIDE = Together(_descriptor_2_aside)


def native_noise_aside() -> AbstractContextManager[None]:
    """Send descriptor 2 nowhere while the block runs; what fails in it speaks through its Python error."""
    return _ASIDE
