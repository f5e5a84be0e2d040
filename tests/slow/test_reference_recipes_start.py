"""The training of every reference recipe starts: two steps at full size on made-up images."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dlkit.recipe import find_recipes

FOLDER = Path(__file__).parents[2] / "recipes" / "imagenet"
QUICK = {"alexnet.toml", "resnet50.toml"}

pytestmark = [pytest.mark.tf, pytest.mark.slow]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.full]) for name in find_recipes(FOLDER)]
)
def test_it_trains_two_steps(root: Path, name: str, tmp_path: Path) -> None:
    """Batches of two, in a process of its own; nothing is written."""
    command = ["train", FOLDER / name, "--dry-run", "--set", "training.batch_size=2", "-q"]
    done = subprocess.run(
        [sys.executable, "-m", "dlkit", *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    assert f"imagenet-{name.removesuffix('.toml')} trains: 2 steps of 2 made-up samples" in done.stdout
    assert not list(tmp_path.iterdir())
