"""dlkit list"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dlkit.cli._output import json_option, print_error, print_json, print_table, times

KINDS = ("networks", "datasets", "schemes", "targets", "recipes")


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@json_option
def command(kind: str, as_json: bool) -> None:
    """List what there is to choose from.

    \b
    Example:
      dlkit list networks
      dlkit list recipes --json
    """
    rows, broken = _recipes() if kind == "recipes" else (SHELVES[kind](), [])
    if as_json:
        print_json(rows)
    elif not rows and not broken:
        click.echo(f"there are no {kind} in ./recipes" if kind == "recipes" else f"there are no {kind}")
    elif rows:
        head = list(rows[0])
        numbers = [i for i, key in enumerate(head) if isinstance(rows[0][key], int)]
        print_table([key.replace("_", " ") for key in head], [[_cell(row[k]) for k in head] for row in rows], numbers)
    for reason in broken:
        print_error(reason)
    click.get_current_context().exit(1 if broken else 0)


def _cell(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return times(value) if all(isinstance(n, int) for n in value) else ", ".join(str(v) for v in value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _networks() -> list[dict[str, Any]]:
    from dlkit.networks import NETWORKS

    return [
        {
            "name": n.name, "family": n.family, "input": list(n.input), "parameters": n.parameters,
            "multiply_adds": n.multiply_adds, "paper": n.paper,
        }
        for n in NETWORKS.values()
    ]  # fmt: skip


def _datasets() -> list[dict[str, Any]]:
    from dlkit.datasets import DATASETS

    return [
        {
            "name": d.name, "shape": list(d.shape), "classes": d.classes, "train": d.samples[0],
            "validation": d.samples[1], "test": d.samples[2], "licence": d.licence, "source": d.source,
        }
        for d in DATASETS.values()
    ]  # fmt: skip


def _schemes() -> list[dict[str, Any]]:
    from dlkit.schemes import SCHEMES

    return [
        {"name": s.name, "weights": s.weights, "activations": s.activations, "io": s.io, "summary": s.summary}
        for s in SCHEMES.values()
    ]


def _targets() -> list[dict[str, Any]]:
    from dlkit.targets import TARGETS

    return [
        {"name": t.name, "runtime": t.runtime, "schemes": list(t.schemes), "summary": t.summary}
        for t in TARGETS.values()
    ]


SHELVES = {"networks": _networks, "datasets": _datasets, "schemes": _schemes, "targets": _targets}


def _recipes() -> tuple[list[dict[str, Any]], list[str]]:
    """A row for each recipe in ./recipes, and why those that have none cannot be read."""
    from dlkit.errors import DlkitError
    from dlkit.recipe import find_recipes, read_recipe

    folder = Path("recipes")
    rows, broken = [], []
    for name in find_recipes(folder):
        try:
            recipe = read_recipe(folder / name)
        except DlkitError as error:
            broken.append(str(error) if str(folder / name) in str(error) else f"{folder / name}: {error}")
            continue
        first_line = (folder / name).read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
        rows.append({
            "recipe": str(folder / name), "network": recipe.network.name, "data": recipe.data.name,
            "scheme": recipe.export.scheme, "target": recipe.export.target, "summary": first_line,
        })  # fmt: skip
    return rows, broken
