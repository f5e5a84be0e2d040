"""Writes recipes/pictures/report.png: the top of the page of digits-tiny in Chromium, in light and in dark.

python tests/golden/make_report_picture.py
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from dlkit.web.chromium import arguments, find_chromium

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "exported" / "digits-tiny" / "cpu-int8" / "report.html"
PICTURE = ROOT / "recipes" / "pictures" / "report.png"
WIDTH, HEIGHT = 1100, 1340
COLOURS = 160
"""Of the picture, so that it is small."""


def main() -> None:
    shots = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=arguments())
        for theme in ("light", "dark"):
            context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=theme)
            page = context.new_page()
            page.goto(PAGE.as_uri())
            shots.append(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
        browser.close()
    light, dark = shots
    light.paste(dark.crop((WIDTH // 2, 0, WIDTH, HEIGHT)), (WIDTH // 2, 0))  # the right half in dark
    light.quantize(COLOURS, dither=Image.Dither.NONE).save(PICTURE, "PNG", optimize=True)
    print(f"wrote {PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
