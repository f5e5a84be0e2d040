"""From images and raw values to network input, against numbers worked out by hand."""

from __future__ import annotations

import contextlib
import dataclasses
import json

import numpy as np
import pytest
from as_files import encoded
from PIL import Image

from dlkit.errors import DataError
from dlkit.runtime.preprocessing import (
    Preprocessing,
    fitted,
    image_behind,
    open_image,
    preprocessing_for,
    preprocessing_from,
)

GREY, COLOUR = (2, 2, 1), (2, 2, 3)


def grey(mode: str = "none", raw_range: tuple[float, float] = (0.0, 255.0), resize: str = "stretch") -> Preprocessing:
    return preprocessing_for(mode, GREY, GREY, raw_range, resize)


def colour(mode: str = "none", raw_range: tuple[float, float] = (0.0, 255.0), resize: str = "stretch") -> Preprocessing:
    return preprocessing_for(mode, COLOUR, COLOUR, raw_range, resize)


def uniform(*pixel: float) -> np.ndarray:
    """One sample (1, 2, 2, channels) of one colour."""
    return np.tile(np.asarray(pixel, np.float32), (1, 2, 2, 1))


def raw(preprocessing: Preprocessing, content: bytes) -> np.ndarray:
    return preprocessing.raw_image(open_image(content, "w"), "w")


# --- modes ---


@pytest.mark.parametrize(
    ("mode", "value", "wanted"),
    [("unit", 0, 0.0), ("unit", 255, 1.0), ("unit", 51, 0.2), ("signed", 0, -1.0), ("signed", 255, 1.0),
     ("signed", 127.5, 0.0), ("lite", 127, 0.0), ("lite", 255, 1.0), ("none", 200, 200.0)],
)  # fmt: skip
def test_modes_of_one_scale(mode: str, value: float, wanted: float) -> None:
    """unit is 0…1, signed -1…1, lite (pixel - 127) / 128, none the raw value."""
    np.testing.assert_allclose(grey(mode).apply(uniform(value)), uniform(wanted), atol=1e-6)


@pytest.mark.parametrize(("mode", "wanted"), [("unit", [0, 0.5, 1]), ("signed", [-1, 0, 1]), ("none", [-1, 1, 3])])
def test_modes_start_from_the_raw_range(mode: str, wanted: list[float]) -> None:
    """Raw values from -1 to 3 are spread over the same ends."""
    preprocessing = preprocessing_for(mode, (3,), None, (-1.0, 3.0), "crop")
    np.testing.assert_allclose(preprocessing.apply(np.asarray([[-1, 1, 3]])), [wanted], atol=1e-6)


