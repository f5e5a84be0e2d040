"""What a command takes, with all the processes that it starts: time by the clock and of the processors, memory."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path

from pairing import Failed

ROOT = Path(__file__).parents[2]
SAMPLED_EVERY_S = 0.1
PYTHON = (sys.executable,)
DLKIT = (sys.executable, "-m", "dlkit")


@dataclasses.dataclass(frozen=True)
class Used:
    """By one run of a command.

    Attributes:
        clock_s: from its start to its end.
        cpu_s: user and system time of all its processes.
        memory_mb: the most that they held at once, pages that several share counted once (PSS); 0 if not watched.
    """

    clock_s: float
    cpu_s: float
    memory_mb: float = 0.0


def environment() -> dict[str, str]:
    """Of a child: this clone's dlkit, and Keras on TensorFlow; compiled modules are kept, as after an installation."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"}


def used_by(
    arguments: list[str], folder: Path, limit_s: float = 1200, *, memory: bool = False, codes: Collection[int] = (0,)
) -> Used:
    """Run a command in `folder`. Raises Failed if it ends with a code not of `codes`, or not within the limit."""
    before, start, most = _cpu_s(), time.perf_counter(), 0.0
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            arguments, cwd=folder, env=environment(), stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            start_new_session=True,
        )  # fmt: skip
        try:
            if memory:
                while process.poll() is None and time.perf_counter() - start < limit_s:
                    most = max(most, sum(map(_held_mb, _tree(process.pid))))
                    time.sleep(SAMPLED_EVERY_S)
            process.wait(max(0.1, limit_s - (time.perf_counter() - start)))
        except subprocess.TimeoutExpired:
            raise Failed(f"not done after {limit_s:.0f} s") from None
        finally:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(5)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        clock = time.perf_counter() - start
        if process.returncode not in codes:
            said.seek(0)
            raise Failed(ending(process.returncode, said.read().decode(errors="replace")))
    return Used(clock, _cpu_s() - before, most)


def end_as_by_ctrl_c() -> None:
    """Where this process is terminated, what it has started ends too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def ending(code: int, said: str = "") -> str:
    """How a process ended, in a few words."""
    if code < 0:
        return f"crashes ({signal.Signals(-code).name})"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    reason = re.split(r"(?<=[a-z])[.;](?= |$)", lines[-1])[0] if lines else ""
    return f"ends with {code}" + (f": {reason[:120]}" if reason else "")


def _cpu_s() -> float:
    """User and system time of the children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _tree(root: int) -> list[int]:
    """The process `root` and those it started, and those they started."""
    found, new = [root], [root]
    while new:
        parts = [part for pid in new for part in Path(f"/proc/{pid}/task").glob("*/children")]
        new = [int(word) for part in parts for word in _text(part).split()]
        found += new
    return found


def _held_mb(pid: int) -> float:
    """The proportional set size of a process; 0 once it has ended."""
    lines = _text(Path(f"/proc/{pid}/smaps_rollup")).splitlines()
    return sum(float(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("Pss:"))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process has ended
        return ""
