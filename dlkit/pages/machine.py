"""What this machine is, for times that were measured on it."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def processor() -> str:
    """Its processor, as the system names it, else the kind of it."""
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        text = ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith(("model name", "Model"))]
    return names[0] if names else platform.processor() or platform.machine()


def cores() -> int:
    """How many of its processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def system() -> str:
    """Operating system and kind of processor."""
    return f"{platform.system()} on {platform.machine()}"
