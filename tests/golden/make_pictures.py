"""Draws recipes/pictures/: what bundles of the recipes make, by the commands a user would type (they take minutes).

python tests/golden/make_pictures.py [digits-gan] [digits-conditional-gan] [digits-vae]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from dlkit.datasets import DATASETS

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "recipes" / "pictures"
SHOWN = 32
"""Test images beside their reconstructions."""


def dlkit(*arguments: str) -> None:
    """`dlkit ARGUMENTS`, from the repository."""
    subprocess.run([sys.executable, "-m", "dlkit", *arguments], cwd=ROOT, check=True)


def drawn(name: str, bundle: str, *arguments: str) -> None:
    """A picture of what a bundle makes."""
    dlkit("predict", bundle, *arguments, "--output", str(PICTURES / f"{name}.png"), "--force")


def generated(folder: str) -> None:
    """What the GAN makes of noise."""
    dlkit("run", "recipes/digits-gan.toml", "--out", folder, "-q")
    drawn("digits-gan", f"{folder}/digits-gan/cpu-int8", "--count", "64", "--seed", "0")


def generated_to_order(folder: str) -> None:
    """What the conditional GAN makes of noise and each class."""
    dlkit("run", "recipes/digits-conditional-gan.toml", "--out", folder, "-q")
    drawn("digits-conditional-gan", f"{folder}/digits-conditional-gan/cpu-int8", "--count", "10", "--seed", "0")


def variational(folder: str) -> None:
    """What the VAE gives again, and what its decoder makes of noise."""
    dlkit("run", "recipes/digits-vae.toml", "--out", folder, "-q")
    np.save(f"{folder}/test.npy", DATASETS["digits"].load().test.samples[:SHOWN])
    drawn("digits-vae", f"{folder}/digits-vae/cpu-int8", f"{folder}/test.npy")
    dlkit("export", "digits-vae", "--decoder", "--out", folder, "-q")
    drawn("digits-vae-decoder", f"{folder}/digits-vae-decoder/cpu-int8", "--count", "64", "--seed", "0")


MADE = {"digits-gan": generated, "digits-conditional-gan": generated_to_order, "digits-vae": variational}


def main(wanted: list[str]) -> None:
    """Those named, or all."""
    PICTURES.mkdir(exist_ok=True)
    for name in wanted or MADE:
        with tempfile.TemporaryDirectory() as folder:
            MADE[name](folder)


if __name__ == "__main__":
    main(sys.argv[1:])
