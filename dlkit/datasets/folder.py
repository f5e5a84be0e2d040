"""A folder of images: a folder for each class, with or without folders for the splits above them."""

from __future__ import annotations

import dataclasses

from dlkit.datasets import Dataset, Wanted, source
from dlkit.datasets._fractions import Filed


@dataclasses.dataclass(frozen=True, kw_only=True)
class FolderOptions(Filed):
    """Of a folder of images.

    Attributes:
        image_shape: [height, width, channels] to which images are fitted; by default those of the network.
    """

    image_shape: tuple[int, int, int] | None = None


@source(FolderOptions, gives="images, in a folder for each class; with or without train/, validation/ and test/ above")
def folder(options: FolderOptions, wanted: Wanted) -> Dataset:
    """The images at `path`; they are decoded as they are asked for, so that they need not fit into memory."""
    from dlkit.datasets._image_folder import dataset_of_folder

    return dataset_of_folder(options, wanted)
