"""Chromium for tests: found as dlkit finds it, driven by Playwright, with what a page complains about kept."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dlkit.errors import ExtraMissing
from dlkit.web.chromium import arguments, find_chromium
from dlkit.web.packages import litert_js
from dlkit.web.serving import Server, content_of, serving

TOOLS = Path(os.environ.get("DLKIT_DEVICE_TOOLS", "~/.cache/dlkit-devices")).expanduser() / "node_modules"
HOW = "bash .ci/devices"


@pytest.fixture(autouse=True)
def node_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """npm packages are looked for where .ci/devices puts them."""
    monkeypatch.setenv("NODE_PATH", str(TOOLS))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser with WebGPU in software, shared by the tests of a file.

    Not by those of several: while Playwright runs, no other event loop can, another Playwright's included.
    """
    try:
        program = find_chromium()
    except ExtraMissing as error:
        pytest.skip(f"NO BROWSER: {error}; {HOW}")
    sync_api = pytest.importorskip("playwright.sync_api", reason="NO BROWSER: pip install 'dlkit[test]'")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments(webgpu=True))
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """A new window; the test fails if a script of its page does, or if the page breaks its own policy."""
    context = chromium.new_context(viewport={"width": 900, "height": 720})
    new = context.new_page()
    wrong: list[str] = []
    new.on("pageerror", lambda error: wrong.append(str(error)))
    new.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
    new.on("request", lambda asked: wrong.append(asked.url) if not _is_own(asked.url) else None)
    yield new
    context.close()
    assert wrong == []


def _is_own(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "blob:http://127.0.0.1:"))


@pytest.fixture(scope="session")
def browser_tools() -> Iterator[None]:
    """Chromium and LiteRT.js, or else the test is skipped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NODE_PATH", str(TOOLS))
        try:
            find_chromium()
            litert_js()
        except ExtraMissing as error:
            pytest.skip(f"NO BROWSER: {error}; {HOW}")
        yield


@contextlib.contextmanager
def shown(page: Any, folder: Path) -> Iterator[str]:
    """The page of a folder, served and ready, and its address."""
    with serving(Server(content_of(folder))) as url:
        page.goto(url)
        page.wait_for_selector("html[data-ready=yes]", timeout=60_000)
        yield url


def draw(page: Any, *strokes: tuple[tuple[float, float], ...]) -> None:
    """Strokes of the mouse over the stage, in fractions of it."""
    box = page.locator("#stage").bounding_box()
    for stroke in strokes:
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place, steps=4)
        page.mouse.up()


FOUR = (((0.45, 0.1), (0.28, 0.55), (0.75, 0.55)), ((0.6, 0.35), (0.56, 0.9)))
"""Strokes of a 4."""
