"""Optical digits: 1,797 handwritten digits of 8×8 pixels, kept inside the package (45 kB).

`digits.npz` holds `images` (1797, 8, 8, 1) uint8, `labels` (1797,) uint8 and `split` (1797,) uint8:
0 train, 1 validation, 2 test; stratified by class, drawn once and fixed since.
"""

from __future__ import annotations

from importlib.resources import files

from dlkit.datasets import Split, Splits, dataset


@dataset(
    shape=(8, 8, 1),
    labels=tuple("0123456789"),
    raw_range=(0.0, 16.0),
    samples=(1257, 180, 360),
    source="Alpaydin & Kaynak 1998, Optical Recognition of Handwritten Digits (the writers of its test set), "
    "UCI Machine Learning Repository, doi:10.24432/C50P49",
    licence="CC BY 4.0",
)
def digits() -> Splits:
    """The three splits; a pixel counts 0 to 16 inked dots of a 4×4 block, ink is high."""
    import numpy as np

    with files("dlkit.datasets").joinpath("digits.npz").open("rb") as file:
        arrays = np.load(file, allow_pickle=False)
        images, labels, split = arrays["images"], arrays["labels"].astype(np.int64), arrays["split"]
    train, validation, test = (Split(images[split == part], labels[split == part]) for part in range(3))
    return Splits(train, validation, test)
