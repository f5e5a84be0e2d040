"""From what a user has (an image, raw values) to what a network was trained on.

The numbers travel in the bundle's manifest and every runner honours them; nothing is guessed.

    image file ─fit→ pixels 0…255 ─map→ raw values ─colour, ×scale, +offset→ network input
    WAV file ──front-end→ features ─────↗
    .npy, .csv ─────────────────────────↗
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import math
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.errors import DataError
from dlkit.extras import require
from dlkit.noise import Together, native_noise_aside
from dlkit.runtime.front_end import FrontEnd
from dlkit.runtime.spectra import features_of, waveform_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from PIL.Image import Image

# ImageNet mean and deviation of RGB in 0…1 ("torch"), and mean of BGR in 0…255 ("caffe"), as in
# keras.applications.imagenet_utils.
_TORCH_MEAN, _TORCH_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CAFFE_MEAN = (103.939, 116.779, 123.68)

# Pillow would also start programs for some formats (EPS); these are decoded by Pillow itself.
IMAGE_FORMATS = ("PNG", "JPEG", "BMP", "DIB", "GIF", "TIFF", "WEBP", "PPM")
HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
"""Brands of the photos that telephones make, ISO/IEC 23008-12, for which Pillow has no decoder."""


MOST_NUMBERS = 2**26
"""Of an input: an image of 4,700 × 4,700 pixels in colour. A manifest of a kilobyte can ask for any size."""
ANY_NUMBER = (float(np.finfo(np.float32).min), float(np.finfo(np.float32).max))
"""Range of raw values of which no one knows the range."""


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """How raw values become network input: `raw × scale + offset`, per channel.

    Attributes:
        shape: the network's input shape without the batch, (8, 8, 1) or (8, 8).
        image: (height, width, channels) of the image behind it; None if the input is no image.
        raw_range: smallest and largest raw value; the pixels 0…255 of an image file are mapped to it.
        color: "grey", "rgb" or "bgr", the order of the network's channels.
        resize: "crop", "pad" or "stretch", how an image of other proportions is fitted.
        scale, offset: one number, or one per channel; of what is no image, per feature, along the last axis.
        sound: what makes features (frames, features) of a sound; None if the input is no sound.
    """

    shape: tuple[int, ...]
    image: tuple[int, int, int] | None
    raw_range: tuple[float, float]
    color: str
    resize: str
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    sound: FrontEnd | None = None

    def __post_init__(self) -> None:
        *_, channels = self.image or (1,)
        *_, features = self.raw_shape or (1,)
        low, high = self.raw_range
        good = {
            "shape": all(type(n) is int and n > 0 for n in self.shape) and math.prod(self.shape) <= MOST_NUMBERS,
            "image": self.image is None or self._holds_an_image(self.image),
            "raw_range": low < high and _finite(self.raw_range),
            "color": self.color in (("grey",) if channels == 1 else ("rgb", "bgr")),
            "resize": self.resize in ("crop", "pad", "stretch"),
            "scale": len(self.scale) in (1, features) and _finite(self.scale),
            "offset": len(self.offset) in (1, features) and _finite(self.offset),
            "sound": self.sound is None or self._holds_a_sound(self.sound),
        }
        for key, holds in good.items():
            if not holds:
                raise ValueError(f"preprocessing.{key} cannot be {getattr(self, key)!r}")

    def _holds_an_image(self, image: tuple[int, ...]) -> bool:
        """Whether `image` is (height, width, 1 or 3) and has as many numbers as the input."""
        sound = len(image) == 3 and image[2] in (1, 3) and all(type(n) is int and n > 0 for n in image)
        return sound and math.prod(image) <= MOST_NUMBERS and math.prod(image) == math.prod(self.shape)

    def _holds_a_sound(self, sound: FrontEnd) -> bool:
        """Whether there is no image, and as many features as the input has numbers."""
        return self.image is None and math.prod(sound.shape) == math.prod(self.shape)

    @property
    def raw_shape(self) -> tuple[int, ...]:
        """Of one sample's raw values: the image's or the sound's where there is one, else the input's."""
        return self.image or (self.sound.shape if self.sound else self.shape)

    @property
    def is_bounded(self) -> bool:
        """Whether the range of raw values is known."""
        return self.raw_range != ANY_NUMBER

    @property
    def span(self) -> float:
        """Of what the raw range becomes, over all channels."""
        ends = np.outer(self.raw_range, self.scale) + np.asarray(self.offset)
        return float(np.ptp(ends))

    @property
    def sample_shapes(self) -> frozenset[tuple[int, ...]]:
        """Shapes in which one sample may come: the input's, the image's or sound's, a grey image's without channel."""
        if self.image is None:
            return frozenset({self.shape, self.raw_shape})
        return frozenset({self.shape, self.image, self.image[:2] if self.image[2] == 1 else self.image})

    def as_dict(self) -> dict[str, Any]:
        """Its attributes as a table for `preprocessing_from`."""
        table = dataclasses.asdict(self)
        if self.sound is None:  # as it was stored before there were sounds
            del table["sound"]
        return table

    def apply(self, raw: ArrayLike) -> NDArray[np.float32]:
        """Raw values (N, *shape) or (N, *raw_shape) → network input (N, *shape) float32."""
        x = self.raw_batch(raw)
        if self.color == "bgr":
            x = x[..., ::-1]
        with np.errstate(all="ignore"):  # becomes infinite, which Session refuses
            x = x * np.asarray(self.scale, np.float32) + np.asarray(self.offset, np.float32)
        return np.ascontiguousarray(x.reshape(len(x), *self.shape), dtype=np.float32)

    def raw_of(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values in the network's range (..., features) → raw values; undoes `apply` of what is no image."""
        scale, offset = np.asarray(self.scale), np.asarray(self.offset)
        with np.errstate(all="ignore"):  # becomes infinite or NaN, which is not told as an answer
            return np.asarray((values.astype(np.float64) - offset) / scale, np.float32)

    def of_shape(self, shape: tuple[int, ...]) -> Preprocessing:
        """The same of values of another shape that are no image, with as many features."""
        return dataclasses.replace(self, shape=shape, image=None, sound=None)

    def noise(self, count: int, seed: int) -> NDArray[np.float32]:
        """(count, *shape) standard normal raw values, cut off at the ends of the raw range; the same for a seed."""
        drawn = np.random.default_rng(seed).standard_normal((count, *self.shape), np.float32)
        return np.clip(drawn, *self.raw_range)

    def raw_batch(self, raw: ArrayLike) -> NDArray[np.float32]:
        """Raw values (N, ...) in the shape of images or sounds where there are some behind them, float32.

        Raises DataError for samples of another shape, or that are no numbers.
        """
        raw = np.asarray(raw)
        if raw.ndim == 0 or raw.shape[1:] not in self.sample_shapes:
            found = _times(raw.shape[1:]) if raw.ndim else "a single number"
            raise DataError(f"samples of shape {found}, but this model takes {_times(self.shape)}")
        if raw.dtype.kind not in "uifb":
            raise DataError(f"samples of {raw.dtype}, not numbers")
        with np.errstate(over="ignore"):  # becomes infinite, which Session refuses
            return raw.astype(np.float32).reshape(len(raw), *self.raw_shape)

    def raw_sample(self, values: NDArray[Any], where: str) -> NDArray[Any]:
        """Values of one sample, checked: shape, finite, inside `raw_range`. Raises DataError naming `where`."""
        if values.shape not in self.sample_shapes:
            raise DataError(f"{where}: shape {_times(values.shape)}, but this model takes {_times(self.shape)}")
        if values.dtype.kind not in "uifb":
            raise DataError(f"{where}: holds {values.dtype}, not numbers")
        with np.errstate(over="ignore", invalid="ignore"):  # 80-bit numbers become infinite
            exact = values.astype(np.float64)  # float16 could not be compared with the ends of the range
        bad = np.argwhere(~np.isfinite(exact))
        if len(bad):
            spot = ", ".join(str(i) for i in bad[0])
            raise DataError(f"{where}: {len(bad)} values are NaN or infinite, the first at [{spot}]")
        low, high = self.raw_range
        if exact.min() < low or exact.max() > high:
            found = f"{exact.min():g} to {exact.max():g}"
            raise DataError(f"{where}: values from {found}, but this model takes raw values from {low:g} to {high:g}")
        if not self.is_bounded:
            return values.reshape(self.raw_shape)
        fractions = values.dtype.kind == "f" and not np.array_equal(values, np.round(values))
        if fractions and low >= 0 and high > 2 and values.max() <= 1:  # noise and decibels may well be below 1
            raise DataError(
                f"{where}: values from {values.min():g} to {values.max():g} look scaled already, but this model takes "
                f"raw values from {low:g} to {high:g}"
            )
        return values.reshape(self.raw_shape)

    def raw_image(self, picture: Image, where: str) -> NDArray[np.float32]:
        """An upright image of any size and mode → raw values (height, width, channels).

        Transparency is laid over the ground (the lowest value); colour becomes grey by luminance,
        grey becomes colour by repetition. Raises DataError for one that has no pixels 0…255.
        """
        if self.image is None:
            raise DataError(f"{where}: is an image, but this model takes values of shape {_times(self.shape)}")

        height, width, channels = self.image
        if picture.mode.startswith("I") or picture.mode in ("F", "LAB"):
            picture = _eight_bit(picture, where)
        if picture.mode in ("RGBA", "LA", "PA", "P") or "transparency" in picture.info:
            picture = _on_black(picture.convert("RGBA"), where)
        picture = fitted(picture.convert("L" if channels == 1 else "RGB"), (width, height), self.resize)
        pixels = np.asarray(picture, np.float32).reshape(height, width, channels)
        low, high = self.raw_range
        return np.asarray(pixels / 255.0 * (high - low) + low, np.float32)

    def raw_sound(self, content: bytes, where: str) -> NDArray[np.float32]:
        """The bytes of a WAV file → raw values (frames, features).

        Raises DataError if they are none, or if the input is no sound.
        """
        if self.sound is None:
            taken = "images" if self.image else f"values of shape {_times(self.shape)}"
            raise DataError(f"{where}: is a sound, but this model takes {taken}")
        waveform = waveform_of(content, self.sound, where)
        [features] = features_of(waveform[np.newaxis], self.sound)
        return np.asarray(features)


