"""The page reads pictures and numbers as dlkit does: its JavaScript is held against Python, bit for bit.

From Pillow 13 on, a picture that loses more of its height than of its width is resized vertically first, which rounds
some pixels to the next level; before that, and in the page, the horizontal pass always comes first.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from as_files import encoded
from PIL import Image

from dlkit.errors import DataError
from dlkit.runtime.pictures import pixels_of
from dlkit.runtime.preprocessing import ANY_NUMBER, Preprocessing, open_image, preprocessing_for
from dlkit.web.page import files
from dlkit.web.serving import Server, serving

PROGRAM = """async ([picture, preprocessing]) => {
  const { decoded } = await import("./drawing.js");
  const { networkInput, pixelsOf, rawImage } = await import("./preprocessing.js");
  const content = Uint8Array.from(atob(picture), (c) => c.charCodeAt(0));
  try {
    const raw = rawImage(await decoded(new Blob([content])), preprocessing);
    const given = networkInput(raw, preprocessing);
    return [raw, given, pixelsOf(given, preprocessing).data].map((numbers) => Array.from(numbers));
  } catch (error) { return error.message; }
}"""
RNG = np.random.default_rng(0)


@pytest.fixture
def modules(page: Any) -> Iterator[Any]:
    """A window in which the page's modules can be imported, without the page itself."""
    content = files() | {"index.html": b"<!doctype html><title>t</title>", "favicon.ico": b""}
    with serving(Server(content.get)) as url:
        page.goto(url)
        yield page


def noise(height: int, width: int, channels: int) -> np.ndarray:
    """Pixels of every value, some of them large and even."""
    fine = RNG.integers(0, 256, (height, width, channels), np.uint8)
    coarse = RNG.integers(0, 256, (height // 8 + 1, width // 8 + 1, channels), np.uint8).repeat(8, 0).repeat(8, 1)
    return np.where(RNG.random((height, width, 1)) < 0.5, fine, coarse[:height, :width])


def picture(mode: str, width: int, height: int) -> Image.Image:
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "P": 3}[mode]
    pixels = noise(height, width, channels)
    if mode == "P":
        return Image.fromarray(pixels).quantize(16)
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels)


def both(window: Any, content: bytes, preprocessing: Preprocessing) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Raw values, network input and pixels again: as the page has them, and as Python does."""
    found = window.evaluate(
        PROGRAM, [base64.b64encode(content).decode(), json.loads(json.dumps(preprocessing.as_dict()))]
    )
    assert isinstance(found, list), found
    raw = preprocessing.raw_image(open_image(content, "it"), "it")
    given = preprocessing.apply(raw[np.newaxis])
    seen = np.broadcast_to(pixels_of(given, preprocessing)[0], (*raw.shape[:2], 3))
    return [np.asarray(values) for values in found], [raw.ravel(), given.ravel(), seen.reshape(-1)]


@pytest.fixture
def horizontal_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's two passes in the order of the page, in every version of it."""
    whole = Image.Image.resize

    def resize(self: Image.Image, size: Any, resample: Any = None, box: Any = None) -> Image.Image:
        left, top, right, bottom = box or (0, 0, *self.size)
        wide = whole(self, (size[0], self.height), resample, (left, 0, right, self.height))
        return whole(wide, size, resample, (0, top, size[0], bottom))

    monkeypatch.setattr(Image.Image, "resize", resize)


def same(found: list[np.ndarray], wanted: list[np.ndarray]) -> None:
    np.testing.assert_array_equal(found[0].astype(np.float32), wanted[0])
    np.testing.assert_array_equal(found[1].astype(np.float32), wanted[1])
    np.testing.assert_array_equal(found[2].reshape(-1, 4)[:, :3].ravel(), wanted[2])


SIZES = [(8, 8), (1, 1), (301, 57), (7, 5)]
MORE_SIZES = [(64, 64), (57, 301), (3, 50), (28, 28), (640, 479)]
IN_LANES = [*SIZES, *(pytest.param(size, marks=pytest.mark.slow) for size in MORE_SIZES)]


@pytest.mark.usefixtures("horizontal_first")
@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", IN_LANES, ids=str)
def test_pictures_are_fitted_as_pillow_does(modules: Any, size: tuple[int, int], resize: str) -> None:
    """Any size to any other, in grey and in colour."""
    for mode, image in (("L", (8, 8, 1)), ("RGB", (8, 8, 1)), ("RGB", (28, 20, 3)), ("L", (5, 9, 3))):
        preprocessing = preprocessing_for("unit", image, image, (0.0, 16.0), resize)
        same(*both(modules, encoded(picture(mode, *size), "PNG"), preprocessing))


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
def test_pictures_in_the_order_of_this_pillow(modules: Any, resize: str) -> None:
    """Whatever order its passes have, no pixel is more than a level apart."""
    for size in SIZES + MORE_SIZES:
        preprocessing = preprocessing_for("none", (28, 20, 3), (28, 20, 3), (0.0, 255.0), resize)
        found, wanted = both(modules, encoded(picture("RGB", *size), "PNG"), preprocessing)
        assert np.abs(found[0] - wanted[0]).max() <= 1


