"""Full disks, missing rights, odd descriptors: one line that says what and where, nothing half-written."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from injected import Ended, ended, ended_program, faults_of, left_in, limited, tree

from dlkit.errors import OutputError
from dlkit.filing import first_bytes, read_file
from dlkit.room import TooLittleRoom, full_place, is_want_of_room, why_no_room
from dlkit.writing import check_room, check_temporaries, new_file, new_folder, temporary_folder, write_bytes

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
ON_A_FULL_DISK = """
import sys
from pathlib import Path
from dlkit import writing
place, size = Path(sys.argv[1]), int(sys.argv[2])
try:
    with writing.{opened} as new:
        new = new / "x" if new.is_dir() else new
        with new.open("wb") as file:
            for _ in range(size):
                file.write(bytes(1024))
except writing.OutputError as error:
    sys.exit(f"error: {{error}}")
"""


@pytest.fixture(scope="module")
def mounts() -> None:
    """Skips where a small file system cannot be mounted."""
    command = ["unshare", "-m", "mount", "-t", "tmpfs", "-o", "size=64k", "none", "/mnt"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")


def on_small_disk(place: Path, *program: str | Path, kib: int = 64) -> Ended:
    """A program in a world where `place` is a disk of its own; it says what is on it afterwards."""
    script = f'mount -t tmpfs -o size={kib}k none "$0" && "$@"; code=$?; ls -A "$0"; exit $code'
    return ended_program("unshare", "-m", "bash", "-c", script, place, *program, cwd=place.parent)


@pytest.mark.parametrize("size", [32, 60, 64, 200])
@pytest.mark.parametrize(
    ("opened", "says"),
    [
        ("new_folder(place / 'a' / 'b', replace=False)", r"cannot write .*disk/a/b: the disk of .*/disk is full \("),
        ("new_file(place / 'a' / 'b')", r"cannot write .*disk/a/b: the disk of .*/disk is full \("),
        ("temporary_folder()", r"cannot write temporary files: the disk of .*/disk is full \("),
    ],
    ids=["a folder", "a file", "a temporary one"],
)
def test_a_disk_that_is_full_after_so_much(mounts: None, tmp_path: Path, opened: str, says: str, size: int) -> None:
    """At whatever moment: which disk is said, and nothing is on it afterwards, not even a folder."""
    (disk := tmp_path / "disk").mkdir()
    program = f"import tempfile; tempfile.tempdir = {str(disk)!r}\n" + ON_A_FULL_DISK.format(opened=opened)
    how = on_small_disk(disk, sys.executable, "-c", program, disk, str(size))
    assert faults_of(how, codes=(0, 1), says=says) == []
    assert how.code in ((0,) if size < 60 else (0, 1) if size < 64 else (1,))
    assert how.out.split() == (["a"] if how.code == 0 and "temporary" not in opened else [])


def test_which_disk_is_full(tmp_path: Path) -> None:
    """Where the system does not say it, the one with least left; a copy is written to its second name."""
    copied = OSError(errno.ENOSPC, "", "from", None, str(tmp_path / "to"))
    assert full_place(copied, (Path("/proc"),)) == tmp_path / "to"
    assert full_place(FULL, (tmp_path, Path("/proc"))) == Path("/proc")
    begins = next(folder for folder in (tmp_path, *tmp_path.parents) if folder.is_mount())
    assert why_no_room(FULL, tmp_path / "no" / "such").startswith(f"the disk of {begins} is full (")
    assert why_no_room(OSError(errno.EDQUOT, ""), tmp_path) == f"your quota on the disk of {begins} is used up"


def test_how_much_was_needed(tmp_path: Path) -> None:
    """Where it is known before it is written."""
    with pytest.raises(TooLittleRoom) as caught:
        check_room(tmp_path, [2**60])
    assert is_want_of_room(caught.value) or caught.value.errno == errno.EFBIG  # a file system's own largest file
    assert "1152921.5 TB needed" in why_no_room(TooLittleRoom(FULL, tmp_path, 2**60), tmp_path)


def test_the_limit_of_a_file(tmp_path: Path) -> None:
    """ulimit -f ends no process: it is a reason like a full disk."""
    program = "import sys; from dlkit.writing import *; from pathlib import Path\n"
    program += "try: write_bytes(Path(sys.argv[1]), bytes(100_000))\nexcept OutputError as e: sys.exit(f'error: {e}')"
    how = ended_program(sys.executable, "-c", program, tmp_path / "x", cwd=tmp_path, before=limited(FSIZE=50_000))
    assert faults_of(how, says=r"cannot write .*/x: a file may have at most 50.0 kB here \(ulimit -f\)") == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["missing", "file", "/proc"])
def test_a_tmpdir_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """No other place is taken in its stead."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("TMPDIR", str(tmp_path / place))
    monkeypatch.setattr("tempfile.tempdir", None)
    for use in (check_temporaries, lambda: temporary_folder().__enter__()):
        with pytest.raises(OutputError, match=r"cannot write temporary files in .*; set TMPDIR to another folder"):
            use()


