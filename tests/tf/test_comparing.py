"""`dlkit compare`: every variant of a model side by side."""

from __future__ import annotations

import functools
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlkit.pipeline import comparing
from dlkit.pipeline.comparing import Compared, compare
from dlkit.targets import TARGETS

pytestmark = pytest.mark.tf


@pytest.fixture(scope="module", autouse=True)
def fewer_rounds() -> Iterator[None]:
    """Each file is timed in a process of its own in each round."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparing, "timed_in_turns", functools.partial(comparing.timed_in_turns, rounds=3))
        yield


@pytest.fixture(scope="module")
def place(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models of its own that holds short/model.keras."""
    folder = tmp_path_factory.mktemp("compared")
    shutil.copytree(models / "short", folder / "short", ignore=shutil.ignore_patterns("cpu-*"))
    return folder


@pytest.fixture(scope="module")
def compared(place: Path) -> Compared:
    return compare("short", out=place, plot=True)


@pytest.mark.slow
def test_every_scheme_of_the_target_is_there(compared: Compared) -> None:
    """But those that train, of which a note tells."""
    left_out = {name for name in TARGETS["cpu"].schemes if name.startswith("int8_") and not name.endswith("_io")}
    assert {each.scheme for each in compared.variants} == set(TARGETS["cpu"].schemes) - left_out
    assert any("add --compressed" in note and "int8_qat" in note for note in compared.notes)


def test_variants_are_measured_and_timed(compared: Compared) -> None:
    """Each in turn with the float file; the smallest first."""
    sizes = [each.measured.bytes for each in compared.variants if each.measured]
    assert sizes == sorted(sizes)
    for each in compared.variants:
        assert each.measured is not None
        assert each.measured.latency_ms is not None
        assert each.measured.latency_ms > 0
        assert "cpu" in each.targets


def test_the_fronts_hold_the_ends(compared: Compared) -> None:
    """The smallest file is on the one, the fastest on the other."""
    made = [each for each in compared.variants if each.measured]
    assert min(made, key=lambda v: (v.measured.bytes, -v.measured.quality)).smallest
    assert min(made, key=lambda v: (v.measured.latency_ms, -v.measured.quality)).fastest


def test_the_recommendation_is_a_sentence(compared: Compared) -> None:
    """It names a file, and what is slower than floats where that was measured."""
    assert compared.recommendation.startswith("The smallest file that loses at most 0.01 of accuracy")
    assert compared.recommendation.endswith(".")
    named = re.findall(r"(\w+) \(", compared.recommendation.partition("slower than float32 here")[2])
    assert named == [each.scheme for each in compared.variants if each.slower and each.scheme != "float32"]


def test_the_front_is_drawn_and_nothing_else_written(compared: Compared, place: Path) -> None:
    """A picture beside the model, and no bundle."""
    assert compared.picture == place / "short" / "pareto.png"
    assert compared.picture.read_bytes()[:4] == b"\x89PNG"
    assert not list((place / "short").glob("cpu-*"))
    assert not list((place / "short").glob(".*"))


@pytest.mark.slow
def test_the_command_prints_a_table(place: Path, dlkit) -> None:
    """Or the same as JSON."""
    words = ("compare", "short", "--out", place, "--scheme", "float32", "--scheme", "int8", "-q")
    said = dlkit(*words)
    assert said.code == 0, said.err
    first, _, head, *rows = said.out.splitlines()
    assert first.startswith("short for cpu: accuracy on 180 samples (validation), float model 0.")
    assert head.split()[:5] == ["scheme", "size", "gzip", "accuracy", "drop"]
    assert [row.split()[0] for row in rows[:2]] == ["int8", "float32"]
    table = json.loads(dlkit(*words, "--json").out)
    assert [each["scheme"] for each in table["variants"]] == ["int8", "float32"]
    assert table["variants"][0]["bytes"] < table["variants"][1]["bytes"]
    assert table["recommendation"].endswith(".")


def test_a_recipe_that_was_not_trained_says_so(tmp_path: Path, dlkit) -> None:
    """As of an export."""
    recipe = Path(__file__).parents[2] / "recipes" / "digits-tiny.toml"
    said = dlkit("compare", recipe, "--out", tmp_path, "-q")
    assert said.code == 1
    assert "dlkit train RECIPE" in said.err
