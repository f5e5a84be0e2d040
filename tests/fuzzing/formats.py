"""Ways to spoil recipes, tables, pictures and sounds so that they are still almost what they were.

As in `mutations`, a `random.Random` chooses.
"""

from __future__ import annotations

import json
import struct
import tomllib
import zlib
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from fuzzing.mutations import NUMBERS, other_value, spoiled_bytes

CELLS = (
    "", " ", "nan", "NaN", "inf", "-inf", "1e999", "-1e999", "1e-400", "1e38", "3.5e38", "1e308", "1_000", "0x10", "\0",
    "?", "a,b", '"', '"a', "١٢", "1" * 5000, "é", "−1", "1e", "--1", "\ufeff1", "\u2028", "\x0b", "True", "None", "-0",
)  # fmt: skip
DEEP = 3000


# --- TOML ---


def toml_of(table: dict[str, Any]) -> str:
    """Tables as TOML; what TOML has no word for (None) is left out."""
    lines: list[str] = []
    _write(lines, table, [])
    return "\n".join(lines) + "\n"


def _write(lines: list[str], table: dict[str, Any], path: list[str]) -> None:
    tables = {key: value for key, value in table.items() if isinstance(value, dict)}
    for key, value in table.items():
        if key not in tables and value is not None:
            lines.append(f"{_text(key)} = {_inline(value)}")
    for key, value in tables.items():
        lines.append(f"[{'.'.join(map(_text, [*path, key]))}]")
        _write(lines, value, [*path, key])


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(k)} = {_inline(v)}" for k, v in value.items() if v is not None) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_inline(v) for v in value if v is not None) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value) if abs(value) < 10**50 else "9" * 5000
    return repr(value) if isinstance(value, float) else _text(str(value))


def _text(text: str) -> str:
    return json.dumps(text.encode("utf-8", "replace").decode()).replace("\x7f", "\\u007f")


def spoiled_toml(chance: Random, content: bytes) -> bytes:
    """A TOML file with values of other kinds, keys that are there twice or not at all, or no TOML any more."""
    fault = chance.randrange(10)
    if fault == 0:
        return spoiled_bytes(chance, content)
    if fault == 1:
        return chance.choice(_BOMBS)(chance, content)
    table = tomllib.loads(content.decode())
    for _ in range(chance.choice((1, 1, 2, 3))):
        table = _changed(chance, table)
    text = toml_of(table) if isinstance(table, dict) else "= 1"
    if fault == 2:
        text = chance.choice(
            (text + text, "\ufeff" + text, text.replace("\n", "\r\n"), text.replace("\n", "\r"), text + "\0")
        )
    return text.encode("latin-1" if fault == 3 else "utf-8", "replace")


def _changed(chance: Random, value: Any, old_key: str = "") -> Any:
    if isinstance(value, dict) and value and chance.randrange(10):
        key = chance.choice(list(value))
        fault = chance.randrange(14)
        if fault == 0:
            return {k: v for k, v in value.items() if k != key}
        if fault == 1:
            return {**value, _wrong_key(chance, key): value[key]}
        if fault == 2:
            return {_wrong_key(chance, k) if k == key else k: v for k, v in value.items()}
        return {k: _changed(chance, v, k) if k == key else v for k, v in value.items()}
    if isinstance(value, list) and value and chance.randrange(6):
        place = chance.randrange(len(value))
        return [_changed(chance, v, old_key) if i == place else v for i, v in enumerate(value)]
    if isinstance(value, str) and chance.randrange(3):
        return chance.choice((
            value + "\0", "\0", "../" + value, "/dev/zero", "/dev/null", "/proc/self/mem", value * 300, value[:-1],
            value.upper(), "", ".", "/", "~", "x\ny", "x" * 300, "x.toml", "../../x.toml", "/dev/zero.toml", "*" * 200,
            "[" * 50, '"', "\t", "\u202e", "nan",
        ))  # fmt: skip
    return other_value(chance, value)


def tuned_toml(chance: Random, content: bytes) -> bytes:
    """A TOML file with one to three numbers, words or switches that are others of the same type."""
    table = tomllib.loads(content.decode())
    leaves = list(_leaves(table))
    for holder, key in chance.sample(leaves, min(len(leaves), chance.choice((1, 1, 2, 3)))):
        value = holder[key]
        if isinstance(value, bool):
            holder[key] = not value
        elif isinstance(value, int | float):
            holder[key] = chance.choice((*EXTREMES, value + 1, -value, 10 * value, 10_000 * value))
        elif isinstance(value, str):
            words = [word for other, name in leaves if isinstance(word := other[name], str)]
            holder[key] = chance.choice((*words, *WORDS))
    return toml_of(table).encode()


