"""Writing is atomic: the old thing or the new thing, never half of one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from dlkit.errors import OutputError
from dlkit.writing import (
    check_writable,
    new_files,
    new_folder,
    refuse_existing,
    settle,
    temporary_files_apart,
    temporary_folder,
    write_bytes,
)

ROOT = Path(__file__).parents[2]

# Fills a folder half, says so, and waits to be killed.
HALF = """
import sys, time
from pathlib import Path
from dlkit.writing import new_folder
with new_folder(Path(sys.argv[1]), replace=True) as new:
    (new / "half").write_text("half")
    print("half", flush=True)
    time.sleep(60)
"""


def fill(destination: Path, text: str, replace: bool = False) -> None:
    with new_folder(destination, replace=replace) as new:
        (new / "file").write_text(text)


def started_half(destination: Path, program: str = HALF) -> subprocess.Popen[str]:
    """A process that is in the middle of writing `destination`."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(destination)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    return process


def test_a_folder_appears_when_its_block_ends(tmp_path: Path) -> None:
    """Not before; its parents are made; nothing else is left."""
    destination = tmp_path / "a" / "b"
    with new_folder(destination, replace=False) as new:
        (new / "file").write_text("x")
        assert not destination.exists()
    assert (destination / "file").read_text() == "x"
    assert list(destination.parent.iterdir()) == [destination]
    assert destination.stat().st_mode & 0o777 == 0o755


def test_an_error_in_the_block_leaves_nothing(tmp_path: Path) -> None:
    """Neither the folder nor a temporary one; the error goes on."""
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "a", replace=False) as new:
        (new / "file").write_text(f"{1 / 0}")
    assert list(tmp_path.iterdir()) == []


def test_an_error_while_replacing_leaves_the_old(tmp_path: Path) -> None:
    """Whole and alone."""
    fill(tmp_path / "a", "old")
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "a", replace=True):
        raise ZeroDivisionError
    assert (tmp_path / "a" / "file").read_text() == "old"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


@pytest.mark.parametrize("one_step", [True, False])
@pytest.mark.parametrize("empty", [True, False])
def test_what_appears_meanwhile_is_not_replaced_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_step: bool, empty: bool
) -> None:
    """Another writer was faster: its folder stays, even an empty one, and nothing else is left."""
    if not one_step:
        monkeypatch.setattr("dlkit.writing._renamed", lambda old, new, flag: False)
    other = tmp_path / "other"
    other.mkdir()
    if not empty:
        (other / "file").write_text("other")
    with pytest.raises(OutputError, match="exists already"), new_folder(tmp_path / "a", replace=False):
        other.rename(tmp_path / "a")
    assert [p.name for p in (tmp_path / "a").iterdir()] == ([] if empty else ["file"])
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_what_exists_is_not_replaced_unasked(tmp_path: Path) -> None:
    """The message says how to ask."""
    fill(tmp_path / "a", "old")
    with pytest.raises(OutputError, match="a exists already; add --force to replace it"):
        fill(tmp_path / "a", "new")
    assert (tmp_path / "a" / "file").read_text() == "old"


@pytest.mark.parametrize("kind", ["folder", "file", "link", "dangling link"])
def test_replacing(tmp_path: Path, kind: str) -> None:
    """Whatever stood there, the new folder stands there and nothing else is left; a link's end is not touched."""
    destination, elsewhere = tmp_path / "place" / "a", tmp_path / "elsewhere"
    fill(elsewhere, "elsewhere")
    destination.parent.mkdir()
    if kind == "folder":
        fill(destination, "old")
        (destination / "more").touch()
    elif kind == "file":
        destination.write_text("old")
    else:
        destination.symlink_to(elsewhere if kind == "link" else tmp_path / "nowhere")
    with pytest.raises(OutputError, match="exists already"):
        fill(destination, "new")
    fill(destination, "new", replace=True)
    assert {p.name: p.read_text() for p in destination.iterdir()} == {"file": "new"}
    assert not destination.is_symlink()
    assert list(destination.parent.iterdir()) == [destination]
    assert (elsewhere / "file").read_text() == "elsewhere"


