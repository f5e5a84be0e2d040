"""A folder of images: a folder for each class, with or without folders for the splits above them."""

from __future__ import annotations

import dataclasses
from typing import Literal

from dlkit.datasets import Dataset, Wanted, source
from dlkit.datasets._fractions import check_fractions


@dataclasses.dataclass(frozen=True)
class FolderOptions:
    """Of a folder of images.

    Attributes:
        path: the folder; from where dlkit is started, if it is not absolute.
        image_shape: [height, width, channels] to which images are fitted; by default those of the network.
        validation, test: fractions of the images, where there is no folder for that split.
        split_seed: draws them.
        broken: what is done about images that cannot be read: "refuse" names them, "skip" leaves them out.
    """

    path: str
    image_shape: tuple[int, int, int] | None = None
    validation: float = 0.1
    test: float = 0.2
    split_seed: int = 0
    broken: Literal["refuse", "skip"] = "refuse"

    def __post_init__(self) -> None:
        check_fractions(self.validation, self.test)


@source(FolderOptions, gives="images, in a folder for each class; with or without train/, validation/ and test/ above")
def folder(options: FolderOptions, wanted: Wanted) -> Dataset:
    """The images at `path`; they are decoded as they are asked for, so that they need not fit into memory."""
    from dlkit.datasets._image_folder import dataset_of_folder

    return dataset_of_folder(options, wanted)
