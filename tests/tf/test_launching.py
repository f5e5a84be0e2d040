"""Ray starts the workers of a training."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import replica

from dlkit.errors import ExtraMissing, TrainingError
from dlkit.training.launching import launch

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
ray_noise = pytest.mark.filterwarnings("ignore")  # what Ray and the libraries it brings warn of


@pytest.mark.tf
@needs_ray
@ray_noise
def test_ray_trains_with_two_workers(tmp_path: Path) -> None:
    """They find each other by the TF_CONFIG that Ray sets, and end with the same weights."""
    launch([sys.executable, replica.__file__, str(tmp_path)], 2)
    chief, other = (np.load(tmp_path / f"plain-{index}.npz") for index in range(2))
    assert chief.files
    assert all(np.array_equal(chief[name], other[name]) for name in chief.files)


@pytest.mark.tf
@needs_ray
@ray_noise
def test_what_a_worker_says_is_the_error() -> None:
    """One line, not Ray's account of its actors."""
    with pytest.raises(TrainingError) as raised:
        launch(["sh", "-c", "echo the loss is nan >&2; exit 1"], 2)
    assert str(raised.value) == "the loss is nan"


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="ray is installed")
def test_without_ray_there_is_a_pip_line() -> None:
    """Nothing is installed for the user."""
    with pytest.raises(ExtraMissing, match=r"starting workers on a Ray cluster needs ray\[train\]: pip install 'ray"):
        launch(["true"], 2)
