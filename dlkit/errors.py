"""Every error dlkit raises on purpose.

DlkitError                  exit 1: the user can fix it; the text says what was found and what to type next
├── UnknownName             a network, dataset, scheme, target, recipe or key that does not exist
├── RecipeError             a recipe or target file that cannot be read as one
├── DataError               data that cannot be used: missing, empty, wrong shape, NaN
├── ModelFileError          a .keras, .tflite or bundle that is missing, corrupt or of the wrong kind
├── OutputError             a place that cannot be written, or that already holds something
├── ExtraMissing            an optional package that is not installed
├── TrainingError           training that went wrong: the loss is no longer a number
├── IllegalCombination      a scheme that the target or the network cannot have, with the nearest that can
├── ConversionError         the converter or quantizer failed, crashed or ran out of time
├── EndedBySystem           its process was killed, most likely for want of memory: the model need not be at fault
└── VerificationRefused     exit 3: the file was made, measured, found wanting and thrown away
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST_LINE = 1900
"""Of an error, in characters: a name or value in a file of a stranger may have millions."""


class DlkitError(Exception):
    """Base of all errors above; `str(error)` is one line for the user, whatever a file is called."""

    exit_code = 1

    def __str__(self) -> str:
        return shortened(printable(shortened(super().__str__(), 4 * LONGEST_LINE)), LONGEST_LINE)


class UnknownName(DlkitError):
    """A name that is not on its shelf; suggests near misses, never guesses."""

    def __init__(self, kind: str, name: str, known: Iterable[str], where: str = "") -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        prefix = f"{where}: " if where else ""
        super().__init__(f"{prefix}unknown {kind} {name!r}; {suggestion(name, self.known)}")


class RecipeError(DlkitError):
    """A TOML file that is not a valid recipe or target description."""


class DataError(DlkitError):
    """Data that cannot be used as it is."""


class ModelFileError(DlkitError):
    """A model file or bundle that cannot be read."""


class OutputError(DlkitError):
    """A destination that cannot be written or must not be overwritten."""


class ExtraMissing(DlkitError):
    """An optional package is not installed; the text holds the pip line."""


class TrainingError(DlkitError):
    """Training that went wrong in a way the recipe can mend."""


class IllegalCombination(DlkitError):
    """A scheme the target or the network cannot have."""


class ConversionError(DlkitError):
    """The converter or the quantizer did not produce a file."""


class EndedBySystem(DlkitError):
    """A process that worked on a model was killed; that says nothing of the model."""

    @classmethod
    def at(cls, work: str) -> EndedBySystem:
        """The error of a process that was at `work`."""
        return cls(
            f"{work} crashed (SIGKILL): the system ended it, most likely for want of memory; close other programs or "
            "use a smaller network"
        )


class VerificationRefused(DlkitError):
    """The exported file broke a promise; nothing was written."""

    exit_code = 3


def shortened(text: str, longest: int) -> str:
    """`text`, without its middle where it has more than `longest` characters.

    >>> shortened("abcdefghij", 6)
    'abcd…j'
    """
    if len(text) <= longest:
        return text
    end = longest // 4
    return f"{text[: longest - end - 1]}…{text[-end:]}"


def printable(text: str) -> str:
    r"""`text` on one line that a terminal shows as it is; control and undecodable characters are escaped.

    >>> printable("no\nsuch")
    'no\\nsuch'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def system_reason(error: OSError) -> str:
    """What the operating system refused, with the file if it named one: "photo.png: Permission denied"."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename else reason


LONGEST_NAME, MOST_COMPARED, MOST_NAMED = 200, 5000, 200
"""Of what names are compared with, and told: what is longer or more is of a stranger's file."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """A sentence with the nearest known names, or with all of them when none is near.

    Letters in the wrong order are nearer than other letters.

    >>> suggestion("vgg61", ["vgg11", "vgg16", "lstm"])
    "did you mean 'vgg16'?"
    """
    names = sorted(known)
    lowered = {n.lower(): n for n in names[:MOST_COMPARED] if len(n) <= LONGEST_NAME}
    name = name[:LONGEST_NAME]
    matches = difflib.get_close_matches(name.lower(), list(lowered), n=len(lowered) or 1, cutoff=0.6)
    swapped = [match for match in matches if sorted(match) == sorted(name.lower())]
    near = [lowered[match] for match in (swapped or matches)[:3]]
    if near:
        return "did you mean " + " or ".join(repr(n) for n in near) + "?"
    if not names:
        return "there are none"
    shown = [shortened(name, LONGEST_NAME) for name in names[:MOST_NAMED]]
    return "known: " + ", ".join(shown) + (f" … and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")
