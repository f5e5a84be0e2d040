"""Children find what the user's PYTHONPATH offers, and end with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dlkit import children

ROOT = Path(__file__).parents[2]

# Starts a child that would sleep for a minute, and says its id.
PARENT = """
import subprocess, sys, time
from dlkit import children
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], env=children.environment(), stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""
# The same of another program, which knows nothing of its parent.
BOUND = PARENT.replace('[sys.executable, "-c", sys.argv[1]]', "children.bound(['sh', '-c', sys.argv[1]])")
CHILD = "import time; from dlkit import children; children.end_with_parent(); print('up', flush=True); time.sleep(60)"


def ended(pid: int) -> bool:
    """Whether the process is gone within five seconds, or is only waiting to be counted."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="the system has no such step")
@pytest.mark.parametrize(("program", "child"), [(PARENT, CHILD), (BOUND, "echo up; exec sleep 60")])
def test_a_child_does_not_outlive_a_killed_parent(program: str, child: str) -> None:
    """kill -9, which the parent cannot answer; be the child our own or another program."""
    parent = subprocess.Popen(
        [sys.executable, "-c", program, child],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    assert ended(pid)


def test_a_child_whose_parent_ended_before_it_looked_ends_at_once() -> None:
    """The time between its start and its first step."""
    environment = {**children.environment(), "DLKIT_PARENT": "1"}
    assert subprocess.run([sys.executable, "-c", CHILD], env=environment).returncode == 1


def test_another_program_gets_its_own_arguments() -> None:
    """And its exit code comes back; nothing of ours is in its environment."""
    program = children.bound(["sh", "-c", 'echo "$1" "${DLKIT_PARENT-none}"; exit 7', "sh", "--help"])
    done = subprocess.run(program, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (7, "--help none\n")


def test_this_dlkit_comes_first_and_nothing_empty_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty entry would be the folder one works in."""
    monkeypatch.setenv("PYTHONPATH", f"/a{os.pathsep}{os.pathsep}/b")
    assert children.environment()["PYTHONPATH"].split(os.pathsep) == [str(ROOT), "/a", "/b"]
    monkeypatch.delenv("PYTHONPATH")
    assert children.environment()["PYTHONPATH"] == str(ROOT)


def test_what_comes_through_pythonpath_reaches_the_child(fresh: Callable, tiny_bundle: Path, tmp_path: Path) -> None:
    """A runtime that is found by PYTHONPATH alone is the one that is timed."""
    package = tmp_path / "ai_edge_litert"
    package.mkdir()
    (package / "__init__.py").write_text("raise ValueError('found in PYTHONPATH')")
    said = fresh("-m", "dlkit", "bench", tiny_bundle, PYTHONPATH=f"{ROOT}{os.pathsep}{tmp_path}")
    assert "found in PYTHONPATH" in said.err
