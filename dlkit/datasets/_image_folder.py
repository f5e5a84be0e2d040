"""A folder of images as a dataset: each file becomes what a bundle's runner makes of it."""

from __future__ import annotations

from dlkit.datasets import Dataset, Wanted
from dlkit.datasets._labelled_files import Reading, labelled_files, root_of
from dlkit.datasets.folder import FolderOptions
from dlkit.errors import DataError
from dlkit.runtime.inputs import IMAGES
from dlkit.runtime.lazy_images import LazyImages, examined, in_threads
from dlkit.runtime.preprocessing import Preprocessing, preprocessing_for

PIXELS = (0.0, 255.0)


def dataset_of_folder(options: FolderOptions, wanted: Wanted) -> Dataset:
    """The dataset in a folder. Raises DataError if there are no images, or not in folders of a class each."""
    root = root_of(options)
    if wanted.image is None:
        raise DataError(f"{root}: holds images, and the network reads none; choose another: dlkit list networks")
    preprocessing = preprocessing_for("unit", wanted.image, wanted.image, PIXELS, wanted.resize)
    files = labelled_files(options, _reading(preprocessing))
    return Dataset(
        name="folder",
        shape=wanted.image,
        labels=files.names,
        raw_range=PIXELS,
        samples=None,
        source=str(root),
        licence="the user's own",
        load=files.splits,
        kept="yours",
    )


def _reading(preprocessing: Preprocessing) -> Reading:
    return Reading(
        kind=IMAGES,
        said=str(preprocessing),
        examined=lambda path, where: examined(path, preprocessing, where),
        each=in_threads,
        rows=lambda paths, digests: LazyImages(paths, digests, preprocessing),
    )
