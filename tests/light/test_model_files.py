"""model.keras and model.json are one thing: whole, or absent."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dlkit.digest import sha256_of
from dlkit.errors import OutputError
from dlkit.pipeline.making_models import check_destination
from dlkit.trained import is_ours, is_whole

ROOT = Path(__file__).parents[2]

# Writes a model of 2 MB over and over, each time with other numbers; Keras is not needed for that.
WRITER = """
import sys, zipfile
from pathlib import Path
from dlkit.pipeline.making_models import check_destination
from dlkit.runtime.preprocessing import preprocessing_for
from dlkit.trained import Trained

folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
preprocessing = preprocessing_for("unit", (8, 8, 1), (8, 8, 1), (0.0, 16.0), "pad")
unsaved = Trained("m", folder / "model.keras", "cnn", None, {"image": preprocessing}, ("0",), trained=True)
print("up", flush=True)
for number in range(rounds):
    check_destination(folder, force=number > 0 or "--force" in sys.argv)
    with (
        unsaved.new_model([]) as new,
        zipfile.ZipFile(new, "w") as archive,
        archive.open("model.weights.h5", "w") as file,
    ):
        for _ in range(20):
            file.write(bytes([number % 256]) * 100_000)
"""


def writer(folder: Path, rounds: int, *options: str) -> subprocess.Popen[str]:
    """A process that has begun to write `rounds` models to `folder`."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(rounds), *options],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """kill -9: no model before the first is there, then always a whole one; the next run leaves the two files alone."""
    folder = tmp_path / "m"
    moments, was_whole = random.Random(0), False
    for _ in range(12):
        process = writer(folder, 10**6, "--force")
        time.sleep(moments.uniform(0, 0.03))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        was_whole = was_whole or is_whole(folder)
        assert was_whole == is_whole(folder)
        if was_whole:
            with pytest.raises(OutputError, match="exists already"):
                check_destination(folder, force=False)
        else:
            check_destination(folder, force=False)
    process = writer(folder, 1, "--force")
    process.communicate()
    assert process.returncode == 0
    assert is_whole(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "model.keras"]


@pytest.mark.parametrize("facts", ["none", "of another model"])
def test_killed_between_the_two(tmp_path: Path, facts: str) -> None:
    """By a writer of before, or by hand: a model without its facts is replaced unasked."""
    writer(tmp_path / "m", 1).communicate()
    with pytest.raises(OutputError, match=r"model\.keras exists already; add --force"):
        check_destination(tmp_path / "m", force=False)
    if facts == "none":
        (tmp_path / "m" / "model.json").unlink()
    else:
        (tmp_path / "m" / "model.keras").write_bytes(b"newer")
    process = writer(tmp_path / "m", 1)
    process.communicate()
    assert process.returncode == 0
    assert is_whole(tmp_path / "m")


def test_an_error_while_saving_leaves_the_old_pair(tmp_path: Path) -> None:
    """Both files, and nothing beside them."""
    from dlkit.trained import load_trained

    writer(tmp_path / "m", 1).communicate()
    trained = load_trained(tmp_path / "m")
    before = sha256_of(trained.model)
    with pytest.raises(ZeroDivisionError), trained.new_model([]) as new:
        new.write_bytes(bytes(1 // 0))
    assert is_whole(tmp_path / "m")
    assert sha256_of(trained.model) == before
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["model.json", "model.keras"]


@pytest.mark.parametrize(
    "content", ["", "[]", "null", "[" * 100_000, json.dumps({"format": "layers-model", "modelTopology": {}})]
)
def test_a_model_json_of_another_program_is_not_ours(tmp_path: Path, content: str) -> None:
    """TensorFlow.js writes a file of this name too; the model beside it is not replaced unasked."""
    writer(tmp_path, 1).communicate()
    assert is_ours(tmp_path)
    (tmp_path / "model.json").write_text(content)
    assert not is_ours(tmp_path)
    with pytest.raises(OutputError, match="exists already"):
        check_destination(tmp_path, force=False)
    (tmp_path / "model.json").unlink()
    assert not is_ours(tmp_path)
