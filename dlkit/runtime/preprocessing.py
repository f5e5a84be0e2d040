"""From what a user has (an image, raw values) to what a network was trained on.

The numbers travel in the bundle's manifest and every runner honours them; nothing is guessed.

    image file ─fit→ pixels 0…255 ─map→ raw values ─colour, ×scale, +offset→ network input
    .npy, .csv ─────────────────────────↗
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.errors import DataError
from dlkit.extras import require

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

# ImageNet mean and deviation of RGB in 0…1 ("torch"), and mean of BGR in 0…255 ("caffe"), as in
# keras.applications.imagenet_utils.
_TORCH_MEAN, _TORCH_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CAFFE_MEAN = (103.939, 116.779, 123.68)


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """How raw values become network input: `raw × scale + offset`, per channel.

    Attributes:
        shape: the network's input shape without the batch, (8, 8, 1) or (8, 8).
        image: (height, width, channels) of the image behind it; None if the input is no image.
        raw_range: smallest and largest raw value; the pixels 0…255 of an image file are mapped to it.
        color: "grey", "rgb" or "bgr", the order of the network's channels.
        resize: "crop", "pad" or "stretch", how an image of other proportions is fitted.
        scale, offset: one number, or one per channel.
    """

    shape: tuple[int, ...]
    image: tuple[int, int, int] | None
    raw_range: tuple[float, float]
    color: str
    resize: str
    scale: tuple[float, ...]
    offset: tuple[float, ...]

    @property
    def sample_shapes(self) -> frozenset[tuple[int, ...]]:
        """Shapes in which one sample may come: the input's, the image's, a grey image's without its channel."""
        if self.image is None:
            return frozenset({self.shape})
        return frozenset({self.shape, self.image, self.image[:2] if self.image[2] == 1 else self.image})

    def apply(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """Raw values (N, *shape) or (N, *image) → network input (N, *shape) float32."""
        x = self.raw_batch(raw)
        if self.color == "bgr":
            x = x[..., ::-1]
        x = x * np.asarray(self.scale, np.float32) + np.asarray(self.offset, np.float32)
        return np.ascontiguousarray(x.reshape(len(raw), *self.shape), dtype=np.float32)

    def raw_batch(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """Raw values (N, ...) in the shape of images where there is an image behind them, float32."""
        return raw.astype(np.float32).reshape(len(raw), *(self.image or self.shape))

    def raw_sample(self, values: NDArray[Any], where: str) -> NDArray[Any]:
        """Values of one sample, checked: shape, finite, inside `raw_range`. Raises DataError naming `where`."""
        if values.shape not in self.sample_shapes:
            raise DataError(f"{where}: shape {_times(values.shape)}, but this model takes {_times(self.shape)}")
        if values.dtype.kind not in "uifb":
            raise DataError(f"{where}: holds {values.dtype}, not numbers")
        bad = np.argwhere(~np.isfinite(values.astype(np.float64)))
        if len(bad):
            spot = ", ".join(str(i) for i in bad[0])
            raise DataError(f"{where}: {len(bad)} values are NaN or infinite, the first at [{spot}]")
        low, high = self.raw_range
        if values.min() < low or values.max() > high:
            found = f"{values.min():g} to {values.max():g}"
            raise DataError(f"{where}: values from {found}, but this model takes raw values from {low:g} to {high:g}")
        return values.reshape(self.image or self.shape)

    def raw_image(self, picture: Image, where: str) -> NDArray[np.float32]:
        """An image of any size and mode → raw values (height, width, channels).

        Turned upright by its EXIF orientation; transparency is laid over the ground (the lowest
        value); colour becomes grey by luminance, grey becomes colour by repetition.
        """
        if self.image is None:
            raise DataError(f"{where}: is an image, but this model takes values of shape {_times(self.shape)}")
        from PIL import Image, ImageOps

        height, width, channels = self.image
        picture = ImageOps.exif_transpose(picture)
        if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
            picture = _eight_bit(picture)
        if picture.mode in ("RGBA", "LA", "PA", "P") or "transparency" in picture.info:
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, (0, 0, 0, 255)), picture)
        picture = fitted(picture.convert("L" if channels == 1 else "RGB"), (width, height), self.resize)
        pixels = np.asarray(picture, np.float32).reshape(height, width, channels)
        low, high = self.raw_range
        return np.asarray(pixels / 255.0 * (high - low) + low, np.float32)


