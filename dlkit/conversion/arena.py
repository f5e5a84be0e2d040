"""The memory that a microcontroller needs for a file beside the file itself: the arena of TensorFlow Lite Micro.

Its runtime is asked on this machine, in a child process: on too small an arena it may crash instead of saying so,
and a loop it may run for ever. Pointers have 8 bytes here and 4 on a 32-bit microcontroller, which so needs less.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import time
from pathlib import Path

from dlkit.children import end_with_parent
from dlkit.conversion.child import run_task
from dlkit.errors import ConversionError, DlkitError, EndedBySystem, IllegalCombination
from dlkit.extras import check_installed, require
from dlkit.progress import Advance, ignore
from dlkit.runtime.inspection import inspect_file, inspect_model
from dlkit.runtime.one_operation import file_of_one
from dlkit.writing import temporary_folder

STEP_BYTES = 16
"""What the runtime aligns to; arenas are told in multiples of it."""
LARGEST_BYTES = (2**24, 2**30)
"""Arenas that are tried first: 16 MiB, then 1 GiB."""
TIME_LIMIT_S = 60.0
"""For one inference: the kernels of this runtime are the plain ones. MobileNet of 224×224 pixels takes seconds."""
MISSING = re.compile(r"Failed to get registration from op code (\w+)")
HYBRID = re.compile(r"Hybrid models are not supported|Input type: FLOAT32 with filter type: INT8")
UNPREPARED = re.compile(r"Node (\w+) \(number \d+\) failed to prepare")


def arena_bytes(file: Path, advance: Advance = ignore, time_limit_s: float = TIME_LIMIT_S) -> int:
    """The smallest arena, in bytes, in which TensorFlow Lite Micro sets up the .tflite file and runs it.

    Found by bisection in steps of 16 bytes, with an inference in the arena that was found. What the runtime itself
    reports of its allocations is not enough: setting up some operations takes more for a while; of an LSTM that is
    unrolled 41 % more was measured.

    Args:
        time_limit_s: for one inference.

    Raises:
        ModelFileError: it is no whole .tflite file.
        ExtraMissing: the runtime is not installed.
        IllegalCombination: it lacks operations of the file, or their number formats; all are named.
        ConversionError: it fails on the file, crashes, or does not end.
        EndedBySystem: its process was killed.
    """
    inspect_file(file)
    check_installed("tflite_micro")
    with temporary_folder() as folder:
        result = folder / "arena.txt"
        limit = str(time_limit_s)
        run_task("arena", advance, frameworks=False, tflite=str(file), limit_s=limit, result=str(result))
        return int(result.read_text(encoding="ascii"))


def measure(tflite: str, limit_s: str, result: str, advance: Advance) -> None:
    """The child's side: `arena_bytes` as a text file."""
    content = Path(tflite).read_bytes()
    found = _smallest(_Trial(content, float(limit_s)), content, advance)
    Path(result).write_text(str(found), encoding="ascii")


class _Trial:
    """Sets a file up in arenas of several sizes, each in a process of its own."""

    def __init__(self, content: bytes, time_limit_s: float) -> None:
        self._content, self._time_limit_s = content, time_limit_s
        self._runtime = require("tflite_micro.python.tflite_micro.runtime")

    def __call__(self, arena: int, *, run: bool) -> str | None:
        """None if it goes into `arena` bytes and, if asked to, runs there; else what the runtime said.

        Raises ConversionError if that takes too long, EndedBySystem if it was killed.
        """
        read_end, write_end = os.pipe()
        parent, child = os.getpid(), os.fork()
        if not child:
            self._attempt(arena, run, write_end, parent)
        os.close(write_end)
        with os.fdopen(read_end, "rb", buffering=0) as pipe:
            try:
                said = _all_of(pipe.fileno(), self._time_limit_s)
            except TimeoutError:
                os.kill(child, signal.SIGKILL)
                said = None
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if said is None:
            raise ConversionError(
                f"TensorFlow Lite Micro has not ended after {self._time_limit_s:g} s: a loop for ever, or too large a "
                "network"
            )
        if code == -signal.SIGKILL:
            raise EndedBySystem.at("TensorFlow Lite Micro")
        if code < 0:
            return f"it crashed ({signal.Signals(-code).name})"
        return said or "it failed" if code else None

    def _attempt(self, arena: int, run: bool, said: int, parent: int) -> None:
        """In the process forked for it by `parent`, which ends here."""
        os.dup2(said, 2)
        code = 1
        with contextlib.suppress(BaseException):
            end_with_parent(parent)
            interpreter = self._runtime.Interpreter.from_bytes(self._content, arena_size=arena)
            if run:
                interpreter.invoke()
            code = 0
        os._exit(code)


def _all_of(pipe: int, time_limit_s: float) -> str:
    """What is written into `pipe` until its end; TimeoutError if that does not come."""
    deadline, said = time.monotonic() + time_limit_s, b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            raise TimeoutError
        chunk = os.read(pipe, 65536)
        if not chunk:
            return said.decode(errors="replace")
        said = (said + chunk)[-65536:]


def _smallest(trial: _Trial, content: bytes, advance: Advance) -> int:
    """The smallest arena in which the file is set up and runs."""
    for largest in LARGEST_BYTES:
        said = trial(largest, run=True)
        if said is None:
            break
    else:
        raise _refusal(said or "", content)
    found = _bisected(trial, 0, largest, advance, run=False)
    if trial(found, run=True) is not None:  # not seen: an inference took no more than setting up
        found = _bisected(trial, found, largest, advance, run=True)
    return found


def _bisected(trial: _Trial, too_small: int, enough: int, advance: Advance, *, run: bool) -> int:
    """The smallest arena between two that are known to be too small and large enough."""
    steps = ((enough - too_small) // STEP_BYTES).bit_length()
    while enough - too_small > STEP_BYTES:
        middle = (too_small + enough) // 2 // STEP_BYTES * STEP_BYTES
        if trial(middle, run=run) is None:
            enough = middle
        else:
            too_small = middle
        advance(steps - ((enough - too_small) // STEP_BYTES).bit_length(), steps)
    advance(steps, steps)
    return enough


def _refusal(said: str, content: bytes) -> DlkitError:
    """Why the runtime does not take the file in any arena."""
    if MISSING.search(said):
        lacking = [name for name in _operations(content) if _lacks(name)] or MISSING.findall(said)[:1]
        names = ", ".join(lacking)
        return IllegalCombination(f"TensorFlow Lite Micro does not have {names}, which the file needs")
    if HYBRID.search(said):
        return IllegalCombination(
            "TensorFlow Lite Micro takes no 8-bit weights where activations are float; use --scheme int8"
        )
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    why = lines[0][:300] if lines else "it failed"
    if unprepared := UNPREPARED.search(said):
        return IllegalCombination(f"TensorFlow Lite Micro has no {unprepared[1]} of this kind; it said: {why}")
    return ConversionError(f"TensorFlow Lite Micro cannot run the file; it said: {why}")


def _operations(content: bytes) -> list[str]:
    """Names of the file's operations, sorted; a custom one with its own name."""
    return sorted(inspect_model(content, "file").ops)


def _lacks(name: str) -> bool:
    """Whether the runtime does not know the operation: asked with a file that holds nothing else."""
    return MISSING.search(_Trial(file_of_one(name), 10.0)(2**20, run=False) or "") is not None