EXTREMES = (
    0, 1, -1, 2, 3, 0.5, 1e-9, 1e-320, 1e-45, 1e39, 1e308, -1e308, 2**31, 2**32, 2**53, 2**62, 2**63 - 1, -(2**63),
    float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
WORDS = (
    "none", "standard", "unit", "signed", "caffe", "torch", "lite", "crop", "stretch", "skip", "refuse", "mfcc",
    "log_mel", "peak", "lstm", "gru", "cnn", "ds_cnn", "vgg16", "digits", "chirps", "csv", "best", "balanced", "both",
    "sgd", "cpu", ".", "..", "/", "/dev/null", "/dev/zero", "t.csv", "d.npz", "photos", "\t", ";", "\n", '"', "*",
    "a\0b", "x" * 300,
)  # fmt: skip


def _leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    """Where values stand that are no tables or lists: what holds them, and their key or place in it."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(inner, dict | list):
            yield from _leaves(inner)
        else:
            yield value, key


def _wrong_key(chance: Random, key: str) -> str:
    return chance.choice((key + "x", key[:-1], "", "\0", key * 400, "a.b", "é", " ", "__class__", "x\ny"))


def _dotted(chance: Random, content: bytes) -> bytes:
    part = chance.choice((b"a", b'"a"', b"'b c'", b'""', b"a "))
    deep = b".".join([part] * chance.choice((40, DEEP, 4 * DEEP)))
    return content + chance.choice((b"\n[" + deep + b"]\n", b"\n" + deep + b" = 1\n", b"\nx = {" + deep + b" = 1}\n"))


_BOMBS: tuple[Callable[[Random, bytes], bytes], ...] = (
    _dotted,
    _dotted,
    lambda chance, content: content + b"\nx = " + b"[" * DEEP + chance.choice((b"", b"]" * DEEP)),
    lambda chance, content: content + b"\nx = " + b"[" * 90 + b"]" * 90,
    lambda chance, content: content + b"\nx = " + b"{a = " * DEEP,
    lambda chance, content: content + b"\n" + b"".join(b"k%d = 1\n" % i for i in range(10_000)),
    lambda chance, content: b"".join(b"k%d = 1\n" % i for i in range(10_000)) + content,
    lambda chance, content: content + b'\nx = "' + b"x" * 2**21 + b'"',
    lambda chance, content: content + b'\nx = "' + b"x" * 2**19 + b'"',
    lambda chance, content: content + b"\n" + b"[[a]]\n" * 10_000,
    lambda chance, content: content + b"\nx = " + b"9" * 5000,
    lambda chance, content: content + b"\nx = 0x" + b"9" * 5000,
    lambda chance, content: b"",
    lambda chance, content: b"\0" * 100,
)


# --- tables ---


def spoiled_table(chance: Random, content: bytes) -> bytes:
    """A table in text with cells, lines or separators that are not what they were."""
    fault = chance.randrange(8)
    if fault == 0:
        return spoiled_bytes(chance, content)
    text = content.decode()
    separator = "\t" if "\t" in text else ","
    lines = [line.split(separator) for line in text.splitlines()]
    for _ in range(chance.choice((1, 1, 2, 5))):
        row = chance.choice(lines)
        place = chance.randrange(len(row)) if row else 0
        change = chance.randrange(8)
        if change < 5 and row:
            row[place] = chance.choice(CELLS)
        elif change == 5 and row:
            del row[place]
        elif change == 6:
            row.insert(place, chance.choice(CELLS))
        else:
            lines.insert(chance.randrange(len(lines) + 1), chance.choice((row, [], [""], ["\0"], ["x"] * 3)))
    if fault == 1:
        lines = [chance.choice(lines)] * chance.choice((0, 1, 2, 500))
    ending = chance.choice(("\n", "\n", "\n", "\r\n", "\r", "\n\n"))
    text = ending.join((chance.choice((";", "|", " ", "\t")) if fault == 2 else separator).join(row) for row in lines)
    if fault == 3:
        text = chance.choice(("\ufeff", "\0", '"', "\n" * 1000, "#")) + text
    if fault == 4:
        head, _, rest = text.partition(ending)
        text = separator.join(f"n{i}" for i in range(5000)) + ending + rest + head
    return text.encode(chance.choice(("utf-8", "utf-8", "utf-8", "utf-16", "latin-1")), "replace")


# --- chunks: PNG, RIFF (WAV, WebP) ---


def spoiled_riff(chance: Random, content: bytes) -> bytes:
    """A RIFF file with chunks that lie about their length, are there twice, in another order or not at all."""
    if chance.randrange(4) == 0:
        return spoiled_bytes(chance, content)
    chunks: list[tuple[bytes, int, bytes]] = []
    place = 12
    while place + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, place)
        chunks.append((name, size, content[place + 8 : place + 8 + size]))
        place += 8 + size + size % 2
    for _ in range(chance.choice((1, 1, 2))):
        chunks = _chunks_changed(chance, chunks, _wav_format if content[8:12] == b"WAVE" else spoiled_bytes)
    body = b"".join(
        struct.pack("<4sI", name, size % 2**32) + data + b"\0" * (len(data) % 2) for name, size, data in chunks
    )
    if chance.randrange(6) == 0:
        body = body[: chance.randrange(len(body) + 1)]
    length = 4 + len(body) if chance.randrange(4) else chance.choice(NUMBERS[:17]) % 2**32
    return b"RIFF" + struct.pack("<I", length) + content[8:12] + body


def _wav_format(chance: Random, data: bytes) -> bytes:
    """The chunk of a WAV file's format with another number in one of its fields; others are spoiled."""
    if len(data) not in (16, 18, 40):
        return spoiled_bytes(chance, data)
    place, form, numbers = chance.choice((
        (0, "<H", (0, 1, 2, 3, 6, 7, 0x11, 0x55, 0xFFFE, 0xFFFF)),
        (2, "<H", (0, 1, 2, 3, 255, 256, 32767, 65535)),
        (4, "<I", (0, 1, 999, 1000, 1001, 7919, 44100, 383_999, 384_000, 384_001, 2**31, 2**32 - 1)),
        (8, "<I", (0, 1, 2**32 - 1)),
        (12, "<H", (0, 1, 2, 3, 4, 8, 65535)),
        (14, "<H", (0, 1, 4, 7, 8, 12, 16, 20, 24, 32, 64, 65535)),
    ))  # fmt: skip
    number = chance.choice(numbers)
    found = data[:place] + struct.pack(form, number) + data[place + struct.calcsize(form) :]
    if place in (2, 14) and chance.randrange(2):  # with a block that agrees, so that it is a format after all
        _, channels, _, _, _, bits = struct.unpack_from("<HHIIHH", found)
        found = found[:12] + struct.pack("<H", channels * bits // 8 % 2**16) + found[14:]
    return found


def _chunks_changed(
    chance: Random, chunks: list[tuple[bytes, int, bytes]], spoil: Callable[[Random, bytes], bytes]
) -> list[tuple[bytes, int, bytes]]:
    if not chunks:
        return chunks
    place = chance.randrange(len(chunks))
    name, size, data = chunks[place]
    fault = chance.randrange(9)
    if fault == 0:
        chunks = chunks[:place] + chunks[place + 1 :]
    elif fault == 1:
        chunks = [*chunks, (name, size, data)]
    elif fault == 2:
        chunks = [chunks[place], *chunks[:place], *chunks[place + 1 :]]
    elif fault == 3:
        lie = chance.choice((0, 1, size - 1, size + 1, 2 * size, 2**16, 2**31 - 1, 2**31, 2**32 - 1, len(data) // 2))
        chunks = [*chunks[:place], (name, lie, data), *chunks[place + 1 :]]
    elif fault == 4:
        chunks = [
            *chunks[:place],
            (chance.choice((b"LIST", b"\0\0\0\0", b"fmt ", b"data", b"JUNK")), size, data),
            *chunks[place + 1 :],
        ]
    else:
        data = spoil(chance, data)
        chunks = [*chunks[:place], (name, len(data), data), *chunks[place + 1 :]]
    return chunks


def spoiled_floats(chance: Random, content: bytes) -> bytes:
    """A WAV file of 64-bit floats with numbers that are none, or so large or small that sums of them are none."""
    head, data = content[:44], bytearray(content[44:])
    for _ in range(chance.randint(1, 6)):
        value = chance.choice((float("nan"), float("inf"), 1e308, -1e308, 1.79e308, 5e-324, 1e-310, 1e200, 0.0))
        place = 8 * chance.randrange(len(data) // 8)
        count = chance.choice((1, 2, 100))
        data[place : place + 8 * count] = struct.pack("<d", value) * min(count, len(data) // 8 - place // 8)
    return head + bytes(data)


def spoiled_png(chance: Random, content: bytes) -> bytes:
    """A PNG whose chunks are spoiled and bear the right CRC again."""
    if chance.randrange(5) == 0:
        return spoiled_bytes(chance, content)
    chunks: list[tuple[bytes, int, bytes]] = []
    place = 8
    while place + 12 <= len(content):
        size, name = struct.unpack_from(">I4s", content, place)
        chunks.append((name, size, content[place + 8 : place + 8 + size]))
        place += 12 + size
    if not chunks:
        return spoiled_bytes(chance, content)
    fault = chance.randrange(6)
    if fault == 0 and len(chunks[0][2]) == 13:  # another size or kind of pixels than there are
        head = bytearray(chunks[0][2])
        at, numbers = chance.choice((
            (0, (0, 1, 2, 65535, 9459, 2**20, 2**31 - 1, 2**31, 2**32 - 1)),
            (4, (0, 1, 2, 65535, 9459, 2**20, 2**31 - 1, 2**31, 2**32 - 1)),
        ))  # fmt: skip
        struct.pack_into(">I", head, at, chance.choice(numbers))
        if chance.randrange(2):
            head[8:10] = bytes((chance.choice((1, 2, 4, 8, 16, 32)), chance.choice((0, 2, 3, 4, 6, 7))))
        chunks[0] = (b"IHDR", 13, bytes(head))
    elif fault == 1:
        extra = chance.choice((
            (b"zTXt", b"k\0\0" + zlib.compress(bytes(2**24))),
            (b"iTXt", b"k\0\1\0\0\0" + zlib.compress(bytes(2**24))),
            (b"iCCP", b"k\0\0" + zlib.compress(bytes(2**24))),
            (b"tEXt", b"k\0" + b"x" * 100_000),
            (b"tRNS", bytes(300)),
            (b"PLTE", bytes(3 * 256)),
            (b"PLTE", b"\1"),
            (b"acTL", struct.pack(">II", 2**31, 0)),
            (b"fcTL", bytes(26)),
            (b"eXIf", b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"),
            (b"eXIf", b"II*\0" + b"\xff" * 60),
            (b"gAMA", b"\0\0\0\0"),
            (b"pHYs", b""),
            (b"cHRM", b"\0"),
        ))  # fmt: skip
        chunks.insert(chance.randint(1, len(chunks)), (extra[0], len(extra[1]), extra[1]))
    elif fault == 2:
        chunks = [
            (name, size, zlib.compress(bytes(chance.choice((0, 10, 2**22))))) if name == b"IDAT" else (name, size, data)
            for name, size, data in chunks
        ]
        chunks = [(name, len(data), data) for name, _, data in chunks]
    else:
        chunks = _chunks_changed(chance, chunks, spoiled_bytes)
    return content[:8] + b"".join(
        struct.pack(">I4s", size % 2**32, name) + data + struct.pack(">I", zlib.crc32(name + data))
        for name, size, data in chunks
    )


def spoiled_tiff(chance: Random, content: bytes) -> bytes:
    """A TIFF with another number in one of the entries of its first directory."""
    if chance.randrange(4) == 0 or content[:2] != b"II":
        return spoiled_bytes(chance, content)
    found = bytearray(content)
    at = struct.unpack_from("<I", found, 4)[0]
    if at + 2 > len(found):
        return spoiled_bytes(chance, content)
    count = struct.unpack_from("<H", found, at)[0]
    for _ in range(chance.choice((1, 1, 2))):
        entry = at + 2 + 12 * chance.randrange(max(1, count))
        field, form = chance.choice(((0, "<H"), (2, "<H"), (4, "<I"), (8, "<I"), (8, "<I"), (8, "<I")))
        if entry + field + struct.calcsize(form) <= len(found):
            number = chance.choice(
                (*NUMBERS[:17], 3, 4, 5, 7, 8, 16, 32946, 32773, 34712, 9459, 65535, 256, 322, 323, 324)
            )
            struct.pack_into(form, found, entry + field, number % 2 ** (8 * struct.calcsize(form)))
    return bytes(found)
