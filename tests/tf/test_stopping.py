"""Stopping an export from outside leaves nothing running and nothing lying about."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from short import TRAINED_FILES

from dlkit.bundle.loading import load_bundle

pytestmark = pytest.mark.tf

ROOT = Path(__file__).parents[2]


@pytest.fixture
def exporting(models: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A `dlkit export` in tmp_path whose converter has just been started, and the converter's id."""
    shutil.copytree(models / "short", tmp_path / "exported" / "short")
    (tmp_path / "temporary").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "dlkit", "export", "short", "--scheme", "float32"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "temporary")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process, child_of(process.pid)
    process.kill()
    process.communicate()


def parents() -> dict[int, int]:
    """Of every process the id of its parent."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            found[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it ended while it was looked at
            continue
    return found


def descendants(pid: int) -> list[int]:
    """The ids of the processes that `pid` has started, and of those that they have."""
    of, found = parents(), [pid]
    for process in found:
        found += [child for child in of if of[child] == process]
    return found[1:]


def child_of(parent: int) -> int:
    """The id of the worker that the fork server of `parent` has started, once it is up."""
    for _ in range(600):
        of = parents()
        for child in of:
            server = of[child]  # what it forks has its command line; what its imports ask of the system has not
            if of.get(server) == parent and "fork_server" in command_of(server) == command_of(child):
                return child
        time.sleep(0.05)
    raise AssertionError("no child was started")


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_asked_to_stop(exporting: tuple[subprocess.Popen[str], int], tmp_path: Path, number) -> None:
    """128 and the signal, one line, no child, no bundle, no temporary folder."""
    process, child = exporting
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err.splitlines()[-1]) == (128 + number, "", "error: stopped")
    assert not alive(child)
    assert list((tmp_path / "temporary").iterdir()) == []
    assert sorted(path.name for path in (tmp_path / "exported" / "short").iterdir()) == TRAINED_FILES


@pytest.mark.skipif(sys.platform != "linux", reason="the system has no such step")
def test_killed(exporting: tuple[subprocess.Popen[str], int]) -> None:
    """kill -9 gives no time to clear up, but neither the converter nor what starts it goes on alone."""
    process, _ = exporting
    below = descendants(process.pid)
    process.kill()
    process.communicate()
    assert below
    for _ in range(100):
        if not any(map(alive, below)):
            return
        time.sleep(0.05)
    raise AssertionError("the converter goes on")


@pytest.fixture(scope="module")
def with_a_bundle(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the model has been exported before."""
    from dlkit.pipeline import export
    from dlkit.trained import load_trained

    folder = tmp_path_factory.mktemp("bundle")
    shutil.copytree(models / "short", folder / "exported" / "short")
    export(load_trained(folder / "exported" / "short"), "int8", out=folder / "exported")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "force"),
    [
        ("Converting", ["--force"]),
        ("Quantizing", []),
        ("Proving", ["--force"]),
        ("writing", []),
        ("writing", ["--force"]),
    ],
)
def test_killed_at_any_step_leaves_whole_bundles(with_a_bundle: Path, tmp_path: Path, step: str, force) -> None:
    """One that is being replaced is the old one or the new one; one that is not there yet appears whole or not."""
    folder = tmp_path / "place"
    shutil.copytree(with_a_bundle, folder)
    place = folder / "exported" / "short"
    if not force:
        shutil.rmtree(place / "cpu-int8")
    process = subprocess.Popen(
        [sys.executable, "-m", "dlkit", "export", "short", "--quantize", *force],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    if step == "writing":
        while not list(place.glob(".dlkit-writing-*")) and process.poll() is None:
            time.sleep(0.001)
    else:
        assert any(line.startswith(step) for line in process.stderr)  # reads on until the step begins
    process.kill()
    process.communicate()
    found = [path for path in place.iterdir() if path.is_dir() and not path.name.startswith(".")]
    assert [path.name for path in found] in ([["cpu-int8"]] if force else [[], ["cpu-int8"]])
    for bundle in found:
        _, gap, allowed = load_bundle(bundle).check()
        assert gap <= allowed
