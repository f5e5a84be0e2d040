"""dlkit doctor"""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

import click

from dlkit import __version__
from dlkit.cli._output import json_option, print_json, print_table, print_text
from dlkit.device_tools import DEVICE_TOOLS
from dlkit.quantities import size


@click.command(epilog="More: dlkit help install")
@json_option
def command(as_json: bool) -> None:
    """Show versions, what is missing, and the devices found.

    Each package with the version that is wanted, and how to install what is missing; processor, memory and GPU; the
    tools that stand for devices which are not here.

    What is needed comes first, then this machine, then what is optional: what each is for, and the line that installs
    it. Nothing is installed. --json has the packages of every extra.

    \b
    Example:
      dlkit doctor
      dlkit doctor --json
    """
    packages, devices, tools = _packages(), _devices(), _tools()
    if as_json:
        print_json({
            "dlkit": __version__, "python": platform.python_version(), "packages": packages, "devices": devices,
            "tools": tools,
        })  # fmt: skip
        return
    print_text(f"dlkit {__version__}, Python {platform.python_version()} at {sys.executable}\n")
    needed = [p for p in packages if p["for"] == MAIN]
    _print_needed(needed)
    print_table(("this machine", ""), [(d["kind"], d["found"]) for d in devices])
    click.echo()
    rows = [
        *((t["name"], t["found"] or "missing", t["for"], "" if t["found"] else t["install"]) for t in tools),
        *_rows_of_extras(packages),
    ]
    print_table(("optional", "found", "for", "where it is missing"), rows)
    absent = sum(row[1] == "missing" for row in rows)
    if missing := [p["name"] for p in needed if not p["installed"]]:
        print_text(f"\nmissing for the main job: pip install {' '.join(missing)}")
    elif needed:
        left = f"; {absent} optional things are missing, each with its line above" if absent else ""
        print_text(f"\ntraining, export and prediction have all they need{left}")


MAIN = "the main job"
EXTRAS = {
    "onnx": "servers: writes and runs ONNX files",
    "ray": "trains, searches and compares on several machines",
    "serving": "servers: asks TensorFlow Serving",
    "tensorboard": "train --tensorboard: event files",
    "tfds": "data sets of TensorFlow Datasets",
}
"""Extra → what it is for. Others are told by the tools that they bring; `test` and `dev` are for work on dlkit."""


def _print_needed(needed: list[dict[str, str]]) -> None:
    if not needed:
        click.echo("what it needs is not known: this copy was never installed\n")
        return
    rows = [(p["name"], p["installed"] or "missing", p["wanted"]) for p in needed]
    print_table(("needed", "installed", "wanted"), rows)
    click.echo()


def _rows_of_extras(packages: list[dict[str, str]]) -> list[tuple[str, str, str, str]]:
    """Those in EXTRAS that dlkit's metadata knows: found where all of their packages are."""
    rows = []
    for extra, purpose in EXTRAS.items():
        of_it = [p for p in packages if p["for"] == f"extra {extra}"]
        if of_it:
            there = all(p["installed"] for p in of_it)
            found = of_it[0]["installed"] if there else "missing"
            rows.append((extra, found, purpose, "" if there else f"pip install 'dlkit[{extra}]'"))
    return rows


def _packages() -> list[dict[str, str]]:
    """What dlkit's own metadata asks for, and what is installed."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        requirements = requires("dlkit") or []
    except PackageNotFoundError:
        requirements = []
    rows = []
    for requirement in requirements:
        wanted, _, marker = requirement.partition(";")
        name = wanted.strip()
        for character in "<>=!~ [(":
            name = name.partition(character)[0]
        purpose = MAIN
        if "extra ==" in marker:
            purpose = "extra " + marker.partition("extra ==")[2].strip().strip("'\"")
        rows.append({"name": name, "installed": _version(name), "wanted": wanted.strip()[len(name) :], "for": purpose})
    return rows


def _version(distribution: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _devices() -> list[dict[str, Any]]:
    return [
        {"kind": "CPU", "found": _cpu()},
        {"kind": "memory", "found": _memory()},
        {"kind": "GPU", "found": _gpus()},
        {"kind": "Vulkan", "found": _adapter()},
    ]


def _tools() -> list[dict[str, str]]:
    """What stands for other devices on this machine."""
    return [{"name": t.name, "found": t.found(), "for": t.purpose, "install": t.install} for t in DEVICE_TOOLS]


def _cpu() -> str:
    text = _text(Path("/proc/cpuinfo"))
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith(("model name", "Model"))]
    flags = next((line for line in text.splitlines() if line.startswith(("flags", "Features"))), "").split()
    useful = [f for f in ("avx2", "avx512f", "avx512_vnni", "asimddp", "i8mm") if f in flags]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{names[0] if names else platform.machine()}, {cores} cores usable, {' '.join(useful) or 'no int8 extensions'}"
    )


def _memory() -> str:
    for line in _text(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemTotal:"):
            return size(int(line.split()[1]) * 1024)
    return "unknown"


def _gpus() -> str:
    names = [
        line.partition(":")[2].strip()
        for information in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
        for line in _text(information).splitlines()
        if line.startswith("Model:")
    ]
    return ", ".join(names) if names else "none with a driver (training and export run on the CPU)"


def _adapter() -> str:
    """What the target gpu would run on; asked in a process of its own, as drivers may crash."""
    from dlkit.runtime.adapters import found_adapter

    return found_adapter() or "no adapter (files for the target gpu are not tried)"


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
