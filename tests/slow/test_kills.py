"""What is left where dlkit is killed, as tests/faults/kills.py finds it: it exits with 1 where anything is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.tf, pytest.mark.slow]


def kills(root: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, str(root / "tests" / "faults" / "kills.py"), *arguments],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert f"{arguments[2]} kills, 0 wrong" in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
@pytest.mark.parametrize(
    ("command", "count"),
    [
        ("build", 8),
        *(pytest.param(each, 51, marks=pytest.mark.full) for each in ("build", "train", "export", "compare")),
        *(
            pytest.param(each, 18, marks=pytest.mark.full)
            for each in ("export-devices", "search", "run", "sensitivity")
        ),
    ],
)
def test_whatever_the_moment(root: Path, command: str, count: int) -> None:
    """The old or the new, whole; no process and no temporary file is left; the command runs again."""
    kills(root, command, "--kills", str(count), "--again", "0.5")
