"""Standard input, output and error that are closed, full or no longer read."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback

import click

from dlkit.errors import system_reason


def occupy_closed() -> None:
    """Have the null device stand where a standard stream is closed.

    The next file that is opened would get its number, and what native code prints would go into that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def flush_output() -> None:
    """Write what is printed and not written yet. Raises OSError, as click does where it prints."""
    if sys.stdout is not None:
        sys.stdout.flush()


def is_of_output(error: OSError) -> bool:
    """Whether it was printing that failed, which names no file."""
    frames = {frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)}
    return not error.filename and bool(frames & {click.echo.__code__, flush_output.__code__})


def refusal_of_output(error: OSError) -> str:
    """What to say where standard output cannot be written; what it holds yet is given up."""
    with contextlib.suppress(OSError, ValueError):  # closed, or no file of the system's
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())  # Python writes what is left when it ends, and would fail again
        os.close(null)
    return f"cannot write standard output: {system_reason(error)}; send it elsewhere"
