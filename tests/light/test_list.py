"""What `dlkit list` says of a pattern, and when something is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def place(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with recipes, one of them good."""
    (tmp_path / "recipes").mkdir()
    shutil.copy(root / "recipes" / "digits.toml", tmp_path / "recipes")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_broken_recipe_does_not_hide_the_others(place: Path, dlkit: Callable) -> None:
    """The good are listed; each broken one is a line on standard error; exit code 1."""
    (place / "recipes" / "a.toml").write_text("name =")
    (place / "recipes" / "b.toml").write_bytes(b"\xff")
    said = dlkit("list", "recipes")
    assert said.code == 1
    assert [line.split()[0] for line in said.out.splitlines()] == ["recipe", "recipes/digits.toml"]
    first, second = said.err.splitlines()
    assert first.startswith("error: recipes/a.toml: not valid TOML")
    assert second.startswith("error: recipes/b.toml is not a text file")
    said = dlkit("list", "recipes", "--json")
    assert (said.code, [row["recipe"] for row in json.loads(said.out)]) == (1, ["recipes/digits.toml"])


def test_only_broken_recipes(place: Path, dlkit: Callable) -> None:
    """No table, and not a word of there being none."""
    (place / "recipes" / "digits.toml").write_text("name =")
    said = dlkit("list", "recipes")
    assert (said.code, said.out) == (1, "")


def test_without_a_kind_the_kinds_are_named_on_one_line(dlkit: Callable) -> None:
    """As it is read, without escapes."""
    said = dlkit("list")
    assert said.code == 2
    assert "Choose from: networks, datasets, schemes, targets, recipes; see dlkit list --help" in said.err
    assert "\\" not in said.err


def listed(said) -> list[str]:
    """The first column of a table, without its head."""
    return [line.split()[0] for line in said.out.splitlines()[1:]]


@pytest.mark.parametrize("pattern", ["LSTM", "lst", "l?tm", "*STM", "[l]stm"])
def test_a_pattern_chooses_by_name(dlkit: Callable, pattern: str) -> None:
    """A part of it in any case, or with * and ? all of it."""
    rows = listed(dlkit("list", "networks", pattern))
    assert "lstm" in rows
    assert "cnn" not in rows


def test_a_pattern_chooses_by_family(dlkit: Callable) -> None:
    """In JSON as in the table."""
    rows = json.loads(dlkit("list", "networks", "vgg", "--json").out)
    assert {row["family"] for row in rows} == {"VGG"}
    assert [row["name"] for row in rows] == listed(dlkit("list", "networks", "Vgg*"))


@pytest.mark.parametrize(
    ("kind", "pattern", "found"),
    [
        ("datasets", "DIG", "digits"),
        ("schemes", "dyn", "dynamic_int8"),
        ("targets", "cp*", "cpu"),
        ("recipes", "dig*s-lstm", "recipes/digits-lstm.toml"),
        ("recipes", "recipes/digits-l*", "recipes/digits-lstm.toml"),
    ],
)
def test_every_kind_takes_a_pattern(
    dlkit: Callable, root: Path, monkeypatch: pytest.MonkeyPatch, kind: str, pattern: str, found: str
) -> None:
    """A recipe is found by its file, with or without folder and suffix."""
    monkeypatch.chdir(root)
    assert listed(dlkit("list", kind, pattern)) == [found]


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_pattern_that_fits_nothing(dlkit: Callable, flags: list[str]) -> None:
    """One line with the nearest names, exit code 1, nothing on standard output."""
    said = dlkit("list", "networks", "resnett8", *flags)
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("error: none of the networks fits 'resnett8'; did you mean 'resnet8'")
    assert said.err.count("\n") == 1
    said = dlkit("list", "networks", "qqqq*")
    assert said.err == "error: none of the networks fits 'qqqq*'; see them all: dlkit list networks\n"


def test_a_broken_recipe_that_the_pattern_does_not_fit_is_not_told(place: Path, dlkit: Callable) -> None:
    """Only what was asked for is judged."""
    (place / "recipes" / "a.toml").write_text("name =")
    said = dlkit("list", "recipes", "digits")
    assert (said.code, said.err) == (0, "")
