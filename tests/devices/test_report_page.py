"""Pages of bundles in Chromium: nothing is loaded, nothing overflows, everybody can read them, in light and dark."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import TOOLS, chromium  # noqa: F401
from pages import KINDS, classifier, on_a_device, with_links
from PIL import Image

from dlkit.pages.comparison_page import comparison_page
from dlkit.pages.report_page import report_page

PHONE, WIDE = (360, 740), (1200, 900)
THEMES = ("light", "dark")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture
def show(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:  # noqa: F811
    """A window with a page of ours as a file; the test fails if it asks for anything or complains of anything."""
    windows: list[Any] = []
    wrong: list[str] = []

    def open_page(content: bytes, size: tuple[int, int] = WIDE, theme: str = "light") -> Any:
        file = tmp_path / f"{len(windows)}.html"
        file.write_bytes(content)
        context = chromium.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=theme)
        windows.append(context)
        page = context.new_page()
        page.on("console", lambda said: wrong.append(said.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith(("file:", "data:")) else wrong.append(asked.url))
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in windows:
        context.close()
    assert wrong == []


def pixels(page: Any) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("L"), np.float64)


PAGES = {kind.__name__: report_page(kind()) for kind in KINDS} | {"comparison": comparison_page(with_links())}
ALSO_FULL = [name for name in PAGES if name not in ("classifier", "comparison")]
"""What axe is asked of outside CI: it takes seconds for a page."""
ACCESSIBLE = ["classifier", "comparison", *(pytest.param(name, marks=pytest.mark.full) for name in ALSO_FULL)]


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_wider_than_a_phone(show: Callable[..., Any], name: str) -> None:
    """What is too wide scrolls in a box of its own, which keys reach."""
    page = show(PAGES[name], PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
    boxes = page.evaluate("[...document.querySelectorAll('.box')].map(b => [b.tabIndex, b.getAttribute('aria-label')])")
    assert boxes
    assert all(index == 0 and label for index, label in boxes)


@pytest.mark.parametrize("theme", THEMES)
def test_a_page_is_light_or_dark_as_its_reader_likes(show: Callable[..., Any], theme: str) -> None:
    """And not blank."""
    seen = pixels(show(PAGES["classifier"], WIDE, theme))
    assert seen.std() > 15
    assert (np.median(seen) > 200) == (theme == "light")
    assert (np.median(seen) < 60) == (theme == "dark")


@pytest.mark.slow
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", ACCESSIBLE)
def test_everybody_can_use_a_page(show: Callable[..., Any], name: str, theme: str) -> None:
    """axe finds nothing against it: contrast, names, tables, headings, landmarks, order."""
    program = TOOLS / "axe-core" / "axe.min.js"
    if not program.is_file():
        pytest.skip("ACCESSIBILITY NOT CHECKED: bash .ci/devices installs axe-core")
    page = show(PAGES[name], PHONE, theme)
    page.evaluate(program.read_text(encoding="utf-8"))
    found = page.evaluate("rules => axe.run({ runOnly: { type: 'tag', values: rules } })", RULES)["violations"]
    assert [(v["id"], [(n["html"][:200], n["failureSummary"][:300]) for n in v["nodes"][:3]]) for v in found] == []


def test_every_picture_can_be_seen(show: Callable[..., Any]) -> None:
    """Images are decoded, charts have a size, and each is called something."""
    page = show(PAGES["classifier"])
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    charts = page.evaluate(
        "[...document.querySelectorAll('svg[role=img]')]"
        ".map(svg => [svg.clientWidth > 100, svg.querySelector('title').textContent])"
    )
    assert len(charts) >= 3
    assert all(wide and title for wide, title in charts)


def test_a_page_runs_no_script_whatever_is_in_it(show: Callable[..., Any]) -> None:
    """Its policy would not let one run that had come in."""
    content = PAGES["classifier"].replace(b"<main>", b"<main><script>document.title = 'run'</script>")
    page = show(PAGES["classifier"])
    title = page.title()
    messages: list[str] = []
    other = page.context.browser.new_context().new_page()
    other.on("console", lambda said: messages.append(said.text))
    other.set_content(content.decode())
    assert other.title() == title
    assert any("Content Security Policy" in message for message in messages)
    other.context.close()


def test_a_page_can_be_printed(show: Callable[..., Any]) -> None:
    """Nothing that scrolls on a screen is cut off on paper."""
    page = show(report_page(on_a_device()))
    page.emulate_media(media="print")
    cut = page.evaluate(
        "[...document.querySelectorAll('.tall')].filter(b => b.clientHeight < b.scrollHeight - 1).length"
    )
    assert cut == 0
    assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"


def test_links_of_a_page_lead_somewhere(show: Callable[..., Any]) -> None:
    """Down to the part that they name."""
    page = show(report_page(classifier()))
    page.locator("nav a", has_text="Latency").click()
    for _ in range(50):  # Playwright's own way to wait evaluates text in the page, which its policy forbids
        if page.evaluate("document.querySelector('#latency').getBoundingClientRect().top < innerHeight"):
            return
        page.wait_for_timeout(100)
    raise AssertionError("the part did not come into view")