def test_folders_made_for_nothing_go_again(tmp_path: Path) -> None:
    """Of what was to be written in them nothing came."""
    for writer in (new_folder(tmp_path / "a" / "b" / "c", replace=False), new_file(tmp_path / "a" / "b" / "c")):
        with pytest.raises(ZeroDivisionError), writer:
            raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["x" * 255, "é" * 127, "a\nb", "-rf", "*?[x]", "caf\udce9", unicodedata.normalize("NFD", "größe")]
)
def test_odd_names_are_written(tmp_path: Path, name: str) -> None:
    """The longest that the system has, and any characters but / and NUL."""
    write_bytes(tmp_path / name, b"file")
    with new_folder(tmp_path / "in" / name, replace=False) as new:
        (new / "x").touch()
    assert (tmp_path / name).read_bytes() == b"file"
    assert [p.name for p in (tmp_path / "in").iterdir()] == [name]


# --- standard streams ---


@pytest.mark.parametrize("command", [["list", "networks"], ["inspect", "model.tflite", "--json"]], ids=" ".join)
@pytest.mark.parametrize("closed", [(1,), (0, 1, 2)], ids=str)
def test_closed_streams(bundle: Path, command: list[str], closed: tuple[int, ...]) -> None:
    """The work is done nevertheless."""
    how = ended(*command, cwd=bundle, before=lambda: [os.close(number) for number in closed] and None)
    assert (how.code, how.err) == (0, "")


def test_what_is_printed_does_not_go_into_a_file(tmp_path: Path) -> None:
    """Of a closed standard output nobody else has the number: native code prints into it."""
    program = (
        "import os\nfrom dlkit.cli._streams import occupy_closed\noccupy_closed()\n"
        "file = open('made', 'wb')\nassert file.fileno() > 2\nos.write(1, b'noise')\n"
    )
    how = ended_program(sys.executable, "-c", program, cwd=tmp_path, before=lambda: os.close(1))
    assert (how.code, how.err) == (0, "")
    assert (tmp_path / "made").read_bytes() == b""


@pytest.mark.parametrize("command", ["list networks", "inspect model.tflite --json", "predict . --check"])
def test_a_full_standard_output(bundle: Path, command: str) -> None:
    """It is told as that; nothing is left to fail when Python ends."""
    with Path("/dev/full").open("wb") as full:
        how = ended(*command.split(), cwd=bundle, stdout=full.fileno())
    assert (how.code, how.err) == (
        1, "error: cannot write standard output: No space left on device; send it elsewhere\n",
    )  # fmt: skip


# --- what is no file ---


@pytest.mark.parametrize(
    "command",
    [
        "train p.toml", "predict . p.png", "predict . p.npz",
        "inspect p.tflite", "bench p.tflite", "check p.tflite --target cpu", "check model.tflite --target p.toml",
    ],
)  # fmt: skip
def test_a_pipe_is_not_waited_for(bundle: Path, command: str) -> None:
    """Where nobody writes into it: one line, at once."""
    for suffix in ("toml", "npy", "png", "csv", "npz", "tflite", "keras", "h5"):
        os.mkfifo(bundle / f"p.{suffix}")
    assert faults_of(ended(*command.split(), cwd=bundle, time_limit_s=60), codes=(1,)) == []


def test_a_pipe_that_somebody_writes_into(tmp_path: Path) -> None:
    """Is read to its end, whenever that comes."""
    os.mkfifo(pipe := tmp_path / "pipe")
    with subprocess.Popen(["sh", "-c", f"exec > '{pipe}'; printf one; sleep 0.3; printf two"]):
        while True:
            try:
                assert read_file(pipe, 100) == b"onetwo"
                break
            except BrokenPipeError:  # it has not opened it yet
                continue
    with pytest.raises(OSError, match="it is no regular file"):
        first_bytes(pipe, 8)


# --- rights ---


def without_privileges() -> None:
    """Root's right to read and write what its modes forbid is gone in the program that comes."""
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