def _on_black(picture: Image, where: str) -> Image:
    """A picture with transparency, laid over black. Raises DataError if nothing of it is left to see."""
    from PIL import Image

    laid = Image.alpha_composite(Image.new("RGBA", picture.size, (0, 0, 0, 255)), picture).convert("RGB")
    alpha_low, alpha_high = picture.getchannel("A").getextrema()
    if alpha_low != alpha_high and laid.getbbox() is None:
        raise DataError(f"{where}: is black on transparent, and transparency counts as black; save it on white")
    return laid


def fitted(picture: Image, size: tuple[int, int], resize: str) -> Image:
    """`picture` at `size` (width, height), bilinear with antialiasing; see `Preprocessing.resize`."""
    from PIL import Image, ImageOps

    bilinear = Image.Resampling.BILINEAR
    if resize == "crop":
        return ImageOps.fit(picture, size, method=bilinear)
    if resize == "pad":
        return _padded(picture, size)
    return picture.resize(size, bilinear)


def _padded(picture: Image, size: tuple[int, int]) -> Image:
    """All of `picture` in the middle of a ground of 0; at least a pixel of it, however long it is."""
    from PIL import Image

    ratio = min(size[0] / picture.width, size[1] / picture.height)
    inner = max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio))
    ground = Image.new(picture.mode, size, 0)
    corner = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    ground.paste(picture.resize(inner, Image.Resampling.BILINEAR), corner)
    return ground


