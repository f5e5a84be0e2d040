"""A device of one's own is read strictly, and every target of the shelf holds together."""

from __future__ import annotations

from pathlib import Path

import pytest
from board import write_board

from dlkit.devices import RUNTIMES, known_target
from dlkit.errors import DlkitError
from dlkit.finishing import FINISHES
from dlkit.schemes import SCHEMES
from dlkit.targets import TARGETS, read_target


@pytest.mark.parametrize("name", TARGETS)
def test_its_runtime_is_known(name: str) -> None:
    """A target names a runtime that can examine files."""
    assert RUNTIMES[TARGETS[name].runtime].name == TARGETS[name].runtime


@pytest.mark.parametrize("name", TARGETS)
def test_its_finishing_steps_are_known(name: str) -> None:
    """A target names steps that are there."""
    assert set(TARGETS[name].finish) <= set(FINISHES)


@pytest.mark.parametrize("name", TARGETS)
def test_its_schemes_are_of_its_runtime(name: str) -> None:
    """A runtime of .tflite files is not given models for servers, nor the other way round."""
    formats = {SCHEMES[scheme].format for scheme in TARGETS[name].schemes}
    assert ("tflite" not in formats) == RUNTIMES[TARGETS[name].runtime].of_folders


def test_a_board_of_ones_own(tmp_path: Path) -> None:
    """A file is a target by its facts."""
    path = write_board(tmp_path, flash_bytes=4096)
    assert (read_target(str(path)).name, known_target(str(path)).flash_bytes) == ("my-board", 4096)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"runtime": "litret"}, "unknown runtime 'litret'; did you mean 'litert'"),
        ({"schemes": ["int9"]}, "unknown scheme 'int9'; did you mean"),
        ({"schemes": []}, "board.toml: schemes = []: name at least one, best first"),
        ({"flash_bytes": -1}, "board.toml: flash_bytes = -1 must be at least 0"),
        ({"avoid": ["lstm"]}, "board.toml: avoid = ['lstm']: known are fused_lstm, joined_transpose"),
        ({"flash": 1}, "board.toml: unknown key 'flash'"),
        ({"name": "cpu"}, "board.toml: name = 'cpu' is a target of dlkit's; give yours another name"),
        ({"name": "../x"}, "board.toml: name = '../x': letters, digits, - and _ alone"),
        ({"runtime": "server"}, "server runs no int8 files"),
    ],
    ids=str,
)
def test_a_board_that_is_none(tmp_path: Path, facts: dict[str, object], message: str) -> None:
    """What is wrong is named, and what is near."""
    with pytest.raises(DlkitError) as caught:
        known_target(str(write_board(tmp_path, **facts)))
    assert message in str(caught.value)


def test_no_board_there(tmp_path: Path) -> None:
    """A file that is missing is named, with the targets that there are."""
    with pytest.raises(DlkitError, match=r"there is no target file .*none\.toml; name one, or one of .*cpu"):
        read_target(str(tmp_path / "none.toml"))


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 70_000, b"name = ["], ids=["bytes", "long", "broken"])
def test_a_file_that_describes_nothing(tmp_path: Path, content: bytes) -> None:
    """It is one line that names the file."""
    path = tmp_path / "board.toml"
    path.write_bytes(content)
    with pytest.raises(DlkitError, match=r"board\.toml") as caught:
        read_target(str(path))
    assert "\n" not in str(caught.value)
