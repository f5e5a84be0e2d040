"""Whether every offset in a .tflite file leads to a place inside it, held against the tables of its schema.

The readers that flatc writes for Python trust what they find, and the package `flatbuffers` has no verifier. After this
check a field that is read is one that is there. Options of operations are tables of more than a hundred kinds; most
hold nothing but numbers, and it is enough that they are whole.
"""

from __future__ import annotations

import struct

# Fields in the order of tensorflow/lite/schema/schema.fbs: a number is how many bytes it has, "s" a string, "[4" a
# vector of numbers of 4 bytes, "T" a table, "[T" a vector of tables, "?" one of several kinds that hold numbers.
TABLES = {
    "Model": "4 [OperatorCode [SubGraph s [Buffer [4 [Metadata [SignatureDef [ExternalBufferGroup [ExternalBuffer",
    "OperatorCode": "1 s 4 4",
    "SubGraph": "[Tensor [4 [4 [Operator s 4",
    "Tensor": "[4 1 4 s Quantization 1 Sparsity [4 1 [VariantSubType 4",
    "VariantSubType": "[4 1 1",
    "Quantization": "[4 [4 [4 [8 1 ? 4",
    "Sparsity": "[4 [4 [DimensionMetadata",
    "DimensionMetadata": "1 4 1 Numbers 1 Numbers",
    "Numbers": "[1",
    "Operator": "4 [4 [4 1 Options [1 1 [1 [4 8 8 1 ? 4",
    "Buffer": "[1 8 8",
    "Metadata": "s 4",
    "SignatureDef": "[TensorMap [TensorMap s 1 4",
    "TensorMap": "s 4",
    "ExternalBufferGroup": "s",
    "ExternalBuffer": "4 4 8 8 s",
    "ConcatEmbeddings": "4 [4 [4",
    "FullyConnected": "1 1 1 1 1 [1",
    "Vector": "[4",
    "VarHandle": "s s",
}
OPTIONS = {3: "ConcatEmbeddings", 8: "FullyConnected", 17: "Vector", 30: "Vector", 111: "VarHandle", 115: "Vector"}
"""Kinds of options with more than single numbers; 17 is Reshape, 30 Squeeze, 115 Bucketize."""
_FIELDS = {name: tuple(fields.split()) for name, fields in TABLES.items()}


def check_structure(content: bytes) -> None:
    """Raise ValueError unless a .tflite file given as bytes is a whole flatbuffer of its schema."""
    _Check(content).table(_u32(content, 0), "Model")


class _Check:
    """Goes through the tables of a file; an honest one has each once, so there are no more than its size allows."""

    def __init__(self, content: bytes) -> None:
        self._content, self._left = content, len(content) // 4

    def table(self, at: int, name: str) -> None:
        """The table at a place, and all below it."""
        offsets, size = self._offsets(at)
        for position, field in enumerate(_FIELDS[name]):
            if position >= len(offsets) or not (offset := offsets[position]):
                continue
            kind = field.lstrip("[")
            width = int(field) if field.isdigit() else 4
            if offset + width > size:
                raise ValueError("a field outside its table")
            if field.isdigit():
                continue
            place = at + offset
            target = place + _u32(self._content, place)
            if field.startswith("["):
                self._vector(target, kind)
            elif field == "s":
                self._numbers(target, 1)
            elif field == "?":
                self._offsets(target)
            elif field == "Options":
                self._options(target, self._content[at + offsets[position - 1]] if offsets[position - 1] else 0)
            else:
                self.table(target, kind)

    def _options(self, at: int, kind: int) -> None:
        if kind in OPTIONS:
            self.table(at, OPTIONS[kind])
        else:
            self._offsets(at)

    def _offsets(self, at: int) -> tuple[tuple[int, ...], int]:
        """Where the fields of a table are, from its place; 0 of one that is not there. And its size."""
        self._left -= 1
        if self._left < 0:
            raise ValueError("more tables than the file has room for")
        entries = at - _i32(self._content, at)
        length, size = _u16(self._content, entries), _u16(self._content, entries + 2)
        if length < 4 or length % 2 or entries + length > len(self._content):
            raise ValueError("a table without its list of fields")
        offsets = struct.unpack_from(f"<{length // 2 - 2}H", self._content, entries + 4)
        if size < 4 or at + size > len(self._content) or max(offsets, default=0) >= size:
            raise ValueError("a table outside the file")
        return offsets, size

    def _vector(self, at: int, kind: str) -> None:
        count = self._numbers(at, int(kind) if kind.isdigit() else 4)
        if kind.isdigit():
            return
        for place in range(at + 4, at + 4 + 4 * count, 4):
            self.table(place + _u32(self._content, place), kind)

    def _numbers(self, at: int, width: int) -> int:
        """How many are in the vector at a place."""
        count = _u32(self._content, at)
        if at + 4 + width * count > len(self._content):
            raise ValueError("a vector outside the file")
        return count


def _u16(content: bytes, at: int) -> int:
    return int(_unpacked("<H", content, at))


def _i32(content: bytes, at: int) -> int:
    return int(_unpacked("<i", content, at))


def _u32(content: bytes, at: int) -> int:
    return int(_unpacked("<I", content, at))


def _unpacked(form: str, content: bytes, at: int) -> int:
    if not 0 <= at <= len(content) - struct.calcsize(form):  # a negative place would be counted from the end
        raise ValueError("an offset outside the file")
    return int(struct.unpack_from(form, content, at)[0])