def _eight_bit(picture: Image, where: str) -> Image:
    """A 16-bit grey image in 8 bits. Raises DataError for one whose format does not say what is white."""
    from PIL import Image

    values = np.asarray(picture)
    if values.ndim != 2 or values.dtype.kind not in "ui" or values.min() < 0 or values.max() > 65535:
        fix = "save the image with 8 or 16 bits, or its values as .npy"
        raise DataError(f"{where}: {picture.mode} pixels have no fixed white; {fix}")
    return Image.fromarray(np.round(values / 257.0).astype(np.uint8))


def preprocessing_for(
    mode: str,
    shape: tuple[int, ...],
    image: tuple[int, int, int] | None,
    raw_range: tuple[float, float],
    resize: str,
    statistics: tuple[tuple[float, ...], tuple[float, ...]] = ((), ()),
    sound: FrontEnd | None = None,
) -> Preprocessing:
    """The numbers behind a mode's name (see `recipe.DataPart`). Raises DataError where it does not fit.

    Args:
        statistics: mean and deviation of each feature, for "standard".
        sound: the front-end of an input that is a sound.
    """
    low, high = raw_range
    if not (low < high and math.isfinite(high - low) and _is_wide(high - low)):
        raise DataError(f"the range of raw values is from {low:g} to {high:g}; give one of numbers that 32 bits hold")
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
    elif mode == "lite":
        scale, offset = (255 / 128 / span,), (-low * 255 / 128 / span - 127 / 128,)
    elif mode == "standard":
        scale = tuple(1 / d for d in statistics[1])
        offset = tuple(-m / d for m, d in zip(*statistics, strict=True))
    elif mode == "none":
        scale, offset = (1.0,), (0.0,)
    elif mode == "torch":
        scale = tuple(1 / span / d for d in _TORCH_DEVIATION)
        offset = tuple((-low / span - m) / d for m, d in zip(_TORCH_MEAN, _TORCH_DEVIATION, strict=True))
    else:
        scale = (255 / span,) * 3
        offset, color = tuple(-low * 255 / span - m for m in _CAFFE_MEAN), "bgr"
    try:
        return Preprocessing(shape, image, raw_range, color, resize, scale, offset, sound)
    except ValueError as error:
        raise DataError(
            f"raw values from {low:g} to {high:g} of {_times(image or shape)} cannot be prepared by {mode!r}: {error}"
        ) from None


