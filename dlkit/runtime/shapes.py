"""Which operations take the shape of their result from a number they read, and so only know it at run time.

A runtime allocates its memory once for a file whose shapes are all known beforehand; microcontrollers and
delegates take no other.
"""

from __future__ import annotations

# Operation → places of the operands that give the result's shape; where they are constants, it is known.
_SHAPED_BY = {
    "BROADCAST_TO": (1,),
    "FILL": (0,),
    "MIRROR_PAD": (1,),
    "PAD": (1,),
    "PADV2": (1,),
    "RANGE": (0, 1, 2),
    "RESHAPE": (1,),
    "RESIZE_BILINEAR": (1,),
    "RESIZE_NEAREST_NEIGHBOR": (1,),
    "SLICE": (2,),
    "TILE": (1,),
    "TRANSPOSE_CONV": (0,),
}
_SHAPED_BY_DATA = {"UNIQUE", "WHERE"}
"""How many numbers they give depends on what they read."""


def known_beforehand(operation: str, constant: tuple[bool, ...]) -> bool:
    """Whether the shape of what `operation` gives is known, for operands of which these are constants."""
    if operation in _SHAPED_BY_DATA:
        return False
    return all(constant[place] for place in _SHAPED_BY.get(operation, ()) if place < len(constant))
