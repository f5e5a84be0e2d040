"""HTML as values: elements whose texts are escaped, so that nothing a bundle holds becomes markup."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

LONGEST_TEXT = 400
"""Characters of a single text; what is longer was not meant to be read."""
_VOID = frozenset({"br", "hr", "img", "meta"})
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*")
_UNSHOWN = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff\\ufffe\\uffff]"
)
"""Control characters, those that turn the direction of text round, and halves of characters."""


class Html(str):
    """Markup as it is to stand in a page; made by this module alone."""

    __slots__ = ()


Child = str | None | Sequence["Child"]
"""What stands in an element: markup, a text that is escaped, nothing, or several of these."""


def element(tag: str, *children: Child, **attributes: str | int | float | bool | None) -> Html:
    """`<tag attributes>children</tag>`.

    Args:
        attributes: `class_` is "class", other underscores are hyphens; True stands alone, None and False are left out.

    >>> element("p", "a < b", class_="note")
    '<p class="note">a &lt; b</p>'
    """
    assert _NAME.fullmatch(tag)
    told = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in _VOID:
        return Html(f"<{tag}{told}>")
    return Html(f"<{tag}{told}>{joined(*children)}</{tag}>")


def joined(*children: Child) -> Html:
    """Children one after the other."""
    return Html("".join(_markup(child) for child in children))


def escaped(text: str) -> Html:
    """A text with nothing in it that a browser would take for markup, or would not show.

    >>> escaped('<script>alert("1")</script>')
    '&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;'
    """
    return Html(html.escape(_UNSHOWN.sub("\N{REPLACEMENT CHARACTER}", text)))


def shortened(text: str, most: int = LONGEST_TEXT) -> str:
    """`text`, cut where it is very long."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _markup(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, str):
        return escaped(child)
    return joined(*child)


def _attribute(name: str, value: str | int | float | bool | None) -> str:
    called = name.rstrip("_").replace("_", "-")
    assert _NAME.fullmatch(called)
    if value is None or value is False:
        return ""
    return f" {called}" if value is True else f' {called}="{escaped(str(value))}"'