def preprocessing_from(table: dict[str, Any]) -> Preprocessing:
    """What `Preprocessing.as_dict` made and JSON kept of it."""
    values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}
    if values.get("sound") is not None:
        values["sound"] = FrontEnd(**values["sound"])
    return Preprocessing(**values)


def image_behind(shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """The image a network of this input shape reads: itself if (H, W, 1 or 3), grey rows if (steps, features)."""
    if len(shape) == 3 and shape[2] in (1, 3):
        return shape[0], shape[1], shape[2]
    if len(shape) == 2:
        return shape[0], shape[1], 1
    return None


def open_image(content: bytes, where: str) -> Image:
    """A decoded image, turned upright by its EXIF orientation.

    Raises DataError if `content` is none, is broken or is unreasonably large.
    """
    require("PIL")
    with while_decoding():
        return decoded_image(content, where)


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Of side matters in image files; what counts is whether they decode."""
    from PIL import Image

    with warnings.catch_warnings(), native_noise_aside():  # libtiff prints
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


_QUIET = Together(_without_warnings)


def while_decoding() -> AbstractContextManager[None]:
    """What is around `decoded_image`, in one thread or around several that decode at once."""
    return _QUIET


def pixels_in(content: bytes) -> int:
    """How many pixels an image says it has; 0 if it is none, which decoding it tells."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=IMAGE_FORMATS) as picture:
            return picture.width * picture.height
    except Exception:  # Pillow's parsers raise what they raise
        return 0


def decoded_image(content: bytes, where: str) -> Image:
    """`open_image` without what is around it."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        picture = Image.open(io.BytesIO(content), formats=IMAGE_FORMATS)
        picture.load()
        return ImageOps.exif_transpose(picture)
    except UnidentifiedImageError:
        if content[4:8] == b"ftyp" and content[8:12] in HEIF:
            raise DataError(f"{where}: is a HEIC photo, which is not read here; make a JPEG or PNG of it") from None
        raise DataError(f"{where}: is not an image that can be read (PNG, JPEG, BMP, GIF, TIFF, WebP …)") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        most = f"of at most {Image.MAX_IMAGE_PIXELS:,}" if Image.MAX_IMAGE_PIXELS else "of fewer"
        raise DataError(
            f"{where}: has more pixels than an honest image, which is {most}; make it smaller first"
        ) from None
    except Exception as error:  # Pillow's decoders raise what they raise; each is about the file
        raise DataError(f"{where}: the image is broken: {error}") from None


def _is_wide(span: float) -> bool:
    return math.isfinite(1 / span) if span else False


def _finite(numbers: tuple[float, ...]) -> bool:
    """Whether all are numbers that 32 bits hold."""
    return all(isinstance(n, (int, float)) and abs(n) <= ANY_NUMBER[1] for n in numbers)


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(str(n) for n in shape) or "a single number"


def count_of(shape: tuple[int, ...]) -> int:
    """Numbers in one sample of `shape`."""
    return math.prod(shape)
