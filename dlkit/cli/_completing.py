"""What the shell offers after TAB, where it is more than files and options."""

from __future__ import annotations

from pathlib import Path

import click


def networks_and_recipes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of networks, and recipes in ./recipes."""
    from dlkit.networks import NETWORKS

    return _beginning(incomplete, [*NETWORKS, *_recipe_files()])


def recipes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Recipes in ./recipes and in the folder that is being typed."""
    typed = Path(incomplete).parent
    return _beginning(incomplete, [*_recipe_files(), *(str(path) for path in sorted(typed.glob("*.toml")))])


def schemes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of schemes."""
    from dlkit.schemes import SCHEMES

    return _beginning(incomplete, list(SCHEMES))


def targets(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of targets."""
    from dlkit.targets import TARGETS

    return _beginning(incomplete, list(TARGETS))


def bundles(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Bundles in ./exported and in the folder that is being typed."""
    folders = {manifest.parent for manifest in Path("exported").glob("*/*/manifest.json")}
    folders |= {manifest.parent for manifest in Path(incomplete).parent.glob("*/manifest.json")}
    return _beginning(incomplete, sorted(str(folder) for folder in folders))


def _recipe_files() -> list[str]:
    return [str(path) for path in sorted(Path("recipes").glob("*.toml"))]


def _beginning(incomplete: str, names: list[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete)]