def test_torch_mode() -> None:
    """ImageNet mean and deviation, RGB: white is (1 - mean) / deviation."""
    wanted = uniform((1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225)
    np.testing.assert_allclose(colour("torch").apply(uniform(255, 255, 255)), wanted, rtol=1e-5)
    np.testing.assert_allclose(colour("torch", (0.0, 1.0)).apply(uniform(1, 1, 1)), wanted, rtol=1e-5)


def test_caffe_mode_is_bgr() -> None:
    """Pure red lands in the last channel; the ImageNet mean in BGR is taken off."""
    wanted = uniform(-103.939, -116.779, 255 - 123.68)
    np.testing.assert_allclose(colour("caffe").apply(uniform(255, 0, 0)), wanted, rtol=1e-5)
    np.testing.assert_allclose(colour("caffe", (0.0, 1.0)).apply(uniform(1, 0, 0)), wanted, rtol=1e-5)


@pytest.mark.parametrize("mode", ["caffe", "torch"])
def test_colour_modes_are_refused_for_grey(mode: str) -> None:
    """A mean per channel needs the channels."""
    with pytest.raises(DataError, match=f"preprocessing '{mode}' is for colour images; this input has the shape 2×2×1"):
        grey(mode)


def test_an_image_is_a_sequence_of_its_rows() -> None:
    """A recurrent network's (steps, features) reads a grey image of that size, row by row."""
    preprocessing = preprocessing_for("none", (2, 3), image_behind((2, 3)), (0.0, 255.0), "stretch")
    assert preprocessing.image == (2, 3, 1)
    rows = np.arange(6).reshape(1, 2, 3)
    for samples in (rows, rows[..., np.newaxis]):
        np.testing.assert_array_equal(preprocessing.apply(samples), rows)


@pytest.mark.parametrize(
    ("shape", "image"),
    [((8, 8, 1), (8, 8, 1)), ((4, 6, 3), (4, 6, 3)), ((4, 6), (4, 6, 1)), ((8, 8, 4), None), ((5,), None), ((), None)],
)
def test_the_image_behind_a_shape(shape: tuple[int, ...], image: tuple[int, ...] | None) -> None:
    """One and three channels are images, two axes a grey one; anything else is not."""
    assert image_behind(shape) == image


# --- fitting ---


def halves(width: int, height: int) -> Image.Image:
    """White on the left third and the right third, black between (along the longer side)."""
    pixels = np.zeros((height, width), np.uint8)
    third = max(width, height) // 3
    if width > height:
        pixels[:, :third] = pixels[:, -third:] = 255
    else:
        pixels[:third] = pixels[-third:] = 255
    return Image.fromarray(pixels)


@pytest.mark.parametrize(("width", "height"), [(30, 10), (10, 30)])
def test_crop_keeps_the_middle(width: int, height: int) -> None:
    """The white ends of an oblong are cut off, the black middle fills the square."""
    assert np.asarray(fitted(halves(width, height), (10, 10), "crop")).max() == 0


def test_stretch_keeps_everything() -> None:
    """White, black, white at a third of the width each."""
    columns = np.asarray(fitted(halves(30, 10), (3, 10), "stretch"))
    assert columns.shape == (10, 3)
    assert columns[:, 0].min() > 200
    assert columns[:, 1].max() < 70  # antialiasing takes a little from its neighbours


@pytest.mark.parametrize(("width", "height"), [(30, 10), (10, 30)])
def test_pad_keeps_proportions(width: int, height: int) -> None:
    """An oblong of white lies in the middle of a black square, a third of it."""
    square = np.asarray(fitted(Image.new("L", (width, height), 255), (9, 9), "pad"))
    square = square if width > height else square.T
    assert square[3:6].min() == 255
    assert square[:3].max() == square[6:].max() == 0


@pytest.mark.parametrize("size", [(5000, 1), (1, 5000), (1, 1), (3, 2)])
@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
def test_any_proportions_are_fitted(size: tuple[int, int], resize: str) -> None:
    """A line of a single pixel's height keeps at least a pixel."""
    square = np.asarray(fitted(Image.new("L", size, 255), (8, 8), resize))
    assert square.shape == (8, 8)
    assert square.max() == 255


def test_the_ground_of_padding_is_the_lowest_raw_value() -> None:
    """Not 0, where raw values begin elsewhere."""
    preprocessing = grey("none", (-1.0, 1.0), "pad")
    pixels = raw(preprocessing, encoded(Image.new("L", (1, 2), 255), "PNG"))
    assert sorted(set(pixels.flat)) == [-1.0, 1.0]


# --- modes of image files ---


def test_pixels_are_spread_over_the_raw_range() -> None:
    """0…255 of a file become 0…16 of the optical digits."""
    picture = Image.fromarray(np.asarray([[0, 255], [51, 102]], np.uint8))
    pixels = raw(grey("none", (0.0, 16.0)), encoded(picture, "PNG"))
    np.testing.assert_allclose(pixels[..., 0], [[0, 16], [3.2, 6.4]], rtol=1e-6)


def test_colour_becomes_grey_by_luminance() -> None:
    """ITU-R 601: 0.299 red, 0.587 green, 0.114 blue."""
    for pixel, wanted in [((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29)]:
        assert set(raw(grey(), encoded(Image.new("RGB", (2, 2), pixel), "PNG")).flat) == {wanted}


def test_grey_becomes_colour_by_repetition() -> None:
    """The same value in three channels."""
    pixels = raw(colour(), encoded(Image.new("L", (2, 2), 90), "PNG"))
    assert pixels.shape == COLOUR
    assert set(pixels.flat) == {90}


@pytest.mark.parametrize(
    ("mode", "pixel", "wanted"),
    [("RGBA", (255, 255, 255, 0), 0), ("RGBA", (255, 255, 255, 255), 255), ("RGBA", (200, 200, 200, 128), 100),
     ("LA", (255, 0), 0), ("LA", (200, 255), 200), ("1", 1, 255)],
)  # fmt: skip
def test_transparency_is_laid_over_the_ground(mode: str, pixel: object, wanted: int) -> None:
    """What is transparent is black, what is half so is half as bright."""
    pixels = raw(grey(), encoded(Image.new(mode, (2, 2), pixel), "PNG"))  # type: ignore[arg-type]
    assert set(pixels.flat) == {wanted}


def palette() -> Image.Image:
    picture = Image.new("P", (2, 2), 1)
    picture.putpalette([0, 0, 0, 255, 0, 0])
    return picture


def test_a_palette_is_looked_up() -> None:
    """Pixel number 1 is red, not the grey 1."""
    assert raw(colour(), encoded(palette(), "PNG"))[0, 0].tolist() == [255, 0, 0]
    assert raw(colour(), encoded(palette(), "GIF"))[0, 0].tolist() == [255, 0, 0]


def test_a_transparent_palette_entry_is_ground() -> None:
    """As in every other mode."""
    assert set(raw(colour(), encoded(palette(), "PNG", transparency=1)).flat) == {0}


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
@pytest.mark.parametrize(("value", "wanted"), [(0, 0), (65535, 255), (257 * 100, 100), (257 * 100 + 200, 101)])
def test_sixteen_bit_grey(format: str, value: int, wanted: int) -> None:
    """65535 is white; what lies between is rounded to the nearest of 256, not cut to the low byte."""
    picture = Image.fromarray(np.full((2, 2), value, np.uint16))
    assert set(raw(grey(), encoded(picture, format)).flat) == {wanted}


@pytest.mark.parametrize("array", [np.full((2, 2), 0.5, np.float32), np.full((2, 2), 70000, np.int32)], ids=["F", "I"])
def test_pixels_without_a_fixed_white_are_refused(array: np.ndarray) -> None:
    """Whether 0.5 is half bright or nearly black is not guessed."""
    with pytest.raises(DataError, match=r"w: .* pixels have no fixed white; save the image with 8 or 16 bits"):
        raw(grey(), encoded(Image.fromarray(array), "TIFF"))


def test_cmyk_is_colour() -> None:
    """Ink is subtracted."""
    pixels = raw(colour(), encoded(Image.new("CMYK", (2, 2), (0, 255, 255, 0)), "TIFF"))
    assert pixels[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("orientation", "wanted"),
    [(1, [[0, 50], [100, 150]]), (2, [[50, 0], [150, 100]]), (3, [[150, 100], [50, 0]]), (6, [[100, 0], [150, 50]]),
     (8, [[50, 150], [0, 100]])],
)  # fmt: skip
def test_exif_orientation_is_honoured(orientation: int, wanted: list[list[int]]) -> None:
    """A photograph taken sideways is seen upright."""
    exif = Image.Exif()
    exif[274] = orientation
    picture = Image.fromarray(np.asarray([[0, 50], [100, 150]], np.uint8))
    pixels = raw(grey(), encoded(picture, "PNG", exif=exif))
    assert pixels[..., 0].tolist() == wanted


@pytest.mark.parametrize("format", ["PNG", "JPEG", "MPO", "BMP", "GIF", "TIFF", "WEBP", "PPM"])
def test_every_promised_format_is_read(format: str) -> None:
    """A white square is white in each."""
    assert raw(grey(), encoded(Image.new("RGB", (8, 8), (255, 255, 255)), format)).min() >= 254


# --- what cannot be used ---


def test_an_image_for_a_model_without_images_is_refused() -> None:
    """Its shape is said."""
    preprocessing = preprocessing_for("none", (5,), None, (0.0, 1.0), "crop")
    with pytest.raises(DataError, match="w: is an image, but this model takes values of shape 5"):
        preprocessing.raw_image(Image.new("L", (2, 2)), "w")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((2, 2), np.nan), r"w: 4 values are NaN or infinite, the first at \[0, 0\]"),
        (np.asarray([[0, 1], [np.inf, 0]]), r"w: 1 values are NaN or infinite, the first at \[1, 0\]"),
        (np.full((2, 2), 256), "w: values from 256 to 256, but this model takes raw values from 0 to 255"),
        (np.full((2, 2), -1), "w: values from -1 to -1, but"),
        (np.zeros((3, 3)), "w: shape 3×3, but this model takes 2×2×1"),
        (np.zeros((2, 2, 3)), "w: shape 2×2×3, but this model takes 2×2×1"),
        (np.zeros(()), "w: shape a single number, but"),
        (np.zeros((2, 2), complex), "w: holds complex128, not numbers"),
        (np.full((2, 2), "a"), "w: holds <U1, not numbers"),
        (np.full((2, 2), np.longdouble(10) ** 400), "w: 4 values are NaN or infinite"),
        (np.full((2, 2), 2**64 - 1, np.uint64), "w: values from 1.84467e"),
    ],
)
def test_values_that_cannot_be_used(values: np.ndarray, message: str) -> None:
    """Where, what was found, and what is taken."""
    with pytest.raises(DataError, match=message):
        grey().raw_sample(values, "w")


