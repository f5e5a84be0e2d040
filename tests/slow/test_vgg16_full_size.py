"""VGG16 at full size: built, exported to int8, proven on held-out images."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.tf]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def hundred_images(tmp_path: Path) -> Path:
    """A hundred PNG and JPEG files: the embedded digits, enlarged and tinted, each of its own proportions."""
    from PIL import Image

    from dlkit.datasets import DATASETS

    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i, digit in enumerate(DATASETS["digits"].load().train.samples[:100]):
        grey = digit[..., 0] * np.uint8(15)
        colours = np.stack([grey * c for c in rng.uniform(0.3, 1, 3)], axis=-1).astype(np.uint8)
        size = (int(rng.integers(180, 320)), int(rng.integers(180, 320)))
        Image.fromarray(colours).resize(size).save(folder / f"{i:03d}.{'png' if i % 2 else 'jpg'}")
    return folder


def test_build_and_quantize_at_full_size(hundred_images: Path, tmp_path: Path) -> None:
    """`dlkit build vgg16 && dlkit export --quantize --data FOLDER` gives a proven file of about 138 MB."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for arguments in (["build", "vgg16"], ["export", "--quantize", "--data", str(hundred_images)]):
        command = [sys.executable, "-m", "dlkit", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr
    from dlkit.bundle.loading import load_bundle
    from dlkit.runtime.inspection import inspect_file

    bundle = load_bundle(tmp_path / "exported/vgg16/cpu-int8")
    assert 138e6 < bundle.model.stat().st_size < 140e6
    inspection = inspect_file(bundle.model)
    # The converter leaves out the dense layers' biases, which are zero, and adds a shape of two numbers.
    assert inspection.parameters == 138_357_544 - (4096 + 4096 + 1000) + 2
    assert set(inspection.tensors) == {"int8", "int32"}
    assert "on 20 samples (held-out images of images/)" in (bundle.folder / "report.txt").read_text()
    _, gap, allowed = bundle.check()
    assert gap <= allowed
