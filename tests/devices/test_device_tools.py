"""`dlkit doctor`: the tools that stand for devices, what is there and how to get what is not."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from dlkit.device_tools import DEVICE_TOOLS, DeviceTool
from dlkit.extras import PURPOSES


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No program in PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("DLKIT_CHROMIUM", raising=False)


def program(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_every_tool_is_told(dlkit) -> None:
    """With what it is for and the line that installs it."""
    told = json.loads(dlkit("doctor", "--json").out)["tools"]
    assert [(t["name"], t["for"], t["install"]) for t in told] == [(t.name, t.purpose, t.install) for t in DEVICE_TOOLS]


@pytest.mark.usefixtures("nothing_installed")
def test_a_missing_program(dlkit) -> None:
    """Its row ends with the line to type."""
    [row] = [line for line in dlkit("doctor").out.splitlines() if line.startswith("Chromium")]
    assert row.split()[1] == "missing"
    assert row.endswith("apt-get install chromium")


@pytest.mark.usefixtures("nothing_installed")
def test_a_program_that_is_there(dlkit, tmp_path: Path) -> None:
    """Its row says where, and nothing of how to install it."""
    path = program(tmp_path, "google-chrome")
    [row] = [line for line in dlkit("doctor").out.splitlines() if line.startswith("Chromium")]
    assert row.split()[1] == str(path)
    assert "apt-get" not in row


@pytest.mark.usefixtures("nothing_installed")
def test_a_program_named_by_its_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The variable decides, also where it names none."""
    [chromium] = [tool for tool in DEVICE_TOOLS if tool.variable == "DLKIT_CHROMIUM"]
    program(tmp_path, "chromium")
    mine = program(tmp_path, "mine")
    monkeypatch.setenv("DLKIT_CHROMIUM", str(mine))
    assert chromium.found() == str(mine)
    monkeypatch.setenv("DLKIT_CHROMIUM", "none")
    assert chromium.found() == ""


def test_a_module() -> None:
    """Its version, without importing it."""
    tool = DeviceTool("pytest", "tests", "pip install pytest", module="pytest", distribution="pytest")
    assert tool.found() == pytest.__version__
    assert DeviceTool("no", "nothing", "", module="no_such_module", distribution="no").found() == ""


def test_packages_have_the_line_of_the_error() -> None:
    """What `dlkit doctor` says is what a command says that lacks the package."""
    for tool in DEVICE_TOOLS:
        if tool.module:
            assert tool.install.removeprefix("pip install ").strip("'") == PURPOSES[tool.module][0]


def test_doctor_imports_no_framework(fresh) -> None:
    """Nor the tools themselves."""
    program = "import sys; from dlkit.cli import main; main(['doctor'], standalone_mode=False); print(*sys.modules)"
    said = fresh("-c", program)
    assert said.code == 0, said.err
    modules = {name.partition(".")[0] for name in said.out.splitlines()[-1].split()}
    assert "dlkit" in modules
    assert not modules & {"tensorflow", "keras", "openvino", "ethosu", "tflite_micro", "numpy"}, sys.version
