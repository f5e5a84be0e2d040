"""SIGTERM and SIGHUP end dlkit as Ctrl-C does: in order, with its children stopped and its traces removed."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """The system or another program asks dlkit to end; no `except Exception` may keep it from that."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Raise Stopped where the block is when a signal comes; one that is ignored (nohup) stays ignored."""
    in_main_thread = threading.current_thread() is threading.main_thread()  # signals can only be caught there
    caught = [number for number in SIGNALS if in_main_thread and signal.getsignal(number) is signal.SIG_DFL]

    def stop(number: int, frame: FrameType | None) -> None:
        for each in caught:  # a second one must not interrupt the clearing up
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(number)

    for number in caught:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in caught:
            signal.signal(number, signal.SIG_DFL)
