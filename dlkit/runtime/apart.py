"""Measuring in a process of its own: what native code does there, and what it takes, is the file's alone."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from dlkit import children
from dlkit.errors import DlkitError, ModelFileError
from dlkit.filing import bytes_in
from dlkit.runtime.limits import ended_by, limit_memory

TIME_LIMIT_S = 600.0
"""Loading takes seconds, and what is timed ends by itself: what takes longer hangs."""


def ran_apart(
    module: str, model: Path, *arguments: str, time_limit_s: float | None = None
) -> subprocess.CompletedProcess[str]:
    """`module` run as a program on `model`. Raises ModelFileError if it does not end in `TIME_LIMIT_S`, or as told."""
    time_limit_s = TIME_LIMIT_S if time_limit_s is None else time_limit_s
    command = children.command(module, str(model), *arguments)
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            env=children.environment(),
            stdin=subprocess.DEVNULL,
            timeout=time_limit_s,
        )
    except subprocess.TimeoutExpired:
        raise ModelFileError(f"{model}: the runtime did not end in {time_limit_s:.0f} s; it was stopped") from None


def told_by(done: subprocess.CompletedProcess[str], model: Path, what: str) -> dict[str, Any]:
    """What the process printed as JSON in its last line.

    Args:
        what: could not be done, for messages: "cannot be timed".

    Raises:
        ModelFileError: it says so itself (see `told_error`), or it crashed.
        EndedBySystem: it was killed.
    """
    if done.returncode < 0:
        kind, how = ended_by(-done.returncode)
        raise kind(f"{model}: the runtime {how}")
    if done.returncode > 0 or not done.stdout.strip():
        last = next(iter(reversed(done.stderr.strip().splitlines())), "no result")
        raise ModelFileError(f"{model}: {what}: {last[-300:]}")
    try:
        told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except ValueError:  # native code may print where it was told not to
        raise ModelFileError(f"{model}: {what}: the runtime did not say how long it took") from None
    if "error" in told:
        raise ModelFileError(told["error"])
    return told


def begin_apart(model: Path, threads: int) -> None:
    """Called first in the process: it ends with the one that started it, and takes no more memory than it may."""
    children.end_with_parent()
    limit_memory(bytes_in(model) if model.exists() else 0, threads)


def told_error(error: DlkitError) -> str:
    """The line by which a child says what it raised."""
    return json.dumps({"error": str(error)})