@pytest.mark.parametrize("shape", [(2, 2), (2, 2, 1)])
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", ">f4", "bool"])
def test_values_that_can_be_used(shape: tuple[int, ...], dtype: str) -> None:
    """Any kind of number, with or without the grey channel."""
    assert grey().raw_sample(np.ones(shape, dtype), "w").shape == GREY


@pytest.mark.parametrize("batch", [np.zeros((1, 3, 3)), np.zeros(4), np.zeros(()), np.zeros((2, 2, 2, 3))])
def test_apply_refuses_another_shape(batch: np.ndarray) -> None:
    """As an error of ours, before numpy's."""
    with pytest.raises(DataError, match="but this model takes 2×2×1"):
        grey().apply(batch)


def test_apply_refuses_what_is_no_number() -> None:
    """Text is not parsed."""
    with pytest.raises(DataError, match="samples of <U1, not numbers"):
        grey().apply(np.full((1, 2, 2), "1"))


# --- broken and hostile files ---


def test_text_is_no_image() -> None:
    """Whatever its name says."""
    with pytest.raises(DataError, match=r"w: is not an image that can be read \(PNG, JPEG"):
        open_image(b"hello", "w")


def test_a_truncated_image_is_broken() -> None:
    """At every length that lacks pixels (the end is checksums); never half an image."""
    picture = Image.effect_noise((20, 20), 50)
    content = encoded(picture, "PNG")
    for length in range(1, len(content) - 20, 7):
        with pytest.raises(DataError, match="w: "):
            open_image(content[:length], "w")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP", "PPM"])