@pytest.mark.parametrize(
    ("locked", "command", "says"),
    [
        ("manifest.json", "predict . --check", "manifest.json: cannot be read: Permission denied"),
        ("model.tflite", "predict . --check", "Permission denied"),
        ("labels.txt", "predict . --check", "Permission denied"),
        (".", "predict . --check", "Permission denied"),
        (".", "serve .", "Permission denied"),
        ("model.tflite", "inspect model.tflite", "Permission denied"),
        ("model.tflite", "bench model.tflite", "Permission denied"),
        ("model.tflite", "check model.tflite --target cpu", "Permission denied"),
        ("x.npy", "predict . x.npy", "Permission denied"),
        ("r.toml", "check model.tflite --target r.toml", "cannot read r.toml: Permission denied"),
        ("out", "build cnn --out out", "cannot write out/cnn: Permission denied; choose another place with --out DIR"),
        ("out", "build cnn --out out/a/b", "cannot write out/a/b/cnn: Permission denied; choose another place"),
    ],
)  # fmt: skip
def test_no_right(bundle: Path, locked: str, command: str, says: str) -> None:
    """Exit code 1 and the system's reason; nothing is changed."""
    (bundle / "x.npy").write_bytes(b"x")
    (bundle / "r.toml").write_text("x = 1")
    (bundle / "out").mkdir()
    before, folder = tree(bundle), bundle.parent
    (bundle / locked).chmod(0)
    try:
        words = [
            str(bundle / word) if word in (".", "out", "out/a/b") or "." in word else word for word in command.split()
        ]
        how = ended(*words, cwd=folder, before=without_privileges, time_limit_s=60)
    finally:
        (bundle / locked).chmod(0o755)
    assert faults_of(how, says="Permission denied") == []
    assert says in how.line.replace(f"{bundle}/", "")
    assert tree(bundle) == before
    assert left_in(bundle) == []


@pytest.mark.parametrize("command", ["predict BUNDLE --check", "bench BUNDLE", "train no.toml"])
def test_a_working_folder_that_is_gone(bundle: Path, tmp_path: Path, command: str) -> None:
    """Absolute names still lead somewhere; others are told not to."""
    (gone := tmp_path / "gone").mkdir()

    def go() -> None:
        os.chdir(gone)
        gone.rmdir()

    words = [str(bundle) if word == "BUNDLE" else word for word in command.split()]
    how = ended(*words, cwd=tmp_path, before=go)
    assert faults_of(how, codes=(0, 1)) == []


@pytest.mark.parametrize("home", [None, "/proc"])
def test_no_home(bundle: Path, home: str | None) -> None:
    """Nothing is kept there."""
    how = ended("predict", ".", "--check", cwd=bundle, environment={"HOME": home, "XDG_CACHE_HOME": None})
    assert (how.code, how.err) == (0, "")


@pytest.mark.parametrize(("limit", "value"), [("NOFILE", 16), ("FSIZE", 0)])
def test_low_limits(bundle: Path, limit: str, value: int) -> None:
    """A bundle needs next to nothing."""
    how = ended("predict", ".", "--check", cwd=bundle, before=limited(**{limit: value}))
    assert faults_of(how, codes=(0, 1)) == []


@pytest.mark.parametrize("megabytes", [60, 150, 200, 400])
def test_little_memory(bundle: Path, megabytes: int) -> None:
    """Enough or not: never a traceback, never a crash."""
    how = ended("predict", ".", "--check", cwd=bundle, before=limited(AS=megabytes * 2**20))
    assert faults_of(how, codes=(0, 1)) == []


def test_the_tests_see_what_is_left(tmp_path: Path) -> None:
    """What these tests look with finds what is to be found."""
    (tmp_path / ".dlkit-writing-0123456789abcdef").mkdir()
    (tmp_path / "dlkit-0123456789abcdef").mkdir()
    assert len(left_in(tmp_path)) == 2
    bad: Callable[..., Ended] = lambda err, code: Ended(code, "", err, 0.0)  # noqa: E731
    assert faults_of(bad("Traceback (most recent call last):\nerror: x", 1)) == [
        "traceback",
        "more than one line: 'Traceback (most recent call last):'",
    ]
    assert faults_of(bad("", None)) == [
        "hangs",
    ]
    assert faults_of(bad("what", 1), says="why") == ["no line that says why"]
    assert faults_of(bad("error: what", 3), says="why") == ["exit code 3", "does not say 'why'"]
