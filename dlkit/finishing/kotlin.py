"""kotlin: an Android app's class for the file, to be pasted: shapes, scales, preprocessing, labels, a check of its own.

It uses org.tensorflow.lite.InterpreterApi, which takes every dtype by its bytes; the CompiledModel of LiteRT 2 writes
floats, int8, int32 and booleans alone (litert/kotlin/…/TensorBuffer.kt). The versions of LiteRT that have it for the
processor are those of developers.google.com/edge/litert/android: 1.x, and 2.1 or later.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from dlkit.finishing import Finish, Finished, Finishing
from dlkit.finishing._phones import (
    Phone,
    escaped,
    features,
    filled,
    float32,
    head,
    image_size,
    phone_of,
    span,
)
from dlkit.runtime.preprocessing import Preprocessing

DTYPES = frozenset({"float32", "int8", "uint8", "int16", "int32", "int64"})
LITERT = "2.1.0"
"""The first of LiteRT 2 with InterpreterApi."""


def make(given: Finishing) -> Finished:
    """The class, and its samples."""
    phone = phone_of(given, DTYPES)
    words = {
        "class": phone.kind,
        "samples": str(phone.count),
        "constants": "\n".join(f"        {line}".rstrip() for line in _constants(phone)),
        "answers": next(iter(phone.outputs.values()))["answers"],
        "resize": next(iter(given.inputs.values())).resize,
        "normal": ", ".join((given.manifest.get("anomaly") or {}).get("normal", ())).replace("*/", "* /"),
    }
    steps = f"""\
1. model.tflite of the bundle and samples.bin of this folder go into app/src/main/assets.
2. This file goes among your sources; change its package to yours.
3. In app/build.gradle.kts:
     android {{ androidResources {{ noCompress += "tflite" }} }}
     dependencies {{ implementation("com.google.ai.edge.litert:litert:{LITERT}") }}   // or later
4. {phone.kind}.fromAssets(context).use {{ check(it.selfCheck({phone.kind}.samples(context)) == null) }}"""
    code = head(phone, "LiteRT on Android", steps) + "\n" + filled("_model.kt", phone, words)
    files = {f"android/{phone.kind}.kt": code.encode(), "android/samples.bin": phone.samples}
    return Finished(files, (f"android/{phone.kind}.kt was not compiled and not run on a phone",))


def literal(text: str) -> str:
    r"""A string of Kotlin: $ begins a template there.

    >>> literal('5 $ "off"')
    '"5 \\$ \\"off\\""'
    """
    return escaped(text, '\\"$', "\\u{:04x}")


def _constants(phone: Phone) -> Iterator[str]:
    """Lines of the companion object."""
    for name, ends in (("INPUTS", phone.inputs), ("OUTPUTS", phone.outputs)):
        yield f"val {name} = listOf("
        rows = [_end(key, end) for key, end in ends.items()]
        yield from _joined(rows)
        yield ")"
    yield "val PREPARATIONS = listOf("
    yield from _joined([_preparation(phone.given.inputs[name]) for name in phone.inputs])
    yield ")"
    tolerances = ", ".join(f"{float32(end['tolerance'])}f" for end in phone.outputs.values())
    yield f"private val TOLERANCES = floatArrayOf({tolerances})"
    if "classification" in phone.parts:
        yield from _strings("LABELS", phone.given.labels)
    if "conditional" in phone.parts:
        yield from _strings("CONDITIONS", phone.given.manifest["conditions"])
    if "anomaly" in phone.parts:
        yield f"const val THRESHOLD = {float(phone.given.manifest['anomaly']['threshold'])!r}"
    if "forecasting" in phone.parts and phone.forecast:
        yield f"private const val FORECAST_FEATURES = {features(phone.forecast)}"
        yield from _doubles("FORECAST", phone.forecast)
    if "picture" in phone.parts and phone.picture:
        yield from _picture(phone.picture)


def _end(name: str, end: dict[str, Any]) -> str:
    size = math.prod(end["shape"])
    return f'End({literal(name)}, "{end["dtype"]}", {size}, {float32(end["scale"])}f, {end["zero_point"]})'


def _preparation(preprocessing: Preprocessing) -> str:
    low, reach = span(preprocessing)
    height, width, channels = image_size(preprocessing)
    scale, offset = (_floats(numbers) for numbers in (preprocessing.scale, preprocessing.offset))
    bgr = str(preprocessing.color == "bgr").lower()
    return (
        f"Preparation({scale}, {offset}, {features(preprocessing)}, {bgr}, {float32(low)}f, {float32(reach)}f, "
        f'{height}, {width}, {channels}, "{preprocessing.resize}")'
    )


def _floats(numbers: tuple[float, ...]) -> str:
    return f"floatArrayOf({', '.join(f'{float32(number)}f' for number in numbers)})"


def _picture(picture: Preprocessing) -> Iterator[str]:
    height, width, channels = image_size(picture)
    low, high = picture.raw_range
    yield f"const val PICTURE_HEIGHT = {height}"
    yield f"const val PICTURE_WIDTH = {width}"
    yield f"const val PICTURE_CHANNELS = {channels}"
    yield f"private const val PICTURE_BGR = {str(picture.color == 'bgr').lower()}"
    yield f"private const val PICTURE_LOW = {float(low)!r}"
    yield f"private const val PICTURE_SPAN = {float(high - low)!r}"
    yield from _doubles("PICTURE", picture)


def _doubles(name: str, preprocessing: Preprocessing) -> Iterator[str]:
    for kind, numbers in (("SCALE", preprocessing.scale), ("OFFSET", preprocessing.offset)):
        yield f"private val {name}_{kind} = doubleArrayOf({', '.join(repr(float(number)) for number in numbers)})"


def _strings(name: str, texts: tuple[str, ...]) -> Iterator[str]:
    yield f"val {name} = listOf("
    yield from _joined([literal(text) for text in texts])
    yield ")"


def _joined(rows: list[str]) -> Iterator[str]:
    """Indented, with a comma behind all but the last: older Kotlin takes none there."""
    for number, row in enumerate(rows, start=1):
        yield f"    {row}{',' if number < len(rows) else ''}"


KOTLIN = Finish("kotlin", "the Kotlin class", make)
