"""What commands print fits the terminal: its width, its colours, its characters. What is piped is never cut."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from dlkit.cli import _output, _terminal
from dlkit.cli._output import duration, print_table, print_text, progress_for
from dlkit.cli._terminal import in_colour, width_of, wrapped

ROOT = Path(__file__).parents[2]
BOLD, CLEAR = "\x1b[1m", "\x1b[0m"
NAMES = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "PYTHONIOENCODING")


def on_terminal(columns: int, *arguments: str | Path, **environment: str) -> str:
    """What `python ARGUMENTS` writes to a terminal of so many columns, lines ended by a newline alone."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    kept = {key: value for key, value in os.environ.items() if key not in NAMES}
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)], stdin=child, stdout=child, stderr=child, cwd=ROOT, close_fds=True,
        env={**kept, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip
    os.close(child)
    said = b""
    while True:
        try:
            part = os.read(parent, 65536)
        except OSError as error:  # Linux says so when the last writer is gone
            if error.errno != errno.EIO:
                raise
            break
        if not part:
            break
        said += part
    os.close(parent)
    process.wait(60)
    return said.decode("utf-8").replace("\r\n", "\n")


def plain(text: str) -> str:
    """Without what switches colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


TRIED = [(list_, columns) for list_ in ("list networks", "list datasets", "doctor") for columns in (40, 80, 120)]


# Click's help is never narrower than 50 columns.
@pytest.mark.parametrize(("arguments", "columns"), [*TRIED, ("--help", 60), ("bench --help", 80)])
def test_no_line_is_wider_than_the_terminal(arguments: str, columns: int) -> None:
    """In columns where they fit, else in blocks; but for words that must stay whole."""
    said = plain(on_terminal(columns, "-m", "dlkit", *arguments.split()))
    wide = [line for line in said.splitlines() if width_of(line) > columns and len(line.split()) > 2]
    assert said
    assert not wide


def test_what_is_piped_is_never_wrapped(fresh) -> None:
    """A row a line, whatever COLUMNS says; the same words that a terminal shows."""
    piped = fresh("-m", "dlkit", "list", "targets", COLUMNS="40")
    rows = piped.out.splitlines()
    assert max(map(width_of, rows)) > 80
    assert len(rows) == 1 + len(json.loads(fresh("-m", "dlkit", "list", "targets", "--json").out))
    shown = plain(on_terminal(80, "-m", "dlkit", "list", "targets"))
    assert sorted(shown.split()) == sorted(piped.out.split())


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": "", "TERM": "xterm"}, True),
        ({"CLICOLOR": "0"}, False),
        ({"TERM": "dumb"}, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_colours_on_a_terminal(environment: dict[str, str], coloured: bool) -> None:
    """Unless the environment is against them."""
    assert ("\x1b[" in on_terminal(80, "-m", "dlkit", "list", "schemes", **environment)) == coloured


@pytest.mark.parametrize(("name", "coloured"), [("FORCE_COLOR", True), ("CLICOLOR_FORCE", True), ("CLICOLOR", False)])
def test_colours_when_piped(fresh, name: str, coloured: bool) -> None:
    """Only where they are asked for; never in JSON."""
    assert ("\x1b[" in fresh("-m", "dlkit", "list", "schemes", **{name: "1"}).out) == coloured
    assert ("\x1b[" in fresh("-m", "dlkit", "predict", "nothing", "x", **{name: "1"}).err) == coloured
    json.loads(fresh("-m", "dlkit", "list", "schemes", "--json", **{name: "1"}).out)


@pytest.mark.parametrize("value", ["0", ""])
def test_colours_that_are_not_forced(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """0 and nothing force none."""
    for name in (*NAMES, "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FORCE_COLOR", value)
    assert in_colour() is None


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("arguments", [("--help",), ("list", "networks"), ("inspect", "exported/digits-tiny/cpu-int8")])
def test_an_encoding_without_our_characters(encoding: str, arguments: tuple[str, ...]) -> None:
    """Others stand in their place: no error, no escapes, and columns are still columns."""
    done = subprocess.run(
        [sys.executable, "-m", "dlkit", *arguments], cwd=ROOT, capture_output=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding, "LC_ALL": "C"},
    )  # fmt: skip
    said = done.stdout.decode(encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "\\u" not in said
    assert "?" not in said
    if arguments[0] == "list":
        head, *rows = said.splitlines()
        place = head.index("paper")
        assert all(row[place - 2 : place] == "  " and row[place] != " " for row in rows)


def test_progress_in_ascii() -> None:
    """Steps and errors too."""
    done = subprocess.run(
        [sys.executable, "-m", "dlkit", "check", "exported/digits-tiny/cpu-int8", "--target", "cpu"], cwd=ROOT,
        capture_output=True, timeout=60, env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.stderr == b"Examining it for cpu ...\n"


def table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int | None) -> list[str]:
    monkeypatch.setattr(_output, "columns", lambda: columns)
    head, rows = (
        ("name", "size", "what it is"),
        [("a", "1,000 B", "one two three four five six"), ("long-name", "2 B", "x")],
    )
    print_table(head, rows, right=(1,))
    return capsys.readouterr().out.splitlines()


def test_a_table_that_fits(capsys, monkeypatch) -> None:
    """Numbers to the right."""
    assert table(capsys, monkeypatch, None) == table(capsys, monkeypatch, 80) == [
        "name          size  what it is",
        "a          1,000 B  one two three four five six",
        "long-name      2 B  x",
    ]  # fmt: skip


def test_a_table_that_is_wrapped(capsys, monkeypatch) -> None:
    """Cells of text go on below, between words; numbers stay whole."""
    assert table(capsys, monkeypatch, 36) == [
        "name          size  what it is",
        "a          1,000 B  one two three",
        "                    four five six",
        "long-name      2 B  x",
    ]


def test_a_table_in_blocks(capsys, monkeypatch) -> None:
    """Where columns have no room."""
    assert table(capsys, monkeypatch, 24) == [
        "name        a",
        "size        1,000 B",
        "what it is  one two",
        "            three four",
        "            five six",
        "",
        "name        long-name",
        "size        2 B",
        "what it is  x",
    ]


def test_a_report_on_a_narrow_terminal(capsys, monkeypatch) -> None:
    """A line goes on below its text, a command stays in one piece, and nothing changes when it is piped."""
    text = (
        "note         the arena is that of a 64-bit machine\n\n  dlkit predict exported/digits/cpu-int8 IMAGE --top 3"
    )
    monkeypatch.setattr(_output, "columns", lambda: 40)
    print_text(text)
    assert capsys.readouterr().out.splitlines() == [
        "note         the arena is that of a",
        "             64-bit machine",
        "",
        "  dlkit predict exported/digits/cpu-int8 IMAGE --top 3",
    ]
    monkeypatch.setattr(_output, "columns", lambda: None)
    print_text(text)
    assert capsys.readouterr().out == text + "\n"


@pytest.mark.parametrize("text", ["one two three", "é" * 30 + " ü", "数字 数字 数字 数字", "a" * 50])
def test_wrapped(text: str) -> None:
    """No line is wider, and no letter is lost."""
    lines = wrapped(text, 12, 2)
    assert max(map(width_of, lines)) <= 12
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_piped_progress_says_how_far_it_is(capsys, monkeypatch) -> None:
    """A line at the beginning, and one each half a minute with what is left."""
    clock = iter([0.0, 10.0, 40.0, 50.0, 75.0, 100.0])
    monkeypatch.setattr(_output.time, "monotonic", lambda: next(clock))
    with progress_for(False).step("Training it") as advance:
        for done in range(1, 6):
            advance(done * 10, 50)
    assert capsys.readouterr().err.splitlines() == [
        "Training it …",
        "Training it: 20 of 50, about 90 s left …",
        "Training it: 40 of 50, about 22 s left …",
    ]


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0 s"), (99.4, "99 s"), (100, "2 min"), (7199, "2 h 0 min")])
def test_duration(seconds: float, text: str) -> None:
    """Seconds, minutes, hours."""
    assert duration(seconds) == text


STEP = """
import time
from dlkit.cli._output import progress_for
with progress_for(False).step("Measuring ranges on calibration samples") as advance:
    {work}
"""


@pytest.mark.parametrize("columns", [40, *(pytest.param(wide, marks=pytest.mark.slow) for wide in (80, 120))])
def test_a_bar_fits_the_terminal(columns: int) -> None:
    """With count and time left, or the time taken where the extent is not known; no bar where there is no room."""
    counted = on_terminal(columns, "-c", STEP.format(work="[(time.sleep(0.2), advance(i, 9)) for i in range(1, 9)]"))
    assert re.search(r"[1-8]/9  \d:\d\d left", plain(counted))
    assert re.search(r"9/9  \d:\d\d", plain(counted))
    silent = on_terminal(columns, "-c", STEP.format(work="time.sleep(1.3)"))
    assert re.search(r"\d:(0[1-9]|[1-5]\d)", plain(silent))
    for line in re.split(r"[\r\n]", plain(counted + silent)):
        assert width_of(re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", line)) <= columns


def test_a_dumb_terminal_gets_lines() -> None:
    """Nothing that moves the cursor."""
    said = on_terminal(80, "-c", STEP.format(work="advance(1, 2)"), TERM="dumb")
    assert said == "Measuring ranges on calibration samples …\n"


def test_columns_of_what_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """None, whatever the environment says."""
    monkeypatch.setenv("COLUMNS", "30")
    assert _terminal.columns() is None
