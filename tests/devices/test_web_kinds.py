"""The page of models that name no class: a forecast of numbers, a picture again, a picture of noise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import shown

from dlkit.bundle.loading import load_bundle

pytestmark = [pytest.mark.tf, pytest.mark.slow]


@pytest.fixture(scope="module")
def made(dlkit, root: Path, browser_tools: None, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(recipe, values set) → the bundle for the web of a network that was trained for an epoch."""

    def make(recipe: str, *values: str) -> Path:
        out = tmp_path_factory.mktemp(recipe)
        sets = ["training.epochs=1", "export.target=web", "export.scheme=float32", *values]
        options = [word for value in sets for word in ("--set", value)]
        said = dlkit("run", root / "recipes" / f"{recipe}.toml", *options, "--out", out, "--quiet")
        assert said.code == 0, said.err
        return out / recipe / "web-float32"

    return make


def said(window: Any) -> str:
    window.wait_for_function("() => document.getElementById('latency').textContent.includes('ms')")
    return str(window.locator("#answer").inner_text())


def test_a_forecast(page: Any, made: Any) -> None:
    """Numbers that are typed are continued as Python does, in raw values, with a line; other numbers are refused."""
    bundle = made("mackey-glass-forecast", "network.name=gru_forecaster")
    raw = np.load(bundle / "samples.npz")["raw " + next(iter(load_bundle(bundle).inputs))][:1]
    wanted = np.asarray(load_bundle(bundle).predict(raw)).ravel()
    with shown(page, bundle / "web"):
        page.fill("#numbers", "1, 2, 3")
        page.get_by_role("button", name="Run").click()
        page.wait_for_selector("#message:visible")
        assert "3 numbers, but a sample has 48" in page.locator("#message").inner_text()
        page.fill("#numbers", json.dumps(raw[0].tolist()))
        page.get_by_role("button", name="Run").click()
        told = said(page)
        found = np.asarray([float(number) for number in told.split()])
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5)
        assert page.locator("#made polyline").count() == 2
        assert not page.locator("#message").is_visible()


def test_a_picture_again(page: Any, made: Any) -> None:
    """An auto-encoder shows what it was given and what it gives, and how far they are apart."""
    bundle = made("digits-dense-autoencoder")
    loaded = load_bundle(bundle)
    raw = np.load(bundle / "samples.npz")["raw " + next(iter(loaded.inputs))][:1]
    with shown(page, bundle / "web"):
        page.get_by_role("button", name="Sample 1", exact=True).click()
        assert said(page) == f"Mean squared error {loaded.scores(raw)[0]:.5f}"
        assert page.locator("#made canvas").count() == 2


def test_a_picture_of_noise(page: Any, made: Any) -> None:
    """A generator that is told a class draws its own noise, another one each time."""
    bundle = made("digits-conditional-gan")
    picture = "() => Array.from(document.querySelector('#made canvas').getContext('2d').getImageData(0, 0, 8, 8).data)"
    with shown(page, bundle / "web"):
        page.select_option("#condition", "3")
        page.get_by_role("button", name="Draw noise").click()
        assert said(page) == "A picture"
        first = page.evaluate(picture)
        page.get_by_role("button", name="Draw noise").click()
        page.wait_for_function(f"first => String(({picture})()) !== String(first)", arg=first)