def test_flipped_bytes_are_an_image_or_an_error(format: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Never another exception or warning, and no decoder prints."""
    rng = np.random.default_rng(0)
    picture = Image.effect_noise((12, 9), 50).convert("RGB")
    whole = np.frombuffer(
        encoded(picture, format, **({"compression": "tiff_lzw"} if format == "TIFF" else {})), np.uint8
    )
    for _ in range(150):
        content = whole.copy()
        content[rng.integers(0, len(content), 3)] = rng.integers(0, 256, 3)
        with contextlib.suppress(DataError):
            assert raw(colour(), content.tobytes()).shape == COLOUR
    assert capfd.readouterr().err == ""


def test_an_image_that_unpacks_to_very_much_is_refused() -> None:
    """A bomb of 20,000 × 20,000 pixels, refused by its head, before it is unpacked."""
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0))
    with pytest.raises(DataError, match="w: has more pixels than an honest image"):
        open_image(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b""), "w")


def test_formats_that_start_programs_are_not_read() -> None:
    """PostScript would be handed to an interpreter."""
    with pytest.raises(DataError, match="is not an image that can be read"):
        open_image(encoded(Image.new("RGB", (4, 4)), "EPS"), "w")


# --- the numbers that travel in the manifest ---


@pytest.mark.parametrize("preprocessing", [grey("unit"), colour("caffe"), colour("torch", (-1.0, 1.0), "pad")])
def test_preprocessing_survives_json(preprocessing: Preprocessing) -> None:
    """What a bundle stores reads back as the same numbers."""
    assert preprocessing_from(json.loads(json.dumps(dataclasses.asdict(preprocessing)))) == preprocessing


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("shape", [2, 0, 1]), ("shape", [2.0, 2, 1]), ("shape", "221"), ("shape", None),
        ("image", [2, 2]), ("image", [3, 3, 1]), ("image", [2, 1, 2]), ("image", 4), ("image", [True, 4, 1]),
        ("raw_range", [255, 0]), ("raw_range", [0, 0]), ("raw_range", [0]), ("raw_range", [0, float("nan")]),
        ("raw_range", [0, float("inf")]), ("color", "rgb"), ("color", "GREY"), ("color", 1), ("resize", "fill"),
        ("resize", None), ("scale", []), ("scale", [1.0, 2.0]), ("scale", ["1"]), ("scale", [float("nan")]),
        ("offset", 0), ("offset", [float("inf")]), ("more", 1),
    ],
)  # fmt: skip
def test_numbers_that_make_no_sense_are_refused(key: str, value: object) -> None:
    """A manifest is not believed: an unknown colour order or fit would silently be taken for another."""
    table = json.loads(json.dumps(dataclasses.asdict(grey())))
    with pytest.raises((ValueError, TypeError)):
        preprocessing_from(table | {key: value})


def test_an_array_that_looks_scaled_already_is_refused() -> None:
    """Fractions of 1 where 0 to 16 is wanted: a guess either way would be silent."""
    preprocessing = preprocessing_for("unit", (2, 2, 1), (2, 2, 1), (0.0, 16.0), "crop")
    with pytest.raises(DataError, match=r"values from 0 to 0\.5 look scaled already.*raw values from 0 to 16"):
        preprocessing.raw_sample(np.array([[0.0, 0.5], [0.25, 0.0]]), "x")
    assert preprocessing.raw_sample(np.array([[0.0, 1.0], [1.0, 0.0]]), "x").max() == 1.0


def test_black_on_transparent_is_refused() -> None:
    """Laid over black nothing of it would be left."""
    picture = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (2, 2, 6, 6))
    preprocessing = preprocessing_for("unit", (8, 8, 1), (8, 8, 1), (0.0, 16.0), "crop")
    with pytest.raises(DataError, match="is black on transparent"):
        preprocessing.raw_image(picture, "x.png")


def test_features_of_a_series_each_have_their_scale() -> None:
    """Along the last axis, whatever the step; one scale for all or one for each, no other number of them."""
    statistics = ((1.0, 2.0), (0.5, 4.0))
    preprocessing = preprocessing_for("standard", (3, 2), None, (-8.0, 8.0), "crop", statistics)
    raw = np.tile(np.float32([2.0, 6.0]), (4, 3, 1))
    np.testing.assert_allclose(preprocessing.apply(raw), np.tile(np.float32([2.0, 1.0]), (4, 3, 1)))
    with pytest.raises(ValueError, match=r"preprocessing\.scale cannot be"):
        dataclasses.replace(preprocessing, scale=(1.0, 1.0, 1.0))
