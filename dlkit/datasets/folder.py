"""A folder of images: a folder for each class, with or without folders for the splits above them."""

from __future__ import annotations

import dataclasses
from typing import Literal

from dlkit.datasets import Dataset, Wanted, source
from dlkit.datasets._fractions import InSplits


@dataclasses.dataclass(frozen=True, kw_only=True)
class FolderOptions(InSplits):
    """Of a folder of images.

    Attributes:
        path: the folder; from where dlkit is started, if it is not absolute.
        image_shape: [height, width, channels] to which images are fitted; by default those of the network.
        broken: what is done about images that cannot be read: "refuse" names them, "skip" leaves them out.
    """

    path: str
    image_shape: tuple[int, int, int] | None = None
    broken: Literal["refuse", "skip"] = "refuse"


@source(FolderOptions, gives="images, in a folder for each class; with or without train/, validation/ and test/ above")
def folder(options: FolderOptions, wanted: Wanted) -> Dataset:
    """The images at `path`; they are decoded as they are asked for, so that they need not fit into memory."""
    from dlkit.datasets._image_folder import dataset_of_folder

    return dataset_of_folder(options, wanted)
