"""Classes for phones: Kotlin is compiled and run beside stand-ins for Android, Swift is parsed; numbers are dlkit's."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from phone_code import finishing_of, heard, kotlin_says, numbers, parsed

from dlkit.bundle.loading import Bundle, load_bundle
from dlkit.errors import IllegalCombination
from dlkit.finishing import FINISHES, Finished, Finishing
from dlkit.finishing import kotlin as kotlin_step
from dlkit.finishing import swift as swift_step
from dlkit.finishing._phones import float32
from dlkit.runtime.dtypes import TensorFormat
from dlkit.runtime.pictures import pixels_of
from dlkit.runtime.preprocessing import preprocessing_for
from dlkit.targets import TARGETS

GOLDEN = Path(__file__).parents[1] / "golden"
NASTY = ("plain", 'quote "', "back\\slash", "$dollar ${x}", "\\(swift)", "line\nbreak", "tab\t", "bell\x07", "å 漢 🐕",
         "bidi \u202e", "*/", "//[if x]", "/*[class]*/", "")  # fmt: skip
"""Labels that would break out of a string, or out of the template."""


@pytest.fixture(scope="module")
def tiny(tiny_bundle: Path) -> Bundle:
    return load_bundle(tiny_bundle)


def as_float(given: Finishing) -> Finishing:
    """The same as if its ends were float, as ios takes them; the code is written, not run."""
    manifest = {**given.manifest}
    for key in ("inputs", "outputs"):
        manifest[key] = {n: {**end, "dtype": "float32", "scale": 0.0} for n, end in manifest[key].items()}
    return dataclasses.replace(given, manifest=manifest)


def code_of(made: Finished) -> str:
    [code] = [content.decode() for name, content in made.files.items() if not name.endswith(".bin")]
    return code


def both(bundle: Bundle, **changes: Any) -> dict[str, str]:
    """Language → the class for a bundle."""
    given = finishing_of(bundle, "android", **changes)
    return {"kotlin": code_of(kotlin_step.make(given)), "swift": code_of(swift_step.make(as_float(given)))}


@pytest.mark.parametrize("language", ["kotlin", "swift"])
def test_the_first_lines_say_that_it_was_not_compiled(tiny: Bundle, language: str) -> None:
    """Nobody is to take it for proven."""
    assert "NOT COMPILED and not run on a phone" in both(tiny)[language].splitlines()[1]


@pytest.mark.parametrize("language", ["kotlin", "swift"])
def test_it_is_the_language(tiny: Bundle, language: str) -> None:
    """Its grammar finds nothing wrong, and would: with a bracket less it does."""
    code = both(tiny)[language]
    assert parsed(code, language) == []
    assert parsed(code.replace("[it]", "[it", 1).replace("[0]", "[0", 1), language) != []


@pytest.mark.parametrize("language", ["kotlin", "swift"])
def test_nothing_of_the_template_is_left(tiny: Bundle, language: str) -> None:
    """No mark, and no part of other models."""
    code = both(tiny)[language]
    assert "/*[" not in code
    assert "//[" not in code
    assert not re.search(r"[Ff]orecast|noise|isAnomaly", code)


@pytest.mark.parametrize("language", ["kotlin", "swift"])
def test_labels_stay_inside_their_strings(tiny: Bundle, language: str) -> None:
    """Whatever is in them the code is of the language, and of ASCII or what can be seen."""
    code = both(tiny, labels=NASTY, name='x\n"; evil()')[language]
    assert parsed(code, language) == []
    assert "\nevil" not in code
    assert "\u202e" not in code
    assert "\x07" not in code


@pytest.mark.slow  # compiles Kotlin
@pytest.mark.full
def test_labels_of_a_phone_are_those_of_the_bundle(tiny: Bundle, tmp_path: Path) -> None:
    """Kotlin reads the same characters out of its strings."""
    record = heard(tiny, tiny.prepared(finishing_of(tiny, "android").samples))
    main = '    for (label in Classifier.LABELS) println(label.map { it.toInt() }.joinToString(" ", "."))'
    said = kotlin_says(both(tiny, labels=NASTY)["kotlin"], main, tmp_path / "k", record)
    units = [np.frombuffer(label.encode("utf-16-le"), "<u2") for label in NASTY]
    assert said == ["." + " ".join(map(str, each)) for each in units]


@pytest.mark.slow  # compiles Kotlin
def test_the_class_answers_as_litert_does(tiny: Bundle, tmp_path: Path) -> None:
    """It gives LiteRT the very bytes that dlkit gives it, reads its bytes alike, and its own check passes."""
    given = finishing_of(tiny, "android")
    made = kotlin_step.make(given)
    samples = np.load(tiny.folder / "samples.npz")
    raw = given.inputs["image"].raw_batch(samples["raw image"])
    main = """
    val model = Classifier(ByteBuffer.allocate(0))
    println(model.selfCheck(ByteBuffer.wrap(File(folder, "samples.bin").readBytes())))
    val raw = floats(File(folder, "raw.bin"))
    println(model.run(raw).toList())
    println(model.classify(raw, 1)[0].label)
    """
    files = ("samples.bin", made.files["android/samples.bin"]), ("raw.bin", raw[0].astype("<f4").tobytes())
    said = kotlin_says(code_of(made), main, tmp_path / "k", heard(tiny, tiny.prepared(given.samples)), *files)
    assert said[0] == "null"
    np.testing.assert_array_equal(numbers(said[1]), samples["output output"][0])
    assert said[2] == tiny.labels[int(samples["output output"][0].argmax())]


@pytest.mark.slow  # compiles Kotlin
@pytest.mark.full
def test_a_phone_that_answers_otherwise_is_found(tiny: Bundle, tmp_path: Path) -> None:
    """The class' own check names the sample, the output and both numbers."""
    given = finishing_of(tiny, "android")
    made = kotlin_step.make(given)
    content = bytearray(made.files["android/samples.bin"])
    content[4 * 64 : 4 * 65] = np.float32(0.75).tobytes()
    main = """
    val model = Classifier(ByteBuffer.allocate(0))
    println(model.selfCheck(ByteBuffer.wrap(File(folder, "samples.bin").readBytes())))
    """
    record = heard(tiny, tiny.prepared(given.samples))
    [said] = kotlin_says(code_of(made), main, tmp_path / "k", record, ("samples.bin", bytes(content)))
    assert re.fullmatch(r"sample 0: output 0 is [\d.E-]+, not 0\.75", said)


