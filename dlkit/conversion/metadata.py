"""What a model's inputs and outputs mean, inside the .tflite file, in the field's standard form.

The form is `metadata_schema.fbs` of tensorflow/tflite-support (1.1.0; MediaPipe keeps it up, 1.5.0; file identifier
M001): a flatbuffer in the model's metadata under the name TFLITE_METADATA, which names files in the archive behind
the model. Android Studio, ML Kit, MediaPipe and the TFLite Task library read it. The numbers of slots below are the
schema's. tflite-support itself has had no release since 2023, so the few tables are packed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.conversion.grafting import graft
from dlkit.errors import ConversionError
from dlkit.runtime.preprocessing import ANY_NUMBER, Preprocessing
from dlkit.runtime.tensor_names import tensor_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

ENTRY = "TFLITE_METADATA"
LABELS_FILE = "labels.txt"
"""Name in the archive behind the model, see `making.append_files`."""
PARSER_VERSION = "1.0.0"
"""The oldest reader that knows all that is written here."""
_FEATURE, _IMAGE = 1, 2  # of ContentProperties
_NORMALIZATION = 1  # of ProcessUnitOptions
_TENSOR_AXIS_LABELS = 2  # of AssociatedFileType
# BGR has no number; a reader that took it for RGB would swap red and blue silently.
_COLOR_SPACES = {"rgb": 1, "grey": 2, "bgr": 0}


def add_metadata(
    tflite: Path, name: str, description: str, preprocessing: Mapping[str, Preprocessing], labels: Sequence[str]
) -> None:
    """Write the standard metadata into a .tflite file; `append_files` then adds the labels it names.

    Args:
        tflite: the file; it is replaced.
        name, description: of the model, to be read by people.
        preprocessing: of the inputs, by the name a signature gives them or by their tensor's.
        labels: of the classes; an output with as many numbers per position is said to have them.

    Raises:
        ConversionError: the file has no input of such a name.
    """
    inputs, outputs = tensor_names(tflite)
    missing = [key for key in preprocessing if not any(key in names for names, _ in inputs)]
    if missing:
        known = ", ".join(names[0] for names, _ in inputs)
        raise ConversionError(f"{tflite.name}: has no input {missing[0]!r}; it has {known}")
    graft(tflite, ENTRY, _packed(name, description, inputs, outputs, preprocessing, labels))


def normalization(preprocessing: Preprocessing) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(mean, deviation) per channel: network input = (x − mean) / deviation.

    x is a pixel 0…255 where the input is an image, a raw value otherwise. Raises ConversionError where the
    scale is 0 and no deviation does the same.
    """
    scale, offset = np.asarray(preprocessing.scale, np.float64), np.asarray(preprocessing.offset, np.float64)
    if not scale.all():
        raise ConversionError("a preprocessing that multiplies by 0 has no normalization")
    if _is_image(preprocessing):
        low, high = preprocessing.raw_range
        scale, offset = scale * (high - low) / 255, scale * low + offset
    return -offset / scale, 1 / scale


def _is_image(preprocessing: Preprocessing) -> bool:
    """Whether the input is an image as such, not the rows of one as a sequence."""
    return preprocessing.image is not None and preprocessing.image == preprocessing.shape


def _packed(
    name: str,
    description: str,
    inputs: Sequence[tuple[tuple[str, ...], tuple[int, ...]]],
    outputs: Sequence[tuple[tuple[str, ...], tuple[int, ...]]],
    preprocessing: Mapping[str, Preprocessing],
    labels: Sequence[str],
) -> bytes:
    """The flatbuffer of a ModelMetadata."""
    import flatbuffers

    pack = _Packer(flatbuffers.Builder(1024))
    prepared = [next((preprocessing[n] for n in names if n in preprocessing), None) for names, _ in inputs]
    graph = pack.table(
        {
            2: pack.list_of([_input(pack, names[0], p) for (names, _), p in zip(inputs, prepared, strict=True)]),
            3: pack.list_of([_output(pack, names[0], shape, labels) for names, shape in outputs]),
        }
    )
    model = pack.table(
        {0: pack.text(name), 1: pack.text(description), 3: pack.list_of([graph]), 7: pack.text(PARSER_VERSION)}
    )
    pack.builder.Finish(model, b"M001")
    return bytes(pack.builder.Output())


def _input(pack: _Packer, name: str, preprocessing: Preprocessing | None) -> int:
    """A TensorMetadata."""
    if preprocessing is None:
        return pack.table({0: pack.text(name), 3: _content(pack, _FEATURE, pack.table({}))})
    mean, deviation = normalization(preprocessing)
    low, high = preprocessing.raw_range
    ends = np.outer([low, high], preprocessing.scale) + np.asarray(preprocessing.offset, np.float64)  # (2, channels)
    ends = np.clip(ends, *ANY_NUMBER)  # of what has no range
    options = pack.table({0: pack.numbers(mean), 1: pack.numbers(deviation)})
    sound = preprocessing.sound
    # Readers know numbers of the last axis alone, and that of a sound may be its only channel.
    along_last = len(preprocessing.scale) == 1 or not sound or preprocessing.shape == sound.shape
    if _is_image(preprocessing):
        properties = pack.table({}, {0: _COLOR_SPACES[preprocessing.color]})
        content = _content(pack, _IMAGE, properties)
        description = f"{preprocessing.color.upper()} image; one of other proportions: {preprocessing.resize}"
    else:
        content = _content(pack, _FEATURE, pack.table({}))
        description = f"values from {low:g} to {high:g}"
        if sound:
            frames, features = sound.shape
            description = f"{frames} frames of {features} {sound.features} features of a sound, {description}"
    return pack.table(
        {
            0: pack.text(name),
            1: pack.text(description),
            3: content,
            **({4: pack.list_of([pack.table({1: options}, {0: _NORMALIZATION})])} if along_last else {}),
            5: pack.table({0: pack.numbers(ends.max(axis=0)), 1: pack.numbers(ends.min(axis=0))}),
        }
    )


def _output(pack: _Packer, name: str, shape: tuple[int, ...], labels: Sequence[str]) -> int:
    """A TensorMetadata."""
    parts = {0: pack.text(name), 3: _content(pack, _FEATURE, pack.table({}))}
    if labels and shape[-1:] == (len(labels),):
        said = pack.text("names of the classes, one a line")
        file = pack.table({0: pack.text(LABELS_FILE), 1: said}, {2: _TENSOR_AXIS_LABELS})
        parts[6] = pack.list_of([file])
    return pack.table(parts)


def _content(pack: _Packer, kind: int, properties: int) -> int:
    return pack.table({1: properties}, {0: kind})


class _Packer:
    """Parts of a flatbuffer; each method gives the offset of what it wrote."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def text(self, text: str) -> int:
        return int(self.builder.CreateString(text))

    def numbers(self, numbers: NDArray[np.float64]) -> int:
        return int(self.builder.CreateNumpyVector(numbers.astype(np.float32)))

    def list_of(self, offsets: Sequence[int]) -> int:
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return int(self.builder.EndVector())

    def table(self, parts: Mapping[int, int], small: Mapping[int, int] | None = None) -> int:
        """A table of offsets and of numbers of a byte, by slot."""
        small = small or {}
        self.builder.StartObject(max([*parts, *small], default=-1) + 1)
        for slot, offset in parts.items():
            self.builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
        for slot, number in small.items():
            self.builder.PrependUint8Slot(slot, number, 0)
        return int(self.builder.EndObject())
