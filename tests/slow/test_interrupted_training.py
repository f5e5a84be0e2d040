"""Trainings that are killed, as a user would see it: the command again, with --resume, comes to the same."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.tf, pytest.mark.slow]

KILLS = 20
RECIPE = """
name = "killed"
network = { name = "cnn", options = { width = 8 } }
data = { name = "digits" }
augmentation = { shift = 0.1 }
training = { epochs = 44, learning_rate = 0.01, checkpoint_s = 0.0 }
"""
WITHOUT_DROPOUT = """
name = "shared"
network = { name = "gru", options = { units = 16 } }
data = { name = "digits" }
training = { epochs = 3, learning_rate = 0.01, batch_size = 100, checkpoint_s = 0.0 }
"""


def started(recipe: Path, out: Path, root: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dlkit", "train", str(recipe), "--out", str(out), "-q", *options],
        env={**os.environ, "PYTHONPATH": str(root), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def epochs_kept(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("checkpoints/epoch-*.npz"))


@pytest.mark.full
def test_twenty_kills_change_nothing(root: Path, tmp_path: Path) -> None:
    """At random moments of a run, in an epoch, while a checkpoint is written or before the first: the same model."""
    recipe = tmp_path / "killed.toml"
    recipe.write_text(RECIPE)
    code, whole, err = ended(started(recipe, tmp_path / "whole", root))
    assert code == 0, err
    moments = random.Random(5)
    folder = tmp_path / "parts" / "killed"
    for kill in range(KILLS):
        process, before = started(recipe, tmp_path / "parts", root, "--resume"), epochs_kept(folder)
        deadline = time.monotonic() + 60
        while kill % 5 and epochs_kept(folder) == before and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)  # most lives get past the start
        time.sleep(moments.uniform(0.0, 0.3))
        process.send_signal(signal.SIGKILL)
        ended(process)
        if (folder / "model.json").exists():
            break
    assert kill == KILLS - 1, "the training was over before it was killed twenty times; give it more epochs"
    code, parts, err = ended(started(recipe, tmp_path / "parts", root, "--resume"))
    assert code == 0, err
    assert parts.splitlines()[:2] == whole.splitlines()[:2]
    for name in ("history.csv", "confusion.csv"):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / "killed" / name).read_bytes()
    facts = [json.loads((tmp_path / out / "killed" / "model.json").read_text()) for out in ("whole", "parts")]
    assert facts[0]["contents"] == facts[1]["contents"]
    assert not (folder / "checkpoints").exists()


def test_an_interruption_says_how_to_go_on(root: Path, tmp_path: Path) -> None:
    """Ctrl-C in a training with a checkpoint: the command to go on with, one line why, no traceback."""
    recipe = tmp_path / "killed.toml"
    recipe.write_text(RECIPE)
    process = started(recipe, tmp_path / "out", root)
    deadline = time.monotonic() + 60
    while not epochs_kept(tmp_path / "out" / "killed") and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    code, _, err = ended(process)
    assert code == 130
    assert [line for line in err.splitlines() if line] == [
        f"go on with: dlkit train {recipe} --resume --out {tmp_path / 'out'}",
        "error: stopped",
    ]


def cluster() -> list[str]:
    """TF_CONFIG of each of two workers on ports that are free."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    tasks = ({"type": "worker", "index": index} for index in range(2))
    return [json.dumps({"cluster": {"worker": addresses}, "task": task}) for task in tasks]


def losses(folder: Path) -> list[float]:
    return [entry["loss"] for entry in json.loads((folder / "model.json").read_text())["history"]]


@pytest.mark.full
def test_two_workers_come_to_what_one_process_does(root: Path, tmp_path: Path) -> None:
    """One of them killed on the way: the other stops with a line, and both started again go on."""
    recipe = tmp_path / "shared.toml"
    recipe.write_text(WITHOUT_DROPOUT)
    assert ended(started(recipe, tmp_path / "one", root))[0] == 0
    chief, other = (
        started(recipe, tmp_path / f"of{index}", root, TF_CONFIG=config) for index, config in enumerate(cluster())
    )
    deadline = time.monotonic() + 120
    while not epochs_kept(tmp_path / "of0" / "shared") and time.monotonic() < deadline and chief.poll() is None:
        time.sleep(0.02)
    other.send_signal(signal.SIGKILL)
    ended(other)
    code, _, err = ended(chief)
    if code != 0:  # else the last epochs were faster than the signal
        assert code == 1
        assert "start all workers again with --resume" in err.splitlines()[-1]
        again = [
            started(recipe, tmp_path / f"of{index}", root, "--resume", TF_CONFIG=config)
            for index, config in enumerate(cluster())
        ]
        assert [ended(worker)[0] for worker in again] == [0, 0]
    assert losses(tmp_path / "of0" / "shared") == pytest.approx(losses(tmp_path / "one" / "shared"), rel=1e-4)
    assert not (tmp_path / "of1").exists()
