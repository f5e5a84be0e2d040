"""Every recipe does what its head says."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from dlkit.bundle.loading import Bundle
from dlkit.pipeline import run
from dlkit.pipeline.evaluating import evaluate
from dlkit.recipe import read_recipe
from dlkit.report import Report
from dlkit.training.measuring import Quality

pytestmark = [pytest.mark.slow, pytest.mark.tf]

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))


LARGEST_LOSS = {"accuracy": 0.01, "auc": 0.01, "psnr_db": 1.0, "skill": 0.01}
"""Of an exported file: a point, or a decibel."""
CI_SECONDS, MAIN = 25, "digits"
BOTH_WAYS = {"digits-bidirectional-lstm", "vowels-bidirectional-lstm"}
"""Recipes whose head states more are `full`, so that CI leaves them out, but for the README's; so are two of LSTMs."""


def seconds_of(path: Path) -> int:
    """What the head says a run takes."""
    found = re.search(r"(\d+) s on 2 cores", path.read_text())
    assert found, path
    return int(found[1])


def marked(path: Path) -> Any:
    long = (seconds_of(path) > CI_SECONDS and path.stem != MAIN) or path.stem in BOTH_WAYS
    return pytest.param(path, id=path.stem, marks=[pytest.mark.full] if long else [])


@pytest.mark.parametrize("path", [marked(path) for path in RECIPES])
def test_recipe_meets_its_expectation(path: Path, tmp_path: Path) -> None:
    """On the test split float and exported file reach what [expect] states, a point or a dB apart at most."""
    recipe = read_recipe(path)
    result, bundle, report = run(recipe, tmp_path)
    generated = result.test.metric == "feature_distance"
    assert generated or report.test.float - report.test.exported <= LARGEST_LOSS[result.test.metric]
    expected = {key: value for key, value in dataclasses.asdict(recipe.expect).items() if value is not None}
    measured = of_generator(result.test, bundle) if generated else of_others(result.test, report)
    assert expected.keys() == measured.keys()
    for key, value in expected.items():
        for found in measured[key]:
            assert found <= value if "distance" in key else found >= value, key
    _, gap, allowed = bundle.check()
    assert gap <= allowed


def of_others(test: Quality, report: Report) -> dict[str, list[float]]:
    """Key of [expect] → what was measured."""
    assert report.test.metric == test.metric
    measured = {f"float_{test.metric}": [test.value], f"exported_{test.metric}": [report.test.exported]}
    if "seasonal_skill" in test.besides:
        measured["float_seasonal_skill"] = [test.besides["seasonal_skill"]]
        measured["exported_seasonal_skill"] = [report.test.exported_seasonal_skill]
    return measured if test.given is None else measured | {"float_gain_db": [test.value - test.given]}


def of_generator(test: Quality, bundle: Bundle) -> dict[str, list[float]]:
    """The same of generated images; what holds for the float model's holds for the exported file's."""
    exported = evaluate(bundle)
    both = (test.besides, exported.besides)
    asked = {"as_asked": [found["as_asked"] for found in both]} if "as_asked" in test.besides else {}
    return asked | {
        "float_feature_distance": [test.value],
        "exported_feature_distance": [exported.exported],
        "confident": [found["confident"] for found in both],
        "entropy": [found["entropy"] for found in both],
    }


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_head_states_command_numbers_and_cost(path: Path) -> None:
    """The comment at the top is what a reader needs before running it."""
    head = re.match(r"(#.*\n)+", path.read_text())
    assert head
    for part in (f"dlkit run recipes/{path.name}", "Measured", "test", " s on 2 cores"):
        assert part in head.group(), part
