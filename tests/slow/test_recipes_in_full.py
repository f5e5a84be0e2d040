"""Every recipe does what its head says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dlkit.pipeline import run
from dlkit.recipe import read_recipe

pytestmark = [pytest.mark.slow, pytest.mark.tf]

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipe_meets_its_expectation(path: Path, tmp_path: Path) -> None:
    """Float and exported accuracy on the test split are at least what [expect] states, and a point apart at most."""
    recipe = read_recipe(path)
    result, bundle, report = run(recipe, tmp_path)
    assert result.test_accuracy >= recipe.expect.float_accuracy
    assert report.test.exported >= recipe.expect.exported_accuracy
    assert report.test.float - report.test.exported <= 0.01
    _, gap, allowed = bundle.check()
    assert gap <= allowed


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_head_states_command_numbers_and_cost(path: Path) -> None:
    """The comment at the top is what a reader needs before running it."""
    head = re.match(r"(#.*\n)+", path.read_text())
    assert head
    for part in (f"dlkit run recipes/{path.name}", "Measured", "test", " s on 2 cores"):
        assert part in head.group(), part
