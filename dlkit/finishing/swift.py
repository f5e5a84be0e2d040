"""swift: an iPhone app's class for the file, to be pasted: shapes, scales, preprocessing, labels, a check of its own.

It uses the pod TensorFlowLiteSwift, whose tensors have no int8: Tensor.DataType of tensorflow/lite/swift/Sources/
Tensor.swift, so that `copy(_:toInputAt:)` throws invalidTensorDataType for one. Files with float, uint8 or int16 inputs
and outputs run, whatever is inside.
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

DTYPES = frozenset({"float32", "uint8", "int16", "int32", "int64"})


def make(given: Finishing) -> Finished:
    """The class, and its samples."""
    phone = phone_of(given, DTYPES)
    words = {
        "class": phone.kind,
        "samples": str(phone.count),
        "constants": "\n".join(f"    {line}".rstrip() for line in _constants(phone)),
        "answers": next(iter(phone.outputs.values()))["answers"],
        "resize": next(iter(given.inputs.values())).resize,
        "normal": ", ".join((given.manifest.get("anomaly") or {}).get("normal", ())),
    }
    steps = f"""\
1. model.tflite of the bundle, samples.bin of this folder and this file go into the app's target in Xcode.
2. In the Podfile: use_frameworks!, and pod 'TensorFlowLiteSwift'; the code is for iOS 13 or later, Swift 5.7.
3. let model = try {phone.kind}(); assert(try model.selfCheck() == nil)"""
    code = head(phone, "TensorFlow Lite on iOS", steps) + "\n" + filled("_model.swift", phone, words)
    files = {f"ios/{phone.kind}.swift": code.encode(), "ios/samples.bin": phone.samples}
    return Finished(files, (f"ios/{phone.kind}.swift was not compiled and not run on a phone",))


def literal(text: str) -> str:
    r"""A string of Swift.

    >>> literal('\\(1) "one"')
    '"\\\\(1) \\"one\\""'
    """
    return escaped(text, '\\"', "\\u{{{:x}}}")


def _constants(phone: Phone) -> Iterator[str]:
    """Static members of the class."""
    for name, ends in (("inputs", phone.inputs), ("outputs", phone.outputs)):
        rows = [phone.kind + _end(key, end) for key, end in ends.items()]
        yield from _array(f"public static let {name}: [{phone.kind}End]", rows)
    preparations = [phone.kind + _preparation(phone.given.inputs[name]) for name in phone.inputs]
    yield from _array(f"public static let preparations: [{phone.kind}Preparation]", preparations)
    tolerances = ", ".join(float32(end["tolerance"]) for end in phone.outputs.values())
    yield f"private static let tolerances: [Float] = [{tolerances}]"
    if "classification" in phone.parts:
        yield from _array("public static let labels: [String]", list(map(literal, phone.given.labels)))
    if "conditional" in phone.parts:
        names = map(literal, phone.given.manifest["conditions"])
        yield from _array("public static let conditions: [String]", list(names))
    if "anomaly" in phone.parts:
        yield f"public static let threshold = {float(phone.given.manifest['anomaly']['threshold'])!r}"
    if "forecasting" in phone.parts and phone.forecast:
        yield f"private static let forecastFeatures = {features(phone.forecast)}"
        yield from _doubles("forecast", phone.forecast)
    if "picture" in phone.parts and phone.picture:
        yield from _picture(phone.picture)


def _end(name: str, end: dict[str, Any]) -> str:
    size = math.prod(end["shape"])
    return (
        f'End(name: {literal(name)}, dtype: "{end["dtype"]}", size: {size}, scale: {float32(end["scale"])}, '
        f"zeroPoint: {end['zero_point']})"
    )


def _preparation(preprocessing: Preprocessing) -> str:
    low, reach = span(preprocessing)
    height, width, channels = image_size(preprocessing)
    scale, offset = (", ".join(map(float32, numbers)) for numbers in (preprocessing.scale, preprocessing.offset))
    bgr = str(preprocessing.color == "bgr").lower()
    return (
        f"Preparation(scale: [{scale}], offset: [{offset}], features: {features(preprocessing)}, bgr: {bgr}, "
        f"low: {float32(low)}, span: {float32(reach)}, height: {height}, width: {width}, channels: {channels}, "
        f'resize: "{preprocessing.resize}")'
    )


def _picture(picture: Preprocessing) -> Iterator[str]:
    height, width, channels = image_size(picture)
    low, high = picture.raw_range
    yield f"public static let pictureHeight = {height}"
    yield f"public static let pictureWidth = {width}"
    yield f"public static let pictureChannels = {channels}"
    yield f"private static let pictureBGR = {str(picture.color == 'bgr').lower()}"
    yield f"private static let pictureLow = {float(low)!r}"
    yield f"private static let pictureSpan = {float(high - low)!r}"
    yield from _doubles("picture", picture)


def _doubles(name: str, preprocessing: Preprocessing) -> Iterator[str]:
    for kind, numbers in (("Scale", preprocessing.scale), ("Offset", preprocessing.offset)):
        yield f"private static let {name}{kind}: [Double] = [{', '.join(repr(float(number)) for number in numbers)}]"


def _array(declared: str, rows: list[str]) -> Iterator[str]:
    yield f"{declared} = ["
    yield from (f"    {row}," for row in rows)
    yield "]"


SWIFT = Finish("swift", "the Swift class", make)
