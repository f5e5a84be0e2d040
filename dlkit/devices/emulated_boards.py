"""A bundle's own runner on an Arm board, emulated: Python, numpy and ai-edge-litert for arm64 under qemu-user.

`bash .ci/devices.d/cpu` of a clone sets it up; nothing is installed from here.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from dlkit import children
from dlkit.bundle.loading import Bundle
from dlkit.devices.checking import target_of_bundle
from dlkit.errors import ExtraMissing, ModelFileError, VerificationRefused

BOARDS = {"cortex-a53": "Raspberry Pi 3", "cortex-a76": "Raspberry Pi 5"}
"""Core, as QEMU calls it → a board that has it. The second has products of 8-bit integers, the first has not."""
TIME_LIMIT_S = 900.0
WITHOUT = ("PYTHON", "DLKIT")
"""What variables begin with that the runner there does not get: it is to be alone."""


def python_of(core: str) -> Path:
    """Where the emulated Python of a core is, or would be."""
    tools = Path(os.environ.get("DLKIT_DEVICE_TOOLS") or Path.home() / ".cache" / "dlkit-devices")
    return tools / "arm64" / core / "python"


def check_emulated(bundle: Bundle, core: str, time_limit_s: float = TIME_LIMIT_S) -> str:
    """What the bundle's predict.py --check says on the core, one line.

    Raises:
        ModelFileError: it is a bundle that no such board runs.
        ExtraMissing: the emulation is not set up.
        VerificationRefused: the check failed there.
    """
    _refuse_others(bundle)
    python = python_of(core)
    if not python.is_file():
        raise ExtraMissing(
            f"there is no emulated {core} (looked for {python}); in a clone of dlkit on Debian 12 this sets it up: "
            "bash .ci/devices.d/cpu"
        )
    environment = {key: value for key, value in os.environ.items() if not key.startswith(WITHOUT)}
    try:
        done = subprocess.run(
            children.bound([str(python), str(bundle.folder.resolve() / "predict.py"), "--check"]),
            env=environment, capture_output=True, text=True, errors="replace", timeout=time_limit_s, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise VerificationRefused(f"no result from the emulated {core} after {time_limit_s:.0f} s") from None
    said = (done.stdout.strip().splitlines() or done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[
        -1
    ]
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or [said])[-1].removeprefix("error: ")
        raise VerificationRefused(f"on the emulated {core}: {said}")
    return said


def _refuse_others(bundle: Bundle) -> None:
    """Raise ModelFileError for what no board with Linux and LiteRT runs."""
    folder, target = bundle.folder, target_of_bundle(bundle)
    if "c/qemu/Makefile" in bundle.manifest["sha256"]:
        raise ModelFileError(f"{folder} is for a microcontroller; run it on an emulated one: make -C {folder}/c qemu")
    if target.runtime != "litert":
        name = bundle.manifest["name"]
        raise ModelFileError(
            f"{folder} is for {target.name}; make one for such a board: dlkit export {name} --target cpu"
        )
