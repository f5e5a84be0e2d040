"""`dlkit check`: the verdict of a target on any file, and an exit code for CI."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from board import write_board

TINY = Path(__file__).parents[2] / "exported" / "digits-tiny" / "cpu-int8"


def test_a_file_that_runs(dlkit) -> None:
    """Operations, where they run, and code 0."""
    said = dlkit("check", TINY / "model.tflite", "--target", "cpu")
    assert said.code == 0
    assert "model.tflite on cpu: runs" in said.out
    assert [line.split()[:3] for line in said.out.splitlines() if line.startswith("CONV_2D")] == [
        ["CONV_2D", "2", "CPU"]
    ]


def test_a_bundle(dlkit) -> None:
    """A bundle stands for its model."""
    assert dlkit("check", TINY, "--target", "cpu").code == 0


def test_too_large_for_the_board(dlkit, tmp_path: Path) -> None:
    """The memory, what is needed and what there is; code 3."""
    said = dlkit("check", TINY, "--target", write_board(tmp_path, flash_bytes=4096))
    assert said.code == 3
    assert "flash (the file) 11,984 bytes, but my-board has 4,096" in said.err


def test_an_operation_that_is_missing(dlkit, tmp_path: Path) -> None:
    """It is named with its count, and placed nowhere."""
    said = dlkit("check", TINY, "--target", write_board(tmp_path, lacks=["MAX_POOL_2D"]))
    assert (said.code, "2 MAX_POOL_2D: my-board does not have it" in said.err) == (3, True)
    assert "MAX_POOL_2D          2  nowhere" in said.out


def test_a_list_of_operations(dlkit, tmp_path: Path) -> None:
    """What is not on the list of all that a device has, it lacks."""
    said = dlkit("check", TINY, "--target", write_board(tmp_path, operations=["CONV_2D", "RESHAPE"]))
    assert said.code == 3
    assert "2 FULLY_CONNECTED: my-board does not have it" in said.err
    assert "CONV_2D: my-board" not in said.err


def test_as_json(dlkit) -> None:
    """A list with a verdict for each target."""
    [verdict] = json.loads(dlkit("check", TINY, "--target", "cpu", "--json").out)
    assert (verdict["target"], verdict["fits"], verdict["budgets"][0]["used_bytes"]) == ("cpu", True, 11984)


def test_several_targets(dlkit, tmp_path: Path) -> None:
    """One that does not run it decides the code; each is told."""
    board = write_board(tmp_path, flash_bytes=1)
    said = dlkit("check", TINY, "--target", "cpu", "--target", board)
    assert said.code == 3
    assert "on cpu: runs" in said.out
    assert "on my-board: DOES NOT RUN" in said.out


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "there is no file"),
        (lambda path: path.write_bytes(b"no model"), "is not a .tflite file"),
        (lambda path: path.write_bytes((TINY / "model.tflite").read_bytes()[:3000]), "cut short or corrupt"),
        (lambda path: path.mkdir(), "cpu takes .tflite files, and this is a folder"),
    ],
    ids=["missing", "other", "short", "folder"],
)
def test_no_model(dlkit, tmp_path: Path, make, message: str) -> None:
    """One line, code 1."""
    path = tmp_path / "m.tflite"
    make(path)
    said = dlkit("check", path, "--target", "cpu", "--quiet")
    assert (said.code, message in said.err, said.err.count("\n")) == (1, True, 1)


def test_an_unknown_target(dlkit) -> None:
    """Near misses are suggested."""
    assert "unknown target 'cup'; did you mean 'cpu'" in dlkit("check", TINY, "--target", "cup").err


def test_a_bundle_of_another_time(dlkit, tmp_path: Path) -> None:
    """A manifest without the facts of its target is checked as on the processor."""
    bundle = shutil.copytree(TINY, tmp_path / "b")
    table = json.loads((bundle / "manifest.json").read_text())
    del table["device"]
    (bundle / "manifest.json").write_text(json.dumps(table))
    assert dlkit("predict", bundle, "--check").code == 0


def test_a_bundle_whose_target_is_none(dlkit, tmp_path: Path) -> None:
    """A manifest that describes no target is corrupt, in one line."""
    bundle = shutil.copytree(TINY, tmp_path / "b")
    table = json.loads((bundle / "manifest.json").read_text())
    table["device"]["flash_bytes"] = "many"
    (bundle / "manifest.json").write_text(json.dumps(table))
    said = dlkit("predict", bundle, "--check")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "device.flash_bytes" in said.err
