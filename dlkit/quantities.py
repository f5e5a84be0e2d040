"""Bytes, large numbers and shapes, for people."""

from __future__ import annotations

from collections.abc import Sequence


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
