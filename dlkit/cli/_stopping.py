"""SIGTERM and SIGHUP end dlkit as Ctrl-C does: in order, with its children stopped and its traces removed."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

DEFAULTS: dict[signal.Signals, Callable[[int, FrameType | None], Any] | signal.Handlers] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
}
"""What a signal does where nobody has chosen otherwise; one that is ignored (nohup) stays ignored."""


class Stopped(BaseException):
    """The system or another program asks dlkit to end; no `except Exception` may keep it from that."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Raise Stopped, or KeyboardInterrupt for Ctrl-C, where the block is when a signal comes.

    Native code that is being imported just then answers with an error of its own; what leaves the
    block after a signal is therefore the signal's exception, whatever it has become.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()  # signals can only be caught there
    caught = [number for number in DEFAULTS if in_main_thread and signal.getsignal(number) is DEFAULTS[number]]
    came: list[BaseException] = []

    def stop(number: int, frame: FrameType | None) -> None:
        came.append(KeyboardInterrupt() if number == signal.SIGINT else Stopped(number))
        for each in caught:  # a second one must not interrupt the clearing up, unless it is the user's
            signal.signal(each, signal.default_int_handler if each == signal.SIGINT else signal.SIG_IGN)
        raise came[0]

    for number in caught:
        signal.signal(number, stop)
    try:
        yield
    except Exception:
        if came:
            raise came[0] from None
        raise
    finally:
        for number in caught:
            signal.signal(number, DEFAULTS[number])
