"""`dlkit predict` of what is no classifier: pictures of a generator, errors of an auto-encoder; of a stand-in model."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from as_files import npy
from PIL import Image

from dlkit.bundle import loading
from dlkit.bundle.making import MOST_MADE
from dlkit.errors import DataError
from dlkit.runtime.dtypes import TensorFormat
from dlkit.runtime.named_ends import NamedEnds
from dlkit.runtime.pictures import GAP_PIXELS, SHOWN_PIXELS, pixels_of, png_grid
from dlkit.runtime.preprocessing import preprocessing_for

SIGNED = {"shape": [8, 8, 1], "image": [8, 8, 1], "raw_range": [0.0, 255.0], "color": "grey", "resize": "pad"}
SIGNED |= {"scale": [2 / 255], "offset": [-1.0]}
NOISE = {"shape": [4], "image": None, "raw_range": [-8.0, 8.0], "color": "grey", "resize": "crop"}
NOISE |= {"scale": [1.0], "offset": [0.0]}


class StandIn(NamedEnds):
    """Halves images; makes 8×8 images of four numbers."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.inputs = {"image" if len(shape) == 3 else "noise": TensorFormat("x", (1, *shape), "float32", 0.0, 0)}
        self.outputs = {"output": TensorFormat("y", (1, 8, 8, 1), "float32", 0.0, 0)}
        self._name = "the stand-in"

    def run_named(self, batch: Mapping[str, Any], advance: object = None) -> dict[str, Any]:
        [x] = batch.values()
        self._checked(batch)
        made = x / 2 if x.ndim == 4 else np.tanh(np.repeat(x, 16, axis=1)).reshape(-1, 8, 8, 1)
        return {"output": np.asarray(made, np.float32)}

    def set_inputs(self, sample: Mapping[str, Any]) -> None:
        raise NotImplementedError

    def invoke(self) -> None:
        raise NotImplementedError


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def autoencoder(bundle: Path, vouch: Callable, monkeypatch: pytest.MonkeyPatch, place: Path) -> Path:
    """A bundle whose model halves its input."""
    (bundle / "labels.txt").write_text("")
    vouch(bundle, task="reconstruction")
    monkeypatch.setattr(loading, "open_model", lambda model, threads: StandIn((8, 8, 1)))
    return bundle


@pytest.fixture
def generator(bundle: Path, vouch: Callable, monkeypatch: pytest.MonkeyPatch, place: Path) -> Path:
    """A bundle whose model makes 8×8 images of four numbers."""
    (bundle / "labels.txt").write_text("")
    vouch(bundle, task="generation", picture=SIGNED, inputs={"noise": {"preprocessing": NOISE}})
    monkeypatch.setattr(loading, "open_model", lambda model, threads: StandIn((4,)))
    return bundle


@pytest.fixture
def conditional(bundle: Path, vouch: Callable, monkeypatch: pytest.MonkeyPatch, place: Path) -> Path:
    """A bundle whose model makes 8×8 images of a number and one of three classes."""
    (bundle / "labels.txt").write_text("")
    inputs = {"noise": {"preprocessing": NOISE}}
    vouch(bundle, task="generation", picture=SIGNED, inputs=inputs, conditions=["cat", "dog", "owl"])
    monkeypatch.setattr(loading, "open_model", lambda model, threads: StandIn((4,)))
    return bundle


def opened(path: Path) -> Image.Image:
    return Image.open(io.BytesIO(path.read_bytes()))


# --- pictures ---


