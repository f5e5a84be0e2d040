"""Ways to spoil a file: its bytes, JSON, zip archives, arrays of NumPy.

A `random.Random` chooses: in a test hypothesis hands one over (`st.randoms(use_true_random=False)`), whose choices it
makes simpler when it finds something; a long run makes its own of a seed.
"""

from __future__ import annotations

import functools
import io
import json
import pickle
import stat
import struct
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

BOMB_BYTES = 2**28 + 2**22
"""What a bomb unpacks to: more than a reader of a small file may take."""
NUMBERS = (
    0,
    -1,
    1,
    2,
    127,
    128,
    255,
    256,
    2**15,
    2**16,
    2**31 - 1,
    2**31,
    -(2**31),
    2**32 - 1,
    2**32,
    2**53,
    2**63 - 1,
    -(2**63),
    2**64,
    10**40,
    10**400,
)
FRACTIONS = (0.0, -0.0, 0.5, 1e-45, -1e308, 1.7976931348623157e308, float("nan"), float("inf"), float("-inf"))
TEXTS = (
    "",
    " ",
    "\0",
    "\n",
    "a" * 5000,
    "../x",
    "../../../../etc/passwd",
    "/etc/passwd",
    "C:\\x",
    "a/../b",
    ".",
    "..",
    "é",
    "e\u0301",
    "\ud800",
    "\u202e",
    "\x1b[31m",
    "NaN",
    "-1",
    "1e999",
    "__class__",
    "{}",
    "%s%n",
    "model.tflite",
    "manifest.json",
    "generation",
    "reconstruction",
    "forecasting",
    "classification",
    "saved_model",
    "step.tflite",
)
DEEP = 5000
"""More levels than Python follows by recursion."""


def spoiled_bytes(chance: Random, content: bytes) -> bytes:
    """`content` with one to four faults of its bytes."""
    for _ in range(chance.choice((1, 1, 2, 4))):
        content = chance.choice(_OF_BYTES)(chance, content)
    return content


def _bit(chance: Random, content: bytes) -> bytes:
    """Up to eight bits turned over."""
    found = bytearray(content)
    for _ in range(chance.randint(1, 8) if found else 0):
        found[chance.randrange(len(found))] ^= 1 << chance.randrange(8)
    return bytes(found)


def _run(chance: Random, content: bytes) -> bytes:
    """A run of bytes that are all the same."""
    start, count = _part(chance, content, 64)
    return (
        content[:start]
        + bytes([chance.choice((0, 0xFF, 0x7F, 0x80, 1, 0x20, 0x41))]) * count
        + content[start + count :]
    )


def _number(chance: Random, content: bytes) -> bytes:
    """A whole number of 2, 4 or 8 bytes written over what was there, at a place that is aligned or not."""
    form = chance.choice(("<H", "<i", "<I", "<I", "<q"))
    size = struct.calcsize(form)
    if len(content) < size:
        return content
    place = chance.randrange(len(content) - size + 1)
    place -= place % chance.choice((1, size))
    number = chance.choice((*NUMBERS[:17], len(content), len(content) - place, chance.getrandbits(32)))
    packed = struct.pack("<Q", number % 2**64)[:size]
    return content[:place] + packed + content[place + size :]


def _cut(chance: Random, content: bytes) -> bytes:
    """The beginning alone."""
    return content[: chance.randrange(len(content) + 1)]


def _removed(chance: Random, content: bytes) -> bytes:
    start, count = _part(chance, content, 4096)
    return content[:start] + content[start + count :]


def _doubled(chance: Random, content: bytes) -> bytes:
    start, count = _part(chance, content, 4096)
    return content[: start + count] + content[start:]


def _swapped(chance: Random, content: bytes) -> bytes:
    """Two parts in each other's place."""
    a, count = _part(chance, content, 512)
    b = chance.randrange(a + count, len(content) + 1)
    return content[:a] + content[b : b + count] + content[a + count : b] + content[a : a + count] + content[b + count :]


