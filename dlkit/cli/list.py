"""dlkit list"""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path
from typing import Any

import click

from dlkit.cli._completing import entries
from dlkit.cli._output import json_option, print_error, print_json, print_table
from dlkit.cli._rows import SHELVES
from dlkit.errors import DlkitError, suggestion
from dlkit.quantities import magnitude, times

KINDS = ("networks", "datasets", "schemes", "targets", "recipes")
COLUMNS = {
    "networks": ("name", "family", "input", "parameters", "multiply_adds", "paper"),
    "targets": ("name", "runtime", "best", "summary"),
    "datasets": ("name", "shape", "classes", "train", "validation", "test", "options", "licence", "source"),
}
"""What the table shows of a kind whose entries hold more than fits on a line."""


@click.command(epilog="More: dlkit help recipe · own-network")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("pattern", required=False, metavar="[PATTERN]", shell_complete=entries)
@json_option
def command(kind: str, pattern: str | None, as_json: bool) -> None:
    """List networks, datasets, schemes, targets or recipes.

    With PATTERN only the entries that it fits. It is a part of a name or of a network's family, in small or capital
    letters, or with * and ? all of one (quote it). --json tells all that is known of an entry, a network's options
    too.

    \b
    Example:
      dlkit list networks
      dlkit list networks resnet
      dlkit list networks 'vgg1?' --json
      dlkit list recipes
    """
    rows, broken = _recipes(pattern) if kind == "recipes" else (SHELVES[kind](), [])
    chosen = [row for row in rows if _fits(pattern, _names(row))]
    if pattern and not chosen and not broken:
        raise DlkitError(_no_match(kind, pattern, rows))
    if as_json:
        print_json(chosen)
    elif not chosen and not broken:
        click.echo(f"there are no {kind} in ./recipes" if kind == "recipes" else f"there are no {kind}")
    elif chosen:
        _print_rows(chosen, COLUMNS.get(kind) or tuple(chosen[0]))
    for reason in broken:
        print_error(reason)
    click.get_current_context().exit(1 if broken else 0)


def _names(row: dict[str, Any]) -> list[str]:
    """What an entry can be found by: its name, its family if it has one; a recipe's file with and without folder."""
    if "recipe" in row:
        return [row["recipe"], Path(row["recipe"]).name, Path(row["recipe"]).stem]
    return [row[key] for key in ("name", "family") if key in row]


def _fits(pattern: str | None, names: list[str]) -> bool:
    wanted, lowered = (pattern or "").lower(), [name.lower() for name in names]
    if any(character in wanted for character in "*?["):
        return any(fnmatch.fnmatchcase(name, wanted) for name in lowered)
    return any(wanted in name for name in lowered)


def _no_match(kind: str, pattern: str, rows: list[dict[str, Any]]) -> str:
    near = suggestion(pattern.strip("*?"), {name for row in rows for name in _names(row)[:2]})
    hint = near if near.startswith("did you mean") else f"see them all: dlkit list {kind}"
    return f"none of the {kind} fits {pattern!r}; {hint}"


def _print_rows(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    numbers = [i for i, key in enumerate(columns) if any(isinstance(row[key], int) for row in rows)]
    head = ["multiply-adds" if key == "multiply_adds" else key.replace("_", " ") for key in columns]
    print_table(head, [[_cell(key, row[key]) for key in columns] for row in rows], numbers)


def _cell(key: str, value: Any) -> str:
    if key == "paper":
        return _short(value)
    if key == "multiply_adds":
        return magnitude(value)
    if value is None:
        return "-"
    if isinstance(value, dict):
        return ", ".join(value) or "-"
    if isinstance(value, (list, tuple)):
        return times(value) if all(isinstance(n, int) for n in value) else ", ".join(str(v) for v in value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _short(paper: str) -> str:
    """Authors, year and arXiv number: "Simonyan & Zisserman 2014, arXiv:1409.1556" without its table or a long doi."""
    authors, number = re.match(r".*?\d{4}\b", paper), re.search(r"arXiv:[\d.]*\d", paper)
    return ", ".join(found[0] for found in (authors, number) if found) or paper


def _recipes(pattern: str | None) -> tuple[list[dict[str, Any]], list[str]]:
    """A row for each recipe in ./recipes and below, and why those that fit the pattern and have none cannot be read."""
    from dlkit.recipe import find_recipes, read_recipe, read_unopened

    folder = Path("recipes")
    rows, broken = [], []
    for name in find_recipes(folder, below=True):
        try:
            recipe = read_unopened(folder / name)
            if "path" not in recipe.data.options:  # the user's own data need not be there yet, and are not looked for
                recipe = read_recipe(folder / name)
        except DlkitError as error:
            if _fits(pattern, _names({"recipe": str(folder / name)})):
                broken.append(str(error) if str(folder / name) in str(error) else f"{folder / name}: {error}")
            continue
        first_line = (folder / name).read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
        rows.append({
            "recipe": str(folder / name), "network": recipe.network.name, "data": recipe.data.name,
            "scheme": recipe.export.scheme, "target": recipe.export.target, "summary": first_line,
        })  # fmt: skip
    return rows, broken
