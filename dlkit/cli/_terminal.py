"""What a terminal can show: how wide it is, whether in colour, and characters it has in place of those it lacks.

What is piped has no width: nothing is wrapped or cut there.
"""

from __future__ import annotations

import codecs
import io
import os
import shutil
import sys
import textwrap

INSTEAD = {
    "→": "->", "←": "<-", "…": "...", "×": "x", "–": "-", "—": "-", "−": "-", "µ": "u", "±": "+-", "≥": ">=",
    "≤": "<=", "°": " deg", "·": ".", "½": "1/2", "α": "alpha", "•": "*", "‘": "'", "’": "'", "“": '"', "”": '"',
    "━": "-", "╸": "-", "╺": "-", "²": "2", "³": "3", "⁄": "/", "≈": "~", "Δ": "delta",
}  # fmt: skip
"""What is said of our own characters where the encoding has none."""
PLAIN, FALLBACK = "dlkit-ascii", "dlkit"
"""Names of an encoding and of an error handler."""


def use_plain_characters() -> None:
    """Have standard output and error write INSTEAD for what their encoding lacks, and escape what is not there either.

    Click takes a stream of ASCII for a mistake and writes UTF-8 to it; an encoding of another name that is the same
    is written as it is.
    """
    codecs.register_error(FALLBACK, _instead)
    codecs.register(_plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            is_ascii = codecs.lookup(stream.encoding or "ascii").name == "ascii"
            stream.reconfigure(encoding=PLAIN if is_ascii else None, errors=FALLBACK)


def _instead(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = error.object[error.start : error.end]
    text = "".join(INSTEAD.get(c) or c.encode("ascii", "backslashreplace").decode("ascii") for c in found)
    return text, error.end


def _plain(name: str) -> codecs.CodecInfo | None:
    if name.replace("_", "-") != PLAIN:
        return None
    of = codecs.lookup("ascii")
    return codecs.CodecInfo(
        of.encode, of.decode, of.streamreader, of.streamwriter, of.incrementalencoder, of.incrementaldecoder, name=PLAIN
    )


def shown(text: str) -> str:
    """`text` as standard output will show it."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        return text.encode(encoding, FALLBACK).decode(encoding)
    except LookupError:  # the command line was not started by its own main
        return text


def in_colour() -> bool | None:
    """Whether the environment asks for colours (FORCE_COLOR, CLICOLOR_FORCE) or against them (NO_COLOR, CLICOLOR=0,
    TERM=dumb); None where it says neither, and a terminal gets them.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if any(os.environ.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return False if os.environ.get("TERM") == "dumb" or os.environ.get("CLICOLOR") == "0" else None


def columns() -> int | None:
    """The width of the terminal that standard output is; None where it is none."""
    try:
        is_terminal = sys.stdout.isatty()
    except (AttributeError, ValueError):  # closed, or something else put in its place
        return None
    return max(shutil.get_terminal_size().columns, 20) if is_terminal else None


def width_of(text: str) -> int:
    """Columns of a terminal that `text` takes."""
    if text.isascii():
        return len(text)
    import unicodedata  # its tables are not worth the time of most commands

    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text if not unicodedata.combining(c))


def wrapped(text: str, width: int, hanging: int = 0) -> list[str]:
    """Lines of at most `width` columns, cut between words where that goes; all but the first begin with spaces."""
    indent = " " * min(hanging, width // 2)
    if text.isascii():
        return textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=False, drop_whitespace=True) or [
            ""
        ]
    lines, line = [], ""
    for word in text.split(" "):
        if line and width_of(line) + 1 + width_of(word) > width:
            lines.append(line)
            line = indent + word
        else:
            line = f"{line} {word}" if line else word
        while width_of(line) > width:  # a word that is longer than a line
            kept = len(line)
            while width_of(line[:kept]) > width:
                kept -= 1
            lines.append(line[:kept])
            line = indent + line[kept:]
    return [*lines, line]
