"""Which GPU LiteRT's accelerator would run on here: asked in a process of its own, as drivers may crash."""

from __future__ import annotations

import contextlib
import re
import subprocess
from pathlib import Path

from dlkit import children
from dlkit.writing import temporary_folder

TIME_LIMIT_S = 20.0
NO_GPU = (
    "no GPU with a Vulkan driver is found here; install that of your GPU, or Debian's software one: "
    "apt install libvulkan1 chromium-common, then export VK_DRIVER_FILES=/usr/lib/chromium/vk_swiftshader_icd.json"
)
_NONE = ("No adapters found", "Failed to initialize WebGPU environment")
SELECTED = re.compile(
    r"Selected adapter: (?P<name>.+?), arch=.*?backend=(?P<backend>\w+), adapterType=(?P<type>[^\n]+)"
)


def found_adapter(time_limit_s: float = TIME_LIMIT_S) -> str:
    """The adapter with its kind, "SwiftShader Device (Vulkan, CPU / Software)"; "" where there is none.

    None is also where ai-edge-litert is not installed, or where the driver crashes or hangs.
    """
    command = children.command("dlkit.runtime.adapters")
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(
            command, capture_output=True, env=children.environment(), stdin=subprocess.DEVNULL, timeout=time_limit_s
        )
        return adapter_in(done.stderr.decode(errors="replace")) if done.returncode == 0 else ""
    return ""


def adapter_in(log: str) -> str:
    """The adapter that the accelerator says it selected; "" if it says nothing of one."""
    said = SELECTED.search(log)
    return f"{said['name']} ({said['backend']}, {said['type'].strip()})" if said else ""


def none_found(log: str) -> bool:
    """Whether the accelerator says that it found no GPU; a file that it does not even load asks for none."""
    return not adapter_in(log) and any(mark in log for mark in _NONE)


def _ask() -> None:
    """The child's side: a file of one operation, compiled for the GPU; what it says goes to descriptor 2."""
    from dlkit.runtime.litert_gpu import AcceleratedSession
    from dlkit.runtime.one_operation import file_of_one

    with temporary_folder() as folder:
        file = Path(folder, "relu.tflite")
        file.write_bytes(file_of_one("RELU"))
        AcceleratedSession(file)


if __name__ == "__main__":
    children.end_with_parent()
    _ask()