def fitted(picture: Image, size: tuple[int, int], resize: str) -> Image:
    """`picture` at `size` (width, height), bilinear with antialiasing; see `Preprocessing.resize`."""
    from PIL import Image, ImageOps

    bilinear = Image.Resampling.BILINEAR
    if resize == "crop":
        return ImageOps.fit(picture, size, method=bilinear)
    if resize == "pad":
        return ImageOps.pad(picture, size, method=bilinear, color=0)
    return picture.resize(size, bilinear)


def _eight_bit(picture: Image) -> Image:
    """16-bit and float greys, spread over 0…255 by the range of their format (1.0 for floats up to 1)."""
    from PIL import Image

    values = np.asarray(picture, np.float64)
    full = 65535.0 if picture.mode != "F" else (1.0 if values.max(initial=0) <= 1.0 else 255.0)
    return Image.fromarray(np.clip(values / full * 255.0, 0, 255).astype(np.uint8))


def preprocessing_for(
    mode: str, shape: tuple[int, ...], image: tuple[int, int, int] | None, raw_range: tuple[float, float], resize: str
) -> Preprocessing:
    """The numbers behind a mode's name (see `recipe.DataPart`). Raises DataError where it does not fit."""
    low, high = raw_range
    span = high - low
    channels = image[2] if image else 1
    color = "grey" if channels == 1 else "rgb"
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    if mode in ("caffe", "torch") and channels != 3:
        raise DataError(f"preprocessing {mode!r} is for colour images; this input has the shape {_times(shape)}")
    if mode == "unit":
        scale, offset = (1 / span,), (-low / span,)
    elif mode == "signed":
        scale, offset = (2 / span,), (-2 * low / span - 1,)
    elif mode == "none":
        scale, offset = (1.0,), (0.0,)
    elif mode == "torch":
        scale = tuple(1 / span / d for d in _TORCH_DEVIATION)
        offset = tuple((-low / span - m) / d for m, d in zip(_TORCH_MEAN, _TORCH_DEVIATION, strict=True))
    else:
        scale = (255 / span,) * 3
        offset, color = tuple(-low * 255 / span - m for m in _CAFFE_MEAN), "bgr"
    return Preprocessing(shape, image, raw_range, color, resize, scale, offset)


def preprocessing_from(table: dict[str, Any]) -> Preprocessing:
    """What `dataclasses.asdict` made of a Preprocessing and JSON kept of it."""
    values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}
    return Preprocessing(**values)


def image_behind(shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """The image a network of this input shape reads: itself if (H, W, 1 or 3), grey rows if (steps, features)."""
    if len(shape) == 3 and shape[2] in (1, 3):
        return shape[0], shape[1], shape[2]
    if len(shape) == 2:
        return shape[0], shape[1], 1
    return None


def open_image(content: bytes, where: str) -> Image:
    """A decoded image. Raises DataError if `content` is none, is broken or is unreasonably large."""
    import io
    import warnings

    require("PIL")
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(content))
            picture.load()
            return picture
    except UnidentifiedImageError:
        raise DataError(f"{where}: is not an image that can be read (PNG, JPEG, BMP, GIF, TIFF, WebP …)") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(f"{where}: has more pixels than an honest image; make it smaller first") from None
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise DataError(f"{where}: the image is broken: {error}") from None


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(str(n) for n in shape) or "a single number"


def count_of(shape: tuple[int, ...]) -> int:
    """Numbers in one sample of `shape`."""
    return math.prod(shape)
