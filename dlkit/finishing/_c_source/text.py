"""Arrays and numbers of C source; names and strings are those of `_c_text`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.finishing._c_source.steps import C_TYPES

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH = 112


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