def test_replacing_where_names_cannot_be_exchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without that step gets there in two."""
    fill(tmp_path / "a", "old")
    monkeypatch.setattr("dlkit.writing._renamed", lambda old, new, flag: False)
    fill(tmp_path / "a", "new", replace=True)
    assert (tmp_path / "a" / "file").read_text() == "new"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_killed_writer_leaves_the_old_whole(tmp_path: Path) -> None:
    """kill -9 in the middle; the next writer clears away what it left."""
    fill(tmp_path / "a", "old")
    process = started_half(tmp_path / "a")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (tmp_path / "a" / "file").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
    fill(tmp_path / "a", "new", replace=True)
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_living_writer_is_left_alone(tmp_path: Path) -> None:
    """Two writers of one place do not take each other's unfinished work away."""
    process = started_half(tmp_path / "a")
    try:
        fill(tmp_path / "a", "new")
        assert [p.name for p in tmp_path.glob(".dlkit-writing-*/a/*")] == ["half"]
    finally:
        process.kill()
        process.communicate()


# Stands where the rename that moves the new one in would be, and waits to be killed.
BETWEEN = """
import sys, time
from pathlib import Path
import dlkit.writing
renamed = []
rename = Path.rename
def second_waits(old, new):
    if renamed:
        print("half", flush=True)
        time.sleep(60)
    renamed.append(old)
    return rename(old, new)
Path.rename = second_waits
dlkit.writing._renamed = lambda old, new, flag: False
with dlkit.writing.new_folder(Path(sys.argv[1]), replace=True) as new:
    (new / "file").write_text("new")
"""


def test_what_was_moved_away_by_a_killed_writer_comes_back(tmp_path: Path) -> None:
    """Where replacing takes two steps and the writer died between them."""
    fill(tmp_path / "a", "old")
    process = started_half(tmp_path / "a", BETWEEN)
    process.kill()
    process.communicate()
    assert not (tmp_path / "a").exists()
    with pytest.raises(OutputError, match="exists already"):
        fill(tmp_path / "a", "new")
    assert (tmp_path / "a" / "file").read_text() == "old"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


# Waits to be killed when the first of two files is in its place.
MOVING = """
import sys, time
from pathlib import Path
from dlkit.writing import new_files
replace = Path.replace
def once(old, new):
    replace(old, new)
    print("half", flush=True)
    time.sleep(60)
with new_files(Path(sys.argv[1]).parent) as new:
    (new / "a").write_text("new a")
    (new / "b").write_text("new b")
    Path.replace = once
"""


def test_files_that_belong_together_come_together(tmp_path: Path) -> None:
    """kill -9 between the moves: who settles the folder finds both new ones, and nothing else."""
    for name in "ab":
        write_bytes(tmp_path / name, b"old")
    process = started_half(tmp_path / "a", MOVING)
    process.kill()
    process.communicate()
    assert [(tmp_path / name).read_text() for name in "ab"] == ["new a", "old"]
    settle(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "new a", "b": "new b"}


def test_what_cannot_be_moved_yet_is_kept(tmp_path: Path) -> None:
    """A folder in the place of a file: nothing is lost, and once it is gone the file comes."""
    process = started_half(tmp_path / "a", MOVING)
    process.kill()
    process.communicate()
    (tmp_path / "b").mkdir()
    settle(tmp_path)
    (tmp_path / "b").rmdir()
    settle(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "new a", "b": "new b"}


