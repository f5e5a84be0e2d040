"""What a process that runs a file from anywhere may take: memory, and time for one inference."""

from __future__ import annotations

import contextlib
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from dlkit.errors import DlkitError, EndedBySystem, ModelFileError

MEMORY_BYTES = 2**32
"""Beside what the process has already; see `limit_memory`."""
TIMES_THE_FILE = 16
"""Bytes for each of the file: 4-bit weights are unpacked to floats, and packed once more for the kernels."""
FOR_A_THREAD = 2**24
"""Bytes: its stack and what it works in."""
LONGEST_INFERENCE_S = 300.0
"""For one inference, or for loading: what takes longer is a loop for ever."""


def limit_memory(file_bytes: int, threads: int) -> None:
    """Let the process take 4 GiB, and more for a large file: a file of a kilobyte can say that it needs terabytes.

    Of all processes, the system ends this one first where memory is short. Linux only.
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    allowed = _data_bytes() + MEMORY_BYTES + TIMES_THE_FILE * file_bytes + FOR_A_THREAD * threads
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        allowed = min(allowed, hard)
    with contextlib.suppress(ValueError, OSError, OverflowError):  # more than a 32-bit system can say
        resource.setrlimit(resource.RLIMIT_DATA, (allowed, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # nobody asks for the memory of a process that crashed


def _data_bytes() -> int:
    """What the process may write to by now."""
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """The system ends the process, whatever native code is at, if the block takes longer. In the main thread only."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def ended_by(number: int) -> tuple[type[DlkitError], str]:
    """Why a process ended by the signal `number` did: the kind of error, and words that follow "the runtime"."""
    if number == signal.SIGALRM:
        return ModelFileError, f"did not end in {LONGEST_INFERENCE_S:.0f} s and was stopped"
    if number == signal.SIGKILL:
        return EndedBySystem, "was ended by the system, most likely for want of memory; close other programs"
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = str(number)
    return ModelFileError, f"crashed on this file (signal {name})"