@pytest.mark.parametrize("mode", ["unit", "signed", "lite", "caffe", "torch"])
def test_pixels_are_what_preprocessing_was_given(mode: str) -> None:
    """In colour, the order of a network's channels undone."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3)).astype(np.uint8)
    preprocessing = preprocessing_for(mode, (4, 5, 3), (4, 5, 3), (0.0, 255.0), "pad")
    assert np.array_equal(pixels_of(preprocessing.apply(pixels), preprocessing), pixels)


def test_pixels_of_other_raw_values_fill_the_range_of_a_png() -> None:
    """Rows of an image among them; what is beyond the ends is cut off there."""
    preprocessing = preprocessing_for("unit", (2, 2), (2, 2, 1), (0.0, 16.0), "pad")
    values = np.array([[[0.0, 1.0], [-0.5, 1.5]]], np.float32)
    assert pixels_of(values, preprocessing)[0, ..., 0].tolist() == [[0, 255], [0, 255]]


def test_what_is_no_image_has_no_pixels() -> None:
    """And the line says what to write instead."""
    preprocessing = preprocessing_for("none", (5,), None, (0.0, 1.0), "pad")
    with pytest.raises(DataError, match=r"samples of 5 numbers are no images; .*: --output NAME\.npy"):
        pixels_of(np.zeros((2, 5), np.float32), preprocessing)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_a_grid_is_as_wide_as_high(channels: int, mode: str) -> None:
    """Small images are enlarged; each is where it belongs, a gap around it."""
    images = np.zeros((9, 8, 8, channels), np.uint8)
    images[5] = 255
    picture = Image.open(io.BytesIO(png_grid(images)))
    cell = SHOWN_PIXELS + GAP_PIXELS
    assert (picture.mode, picture.size) == (mode, (3 * cell + GAP_PIXELS, 3 * cell + GAP_PIXELS))
    white = np.argwhere(np.asarray(picture.convert("L")) == 255)
    assert (white.min(axis=0) // cell).tolist() == [1, 2]
    assert len(white) == SHOWN_PIXELS**2


def test_large_images_keep_their_size() -> None:
    """One alone has a grid of one."""
    picture = Image.open(io.BytesIO(png_grid(np.zeros((1, 100, 60, 1), np.uint8))))
    assert picture.size == (60 + 2 * GAP_PIXELS, 100 + 2 * GAP_PIXELS)


# --- generators ---


def test_a_generator_needs_no_input(dlkit, generator: Path, place: Path) -> None:
    """64 images, in a file called like the model."""
    said = dlkit("predict", generator)
    assert (said.code, said.out, said.err) == (0, "wrote digits-tiny.png: 64 images of noise (seed 0)\n", "")
    side = 8 * (SHOWN_PIXELS + GAP_PIXELS) + GAP_PIXELS
    assert opened(place / "digits-tiny.png").size == (side, side)


def test_the_same_seed_makes_the_same_bytes(dlkit, generator: Path, place: Path) -> None:
    """Another seed makes others."""
    for name, seed in (("a.png", "1"), ("b.png", "1"), ("c.png", "2")):
        dlkit("predict", generator, "--count", "5", "--seed", seed, "--output", name)
    a, b, c = ((place / name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert a == b
    assert a != c


def test_a_generator_takes_noise_that_is_given(dlkit, generator: Path, place: Path) -> None:
    """And writes numbers where the file is called so, in the network's range."""
    noise = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    (place / "noise.npy").write_bytes(npy(noise))
    said = dlkit("predict", generator, "noise.npy", "--output", "made.npy", "--json")
    assert json.loads(said.out) == {"output": "made.npy", "images": 3, "seed": None}
    made = np.load(place / "made.npy")
    assert made.shape == (3, 8, 8, 1)
    assert np.allclose(made[:, 0, 0, 0], np.tanh(noise[:, 0]))


