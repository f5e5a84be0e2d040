"""What `dlkit list` says when something is wrong."""

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