PICTURES = {(40, 31): 0, (5, 4): 0, (3, 60): 1, (14, 9): 0, (101, 2): 0}
"""Width and height → by how much Pillow may differ. The height of the tall one shrinks while its width grows: Pillow 13
begins with its columns, which rounds otherwise (python-pillow/Pillow, pull request 9549); others with the rows."""
FITTED = [
    (mode, size, resize)
    for mode, size in (("caffe", (9, 14, 3)), ("signed", (12, 7, 1)))
    for resize in ("crop", "pad", "stretch")
]
"""Preprocessing of networks: in colour, with its channels turned round, and in grey."""


def picture_pixels() -> list[np.ndarray]:
    """RGBA, every other one with transparent parts."""
    random = np.random.default_rng(3)
    made = [random.integers(0, 256, (height, width, 4), np.uint8) for width, height in PICTURES]
    for pixels in made[::2]:
        pixels[..., 3] = 255
    return made


@pytest.fixture(scope="module")
def fitted(tiny: Bundle, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """For each of FITTED, for each picture: what the class makes of it, raw and prepared; compiled once."""
    given = finishing_of(tiny, "android")
    preparations = [preprocessing_for(mode, size, size, (0.0, 255.0), resize) for mode, size, resize in FITTED]
    constants = ",\n".join(map(kotlin_step._preparation, preparations))
    code = re.sub(r"Preparation\(floatArrayOf.*", lambda _: constants, code_of(kotlin_step.make(given)))
    files = [(f"p{n}", pixels[..., [2, 1, 0, 3]].tobytes()) for n, pixels in enumerate(picture_pixels())]
    sizes = ", ".join(f"Pair({width}, {height})" for width, height in PICTURES)
    main = f"""
    val model = Classifier(ByteBuffer.allocate(0))
    for (kind in 0 until {len(FITTED)}) for ((n, size) in listOf({sizes}).withIndex()) {{
        val raw = model.rawOf(bitmap(File(folder, "p" + n), size.first, size.second), kind)
        println(raw.toList())
        println(Classifier.PREPARATIONS[kind].prepared(raw).toList())
    }}
    """
    folder = tmp_path_factory.mktemp("fitted")
    return kotlin_says(code, main, folder, heard(tiny, tiny.prepared(given.samples)), *files)


@pytest.mark.slow  # compiles Kotlin
@pytest.mark.full
@pytest.mark.parametrize("kind", range(len(FITTED)), ids=["-".join((mode, resize)) for mode, _, resize in FITTED])
def test_pictures_become_what_they_were_in_training(fitted: list[str], kind: int) -> None:
    """Larger, smaller and narrow ones, partly transparent: value for value as dlkit makes them by Pillow."""
    from PIL import Image

    mode, size, resize = FITTED[kind]
    preprocessing = preprocessing_for(mode, size, size, (0.0, 255.0), resize)
    lines = iter(fitted[2 * len(PICTURES) * kind :])
    for pixels, allowed in zip(picture_pixels(), PICTURES.values(), strict=True):
        raw = preprocessing.raw_image(Image.fromarray(pixels, "RGBA"), "test")
        for wanted in (raw, preprocessing.apply(raw[np.newaxis])[0]):
            assert np.abs(numbers(next(lines)).reshape(wanted.shape) - wanted).max() <= allowed


DTYPES = {"float32": (0.0, 0), "int8": (0.0123, -7), "uint8": (0.0123, 131), "int16": (0.0123, 0)}
"""dtype → scale, zero point."""


def reals(scale: float) -> np.ndarray:
    x = np.random.default_rng(0).normal(0, 2, 500).astype(np.float32)
    x[:6] = np.array([0.5, 1.5, 2.5, -0.5, 1e6, -1e6], np.float32) * np.float32(scale or 1)
    return x


@pytest.fixture(scope="module")
def stored(tiny: Bundle, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """For each of DTYPES: bytes of what is stored, and the real numbers that are read back; compiled once."""
    calls = [f'show("{dtype}", {float32(scale)}f, {zero})' for dtype, (scale, zero) in DTYPES.items()]
    main = """
    fun show(dtype: String, scale: Float, zero: Int) {
        val end = End("x", dtype, 500, scale, zero)
        val stored = end.stored(floats(File(folder, dtype)))
        println(List(stored.remaining()) { stored.get(it).toInt() })
        println(end.real(stored).toList())
    }
    """ + "\n".join(calls)
    files = [(dtype, reals(scale).tobytes()) for dtype, (scale, _) in DTYPES.items()]
    nothing = heard(tiny, {"image": np.empty((0, 8, 8, 1))})
    return kotlin_says(both(tiny)["kotlin"], main, tmp_path_factory.mktemp("stored"), nothing, *files)


@pytest.mark.slow  # compiles Kotlin
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_is_stored_and_read_as_dlkit_does(stored: list[str], dtype: str) -> None:
    """Halves to even, ends cut off; back to the same real numbers."""
    scale, zero = DTYPES[dtype]
    end = TensorFormat("x", (1, 500), dtype, scale, zero)
    wanted = end.quantize(reals(scale))
    bytes_, back = stored[2 * list(DTYPES).index(dtype) :][:2]
    assert bytes_ == str(list(map(int, np.frombuffer(wanted.tobytes(), np.int8))))
    np.testing.assert_array_equal(numbers(back), end.dequantize(wanted))


@pytest.mark.slow  # compiles Kotlin
@pytest.mark.full
def test_a_model_of_no_known_task(tiny: Bundle, tmp_path: Path) -> None:
    """It is run and checked, and claims nothing more."""
    codes = both(tiny, task="")
    given = finishing_of(tiny, "android", task="")
    main = """
    println(Model(ByteBuffer.allocate(0)).selfCheck(ByteBuffer.wrap(File(folder, "samples").readBytes())))
    """
    samples = kotlin_step.make(given).files["android/samples.bin"]
    record = heard(tiny, tiny.prepared(given.samples))
    assert kotlin_says(codes["kotlin"], main, tmp_path / "k", record, ("samples", samples)) == ["null"]
    assert parsed(codes["swift"], "swift") == []
    assert not any("classify" in code or "LABELS" in code.upper() for code in codes.values())


@pytest.mark.slow  # compiles Kotlin
@pytest.mark.full
def test_a_forecast_is_told_in_raw_values(tiny: Bundle, tmp_path: Path) -> None:
    """Each feature by its own scale, as dlkit tells it."""
    forecast = preprocessing_for("standard", (5, 2), None, (-10.0, 10.0), "pad", ((3.0, -1.0), (2.0, 0.25)))
    given = finishing_of(
        tiny, "android", task="forecasting", manifest={**tiny.manifest, "forecast": forecast.as_dict()}
    )
    made = kotlin_step.make(given)
    samples = np.load(tiny.folder / "samples.npz")
    main = """
    println(Forecaster(ByteBuffer.allocate(0)).forecast(floats(File(folder, "raw"))).toList())
    """
    raw = given.inputs["image"].raw_batch(samples["raw image"])[0].astype("<f4").tobytes()
    [said] = kotlin_says(code_of(made), main, tmp_path / "k", heard(tiny, tiny.prepared(given.samples)), ("raw", raw))
    wanted = forecast.raw_of(samples["output output"][0].reshape(5, 2))
    np.testing.assert_array_equal(numbers(said).reshape(5, 2), wanted)
    assert parsed(code_of(swift_step.make(as_float(given))), "swift") == []


@pytest.mark.slow  # compiles Kotlin
@pytest.mark.full
def test_a_generator_makes_pixels_of_a_class_that_it_is_told(tiny: Bundle, tmp_path: Path) -> None:
    """Noise stays in its range, the class is one-hot behind it, and pixels are dlkit's."""
    names = ["zero", "one", "two", "three"]
    picture = preprocessing_for("signed", (5, 2, 1), (5, 2, 1), (0.0, 255.0), "pad")
    manifest = {**tiny.manifest, "picture": picture.as_dict(), "conditions": names}
    given = finishing_of(tiny, "android", task="generation", manifest=manifest)
    raw = np.random.default_rng(0).integers(0, 17, 64).astype(np.float32)
    told = np.concatenate([raw[:-4], np.array([0, 0, 1, 0], np.float32)])
    network = tiny.prepared({"image": told.reshape(1, 8, 8, 1)})
    main = """
    val model = Generator(ByteBuffer.allocate(0))
    val noise = model.noise(java.util.Random(1))
    println(noise.all { it in 0f..16f } && noise.distinct().size > 8)
    val told = model.told(floats(File(folder, "raw")), "two")
    println(told.toList())
    println(model.pixels(told).toList())
    val bitmap = model.generate(told)
    val pixels = IntArray(10)
    bitmap.getPixels(pixels, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
    println(pixels.map { it and 255 })
    println(listOf(bitmap.width, bitmap.height))
    """
    said = kotlin_says(
        code_of(kotlin_step.make(given)), main, tmp_path / "k", heard(tiny, network), ("raw", raw.tobytes())
    )
    assert said[0] == "true"
    np.testing.assert_array_equal(numbers(said[1]), told)
    wanted = pixels_of(tiny.session().run(network["image"]).reshape(1, 5, 2, 1), picture)
    np.testing.assert_array_equal(numbers(said[2]), wanted.ravel())
    assert said[3:] == [said[2], "[2, 5]"]
    assert parsed(code_of(swift_step.make(as_float(given))), "swift") == []


@pytest.mark.parametrize("language", ["kotlin", "swift"])
def test_the_code_is_as_it_was(tiny: Bundle, language: str) -> None:
    """A snapshot, so that a change of a template shows as a difference; DLKIT_GOLDEN=write makes it anew."""
    import os

    file = GOLDEN / f"phone_{language}.txt"
    code = re.sub(r"Made by dlkit [\w.]+\.", "Made by dlkit.", both(tiny)[language])
    if os.environ.get("DLKIT_GOLDEN") == "write":
        file.write_text(code, encoding="utf-8")
    assert file.read_text(encoding="utf-8") == code


def test_ios_takes_no_int8_ends(tiny: Bundle) -> None:
    """Its interface has no such tensors; the message names a scheme that runs there."""
    with pytest.raises(IllegalCombination, match=r"ios's interface takes no int8.* use --scheme int8_float_io"):
        swift_step.make(finishing_of(tiny, "ios"))


def test_schemes_of_ios_have_no_int8_ends() -> None:
    """What its target offers can be made."""
    from dlkit.schemes import SCHEMES

    assert {SCHEMES[name].io for name in TARGETS["ios"].schemes} <= swift_step.DTYPES


def test_a_phone_runs_no_saved_model(tiny: Bundle, tmp_path: Path) -> None:
    """The step says so in place of writing code that cannot run."""
    with pytest.raises(IllegalCombination, match=r"a phone runs \.tflite files"):
        kotlin_step.make(finishing_of(tiny, "android", file=tmp_path))


def test_too_many_labels(tiny: Bundle) -> None:
    """More than a method of Java's machine holds are refused."""
    with pytest.raises(IllegalCombination, match="5001 labels"):
        kotlin_step.make(finishing_of(tiny, "android", labels=("x",) * 5001))


@pytest.mark.parametrize("name", ["kotlin", "swift"])
def test_the_steps_are_on_the_shelf(name: str) -> None:
    """A target of one's own may name them."""
    assert FINISHES[name].name == name
