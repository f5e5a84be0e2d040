"""Faults of the environment around one `dlkit` command, and what is wrong with how it took them."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
TIME_LIMIT_S = 300.0
LEFT = re.compile(r"^\.?dlkit-(writing-)?[0-9a-f]{16}$|^tmp|^\.dlkit-(old|whole|lock)$")
"""Names of what a writer leaves that does not clear up after itself."""


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: its exit code; negative is the signal that ended it, None that it had to be ended.
        out, err: what it printed.
        seconds: wall time.
    """

    code: int | None
    out: str
    err: str
    seconds: float

    @property
    def line(self) -> str:
        """The last line of standard error."""
        return (self.err.splitlines() or [""])[-1]


def limited(**limits: int) -> Callable[[], None]:
    """What a child calls before it begins, to have only so much of RLIMIT_NAME."""

    def limit() -> None:
        for name, value in limits.items():
            which = getattr(resource, f"RLIMIT_{name}")
            resource.setrlimit(which, (value, value))

    return limit


def ended(
    *command: str | Path,
    cwd: Path,
    before: Callable[[], None] | None = None,
    stdout: int = subprocess.PIPE,
    environment: Mapping[str, str | None] | None = None,
    time_limit_s: float = TIME_LIMIT_S,
) -> Ended:
    """How `dlkit COMMAND` ends, in a process of its own group; a variable of None is not set."""
    return ended_program(
        sys.executable, "-P", "-m", "dlkit", *command,
        cwd=cwd, before=before, stdout=stdout, environment=environment, time_limit_s=time_limit_s,
    )  # fmt: skip


def ended_program(
    *program: str | Path,
    cwd: Path,
    before: Callable[[], None] | None = None,
    stdout: int = subprocess.PIPE,
    environment: Mapping[str, str | None] | None = None,
    time_limit_s: float = TIME_LIMIT_S,
) -> Ended:
    """How any program that can import this dlkit ends."""
    variables: dict[str, str | None] = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
    began = time.monotonic()
    with subprocess.Popen(
        [os.fspath(word) for word in program],
        cwd=cwd,
        env={name: value for name, value in variables.items() if value is not None},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        preexec_fn=before,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=time_limit_s)
            code: int | None = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            code = None
    return Ended(code, (out or b"").decode(errors="replace"), err.decode(errors="replace"), time.monotonic() - began)


def faults_of(how: Ended, *, codes: tuple[int, ...] = (1,), says: str = "") -> list[str]:
    """What is wrong with how a command took what was done to it: nothing, unless it ended by one line.

    Args:
        codes: exit codes it may have; with 0 it need not say anything.
        says: a pattern its line must have.
    """
    wrong = []
    if how.code is None:
        wrong.append("hangs")
    elif how.code not in codes:
        wrong.append(f"exit code {how.code}")
    if "Traceback" in how.err or "Exception ignored" in how.err:
        wrong.append("traceback")
    if how.code:
        if not how.line.startswith("error: "):
            wrong.append("no line that says why")
        elif not re.search(says, how.line):
            wrong.append(f"does not say {says!r}")
        before = [line for line in how.err.splitlines()[:-1] if line and not line.endswith(" …")]
        if [line for line in before if not line.startswith(("go on with", "note: "))]:
            wrong.append(f"more than one line: {before[-1][:100]!r}")
    return wrong


def tree(folder: Path) -> dict[str, str]:
    """Path below `folder` → sha256 of each file; "" of a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(folder.rglob("*"))
    }


def left_in(*folders: Path) -> list[str]:
    """What writers left behind in `folders` and below."""
    return [f"leaves {path.name}" for folder in folders for path in sorted(folder.rglob("*")) if LEFT.search(path.name)]
