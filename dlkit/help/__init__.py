"""The shelf of help: a page of Markdown for each topic, for `dlkit help TOPIC` and to be read where the files are.

A new file is a new topic. Its first line is a title, its first paragraph says in a sentence or two what is in it.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Literal

from dlkit.shelf import Shelf, files_of

Kind = Literal["prose", "code", "table"]
_COMMENT = re.compile(r"^<!--.*?-->\n", re.M | re.S)
_PICTURE = re.compile(r"^!\[.*?\]\(.*?\)\n", re.M)
_LINK = re.compile(r"(?<!!)\[([^][]*)\]\(([^()\s]*)\)")
_TABLE = re.compile(r"((?:^\|.*\n)+)", re.M)
_FENCE = re.compile(r"^```\w*\n(.*?)^```\n", re.M | re.S)


@dataclasses.dataclass(frozen=True)
class Page:
    """A page of help.

    Attributes:
        name: the topic, as typed after `dlkit help`.
        source: Markdown, as in the file.
    """

    name: str
    source: str

    @property
    def title(self) -> str:
        """The first line, without its mark."""
        return self.source.partition("\n")[0].removeprefix("# ")

    @property
    def summary(self) -> str:
        """The first paragraph on one line, without marks of Markdown."""
        paragraph = self.source.partition("\n\n")[2].partition("\n\n")[0]
        return _linked_text(paragraph).replace("`", "").replace("\n", " ")

    @property
    def text(self) -> str:
        """What is read on a terminal: no comments, no pictures, and for each link what to type or where it leads."""
        return "".join(part if is_code else _readable(part) for part, is_code in self._parts(keep_fences=True))

    def parts(self) -> list[tuple[Kind, str]]:
        """The text in pieces: code without its fences, tables, and the Markdown between them."""
        found: list[tuple[Kind, str]] = []
        for part, is_code in self._parts(keep_fences=False):
            if is_code:
                found.append(("code", part))
                continue
            pieces = _TABLE.split(_readable(part))  # every second one is a table
            found += [("table" if i % 2 else "prose", piece) for i, piece in enumerate(pieces) if piece.strip()]
        return found

    def _parts(self, keep_fences: bool) -> list[tuple[str, bool]]:
        pieces, at = [], 0
        for fence in _FENCE.finditer(self.source):
            pieces += [(self.source[at : fence.start()], False), (fence[0] if keep_fences else fence[1], True)]
            at = fence.end()
        return [piece for piece in [*pieces, (self.source[at:], False)] if piece[0].strip()]


def cells_of(table: str) -> list[list[str]]:
    """Rows of a table of Markdown, its head first, as they are read: without marks."""
    rows = [re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in table.splitlines()]
    return [[_plain(cell) for cell in row] for number, row in enumerate(rows) if number != 1]


def _plain(cell: str) -> str:
    return cell.strip().replace("\\|", "|").replace("`", "").replace("**", "").strip("*")


def _readable(markdown: str) -> str:
    return _linked_text(_PICTURE.sub("", _COMMENT.sub("", markdown)))


def _linked_text(markdown: str) -> str:
    return _LINK.sub(lambda link: link[1] + _way(link[2]), markdown)


def _way(address: str) -> str:
    """What stands for a link where nothing can be clicked: a command, an address, or nothing within a page."""
    if address.startswith("https://"):
        return f" ({address})"
    topic = re.fullmatch(r"([\w-]+)\.md(#.*)?", address)
    return f" (`dlkit help {topic[1]}`)" if topic else ""


PAGES: Shelf[Page] = Shelf(
    "topic", lambda: {name: Page(name, source) for name, source in files_of("dlkit.help", ".md").items()}
)
