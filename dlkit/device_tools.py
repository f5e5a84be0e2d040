"""Programs and packages that stand for a device on this machine: what each is for, whether it is there, how to get it.

Only `dlkit doctor` reads the table; whoever needs a tool looks for it and says the same line where it is missing. dlkit
installs none.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import shutil


@dataclasses.dataclass(frozen=True)
class DeviceTool:
    """A tool.

    Attributes:
        name: as people call it.
        purpose: what cannot be done without it, and for which target.
        install: the line to type; of Debian's packages or PyPI's.
        programs: that it may be called, the best first; searched for in PATH.
        module: that it is imported as, of a Python package.
        distribution: that the module comes with.
        variable: of the environment, that may name its program.
    """

    name: str
    purpose: str
    install: str
    programs: tuple[str, ...] = ()
    module: str = ""
    distribution: str = ""
    variable: str = ""

    def found(self) -> str:
        """Its version or where it is; "" if it is not there. Nothing is imported or started."""
        if self.module:
            return _version(self.distribution) if importlib.util.find_spec(self.module) else ""
        named = os.environ.get(self.variable, "") if self.variable else ""
        for program in (named,) if named else self.programs:
            if path := shutil.which(program):
                return path
        return ""


DEVICE_TOOLS = (
    DeviceTool(
        "TensorFlow Lite Micro", "microcontrollers: runs files, measures their memory", "pip install 'dlkit[micro]'",
        module="tflite_micro", distribution="tflite-micro",
    ),
    DeviceTool(
        "vela", "ethos-u55, -u65, -u85: compiles files", "pip install 'dlkit[ethos-u]'",
        module="ethosu", distribution="ethos-u-vela",
    ),
    DeviceTool(
        "OpenVINO", "servers: reads a model with a second runtime", "pip install 'dlkit[openvino]'",
        module="openvino", distribution="openvino",
    ),
    DeviceTool(
        "Chromium", "web: runs files in a browser", "apt-get install chromium",
        programs=("chromium", "google-chrome", "google-chrome-stable", "chromium-browser", "chrome"),
        variable="DLKIT_CHROMIUM",
    ),
    DeviceTool("npm", "web: fetches LiteRT.js", "apt-get install npm", programs=("npm",)),
    DeviceTool(
        "C compiler for Arm", "microcontrollers: make qemu compiles a bundle's C source",
        "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi", programs=("arm-none-eabi-gcc",),
    ),
    DeviceTool(
        "Arm board emulator", "microcontrollers: make qemu runs it", "apt-get install qemu-system-arm",
        programs=("qemu-system-arm",),
    ),
    DeviceTool(
        "Arm processor emulator", "cpu: predict --check --emulate, as a Pi", "apt-get install qemu-user-static",
        programs=("qemu-aarch64-static", "qemu-aarch64"),
    ),
)  # fmt: skip
"""In the order in which they are shown."""


def _version(distribution: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:  # a folder of that name on the path
        return "there, of no known version"
