"""Labelled images of TensorFlow Datasets (tensorflow.org/datasets), downloaded and kept by that package."""

from __future__ import annotations

import dataclasses

from dlkit.datasets import Dataset, Wanted, source
from dlkit.datasets._fractions import InSplits


@dataclasses.dataclass(frozen=True, kw_only=True)
class TfdsOptions(InSplits):
    """Of a data set of TFDS.

    Attributes:
        dataset: its name, as `tensorflow_datasets.builder` takes it: "NAME", "NAME/CONFIG" or "NAME:VERSION".
        data_dir: where it is kept; by default ~/tensorflow_datasets.
        image_shape: [height, width, channels] to which images are fitted; by default those of the network.
    """

    dataset: str
    data_dir: str = ""
    image_shape: tuple[int, int, int] | None = None


@source(TfdsOptions, gives="labelled images of TensorFlow Datasets, by name; needs tensorflow-datasets")
def tfds(options: TfdsOptions, wanted: Wanted) -> Dataset:
    """Images (N, *image) uint8; splits that it does not have are drawn from those to train on."""
    from dlkit.datasets._tfds_images import dataset_of_tfds

    return dataset_of_tfds(options, wanted)
