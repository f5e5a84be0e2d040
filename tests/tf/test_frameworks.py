"""How Keras and TensorFlow are reached."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.tf

PROGRAM = """
import sys
from dlkit.frameworks import keras, tensorflow

tensorflow.constant(0.0), keras.Model
print(*(name for name in ("matplotlib", "scipy") if name in sys.modules))

import numpy as np
images = np.zeros((4, 8, 8, 3), np.uint8)
keras.visualization.plot_image_gallery(images, value_range=(0, 255), rows=2, cols=2, path="gallery.png")
print(sys.modules["keras.src.visualization.plot_bounding_box_gallery"].patches.Patch.__name__)
import scipy.sparse
print(scipy.sparse.eye(2).nnz)
"""


def test_keras_comes_without_what_it_only_draws_with(fresh, tmp_path) -> None:
    """matplotlib and scipy, a sixth of its import, wait until someone asks for them; then they are there."""
    said = fresh("-c", PROGRAM, cwd=tmp_path, MPLBACKEND="Agg", TF_CPP_MIN_LOG_LEVEL="3")
    assert said.code == 0, said.err
    assert said.out == "\nPatch\n2\n"
    assert (tmp_path / "gallery.png").read_bytes().startswith(b"\x89PNG")
