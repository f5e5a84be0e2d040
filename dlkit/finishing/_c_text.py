"""Names, numbers and texts as C and C++ read them alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np

BYTES_A_LINE = 20
C_TYPES = {"int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "int32": "int32_t", "float32": "float"}
"""numpy's name of what a tensor holds → C's."""


def identifier(name: str) -> str:
    """A name that C takes, from that of a model: letters and digits of ASCII, and _ between.

    >>> identifier("digits-tiny"), identifier("3d")
    ('digits_tiny', 'm3d')
    """
    kept = re.sub(r"[^0-9A-Za-z]+", "_", name).strip("_").lower()
    return kept if kept[:1].isalpha() else f"m{kept}"


def camel(name: str) -> str:
    """A type's name, from an identifier.

    >>> camel("digits_tiny")
    'DigitsTiny'
    """
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def float_literal(value: float) -> str:
    """The shortest literal that C reads as this number of 32 bits.

    >>> float_literal(0.1), float_literal(16), float_literal(1e-5)
    ('0.1f', '16.0f', '1e-05f')
    """
    return f"{np.float32(value) + np.float32(0)!s}f"  # so that there is no -0.0


def int_literal(value: int) -> str:
    """A whole number; a negative one in brackets, as it stands in a macro."""
    return f"({value})" if value < 0 else str(value)


def listed(values: Iterable[str]) -> str:
    """An initializer: {1, 8, 8, 1}."""
    return f"{{{', '.join(values)}}}"


def string_literal(text: str) -> str:
    r"""A string constant that holds the text in UTF-8.

    Everything but plain ASCII is written as octal: hexadecimal has no end in C. So is ?, of which two begin a trigraph.

    >>> string_literal('né "?"')
    '"n\\303\\251 \\042\\077\\042"'
    """
    plain = (chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in text.encode())
    return f'"{"".join(plain)}"'


def comment(text: str) -> str:
    """What may stand in a comment: on one line of plain ASCII, without what begins or ends one."""
    plain = text.encode("ascii", "backslashreplace").decode("ascii").replace("\\", "/")
    return re.sub(r"\s+", " ", plain).replace("*/", "* /").replace("/*", "/ *")


def byte_lines(content: bytes) -> Iterator[str]:
    """The bytes as numbers with a comma behind each, some to a line."""
    for start in range(0, len(content), BYTES_A_LINE):
        yield " ".join(f"{byte}," for byte in content[start : start + BYTES_A_LINE])