@pytest.mark.usefixtures("horizontal_first")
@pytest.mark.parametrize("mode", ["unit", "signed", "lite", "torch", "caffe", "none"])
def test_numbers_are_scaled_as_in_python(modules: Any, mode: str) -> None:
    """Every kind of scale and order of colours, from float32 to float32."""
    preprocessing = preprocessing_for(mode, (12, 10, 3), (12, 10, 3), (0.0, 255.0), "crop")
    same(*both(modules, encoded(picture("RGB", 40, 31), "PNG"), preprocessing))


@pytest.mark.usefixtures("horizontal_first")
@pytest.mark.parametrize("format", ["PNG", "BMP", "GIF", "WEBP"])
def test_formats_without_loss(modules: Any, format: str) -> None:
    """They are decoded to the same pixels."""
    options = {"lossless": True} if format == "WEBP" else {}
    content = encoded(picture("P" if format == "GIF" else "RGB", 33, 21), format, **options)
    same(*both(modules, content, preprocessing_for("unit", (8, 8, 3), (8, 8, 3), (0.0, 255.0), "crop")))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_photo_is_turned_upright(modules: Any, orientation: int) -> None:
    """By its EXIF orientation; two decoders of JPEG are at most two levels apart."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    smooth = Image.fromarray(noise(4, 6, 3)).resize((60, 40), Image.Resampling.BICUBIC)
    content = encoded(smooth, "JPEG", quality=95, exif=exif.tobytes())
    found, wanted = both(modules, content, preprocessing_for("none", (8, 8, 3), (8, 8, 3), (0.0, 255.0), "crop"))
    assert np.abs(found[0] - wanted[0]).max() <= 2


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_over_black(modules: Any, mode: str) -> None:
    """A browser keeps colours multiplied by their opacity, so they are at most one level apart."""
    content = encoded(picture(mode, 8, 8), "PNG")
    found, wanted = both(modules, content, preprocessing_for("none", (8, 8, 3), (8, 8, 3), (0.0, 255.0), "pad"))
    assert np.abs(found[0] - wanted[0]).max() <= 1


def test_black_on_transparent(modules: Any) -> None:
    """Nothing would be left to see: both refuse it."""
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[2:5, 2:5, 3] = 255
    content = encoded(Image.fromarray(pixels), "PNG")
    preprocessing = preprocessing_for("unit", (8, 8, 1), (8, 8, 1), (0.0, 16.0), "pad")
    with pytest.raises(DataError, match="black on transparent"):
        preprocessing.raw_image(open_image(content, "it"), "it")
    said = modules.evaluate(PROGRAM, [base64.b64encode(content).decode(), preprocessing.as_dict()])
    assert "black on transparent" in said


NUMBERS = """async ([text, preprocessing]) => {
  const { networkInput, numbersIn, rawSample } = await import("./preprocessing.js");
  try { return Array.from(networkInput(rawSample(numbersIn(text), preprocessing), preprocessing)); }
  catch (error) { return error.message; }
}"""


@pytest.mark.parametrize(
    "text", ["1,2,3,4,5,6", "[[1,2],[3,4],[5,6]]", "1;2;3;4;5;6", "1 2\n3\t4\n\n5 6\n", " 1e0, 2. ,+3,4,5,6 "], ids=str
)
def test_numbers_that_are_typed(modules: Any, text: str) -> None:
    """CSV and JSON, standardized per feature as in Python."""
    statistics = ((1.5, 2.5), (0.3, 7.0))
    preprocessing = preprocessing_for("standard", (3, 2), None, ANY_NUMBER, "pad", statistics)
    wanted = preprocessing.apply(np.arange(1, 7, dtype=np.float32).reshape(1, 3, 2))
    found = modules.evaluate(NUMBERS, [text, preprocessing.as_dict()])
    np.testing.assert_array_equal(np.asarray(found, np.float32), wanted.ravel())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "There are no numbers yet"),
        ("1,2,3", "3 numbers, but a sample has 6 (3 × 2)"),
        ("1,2,3,4,5,x", "not numbers separated by commas"),
        ("1,2,3,4,5,NaN", "not numbers separated by commas"),
        ("[1,2", "not a JSON array"),
        ('[1,2,3,4,5,"6"]', "not numbers"),
        ("1,2,3,4,5,99", "Values from 1 to 99, but this model takes raw values from 0 to 16"),
        ("0,0.5,1,0,0,0", "look scaled already"),
    ],
    ids=str,
)
def test_numbers_that_are_none(modules: Any, text: str, message: str) -> None:
    """What is wrong is said, with what would do."""
    preprocessing = preprocessing_for("unit", (3, 2), None, (0.0, 16.0), "pad")
    assert message in modules.evaluate(NUMBERS, [text, preprocessing.as_dict()])


def test_the_page_names_no_other_site() -> None:
    """Nothing in its files is loaded from elsewhere."""
    for name, content in files().items():
        text = content.decode().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text, name
        assert "https://" not in text, name
        assert "innerHTML" not in text, name


def test_the_licence_beside_litert_js() -> None:
    """The text that its package lacks is the one of its licence."""
    text = (Path(__file__).parents[2] / "dlkit" / "web" / "LICENSE-litert.txt").read_text()
    assert "Apache License" in text