def _noise(chance: Random, content: bytes) -> bytes:
    start, count = _part(chance, content, 32)
    return content[:start] + bytes(chance.getrandbits(8) for _ in range(count)) + content[start + count :]


def _longer(chance: Random, content: bytes) -> bytes:
    """Bytes behind the end."""
    return content + bytes([chance.choice((0, 0xFF, 0x50))]) * chance.choice((1, 3, 22, 4096))


def _part(chance: Random, content: bytes, most: int) -> tuple[int, int]:
    """Where a part begins, and how long it is."""
    start = chance.randrange(len(content) + 1)
    return start, chance.randint(0, min(most, len(content) - start))


_OF_BYTES: tuple[Callable[[Random, bytes], bytes], ...] = (
    _bit,
    _bit,
    _run,
    _number,
    _number,
    _number,
    _cut,
    _removed,
    _doubled,
    _swapped,
    _noise,
    _longer,
)


def spoiled_json(chance: Random, content: bytes) -> bytes:
    """A JSON file that says something else: mostly still JSON, with one to three values of another kind."""
    if chance.randrange(10) == 0:
        return spoiled_bytes(chance, content)
    value = json.loads(content)
    for _ in range(chance.choice((1, 1, 2, 3))):
        value = _spoiled_value(chance, value)
    text = json.dumps(value)  # NaN and Infinity are written as Python reads them
    fault = chance.randrange(12)
    if fault == 0:
        text = text.replace("{", '{"format": 1, "sha256": {}, "name": 1, ', 1)  # keys that are there twice
    elif fault == 1 and value:
        text = text.replace("1", chance.choice(("1e999", "9" * 5000, "-0", "1E400", "01")), 1)
    elif fault == 2:
        text = chance.choice(
            ("[" * DEEP, '{"a":' * DEEP, "[" * DEEP + "]" * DEEP, "\ufeff" + text, text + text, "null")
        )
    return text.encode("utf-8", "surrogatepass")


def other_value(chance: Random, old: object = None) -> Any:
    """A value of JSON or TOML that is mostly not of the kind of `old`."""
    return chance.choice(
        (
            lambda: chance.choice(NUMBERS),
            lambda: chance.choice(FRACTIONS),
            lambda: chance.choice(TEXTS),
            lambda: chance.choice((None, True, False, [], {}, [[]], {"": {}}, [None], "")),
            lambda: [old],
            lambda: {"a": old},
            lambda: str(old)[:200],
            lambda: _nested(chance.choice((3, 100))),
            lambda: [old] * chance.choice((2, 1000)),
        )
    )()


def _nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def _spoiled_value(chance: Random, value: Any) -> Any:
    """`value` with one place in it changed, found by going down at random."""
    if isinstance(value, dict) and value and chance.randrange(8):
        key = chance.choice(list(value))
        fault = chance.randrange(12)
        if fault == 0:
            return {k: v for k, v in value.items() if k != key}
        if fault == 1:
            return {**value, chance.choice(TEXTS): value[key]}
        if fault == 2:
            return {(chance.choice(TEXTS) if k == key else k): v for k, v in value.items()}
        return {k: _spoiled_value(chance, v) if k == key else v for k, v in value.items()}
    if isinstance(value, list) and value and chance.randrange(8):
        place = chance.randrange(len(value))
        fault = chance.randrange(8)
        if fault == 0:
            return value[:place] + value[place + 1 :]
        if fault == 1:
            return [*value, *value]
        return [_spoiled_value(chance, v) if i == place else v for i, v in enumerate(value)]
    return other_value(chance, value)


