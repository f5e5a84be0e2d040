"""A whole page: its head, its style, its policy; nothing is loaded and nothing runs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from dlkit import __version__
from dlkit.pages.html import Html, element, joined
from dlkit.pages.parts import Section

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
GENERATOR = "dlkit report"
MARK = f'<meta name="generator" content="{GENERATOR}'.encode()
"""By which a page of ours is known from a file of a user's own."""


def whole_page(title: str, header: Html, sections: Sequence[Section]) -> bytes:
    """The content of an HTML file."""
    links = [element("li", element("a", section.short, href=f"#{section.anchor}")) for section in sections]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="generator", content=f"{GENERATOR} {__version__}"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("style", Html(files("dlkit.pages").joinpath("style.css").read_text(encoding="utf-8"))),
    )
    body = element(
        "body",
        header,
        element("nav", element("ul", *links), aria_label="Sections") if len(links) > 1 else None,
        element("main", *(section.html for section in sections)),
        element("footer", f"Made by dlkit {__version__} with dlkit report."),
    )
    return f"<!doctype html>\n{joined(element('html', head, body, lang='en'))}\n".encode()
