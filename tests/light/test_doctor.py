"""`dlkit doctor`: what is installed, what is missing and how to install it."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import re
import shlex

import pytest

from dlkit import __version__
from dlkit.errors import ExtraMissing
from dlkit.extras import PURPOSES, require

REQUIREMENTS = ["numpy>=2.1,<3", "no-such-package>=1", "click<9,>=8.2", 'pytest>=8; extra == "test"']


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    """dlkit's own metadata, as if it asked for these."""
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: REQUIREMENTS)


def test_versions(dlkit) -> None:
    """dlkit's, Python's and those of what it needs."""
    report = json.loads(dlkit("doctor", "--json").out)
    assert set(report) == {"dlkit", "python", "packages", "devices", "tools"}
    assert (report["dlkit"], report["python"]) == (__version__, platform.python_version())


@pytest.mark.usefixtures("metadata")
def test_what_is_installed_is_shown_with_what_is_wanted(dlkit) -> None:
    """By name, version, range and purpose; an extra is no part of the main job."""
    packages = {p["name"]: p for p in json.loads(dlkit("doctor", "--json").out)["packages"]}
    version = importlib.metadata.version
    assert packages == {
        "numpy": {"name": "numpy", "installed": version("numpy"), "wanted": ">=2.1,<3", "for": "the main job"},
        "no-such-package": {"name": "no-such-package", "installed": "", "wanted": ">=1", "for": "the main job"},
        "click": {"name": "click", "installed": version("click"), "wanted": "<9,>=8.2", "for": "the main job"},
        "pytest": {"name": "pytest", "installed": version("pytest"), "wanted": ">=8", "for": "extra test"},
    }


@pytest.mark.usefixtures("metadata")
def test_what_is_missing_ends_with_its_pip_line(dlkit) -> None:
    """Ready to paste."""
    said = dlkit("doctor")
    assert said.code == 0
    assert said.out.endswith("\nmissing for the main job: pip install no-such-package\n")


def test_without_metadata_it_still_reports(dlkit, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that was never installed."""

    def unknown(name: str) -> list[str]:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", unknown)
    assert json.loads(dlkit("doctor", "--json").out)["packages"] == []
    assert dlkit("doctor").code == 0


def test_devices(dlkit) -> None:
    """Processor with its int8 extensions, memory, GPU, and what the GPU accelerator would run on."""
    devices = {d["kind"]: d["found"] for d in json.loads(dlkit("doctor", "--json").out)["devices"]}
    assert set(devices) == {"CPU", "memory", "GPU", "Vulkan"}
    assert "cores usable" in devices["CPU"]
    assert devices["memory"].endswith("B")


def test_a_system_without_proc(monkeypatch: pytest.MonkeyPatch, dlkit) -> None:
    """What cannot be found out is called unknown."""
    monkeypatch.setattr("dlkit.cli.doctor._text", lambda path: "")
    devices = {d["kind"]: d["found"] for d in json.loads(dlkit("doctor", "--json").out)["devices"]}
    assert devices["memory"] == "unknown"
    assert devices["CPU"].startswith(platform.machine())


@pytest.mark.parametrize("module", PURPOSES)
def test_a_missing_package_is_named_with_its_pip_line(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """It is not installed for the user."""
    distribution, purpose = PURPOSES[module]

    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(
        ExtraMissing, match=re.escape(f"{purpose} needs {distribution}: pip install {shlex.quote(distribution)}")
    ):
        require(module)


def test_what_a_package_lacks_itself_is_not_blamed_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation keeps its own error."""

    def broken(name: str) -> None:
        raise ModuleNotFoundError("No module named 'six'", name="six")

    monkeypatch.setattr("importlib.import_module", broken)
    with pytest.raises(ModuleNotFoundError, match="six"):
        require("PIL")
