"""What a killed process left is removed; what is in use, and what is somebody's own, never is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dlkit.leftovers import LOCK, held, sweep, workplace

ROOT = Path(__file__).parents[2]
PREFIX = "dlkit-"
NAME = f"{PREFIX}{'0' * 16}"

# Makes a workplace with a file and a folder in it, says where, and waits to be killed.
OWNER = """
import sys, time
from pathlib import Path
from dlkit.leftovers import workplace
with workplace(Path(sys.argv[1]), "dlkit-") as folder:
    (folder / "file").write_text("x")
    (folder / "folder").mkdir()
    (folder / "folder" / "file").write_text("x")
    print(folder, flush=True)
    time.sleep(60)
"""


def owner(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(parent)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """The workplace of a process that was killed."""
    process, folder = owner(tmp_path)
    process.kill()
    process.communicate()
    return folder


def test_what_a_killed_process_left_is_removed(tmp_path: Path, left: Path) -> None:
    """With all that is in it."""
    assert (left / "folder" / "file").exists()
    sweep(tmp_path, PREFIX)
    assert list(tmp_path.iterdir()) == []


def test_what_a_living_process_uses_stays(tmp_path: Path) -> None:
    """However often others look."""
    process, folder = owner(tmp_path)
    try:
        sweep(tmp_path, PREFIX)
        sweep(tmp_path, PREFIX)
        assert sorted(path.name for path in folder.iterdir()) == [LOCK, "file", "folder"]
    finally:
        process.kill()
        process.communicate()


def test_ones_own_stays(tmp_path: Path) -> None:
    """A process does not take its own workplace for abandoned."""
    with workplace(tmp_path, PREFIX) as folder:
        (folder / "file").touch()
        sweep(tmp_path, PREFIX)
        assert (folder / "file").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_kill_while_it_is_removed_leaves_it_known(
    tmp_path: Path, left: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock file goes last: what is left is removed by the next one."""

    def stopped(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", stopped)
        with pytest.raises(KeyboardInterrupt):
            sweep(tmp_path, PREFIX)
    assert (left / LOCK).exists()
    sweep(tmp_path, PREFIX)
    assert list(tmp_path.iterdir()) == []


def test_one_that_was_only_begun_is_removed(tmp_path: Path) -> None:
    """Its process was killed before it had a lock file, or while it was removed."""
    (tmp_path / NAME).mkdir()
    sweep(tmp_path, PREFIX)
    assert list(tmp_path.iterdir()) == []


def test_what_is_begun_and_taken_for_abandoned_is_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process looks between the making of the folder and of its lock file."""
    mkdir, made = Path.mkdir, []

    def swept(path: Path, mode: int = 0o777) -> None:
        mkdir(path, mode)
        made.append(path)
        if len(made) == 1:
            sweep(tmp_path, PREFIX)

    monkeypatch.setattr(Path, "mkdir", swept)
    with workplace(tmp_path, PREFIX) as folder:
        assert made == [made[0], folder]
        assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("name", ["dlkit-notes", f"{NAME}0", f"x{NAME}", "dlkit-000000000000000X", "dlkit-"])
def test_another_name_is_somebodys_own(tmp_path: Path, left: Path, name: str) -> None:
    """Whatever is in it."""
    left.rename(tmp_path / name)
    sweep(tmp_path, PREFIX)
    assert (tmp_path / name / "file").exists()


def test_without_its_lock_file_it_is_somebodys_own(tmp_path: Path) -> None:
    """Whatever its name."""
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "notes").touch()
    sweep(tmp_path, PREFIX)
    assert (tmp_path / NAME / "notes").exists()


@pytest.mark.parametrize("what", ["folder", "lock"])
def test_a_link_leads_nowhere(tmp_path: Path, left: Path, what: str) -> None:
    """Neither one in place of a workplace nor one in place of its lock file."""
    elsewhere = tmp_path / "elsewhere"
    left.rename(elsewhere)
    if what == "folder":
        (tmp_path / NAME).symlink_to(elsewhere)
    else:
        (tmp_path / NAME).mkdir()
        (tmp_path / NAME / LOCK).symlink_to(elsewhere / LOCK)
    sweep(tmp_path, PREFIX)
    assert (elsewhere / "folder" / "file").exists()
    assert (tmp_path / NAME).exists()


def test_a_link_in_it_is_removed_and_not_followed(tmp_path: Path, left: Path) -> None:
    """What it leads to is somebody's own."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "file").touch()
    (left / "link").symlink_to(tmp_path / "own")
    sweep(tmp_path, PREFIX)
    assert [path.name for path in tmp_path.iterdir()] == ["own"]
    assert (tmp_path / "own" / "file").exists()


@pytest.mark.parametrize(("boot", "host", "stays"), [("b", "h", True), ("b", None, False), (None, "h", False)])
def test_that_of_another_machine_stays(tmp_path: Path, left: Path, boot, host, stays: bool) -> None:
    """It may be alive there; after a new start, and in another container of this machine, it cannot."""
    number, own_boot, own_host = (left / LOCK).read_text().split()
    (left / LOCK).write_text(f"{number} {boot or own_boot} {host or own_host}\n")
    sweep(tmp_path, PREFIX)
    assert left.exists() == stays


def test_without_locks_nothing_is_removed(tmp_path: Path, left: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system that has none nobody can tell; work goes on."""

    def missing(*args: object) -> None:
        raise OSError

    monkeypatch.setattr("fcntl.flock", missing)
    sweep(tmp_path, PREFIX)
    assert left.exists()
    with workplace(tmp_path, PREFIX) as folder:
        (folder / "file").touch()
    assert list(tmp_path.iterdir()) == [left]


def test_a_place_is_held_by_one_process(tmp_path: Path) -> None:
    """Until that has ended."""
    with held(tmp_path) as first, held(tmp_path) as second:
        assert (first, second) == (True, False)
    with held(tmp_path) as again:
        assert again