def test_the_check_alone_writes_nothing(dlkit, generator: Path, place: Path, monkeypatch) -> None:
    """It is not asked for images."""
    monkeypatch.setattr(loading.Bundle, "check", lambda self, threads: (3, 0.0, 0.1))
    assert dlkit("predict", generator, "--check").out.startswith("check passed: 3 samples")
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["noise.npy", "--count", "3"], 2, "--count is of noise that is drawn, but noise.npy is given; leave one out"),
        (["--output", "made.gif"], 1, "--output made.gif: call it NAME.png or, for the numbers themselves, NAME.npy"),
        (["--output", "there.png"], 1, "there.png exists already; add --force to replace it"),
        (["--count", str(MOST_MADE + 1)], 1, f"at most {MOST_MADE}: --count {MOST_MADE}"),
        (["--seed", "-1"], 2, "Invalid value for '--seed': -1 is not in the range 0<=x<=4294967295"),
    ],
)
def test_what_a_generator_refuses(
    dlkit, generator: Path, place: Path, arguments: list[str], code: int, message: str
) -> None:
    """One line, and nothing is written."""
    (place / "there.png").write_bytes(b"mine")
    said = dlkit("predict", generator, *arguments)
    assert (said.code, said.out) == (code, "")
    assert message in said.err.splitlines()[-1]
    assert [(path.name, path.read_bytes()) for path in place.iterdir()] == [("there.png", b"mine")]


def test_force_replaces_a_picture(dlkit, generator: Path, place: Path) -> None:
    """As of other files."""
    (place / "digits-tiny.png").write_bytes(b"old")
    assert dlkit("predict", generator, "--force").code == 0
    assert opened(place / "digits-tiny.png").format == "PNG"


# --- generators that are told a class ---


def columns_of(made: np.ndarray) -> np.ndarray:
    """(N, 4) what the stand-in was given, of what it made."""
    return np.arctanh(made[:, ::2, 0, 0])


def test_a_picture_has_a_class_in_each_row(dlkit, conditional: Path, place: Path) -> None:
    """Ten of each, unless a number is given."""
    said = dlkit("predict", conditional)
    wanted = "wrote digits-tiny.png: 10 images of each of 3 classes (cat, dog, owl) of noise (seed 0)\n"
    assert (said.code, said.out, said.err) == (0, wanted, "")
    cell = SHOWN_PIXELS + GAP_PIXELS
    assert opened(place / "digits-tiny.png").size == (10 * cell + GAP_PIXELS, 3 * cell + GAP_PIXELS)


def test_each_class_is_told_with_the_same_noise(dlkit, conditional: Path, place: Path) -> None:
    """One-hot, behind it; in the order in which they are named, once each."""
    arguments = ("--count", "2", "--output", "made.npy", "--json")
    said = dlkit("predict", conditional, "--class", "owl", "--class", "cat", "--class", "owl", *arguments)
    assert json.loads(said.out) == {"output": "made.npy", "images": 4, "seed": 0, "classes": ["owl", "cat"]}
    given = columns_of(np.load(place / "made.npy"))
    clipped = np.minimum(given[:, 1:], 1.0)  # far beyond it tanh has no inverse in float32
    assert clipped == pytest.approx(np.array([[0, 0, 1], [0, 0, 1], [1, 0, 0], [1, 0, 0]], np.float32), abs=1e-6)
    assert given[:2, 0].tolist() == given[2:, 0].tolist()
    assert given[0, 0] != given[1, 0]


def test_one_class_alone_fills_a_square(dlkit, conditional: Path, place: Path) -> None:
    """There is no other to be beside."""
    said = dlkit("predict", conditional, "--class", "dog", "--count", "9")
    assert said.out == "wrote digits-tiny.png: 9 images of class dog of noise (seed 0)\n"
    side = 3 * (SHOWN_PIXELS + GAP_PIXELS) + GAP_PIXELS
    assert opened(place / "digits-tiny.png").size == (side, side)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--class", "dgo"], 1, "is told no class of that name; did you mean 'dog'?"),
        (
            ["noise.npy", "--class", "dog"],
            2,
            "--class is of noise that is drawn, but noise.npy is given; leave one out",
        ),
        (["--count", "4000"], 1, "4000 images of each of 3 classes are more than are made at once; at most 3333"),
    ],
)
def test_what_a_conditional_generator_refuses(
    dlkit, conditional: Path, place: Path, arguments: list[str], code: int, message: str
) -> None:
    """One line, and nothing is written."""
    said = dlkit("predict", conditional, *arguments)
    assert (said.code, said.out) == (code, "")
    assert message in said.err.splitlines()[-1]
    assert list(place.iterdir()) == []


