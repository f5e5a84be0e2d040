"""Pieces of C source: identifiers, strings and arrays that are valid whatever a model or a class is called."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.finishing._c_source.steps import C_TYPES

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH = 112
LONGEST_NAME = 40


def identifier(name: str) -> str:
    """A prefix of identifiers like `name`: letters, digits and _, no digit or _ first.

    >>> identifier("digits-8×8"), identifier("2 fast"), identifier("…")
    ('digits_8_8', 'model_2_fast', 'model')
    """
    plain = re.sub(r"[^0-9a-z]+", "_", name.lower(), flags=re.ASCII).strip("_")[:LONGEST_NAME].rstrip("_")
    return plain if plain[:1].isalpha() else f"model_{plain}".rstrip("_")


def string(text: str) -> str:
    r"""A string literal of the text in UTF-8.

    What is not plainly printable is written as octal digits, three always, and so is ?, of which two begin a trigraph.

    >>> string('"ü"')
    '"\\042\\303\\274\\042"'
    """
    plain = {byte for byte in range(32, 127)} - set(b'"\\?%')
    return '"' + "".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in text.encode(errors="replace")) + '"'


def comment(text: str) -> str:
    """A text as it can stand in a comment: letters, digits and a few signs; others become _.

    >>> comment("a*/b")
    'a__b'
    """
    return re.sub(r"[^0-9A-Za-z ,.:;()_+-]", "_", text, flags=re.ASCII)


def array(name: str, values: NDArray[Any]) -> str:
    """A definition of an array that is private to its file."""
    flat = np.asarray(values).reshape(-1)
    return definition(f"static const {C_TYPES[flat.dtype.name]} {name}[{flat.size}]", [whole(n) for n in flat.tolist()])


def definition(declared: str, numbers: list[str]) -> str:
    """`declared` = {numbers}, in lines that are not too long."""
    whole_parts = ", ".join(part.replace(" ", "\0") for part in numbers)  # a line ends between two of them
    lines = textwrap.wrap(whole_parts, WIDTH - 4, break_long_words=False, break_on_hyphens=False)
    lines = [line.replace("\0", " ") for line in lines]
    return f"{declared} = {{\n" + "".join(f"    {line}\n" for line in lines) + "};\n"


def whole(number: int) -> str:
    """A whole number of at most 32 bits; the lowest has no literal of its own."""
    return "(-2147483647 - 1)" if number == -(2**31) else str(number)


def real(number: float) -> str:
    """A float32, exactly."""
    return f"{float(np.float32(number)).hex()}f"
