"""Folders of small pictures to train on: each class has a colour of its own, with noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"blue": (40, 60, 200), "green": (40, 190, 60), "red": (210, 50, 40)}


def write_pictures(
    folder: Path, count: int = 10, size: tuple[int, int] = (20, 16), suffix: str = ".png", seed: int = 0
) -> Path:
    """`count` pictures (width, height) of each of three classes, in folders called like them."""
    rng = np.random.default_rng(seed)
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.clip(rng.normal(colour, 30, (size[1], size[0], 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:03}{suffix}")
    return folder
