"""What the process that trains tells its supervisor; nothing where it has none."""

from __future__ import annotations

import os
import sys
import time

from dlkit import children

CHANNEL = "DLKIT_SUPERVISOR"
"""Environment variable: where to write reports, where to send noise, and the supervisor's process."""
AGAIN = "start all workers again with --resume"


def supervised() -> bool:
    """Whether this process is the one that trains, under a supervisor."""
    return _channel() is not None


def enter() -> None:
    """Called first by the process that trains: it ends with its supervisor, and native noise is kept from the user."""
    children.end_with_parent()
    channel = _channel()
    if channel is None or sys.stderr is None:
        return
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    os.dup2(channel[1], 2)


def report_connected() -> None:
    """Tell the supervisor that all workers are connected."""
    _report("connected")


def report_done() -> None:
    """Tell the supervisor that nothing is left to do: how this process ends does not matter any more."""
    _report("done")


def report_lost(index: int | None) -> None:
    """Tell the supervisor which worker does not answer, if that is known, and wait to be stopped: it may know more."""
    if supervised():
        _report("lost" if index is None else f"lost-{index}")
        time.sleep(60.0)


def _report(word: str) -> None:
    if (channel := _channel()) is not None:
        os.write(channel[0], f"{word}\n".encode())


def _channel() -> tuple[int, int] | None:
    """Where to write to the supervisor, and where to send noise."""
    value = os.environ.get(CHANNEL, "").split(",")
    if len(value) != 3 or value[2] != str(os.getppid()):  # inherited by a process further down
        return None
    return int(value[0]), int(value[1])
