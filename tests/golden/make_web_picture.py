"""Writes recipes/pictures/web-digit.png: the page of digits-tiny in Chromium, with a digit that is drawn there.

dlkit run recipes/digits-tiny.toml --set export.target=web --set export.scheme=int8_float_io --out FOLDER
python tests/golden/make_web_picture.py FOLDER/digits-tiny/web-int8_float_io
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from dlkit.web.chromium import arguments, find_chromium

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))
PICTURE = ROOT / "recipes" / "pictures" / "web-digit.png"
COLOURS = 64
"""Of the picture, so that it is small."""


def main(bundle: Path) -> None:
    from browser import FOUR, draw, shown

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=arguments())
        page = browser.new_page(viewport={"width": 900, "height": 700})
        with shown(page, bundle / "web"):
            draw(page, *FOUR)
            page.wait_for_function("() => document.querySelector('#latency').textContent.includes('ms')")
            page.wait_for_timeout(500)
            content = page.screenshot(full_page=True)
        browser.close()
    small = Image.open(io.BytesIO(content)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(PICTURE, "PNG", optimize=True)
    print(f"wrote {PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
