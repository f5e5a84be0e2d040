"""What the [compression] of the main recipe comes to, as its head says."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlkit.pipeline import export_schemes, train
from dlkit.recipe import read_recipe

pytestmark = [pytest.mark.slow, pytest.mark.tf, pytest.mark.full]


def test_pruned_clustered_digits_are_a_quarter_by_gzip(tmp_path: Path) -> None:
    """Of plain int8, with at most half a point less than the float model on the samples that decide."""
    recipe = read_recipe(Path(__file__).parents[2] / "recipes" / "digits.toml")
    trained = train(recipe, tmp_path).trained
    plain, small = export_schemes(trained, ["int8", "int8_pcqat"], out=tmp_path)
    assert isinstance(plain, tuple)
    assert isinstance(small, tuple)
    assert small[1].gzip_bytes <= 0.25 * plain[1].gzip_bytes
    assert small[1].gate.exported >= small[1].gate.float - 0.005
    assert small[0].check()[1] <= small[0].check()[2]
