"""Python on an Arm processor that is emulated, with what a device has: numpy, click and ai-edge-litert alone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

CORES = ("cortex-a53", "cortex-a76")
"""Of a Raspberry Pi 3, without products of 8-bit integers; and of a Raspberry Pi 5, with them."""
ROOT = Path(__file__).parents[1]
TOOLS = Path(os.environ.get("DLKIT_DEVICE_TOOLS", Path.home() / ".cache" / "dlkit-devices"))


def need_emulated(core: str) -> Path:
    """The emulated Python; skips where there is none."""
    python = TOOLS / "arm64" / core / "python"
    if not python.exists():
        pytest.skip("NO EMULATED ARM64: bash .ci/devices.d/cpu sets it up, on Debian 12")
    return python


def emulated(core: str, *arguments: str | Path, cwd: Path = ROOT, with_dlkit: bool = True) -> tuple[int, str, str]:
    """`python ARGUMENTS` on the core: exit code, output and errors. Skips where there is no emulation."""
    python = need_emulated(core)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "DLKIT"))}
    if with_dlkit:
        environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        [python, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    return done.returncode, done.stdout, done.stderr
