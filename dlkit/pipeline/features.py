"""What a given classifier sees in images: the numbers that its last layer with weights reads.

It comes from where the recipe's [measure] says: a whole model of Keras, or weights of a network of the shelf. Nothing
in a file is executed.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.conversion.describing import described
from dlkit.conversion.kinds import weights_only
from dlkit.conversion.tflite import load_model
from dlkit.errors import DataError, DlkitError, ModelFileError
from dlkit.frameworks import keras
from dlkit.networks import NETWORKS, PIXELS
from dlkit.pipeline.weights import IMAGENET, check_file, check_source, load_weights
from dlkit.progress import Advance, ignore
from dlkit.recipe import MeasurePart
from dlkit.runtime.preprocessing import Preprocessing, image_behind, preprocessing_for
from dlkit.trained import is_ours, load_trained
from dlkit.training.supervised import last_with_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

AT_ONCE = 64
"""Images in the network's size that are in memory together; of Inception v3 they take 69 MB."""
WHOLE = (".keras", ".h5", ".hdf5")
"""What files with a whole model are called."""
RESIZE = "stretch"
"""How images come to the size of a network that does not say: all of each is seen, and nothing but it."""


@dataclasses.dataclass(frozen=True)
class Features:
    """A classifier without its last layer with weights.

    Attributes:
        name: where it is from, to be told.
        model: network input (N, *shape) → (N, size).
        preprocessing: from images to what it reads.
    """

    name: str
    model: keras.Model
    preprocessing: Preprocessing

    @property
    def size(self) -> int:
        """Numbers it gives of an image."""
        return int(self.model.output_shape[1])

    def of(self, pixels: NDArray[np.uint8], advance: Advance = ignore) -> NDArray[np.float32]:
        """(N, H, W, 1 or 3) pixels of any size → (N, size) features.

        Images are resized as image files are (`Preprocessing.raw_image`): bilinear with antialiasing, grey repeated
        for a network of colour, colour made grey for one of grey images.

        Raises DataError if a feature is no finite number.
        """
        parts = []
        for start in range(0, len(pixels), AT_ONCE):
            parts.append(self._of_few(pixels[start : start + AT_ONCE]))
            advance(min(start + AT_ONCE, len(pixels)), len(pixels))
        features = np.concatenate(parts)
        if not np.isfinite(features).all():
            raise DataError(
                f"measure.features {self.name}: gives NaN or infinity of these images; is measure.preprocessing right?"
            )
        return features

    def _of_few(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        from PIL import Image

        pictures = [Image.fromarray(image[..., 0] if image.shape[2] == 1 else image) for image in pixels]
        raw = np.stack([self.preprocessing.raw_image(picture, "a generated image") for picture in pictures])
        features: NDArray[np.float32] = self.model.predict(self.preprocessing.apply(raw), AT_ONCE, verbose=0)
        return features


def load_features(part: MeasurePart) -> Features | None:
    """The network that the recipe names; None where it names none.

    Raises:
        ModelFileError: the file is missing or broken, is of another network, or what is in it is no classifier of
            images.
        DataError: how its inputs are prepared is not said, or does not fit; weights cannot be fetched.
    """
    if not part.features:
        return None
    whole, preprocessing = _of_shelf(part) if part.network else _in_file(part, Path(part.features))
    where = f"measure.features {part.features}"
    if preprocessing.image is None:
        shape = "×".join(str(n) for n in preprocessing.shape)
        raise ModelFileError(f"{where}: reads {shape}, no images; name a classifier of images")
    return Features(part.features, _without_last_layer(whole, where), preprocessing)


def is_missing(part: MeasurePart) -> bool:
    """Whether the recipe names a file that is not here."""
    return part.features not in ("", IMAGENET) and not Path(part.features).exists()


def _of_shelf(part: MeasurePart) -> tuple[keras.Model, Preprocessing]:
    """A network of the shelf at its canonical size, with weights from a file or those of ImageNet."""
    network = NETWORKS[part.network]
    if part.features != IMAGENET:
        check_file(Path(part.features), "measure.features")
    check_source(network, {}, part.features)
    model = network.build({}, "measure.network")
    load_weights(model, network, {}, part.features)
    shape = tuple(model.input_shape[1:])
    return model, _for_images(part.preprocessing or network.preprocessing, shape, network.raw_range, part)


def _in_file(part: MeasurePart, path: Path) -> tuple[keras.Model, Preprocessing]:
    """A whole model; one of dlkit's own training knows how its inputs are prepared."""
    if path.suffix.lower() not in WHOLE:
        raise ModelFileError(
            f"measure.features {path}: is no file of Keras; name a .keras file, or a whole model as .h5"
        )
    if not path.is_file():
        raise ModelFileError(f"measure.features {path}: there is no such file")
    if path.name.endswith(".weights.h5"):
        raise _named(path, weights_only(path), "; of a network of the shelf say which: measure.network")
    ours = path.name == "model.keras" and is_ours(path.parent)
    if ours and part.preprocessing:
        raise DataError(
            f"measure.preprocessing = {part.preprocessing!r}, but {path} was trained here and has its own; leave it out"
        )
    if not ours and not part.preprocessing:
        raise DataError(
            f"measure.features {path}: say how its inputs are prepared: measure.preprocessing = 'unit' (0…1), "
            "'signed' (-1…1), 'lite', 'caffe', 'torch' or 'none' (0…255)"
        )
    try:
        own = load_trained(path.parent).inputs if ours else {}
        described(path)  # in a child process: native code that crashes there has not crashed here
        model = load_model(path)
    except DlkitError as error:
        raise _named(path, error) from None
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        ends = f"{len(model.inputs)} inputs and {len(model.outputs)} outputs"
        raise ModelFileError(f"measure.features {path}: has {ends}; name a classifier, which has one of each")
    if ours:
        return model, next(iter(own.values()))
    return model, _for_images(part.preprocessing, tuple(model.inputs[0].shape[1:]), PIXELS, part)


def _for_images(mode: str, shape: tuple[int, ...], raw_range: tuple[float, float], part: MeasurePart) -> Preprocessing:
    image = image_behind(shape) if raw_range == PIXELS else None
    try:
        return preprocessing_for(mode if image else "none", shape, image, raw_range, RESIZE)
    except DataError as error:
        raise DataError(f"measure.preprocessing of {part.features}: {error}") from None


def _without_last_layer(model: keras.Model, where: str) -> keras.Model:
    """Up to what the last layer with weights reads. Raises ModelFileError unless that is a row of numbers."""
    if not model.weights or len(model.output_shape) != 2:
        gives = "×".join(str(n) for n in model.output_shape[1:])
        raise ModelFileError(f"{where}: is no classifier: it gives {gives} numbers; name a model that ends in classes")
    last = last_with_weights(model)
    reads = _read_by(last)
    if reads is None or len(reads.shape) != 2:
        shape = "×".join(str(n) for n in reads.shape[1:]) if reads is not None else "several inputs"
        raise ModelFileError(
            f"{where}: its last layer with weights, {last.name!r}, reads {shape}, no row of features; name a "
            "classifier that ends in one dense layer"
        )
    return keras.Model(model.inputs, reads)


def _read_by(layer: Any) -> Any:
    """The one tensor that a layer reads; None if there are several."""
    try:
        return layer.input if not isinstance(layer.input, (list, dict)) else None
    except (AttributeError, ValueError):  # it is used several times
        return None


def _named(path: Path, error: DlkitError, advice: str = "") -> ModelFileError:
    """The same with the key before it."""
    text = str(error).removeprefix(f"{path}: ")
    return ModelFileError(f"measure.features {path}: {text}{advice}")