def spoiled_zip(chance: Random, content: bytes) -> bytes:
    """A zip archive with a part that is not what it should be, or whose bytes are spoiled."""
    if chance.randrange(4) == 0:
        return spoiled_bytes(chance, content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = [(info.filename, archive.read(info)) for info in archive.infolist()]
    return chance.choice(_OF_ARCHIVES)(chance, parts)


Parts = list[tuple[str, bytes]]
"""Names and contents, in order."""


def zip_of(parts: Parts, *, packed: bool = False) -> bytes:
    """A zip archive of `parts`; names may be there twice."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
        for name, data in parts:
            info = zipfile.ZipInfo(name)
            info.compress_type = archive.compression
            archive.NameToInfo.pop(name, None)  # it would warn of a name that is there twice
            archive.writestr(info, data)
    return held.getvalue()


def _one(chance: Random, parts: Parts, change: Callable[[str, bytes], Parts]) -> Parts:
    place = chance.randrange(len(parts)) if parts else 0
    return [
        new for i, (name, data) in enumerate(parts) for new in (change(name, data) if i == place else [(name, data)])
    ]


def _inside(chance: Random, parts: Parts) -> bytes:
    """The bytes of one part are spoiled, and its CRC is right."""

    def change(name: str, data: bytes) -> Parts:
        spoil = spoiled_npy if data.startswith(b"\x93NUMPY") else spoiled_bytes
        return [(name, spoil(chance, data))]

    return zip_of(_one(chance, parts, change), packed=chance.random() < 0.5)


def _named(chance: Random, parts: Parts) -> bytes:
    names = ("../x", "/tmp/x", "..\\x", "a/../../x", "", ".", "x" * 5000, "x\n", "é.npy", "x.npy/y.npy", "\0")
    return zip_of(_one(chance, parts, lambda _, data: [(chance.choice(names), data)]))


def _twice(chance: Random, parts: Parts) -> bytes:
    return zip_of(_one(chance, parts, lambda name, data: [(name, data), (name, spoiled_bytes(chance, data))]))


def _missing(chance: Random, parts: Parts) -> bytes:
    return zip_of(_one(chance, parts, lambda name, data: []))


def _bomb(chance: Random, parts: Parts) -> bytes:
    """One part of zeros, which unpacks to far more than it takes; as an array, or as nothing at all."""
    packed = bytearray(_zeros(chance.random() < 0.5))
    name = chance.choice(parts)[0] if parts else "x.npy"
    longest = name.encode()[:5].ljust(5, b"_")  # as long as the name in the archive that is kept
    return bytes(packed.replace(b"x.npy", longest if chance.random() < 0.5 else b"x.npy"))


@functools.cache
def _zeros(array: bool) -> bytes:
    held = io.BytesIO()
    with (
        zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x.npy", "w") as part,
    ):
        if array:
            part.write(npy_header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({BOMB_BYTES},), }}"))
        for _ in range(BOMB_BYTES // 2**22):
            part.write(bytes(2**22))
    return held.getvalue()


def _flagged(chance: Random, parts: Parts) -> bytes:
    """What the list of contents says of a part: encrypted, packed by a method that there is not, of another size."""
    found = bytearray(zip_of(parts))
    entry, at = b"PK\1\2", -1
    for _ in range(chance.randint(1, max(1, len(parts)))):
        if (later := found.find(entry, at + 1)) >= 0:
            at = later
    field, form, numbers = chance.choice(
        (
            (8, "<H", (1, 0x41, 0x2000, 0xFFFF)),
            (10, "<H", (1, 8, 9, 12, 14, 93, 99, 0xFFFF)),
            (16, "<I", (0, 2**32 - 1)),
            (20, "<I", (0, 1, 2**31, 2**32 - 2, 2**32 - 1)),
            (24, "<I", (0, 1, 2**31, 2**32 - 2, 2**32 - 1)),
            (28, "<H", (0, 1, 0xFFFF)),
            (42, "<I", (0, 1, 2**31, 2**32 - 2)),
        )
    )
    if at >= 0:
        struct.pack_into(form, found, at + field, chance.choice(numbers))
    return bytes(found)


def _link(chance: Random, parts: Parts) -> bytes:
    """A part that says it is a symbolic link, device or folder."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        place = chance.randrange(len(parts)) if parts else 0
        for i, (name, data) in enumerate(parts):
            info = zipfile.ZipInfo(name)
            if i == place:
                info.create_system = 3
                info.external_attr = (
                    chance.choice((stat.S_IFLNK, stat.S_IFCHR, stat.S_IFDIR, stat.S_IFIFO)) | 0o777
                ) << 16
                data = chance.choice((b"/etc/passwd", b"../../x", data))
            archive.writestr(info, data)
    return held.getvalue()


_OF_ARCHIVES: tuple[Callable[[Random, Parts], bytes], ...] = (
    _inside,
    _inside,
    _inside,
    _named,
    _twice,
    _missing,
    _bomb,
    _flagged,
    _flagged,
    _link,
)


def npy_header(text: str, version: tuple[int, int] = (1, 0)) -> bytes:
    """The beginning of a .npy file that says `text` of its array."""
    encoded = text.encode("utf-8", "surrogatepass") + b"\n"
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version == (1, 0) else "<I", len(encoded)) + encoded


