"""A bundle against labelled data it has not seen."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np

from dlkit.bundle.answers import top_classes
from dlkit.bundle.loading import Bundle
from dlkit.datasets import DATASETS
from dlkit.errors import DataError, ModelFileError, suggestion
from dlkit.progress import Advance, ignore
from dlkit.report import Number
from dlkit.runtime.inputs import IMAGE_SUFFIXES, images_in, read_inputs


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Quality of a bundle's file.

    Attributes:
        metric: "accuracy".
        float: of the float model on the same samples; None where it was not measured.
        exported: of the file, measured now.
        agreement: fraction of samples on which both put the same class first; None likewise.
        samples: how many.
        data: which.
    """

    metric: str
    float: Number | None
    exported: Number
    agreement: Number | None
    samples: int
    data: str


def evaluate(bundle: Bundle, data: Path | None = None, advance: Advance = ignore) -> Evaluation:
    """Accuracy on the test split of the bundle's dataset, or on a folder of images by class.

    Raises:
        DataError: the bundle names no classes; it has no dataset and no folder is given; or the data is
            not what it was.
    """
    if not bundle.labels:
        raise DataError(f"{bundle.folder}: its outputs are no classes, so there is no accuracy to measure")
    if data is not None:
        return _on_folder(bundle, data, advance)
    recipe = bundle.manifest["recipe"]
    if recipe is None:
        raise DataError(
            f"{bundle.folder} was made without a labelled data set; name a folder with a folder of images for each "
            "class: --data FOLDER"
        )
    path = bundle.folder / "reference.json"
    try:
        name = recipe["data"]["name"]
        reference = json.loads(path.read_text(encoding="utf-8"))
        fingerprint, before = reference["fingerprint"], np.asarray(reference["classes"], np.int64)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise ModelFileError(f"{path}: is missing or does not belong to the bundle; export it again") from None
    split = DATASETS[name].load().test
    if fingerprint != split.fingerprint or before.shape != split.labels.shape:
        raise DataError(f"the test split of {name!r} is not the one this bundle was measured on; export it again")
    outputs = bundle.session().run(bundle.preprocessing.apply(split.samples), advance)
    exported = outputs.argmax(axis=1)
    return Evaluation(
        metric="accuracy",
        float=float(np.mean(before == split.labels)),
        exported=float(np.mean(exported == split.labels)),
        agreement=float(np.mean(before == exported)),
        samples=len(split),
        data=f"test split of {name}",
    )


def _on_folder(bundle: Bundle, folder: Path, advance: Advance) -> Evaluation:
    """Images in folders called like the labels; the float model is not there to compare with."""
    if not folder.is_dir():
        raise DataError(f"--data {folder}: there is no such folder")
    session = bundle.session()
    right: list[bool] = []
    strays = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and not path.is_dir())
    if strays:
        raise DataError(f"{strays[0]}: is in no class; put each image into the folder of its class")
    # What systems put there (.git, .DS_Store, __MACOSX) is no class.
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))
    for done, path in enumerate(classes, start=1):
        advance(done, len(classes))
        if path.name not in bundle.labels:
            raise DataError(f"{path}: no class is called {path.name!r}; {suggestion(path.name, bundle.labels)}")
        for sample in read_inputs([str(image) for image in images_in(path)], bundle.preprocessing):
            outputs = session.run(bundle.preprocessing.apply(np.asarray(sample.raw)[np.newaxis]))[0]
            [(label, _)] = top_classes(outputs, bundle.labels, 1)
            right.append(label == path.name)
    if not right:
        raise DataError(
            f"--data {folder}: needs a folder of images for each class, named {', '.join(bundle.labels[:3])} …"
        )
    return Evaluation("accuracy", None, float(np.mean(right)), None, len(right), f"{folder.name}/")
