"""Bytes, times, large numbers and shapes, as people write and read them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

_BYTES = {"": 1, "b": 1, "kb": 10**3, "kib": 2**10, "mb": 10**6, "mib": 2**20, "gb": 10**9, "gib": 2**30}
_MILLISECONDS = {"us": 1e-3, "µs": 1e-3, "μs": 1e-3, "ms": 1.0, "s": 1e3}
_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([^\W\d_]*)")


def size(count: int) -> str:
    """Bytes for people: 11,213 → "11.2 kB" (powers of 1000)."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def magnitude(count: int) -> str:
    """A large number for people, to at most four digits: 15,470,264,320 → "15.47 G"."""
    value, unit = float(count), ""
    for larger in (" k", " M", " G", " T"):
        if value < 999.95:
            break
        value, unit = value / 1000, larger
    digits = 0 if not unit else 2 if value < 99.995 else 1
    return f"{value:.{digits}f}{unit}"


def times(shape: Sequence[int]) -> str:
    """A shape for people: (8, 8, 1) → "8×8×1"."""
    return "×".join(str(n) for n in shape)


def bytes_of(text: str) -> int:
    """What "300KB" means: kB, MB and GB are powers of 1000, KiB, MiB and GiB of 1024; a bare number is bytes.

    >>> bytes_of("300KB"), bytes_of("1.5 MiB")
    (300000, 1572864)

    Raises:
        ValueError: it is no size, or none above 0.
    """
    return math.floor(_scaled(text, _BYTES, "size", "B, kB, KiB, MB, MiB, GB or GiB", "300kB"))


def milliseconds_of(text: str) -> float:
    """What "5ms" means, in milliseconds; the unit is never left out. Raises ValueError if it is no time above 0.

    >>> milliseconds_of("5ms"), milliseconds_of("250 us")
    (5.0, 0.25)
    """
    return _scaled(text, _MILLISECONDS, "time", "us, ms or s", "5ms")


def _scaled(text: str, units: Mapping[str, float], kind: str, known: str, example: str) -> float:
    found = _NUMBER.fullmatch(text.strip())
    unit = units.get(found[2].lower()) if found else None
    value = float(found[1]) * unit if found and unit else math.nan
    if not 0 < value < math.inf or value < min(units.values()):
        raise ValueError(f"{text!r} is no {kind}; give a number with {known}, such as {example}")
    return value
