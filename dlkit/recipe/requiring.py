"""What a value of a recipe is told that cannot be."""

from __future__ import annotations

from typing import Any


def require(holds: bool, key: str, part: Any, wanted: str) -> None:
    """Raise ValueError, with the dotted key, its value in `part` and what it must be, unless it `holds`."""
    if not holds:
        value = getattr(part, key.rpartition(".")[2])
        raise ValueError(f"{key} = {value!r} must be {wanted}")