def test_no_other_generator_is_told_a_class(dlkit, generator: Path, place: Path) -> None:
    """Said, not passed over."""
    said = dlkit("predict", generator, "--class", "7")
    assert (said.code, said.out) == (1, "")
    assert "--class is for generators that are told a class, and digits-tiny/cpu-int8 is none; leave it" in said.err


@pytest.mark.parametrize("conditions", ["cat", [1, 2], ["a", "b", "c", "d"], {"a": 1}])
def test_a_manifest_with_broken_classes_is_refused(
    dlkit, conditional: Path, vouch: Callable, conditions: object
) -> None:
    """Also where its input has no room for them beside noise."""
    vouch(conditional, conditions=conditions)
    said = dlkit("predict", conditional, "--check")
    assert (said.code, said.out) == (1, "")
    assert "is not a dlkit manifest, or is corrupt; export the bundle again" in said.err


# --- auto-encoders ---


def test_an_autoencoder_says_its_error(dlkit, autoencoder: Path, digit: np.ndarray, place: Path) -> None:
    """Of each sample against itself, in the network's range, and writes a picture of both."""
    (place / "two.npy").write_bytes(npy(np.stack([digit, digit // 2])))
    said = dlkit("predict", autoencoder, "two.npy")
    errors = [float(np.mean((x / 16.0 / 2) ** 2)) for x in (digit, digit // 2)]
    lines = [f"two.npy[{i}]  error {e:.5f}  PSNR {-10 * np.log10(e):.2f} dB\n" for i, e in enumerate(errors)]
    assert (said.code, said.out) == (0, f"{''.join(lines)}wrote digits-tiny.png\n")
    first = np.asarray(opened(place / "digits-tiny.png"))[GAP_PIXELS : GAP_PIXELS + SHOWN_PIXELS, GAP_PIXELS:]
    given, made = first[:, :SHOWN_PIXELS].astype(int), first[:, SHOWN_PIXELS : 2 * SHOWN_PIXELS].astype(int)
    assert given.max() == 255
    assert np.abs(given - 2 * made).max() <= 1


def test_an_autoencoders_errors_as_json(dlkit, autoencoder: Path, digit: np.ndarray, place: Path) -> None:
    """Standard output is one JSON value; the numbers go where they are wanted."""
    (place / "two.npy").write_bytes(npy(digit))
    said = dlkit("predict", autoencoder, "two.npy", "--json", "--output", "again.npy")
    error = float(np.mean((digit / 16.0 / 2) ** 2))
    assert json.loads(said.out) == [
        {
            "input": "two.npy",
            "mean_squared_error": pytest.approx(error),
            "psnr_db": pytest.approx(-10 * np.log10(error)),
        }
    ]
    assert said.err == "wrote again.npy\n"
    assert np.allclose(np.load(place / "again.npy"), digit[np.newaxis] / 32.0)


def test_an_autoencoder_needs_an_input(dlkit, autoencoder: Path) -> None:
    """Also where a file to write is named."""
    for arguments in ([], ["--output", "x.png"], ["--check", "--output", "x.png"]):
        said = dlkit("predict", autoencoder, *arguments)
        assert said.code == 2
        assert f"a folder, or -: dlkit predict {autoencoder} INPUT; see" in said.err


@pytest.fixture
def detector(autoencoder: Path, vouch: Callable, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same with a threshold."""
    vouch(autoencoder, task="reconstruction", anomaly={"normal": ["2"], "threshold": 0.03})
    return autoencoder


def test_a_detector_says_what_is_beyond_its_threshold(dlkit, detector: Path, digit: np.ndarray, place: Path) -> None:
    """Exit code 0 either way, and no picture that was not asked for."""
    (place / "two.npy").write_bytes(npy(np.stack([digit, digit // 2])))
    said = dlkit("predict", detector, "two.npy")
    high, low = (float(np.mean((x / 16.0 / 2) ** 2)) for x in (digit, digit // 2))
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        f"two.npy[0]  score {high:.5f}  beyond 0.03000: anomaly",
        f"two.npy[1]  score {low:.5f}  within 0.03000: normal",
    ]
    assert [path.name for path in place.iterdir()] == ["two.npy"]


def test_a_detectors_scores_as_json(dlkit, detector: Path, digit: np.ndarray, place: Path) -> None:
    """Score, threshold and verdict; a picture where one is asked for."""
    (place / "two.npy").write_bytes(npy(digit))
    [answer] = json.loads(dlkit("predict", detector, "two.npy", "--json", "--output", "x.png").out)
    score = pytest.approx(float(np.mean((digit / 16.0 / 2) ** 2)))
    assert answer == {"input": "two.npy", "score": score, "threshold": 0.03, "anomaly": True}
    assert opened(place / "x.png").format == "PNG"


def test_the_library_gives_the_same_scores(detector: Path, digit: np.ndarray) -> None:
    """One a sample, to be held against the threshold."""
    bundle = loading.load_bundle(detector)
    assert bundle.scores(np.stack([digit] * 2)).tolist() == [pytest.approx(np.mean((digit / 32.0) ** 2))] * 2
    assert bundle.detector == loading.Detector(("2",), 0.03)


def test_a_classifier_has_no_scores_of_that_kind(tiny_bundle: Path, digit: np.ndarray) -> None:
    """It gives nothing again."""
    with pytest.raises(DataError, match=r"gives nothing again, so there is no error; its task is 'classification'"):
        loading.load_bundle(tiny_bundle).scores(digit[np.newaxis])


def test_evaluating_a_detector_on_a_folder(dlkit, detector: Path, digit_png: bytes, place: Path) -> None:
    """The normal class is called like it, others as they like; the dark image has the smaller error."""
    for name, factor in (("2", 0.5), ("scratched", 1.0)):
        (place / name).mkdir()
        pixels = np.asarray(Image.open(io.BytesIO(digit_png))).astype(np.float64) * factor
        Image.fromarray(np.round(pixels).astype(np.uint8)).save(place / name / "a.png")
    said = dlkit("evaluate", detector, "--data", place, "--quiet")
    assert said.out == (
        f"auc on 2 samples ({place.name}/)\nexported   1.0000\n"
        "threshold  0.03000\nbeyond it  0.0000 of the normal samples, 1.0000 of the others\n"
    )
    (place / "scratched" / "a.png").unlink()
    (place / "scratched").rmdir()
    said = dlkit("evaluate", detector, "--data", place, "--quiet")
    assert (said.code, said.out) == (1, "")
    assert said.err.endswith("needs a folder of images called 2 and one called otherwise\n")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--count", "3"), "--count is for generators, and digits-tiny/cpu-int8 is none; leave it out"),
        (("--class", "3"), "--class is for generators, and digits-tiny/cpu-int8 is none; leave it out"),
        (("--output", "x.png"), "--output is for generators and auto-encoders, and digits-tiny/cpu-int8 is none"),
    ],
)
def test_a_classifier_makes_nothing(dlkit, tiny_bundle: Path, place: Path, option: tuple[str, str], message: str):
    """Said before its inputs are read."""
    said = dlkit("predict", tiny_bundle, "x.png", *option)
    assert (said.code, said.out) == (2, "")
    assert message in said.err


@pytest.mark.parametrize("picture", ["grey", {"shape": [8]}, SIGNED | {"scale": ["a"]}])
def test_a_manifest_with_a_broken_picture_is_refused(dlkit, bundle: Path, vouch: Callable, picture: object) -> None:
    """Like every other part of it."""
    vouch(bundle, picture=picture)
    said = dlkit("predict", bundle, "--check")
    assert (said.code, said.out) == (1, "")
    assert "is not a dlkit manifest, or is corrupt; export the bundle again" in said.err
