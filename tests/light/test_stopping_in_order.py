"""A signal ends the command line as what it is."""

from __future__ import annotations

import os
import signal

import pytest

from dlkit.cli._stopping import DEFAULTS, Stopped, stopped_by_signals


def signalled_in_an_import(number: int) -> None:
    """Native code that is interrupted while it is imported says that it cannot be imported."""
    try:
        os.kill(os.getpid(), number)
    except BaseException:
        raise ImportError("initialization failed") from None


@pytest.mark.parametrize(
    ("number", "kind"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Stopped), (signal.SIGHUP, Stopped)],
)
def test_a_signal_is_not_taken_for_a_failure(number: int, kind: type[BaseException]) -> None:
    """Whatever became of it on the way; afterwards signals do what they did before."""
    with pytest.raises(kind), stopped_by_signals():
        signalled_in_an_import(number)
    assert {each: signal.getsignal(each) for each in DEFAULTS} == DEFAULTS


def test_a_failure_without_a_signal_is_itself() -> None:
    """It keeps its traceback."""
    with pytest.raises(ZeroDivisionError), stopped_by_signals():
        raise ZeroDivisionError


def test_what_is_ignored_stays_ignored() -> None:
    """nohup dlkit ..."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopped_by_signals():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
