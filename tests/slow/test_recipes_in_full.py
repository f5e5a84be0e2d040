"""Every recipe does what its head says."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from dlkit.pipeline import run
from dlkit.recipe import read_recipe

pytestmark = [pytest.mark.slow, pytest.mark.tf]

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))


LARGEST_LOSS = {"accuracy": 0.01, "psnr_db": 1.0}
"""Of an exported file: a point, or a decibel."""


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipe_meets_its_expectation(path: Path, tmp_path: Path) -> None:
    """On the test split float and exported file reach what [expect] states, a point or a dB apart at most."""
    recipe = read_recipe(path)
    result, bundle, report = run(recipe, tmp_path)
    metric = result.test.metric
    measured = {f"float_{metric}": result.test.value, f"exported_{metric}": report.test.exported}
    if result.test.given is not None:
        measured["float_gain_db"] = result.test.value - result.test.given
    expected = {key: value for key, value in dataclasses.asdict(recipe.expect).items() if value is not None}
    assert expected.keys() == measured.keys()
    for key, least in expected.items():
        assert measured[key] >= least, key
    assert report.test.metric == metric
    assert report.test.float - report.test.exported <= LARGEST_LOSS[metric]
    _, gap, allowed = bundle.check()
    assert gap <= allowed


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_head_states_command_numbers_and_cost(path: Path) -> None:
    """The comment at the top is what a reader needs before running it."""
    head = re.match(r"(#.*\n)+", path.read_text())
    assert head
    for part in (f"dlkit run recipes/{path.name}", "Measured", "test", " s on 2 cores"):
        assert part in head.group(), part