def spoiled_npy(chance: Random, content: bytes) -> bytes:
    """A .npy file whose header says something else of the array, or whose bytes are spoiled."""
    if chance.randrange(3) == 0 or not content.startswith(b"\x93NUMPY\1\0"):
        return spoiled_bytes(chance, content)
    length = struct.unpack_from("<H", content, 8)[0]
    header, data = content[10 : 10 + length].decode("latin1").strip(), content[10 + length :]
    return chance.choice(_OF_ARRAYS)(chance, header, data)


def _shape(chance: Random, header: str, data: bytes) -> bytes:
    shapes = (
        "(1000000000000,)",
        "(-1,)",
        "(0,)",
        "()",
        "(2**40,)",
        "(9999999999999999999999,)",
        "(1,)" * 2,
        "(True,)",
        "(1.5,)",
        "(None,)",
        "('a',)",
        "(65536, 65536, 65536)",
        "(0, 9223372036854775807)",
        "[1, 2]",
        "(1,) * 9",
    )
    head, _, rest = header.partition("'shape': (")
    return (
        npy_header(f"{head}'shape': {chance.choice((*shapes, '(' + '1, ' * 70 + ')'))}{rest.partition(')')[2]}") + data
    )


def _dtype(chance: Random, header: str, data: bytes) -> bytes:
    kinds = (
        "'|O'",
        "'<f8'",
        "'<c16'",
        "'<U9'",
        "'|S1000000000'",
        "'<M8[ns]'",
        "'|V2147483647'",
        "[('a', '<f4')]",
        "'x'",
        "1",
        "'>f4'",
        "'<f2'",
        "'|b1'",
        "'|V0'",
        "None",
        "('<f4', (1000, 1000, 1000))",
        "[('a', '|O')]",
    )
    head, _, rest = header.partition("'descr': ")
    return npy_header(f"{head}'descr': {chance.choice(kinds)}{rest[rest.find(',') :]}") + data


def _text(chance: Random, header: str, data: bytes) -> bytes:
    texts = (
        "",
        "{}",
        "1",
        "{" * 900,
        "(" * 5000,
        "'a' * 9**9",
        "__import__('os')",
        "{'descr': '|u1'}",
        header + header,
        header.replace("False", "True"),
        header.replace("False", "2"),
        header + " " * 60000,
        "[" * 150,
    )
    return npy_header(chance.choice(texts)) + data


def _version(chance: Random, header: str, data: bytes) -> bytes:
    return npy_header(header, chance.choice(((1, 0), (2, 0), (3, 0), (4, 0), (255, 255)))) + data


def pickled(chance: Random, header: str, data: bytes) -> bytes:
    """An array of objects, which Python would have to run to read; this one would raise if it ran."""
    kept = pickle.dumps(_Raises())
    text = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    return chance.choice((kept, npy_header(text) + kept))


class _Raises:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return exec, ("raise SystemExit('a pickle was run')",)


_OF_ARRAYS: tuple[Callable[[Random, str, bytes], bytes], ...] = (
    _shape,
    _shape,
    _dtype,
    _dtype,
    _text,
    _version,
    pickled,
)
