"""Running one task in a process of its own: native code there may crash, leak, hang or chatter.

What the child prints is kept aside and shown only when it fails; a crash becomes one line that
names the cause. Progress comes back through a pipe.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import dlkit.errors
from dlkit.conversion.causes import plain_cause
from dlkit.conversion.starting import start
from dlkit.errors import ConversionError, DlkitError, EndedBySystem
from dlkit.progress import Advance
from dlkit.room import is_full
from dlkit.writing import TMPDIR, no_room, temporary_folder

TIME_LIMIT_S = 3600.0


def run_task(
    task: str, advance: Advance, time_limit_s: float = TIME_LIMIT_S, *, frameworks: bool = True, **arguments: str
) -> None:
    """Run `task` (see `worker`; or "dlkit.module:function") with `arguments` in a child process, and wait for it.

    Args:
        frameworks: whether it needs TensorFlow; see `starting.start`.

    Raises:
        ConversionError: it failed, crashed or ran longer than `time_limit_s`.
        EndedBySystem: it was killed.
        DlkitError: the error the task itself raised on purpose.
    """
    with temporary_folder() as folder:
        log, result = folder / "log.txt", folder / "result.json"
        request = {"task": task, "arguments": arguments, "result": str(result), "temporary": str(folder)}
        code = _run(request, log, advance, time_limit_s, frameworks)
        if code == 0:
            return
        noise = log.read_text(errors="replace")
        told = _told(result)
        if told is None and is_full(folder):
            raise no_room(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), folder, TMPDIR)
        if told and issubclass(getattr(dlkit.errors, told["type"], object), DlkitError):
            # Built without __init__: the text is whole already.
            error = DlkitError.__new__(getattr(dlkit.errors, told["type"]), told["text"])
            raise error
        if code == -signal.SIGKILL:
            raise EndedBySystem.at(_called(task))
        raise ConversionError(_failure(task, code, told["text"] if told else "", noise))


def _told(result: Path) -> dict[str, str] | None:
    """The type and the text of the task's error; None if it left none, or no whole one."""
    try:
        told: dict[str, str] = json.loads(result.read_text())
    except (OSError, ValueError):
        return None
    return told


def _run(request: dict[str, Any], log: Path, advance: Advance, time_limit_s: float, frameworks: bool) -> int:
    """The child's exit code; negative is the signal that ended it."""
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb", buffering=0) as pipe, log.open("wb") as noise:
        try:
            process = start(request, noise.fileno(), write_end, frameworks=frameworks)
        finally:
            os.close(write_end)  # the child has its own; the pipe ends with it
        try:
            _follow(pipe.fileno(), advance, time.monotonic() + time_limit_s)
            return process.wait(timeout=30)
        except (TimeoutError, subprocess.TimeoutExpired):
            raise ConversionError(
                f"{_called(request['task'])}: no result after {time_limit_s:.0f} s; it was stopped"
            ) from None
        finally:
            process.kill()
            process.wait(timeout=None)


def _follow(pipe: int, advance: Advance, deadline: float) -> None:
    """Pass on "done total" lines until the child closes the pipe; TimeoutError at the deadline."""
    pending = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if not select.select([pipe], [], [], min(left, 1.0))[0]:
            continue
        chunk = os.read(pipe, 65536)
        if not chunk:
            return
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            with contextlib.suppress(ValueError):  # native code may write into any descriptor it finds
                done, total = line.split()
                advance(int(done), int(total))


def _failure(task: str, code: int, text: str, noise: str) -> str:
    what = f"crashed ({signal.Signals(-code).name})" if code < 0 else "failed"
    cause = plain_cause(text + "\n" + noise, code)
    tail = [line for line in (text or noise).strip().splitlines() if line.strip()]
    said = f"; it said: {tail[-1].strip()[:300]}" if tail else ""
    return f"{_called(task)} {what}: {cause}{said}"


def _called(task: str) -> str:
    """A task as people read it: "dlkit.devices.reference:answer" → "reference answer"."""
    return task.rpartition(".")[2].replace(":", " ").replace("_", " ")
