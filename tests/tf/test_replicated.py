"""What a recipe asks for is trained over several devices and workers as on one device."""

from __future__ import annotations

import csv
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from short import short_recipe

from dlkit.errors import TrainingError
from dlkit.pipeline import training
from dlkit.recipe import read_recipe
from dlkit.training.replicated import check_replicated

pytestmark = pytest.mark.tf

ROOT = Path(__file__).parents[2]
ASKED: dict[str, list[str]] = {
    "class_weights": ["digits-tiny", "training.class_weights='balanced'", "network.options.dropout=0"],
    "reconstruction": ["digits-dense-autoencoder"],
    "denoising": ["digits-dense-autoencoder", "data.noise=0.2", "training.loss='mae'"],
    "anomalies": ["digits-anomaly"],
    "forecasting": ["mackey-glass-forecast", "data.options={length=600, steps=12, horizon=4}"],
    "patience": [
        "digits-dense-autoencoder", "training.epochs=12", "training.patience=2", "training.learning_rate=1e-12",
    ],
}  # fmt: skip
"""What is asked for → a recipe and what is changed in it; networks without dropout or batch normalisation."""


def command_of(out: Path, asked: str) -> list[str]:
    recipe, *overrides = ASKED[asked]
    words = ["train", str(ROOT / "recipes" / f"{recipe}.toml"), "-q", "--out", str(out)]
    sets = [word for text in ("name=x", "training.epochs=3", *overrides) for word in ("--set", text)]
    return [sys.executable, "-m", "dlkit", *words, *sets]


def workers_of(command: list[str]) -> list[int]:
    """Exit codes of two workers that run it, the chief's first."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    started = []
    for index in range(2):
        config = json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CONFIG": config}
        started.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL))
    try:
        return [worker.wait(timeout=200) for worker in started]
    finally:
        for worker in started:
            worker.kill()


def alone(command: list[str]) -> None:
    """In a process of its own: TensorFlow has its devices once and for all."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, timeout=200)


def history_in(out: Path) -> list[dict[str, float]]:
    lines = (out / "x" / "history.csv").read_text().splitlines()
    return [{key: float(value) for key, value in line.items()} for line in csv.DictReader(lines)]


@pytest.mark.slow
@pytest.mark.parametrize("asked", ASKED)
def test_two_devices_train_as_one(asked: str, tmp_path: Path) -> None:
    """The same losses on training and validation split, for as many epochs."""
    alone(command_of(tmp_path / "one", asked))
    alone([*command_of(tmp_path / "two", asked), "--devices", "2"])
    one, two = history_in(tmp_path / "one"), history_in(tmp_path / "two")
    assert len(one) == len(two)
    assert (len(one) < 12) if asked == "patience" else (len(one) == 3)
    for entry, wanted in zip(two, one, strict=True):
        assert entry == pytest.approx(wanted, rel=1e-3)


@pytest.mark.slow
def test_two_workers_lose_their_patience_together(tmp_path: Path) -> None:
    """The chief decides; the other would wait for it in the next epoch."""
    alone(command_of(tmp_path / "one", "patience"))
    assert workers_of(command_of(tmp_path / "two", "patience")) == [0, 0]
    one, two = history_in(tmp_path / "one"), history_in(tmp_path / "two")
    assert len(two) == len(one) < 12


@pytest.mark.slow
def test_workers_know_that_patience_was_lost_before_they_were_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chief alone has the history; stopped between its last checkpoint and the model, it has nothing to train."""

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    name, *overrides = ASKED["patience"]
    recipe = read_recipe(ROOT / "recipes" / f"{name}.toml", ["name=x", *overrides])
    monkeypatch.setattr(training, "save_model", stopped)
    with pytest.raises(KeyboardInterrupt):
        training.train(recipe, tmp_path)
    assert workers_of([*command_of(tmp_path, "patience"), "--resume"]) == [0, 0]
    assert len(history_in(tmp_path)) < 12


def test_what_one_device_alone_trains_is_refused() -> None:
    """With the key, and before anything is loaded."""
    frozen = {"weights": "x.keras", "frozen_epochs": 1}
    for key, changes in {
        "transfer.frozen_epochs = 1": {"transfer": frozen},
        "training.precision = 'float16'": {"training": {"epochs": 2, "precision": "float16"}},
    }.items():
        with pytest.raises(TrainingError, match=key):
            check_replicated(short_recipe(**changes), "classification")
    with pytest.raises(TrainingError, match="cnn is for generation, which is trained on one device only"):
        check_replicated(short_recipe(), "generation")
