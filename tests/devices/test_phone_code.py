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
from dlkit.runtime.preprocessing import Preprocessing, preprocessing_for
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


def test_labels_of_a_phone_are_those_of_the_bundle(tiny: Bundle, tmp_path: Path) -> None:
    """Kotlin reads the same characters out of its strings."""
    record = heard(tiny, tiny.prepared(finishing_of(tiny, "android").samples))
    main = '    for (label in Classifier.LABELS) println(label.map { it.toInt() }.joinToString(" ", "."))'
    said = kotlin_says(both(tiny, labels=NASTY)["kotlin"], main, tmp_path / "k", record)
    units = [np.frombuffer(label.encode("utf-16-le"), "<u2") for label in NASTY]
    assert said == ["." + " ".join(map(str, each)) for each in units]


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


def image_model(mode: str, size: tuple[int, int, int], resize: str) -> Preprocessing:
    return preprocessing_for(mode, size, size, (0.0, 255.0), resize)


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
@pytest.mark.parametrize(("mode", "size"), [("caffe", (9, 14, 3)), ("signed", (12, 7, 1))], ids=["colour", "grey"])
def test_pictures_become_what_they_were_in_training(
    tiny: Bundle, tmp_path: Path, mode: str, size: tuple[int, int, int], resize: str
) -> None:
    """Larger, smaller and narrow ones, partly transparent: pixel for pixel as Pillow makes them.

    But for a tall one, whose height shrinks while its width grows: Pillow 13 begins with its columns, which rounds
    otherwise, by 1 (python-pillow/Pillow, pull request 9549); earlier ones begin with the rows of all.
    """
    from PIL import Image

    preprocessing = image_model(mode, size, resize)
    given = finishing_of(tiny, "android")
    code = code_of(kotlin_step.make(given))
    constants = kotlin_step._preparation(preprocessing)
    code = re.sub(r"Preparation\(floatArrayOf.*", lambda _: constants, code)
    random = np.random.default_rng(3)
    files: list[tuple[str, bytes]] = []
    calls, wanted = [], []
    for number, (width, height) in enumerate([(40, 31), (5, 4), (3, 60), (14, 9), (101, 2)]):
        pixels = random.integers(0, 256, (height, width, 4), np.uint8)
        if number % 2:
            pixels[..., 3] = 255
        files.append((f"p{number}", pixels[..., [2, 1, 0, 3]].tobytes()))
        calls.append(f'    show(bitmap(File(folder, "p{number}"), {width}, {height}))')
        raw = preprocessing.raw_image(Image.fromarray(pixels, "RGBA"), "test")
        wanted += [(raw, height == 60), (preprocessing.apply(raw[np.newaxis])[0], height == 60)]
    main = """
    val model = Classifier(ByteBuffer.allocate(0))
    fun show(bitmap: Bitmap) {
        val raw = model.rawOf(bitmap)
        println(raw.toList())
        println(Classifier.PREPARATIONS[0].prepared(raw).toList())
    }
    """ + "\n".join(calls)
    said = kotlin_says(code, main, tmp_path / "k", heard(tiny, tiny.prepared(given.samples)), *files)
    for line, (values, is_tall) in zip(said, wanted, strict=True):
        gap = np.abs(numbers(line).reshape(values.shape) - values).max()
        assert gap <= (1.001 if is_tall else 0)


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8", "int16"])
def test_every_dtype_is_stored_and_read_as_dlkit_does(tiny: Bundle, tmp_path: Path, dtype: str) -> None:
    """Halves to even, ends cut off; back to the same real numbers."""
    from dlkit.runtime.dtypes import TensorFormat

    scale, zero = (0.0, 0) if dtype == "float32" else (0.0123, {"int8": -7, "uint8": 131, "int16": 0}[dtype])
    x = np.random.default_rng(0).normal(0, 2, 500).astype(np.float32)
    x[:6] = np.array([0.5, 1.5, 2.5, -0.5, 1e6, -1e6], np.float32) * np.float32(scale or 1)
    end = TensorFormat("x", (1, 500), dtype, scale, zero)
    stored = end.quantize(x)
    main = f"""
    val end = End("x", "{dtype}", 500, {float32(scale)}f, {zero})
    val stored = end.stored(floats(File(folder, "x")))
    println(List(stored.remaining()) {{ stored.get(it).toInt() }})
    println(end.real(stored).toList())
    """
    code = both(tiny)["kotlin"]
    said = kotlin_says(code, main, tmp_path / "k", heard(tiny, {"image": np.empty((0, 8, 8, 1))}), ("x", x.tobytes()))
    assert said[0] == str(list(map(int, np.frombuffer(stored.tobytes(), np.int8))))
    np.testing.assert_array_equal(numbers(said[1]), end.dequantize(stored))


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
