"""The tables of README and help and the heads of recipes state the same figures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dlkit.recipe import find_recipes

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = (ROOT / "dlkit" / "help" / "schemes.md").read_text(encoding="utf-8")
BY_SCHEME = re.findall(r"<!-- schemes of recipes -->\n(.*?)\n<!-- end of recipes -->", PAGE, re.S)[0].splitlines()
COLUMNS = BY_SCHEME[0].strip("| ").split(" | ")
ROWS = {row[0]: dict(zip(COLUMNS, row[1:], strict=True)) for row in (line[2:-2].split(" | ") for line in BY_SCHEME[2:])}
"""Recipe → scheme → quality and size."""
MEASURED = re.findall(
    r"\| `([\w-]+)` \| .*?([\d,]+) parameters \| ([\d.]+), .*? \| ([\d.]+), (.*?), .*? \| (\d+ s) \|", README
)
"""Recipe, parameters, quality of float32 and int8, size of int8, what a run takes."""


def head_of(name: str) -> str:
    """The comments at the top, as one line."""
    lines = (ROOT / "recipes" / f"{name}.toml").read_text().partition("\nname =")[0].splitlines()
    return " ".join(line.lstrip("# ") for line in lines)


def test_every_recipe_has_a_row() -> None:
    """And every row a recipe."""
    assert {f"{name}.toml" for name in ROWS} == set(find_recipes(ROOT / "recipes"))


@pytest.mark.parametrize("name", ROWS)
def test_the_row_of_a_recipe_is_what_its_head_says(name: str) -> None:
    """Quality of the float and the int8 file, and the size of this; where int8 is refused, by how much it fell."""
    head, (before, _) = head_of(name), ROWS[name]["float32"].split(", ")
    if refused := re.fullmatch(r"refused: ([\d.]+) for ([\d.]+) on validation", ROWS[name]["int8"]):
        assert f"{before} float" in head
        assert f"plain int8 falls from {refused[2]} to {refused[1]} on the validation split" in head
        return
    after, size = ROWS[name]["int8"].split(", ")
    assert f"{before} float and {after} int8" in head
    assert f" parameters, {size}." in head


@pytest.mark.parametrize("row", MEASURED, ids=lambda row: row[0])
def test_the_first_table_is_what_the_heads_say(row: tuple[str, ...]) -> None:
    """Parameters, accuracy of both files, size and time of a run."""
    name, parameters, before, after, size, seconds = row
    assert f"{before} float and {after} int8 (seed 0). {parameters} parameters, {size}. {seconds} on " in head_of(name)


def test_the_first_table_is_found() -> None:
    """The pattern that reads it misses no row."""
    rows = re.findall(r"^\| `([\w-]+)` \| .* parameters \|", README, re.M)
    assert [row[0] for row in MEASURED] == rows
    assert len(rows) >= 3
