"""What the lanes share: the bundle that comes with dlkit, and the command line."""

from __future__ import annotations

import dataclasses
import faulthandler
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from as_files import encoded
from click.testing import CliRunner

ROOT = Path(__file__).parents[1]
OUTPUT = pytest.StashKey[int]()
"""A copy of standard error."""


@dataclasses.dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


LONGEST_S = 600
"""Seconds after which a test that CI runs is taken to hang. Its process ends and prints where each thread is; that is a
failure of the test, and the other process goes on with the files that are left."""


def pytest_configure(config: pytest.Config) -> None:
    config.stash[OUTPUT] = os.dup(2)  # nothing is captured yet


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    if item.get_closest_marker("full"):
        return (yield)
    faulthandler.dump_traceback_later(LONGEST_S, exit=True, file=item.config.stash[OUTPUT])
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session", autouse=True)
def _software_gpu() -> Iterator[None]:
    """The one that .ci/devices.d/gpu keeps, where the machine names no Vulkan driver itself."""
    tools = Path(os.environ.get("DLKIT_DEVICE_TOOLS", Path.home() / ".cache" / "dlkit-devices"))
    driver = tools / "gpu" / "vk_swiftshader_icd.json"
    with pytest.MonkeyPatch.context() as patch:
        if driver.exists() and "VK_DRIVER_FILES" not in os.environ:
            patch.setenv("VK_DRIVER_FILES", str(driver))
        yield


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def tiny_bundle() -> Path:
    """The proven bundle that comes with dlkit: digits of 8×8 pixels, int8."""
    return ROOT / "exported" / "digits-tiny" / "cpu-int8"


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the tiny bundle, to spoil."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


@pytest.fixture
def vouch() -> Callable[..., None]:
    """Write a bundle's manifest again, with `changes` and with the sha256 of its files as they now are."""

    def write(folder: Path, **changes: Any) -> None:
        from dlkit.digest import sha256_of

        path = folder / "manifest.json"
        manifest = json.loads(path.read_text())
        left_out = {"manifest.json", "latency.json", "report.html"}
        manifest["sha256"] = {f.name: sha256_of(f) for f in sorted(folder.iterdir()) if f.name not in left_out}
        path.write_text(json.dumps(manifest | changes))

    return write


@pytest.fixture(scope="session")
def dlkit() -> Callable[..., Said]:
    """`dlkit ARGUMENTS` in this process; anything but an exit is raised."""

    def run(*arguments: str | Path, stdin: bytes = b"") -> Said:
        from dlkit.cli import main

        result = CliRunner().invoke(
            main, [str(a) for a in arguments], input=stdin, prog_name="dlkit", catch_exceptions=False
        )
        return Said(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture(scope="session")
def fresh() -> Callable[..., Said]:
    """`python ARGUMENTS` in a process of its own, with this dlkit."""

    def run(*arguments: str | Path, cwd: Path = ROOT, stdin: bytes = b"", **environment: str) -> Said:
        done = subprocess.run(
            [sys.executable, *map(os.fspath, arguments)],
            cwd=cwd,
            input=stdin,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            timeout=120,
        )
        return Said(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode())

    return run


@pytest.fixture(scope="session")
def digit() -> np.ndarray:
    """A raw sample the tiny bundle labels 2: (8, 8, 1) uint8, 0 to 16."""
    from dlkit.datasets import DATASETS

    test = DATASETS["digits"].load().test
    return np.asarray(test.samples[test.labels == 2][0])


@pytest.fixture(scope="session")
def digit_png(digit: np.ndarray) -> bytes:
    """The same digit as a grey PNG of 8×8 pixels, 0 to 255."""
    from PIL import Image

    return encoded(Image.fromarray(np.round(digit[..., 0] * (255 / 16)).astype(np.uint8)), "PNG")