def test_none_of_several_files_is_moved_over_a_folder(tmp_path: Path) -> None:
    """The others stay as they were."""
    write_bytes(tmp_path / "a", b"old")
    (tmp_path / "b").mkdir()
    with pytest.raises(OutputError, match="Is a directory"), new_files(tmp_path) as new:
        [(new / name).write_text("new") for name in "ab"]
    assert (tmp_path / "a").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def unwritable(tmp_path: Path) -> list[Path]:
    """Places where not even root can write."""
    (tmp_path / "file").touch()
    return [tmp_path / "file" / "a", tmp_path / "file" / "a" / "b", Path("/proc/dlkit/a"), tmp_path / ("x" * 300)]


@pytest.mark.parametrize("number", range(4))
def test_a_place_that_cannot_be_written(tmp_path: Path, number: int) -> None:
    """One line with the place, the system's reason and what to type; by every road, before and after the work."""
    place = unwritable(tmp_path)[number]
    message = r"cannot write .*: .*; choose another place with --out DIR"
    with pytest.raises(OutputError, match=message):
        fill(place, "x")
    with pytest.raises(OutputError, match=message):
        write_bytes(place, b"x")
    with pytest.raises(OutputError, match=message):
        check_writable(place / "below")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_checking_leaves_no_trace(tmp_path: Path) -> None:
    """A check before the work makes no folders: the work may yet fail."""
    check_writable(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


def test_write_bytes_replaces(tmp_path: Path) -> None:
    """A file beside it, moved there."""
    for content in (b"old", b"new"):
        write_bytes(tmp_path / "a" / "file", content)
    assert [(p.name, p.read_bytes()) for p in (tmp_path / "a").iterdir()] == [("file", b"new")]


def test_a_killed_writer_of_a_file_is_cleared_after(tmp_path: Path) -> None:
    """kill -9 in the middle leaves the old file whole; the next writer leaves nothing but the new one."""
    write_bytes(tmp_path / "a", b"old")
    program = HALF.replace("new_folder(Path(sys.argv[1]), replace=True)", "new_file(Path(sys.argv[1]))")
    program = program.replace('(new / "half")', "new").replace("import new_folder", "import new_file")
    process = started_half(tmp_path / "a", program)
    process.kill()
    process.communicate()
    assert (tmp_path / "a").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2
    write_bytes(tmp_path / "a", b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a", b"new")]


def test_write_bytes_over_a_folder_is_refused(tmp_path: Path) -> None:
    """And leaves no temporary file."""
    (tmp_path / "a").mkdir()
    with pytest.raises(OutputError, match="Is a directory"):
        write_bytes(tmp_path / "a", b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_refuse_existing_sees_a_dangling_link(tmp_path: Path) -> None:
    """What would be replaced is something, wherever it points."""
    (tmp_path / "a").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="exists already"):
        refuse_existing(tmp_path / "a", replace=False)
    refuse_existing(tmp_path / "a", replace=True)


def test_a_temporary_folder_goes_with_its_block_however_it_ends() -> None:
    """With all that is in it, and no one else could look into it."""
    with contextlib.suppress(KeyboardInterrupt), temporary_folder() as folder:
        (folder / "x").write_text("x")
        assert folder.stat().st_mode & 0o777 == 0o700
        raise KeyboardInterrupt
    assert not folder.exists()


def test_a_temporary_folder_whose_making_is_interrupted_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal comes after the system has made it and before Python knows."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    mkdir = Path.mkdir

    def interrupted(path: Path, mode: int = 0o777) -> None:
        mkdir(path, mode)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "mkdir", interrupted)
    with pytest.raises(KeyboardInterrupt), temporary_folder():
        pass
    assert list(tmp_path.iterdir()) == []


def test_temporary_files_of_other_code_go_with_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Into a folder of this process; afterwards they go where they went before."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with temporary_files_apart():
        handle, name = tempfile.mkstemp()
        os.close(handle)
        assert Path(name).parent.parent == tmp_path
    assert list(tmp_path.iterdir()) == []
    assert tempfile.gettempdir() == str(tmp_path)


def test_without_a_temporary_folder_a_command_still_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What needs none does not ask for one."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with temporary_files_apart():
        assert tempfile.gettempdir() == str(tmp_path / "missing")
