"""A bundle's predict.py where there is nothing but numpy and ai-edge-litert."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

BUNDLE = Path(__file__).parents[2] / "exported" / "digits-tiny" / "cpu-int8"


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new virtual environment with numpy and ai-edge-litert."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "numpy>=2.1,<3", "ai-edge-litert>=2.3,<3"], check=True)
    return python


def _run(python: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [str(python), str(BUNDLE / "predict.py"), *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def test_check_passes(bare_python: Path, tmp_path: Path) -> None:
    """The bundle proves itself without dlkit."""
    done = _run(bare_python, "--check", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("check passed: 10 samples, largest gap ")


def test_same_answers_as_dlkit_predict(bare_python: Path, tmp_path: Path) -> None:
    """The runner is the same code, so it says the same."""
    from dlkit.datasets import DATASETS

    np.save(tmp_path / "digits.npy", DATASETS["digits"].load().test.samples[:20])
    alone = _run(bare_python, "digits.npy", "--top", "2", cwd=tmp_path)
    ours = subprocess.run(
        [sys.executable, "-m", "dlkit", "predict", str(BUNDLE), "digits.npy", "--top", "2"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert alone.stdout == ours.stdout
    assert len(alone.stdout.splitlines()) == 20


def test_an_image_says_what_to_install(bare_python: Path, tmp_path: Path) -> None:
    """Without Pillow the error is the pip line."""
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    done = _run(bare_python, "x.png", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "error: reading and writing images needs Pillow: pip install Pillow\n"
