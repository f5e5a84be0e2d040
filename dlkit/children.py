"""Processes that end with the one that started them: of our own, which import this dlkit, and other programs."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import dlkit.errors

_PARENT = "DLKIT_PARENT"
# Python that becomes the program; see `end_with_parent`.
_BIND = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""


def command(module: str, *arguments: str) -> list[str]:
    """What starts `module` as a program; a json.py in the user's folder is not imported in place of Python's."""
    return [sys.executable, "-P", "-m", module, *arguments]


def bound(program: Sequence[str]) -> list[str]:
    """What starts another program, in whatever environment, so that it ends with this process (Linux only)."""
    return [sys.executable, "-I", "-S", "-c", _BIND, str(os.getpid()), *program]


def environment() -> dict[str, str]:
    """The environment of a child: this dlkit first, then what the user's PYTHONPATH offers."""
    root = str(Path(dlkit.errors.__file__).parent.parent)
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), _PARENT: str(os.getpid())}


def end_with_parent(parent: int | None = None) -> None:
    """Called by a child: the system kills it when its parent ends, whatever ended that (Linux only).

    Args:
        parent: its id; None is the process that made the `environment`.
    """
    if sys.platform == "linux":
        set_parent_death_signal = 1  # PR_SET_PDEATHSIG
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    expected = os.environ.get(_PARENT, str(os.getppid())) if parent is None else str(parent)
    if expected != str(os.getppid()):
        sys.exit(1)  # it ended before it could be watched
