"""What the shell offers after TAB, where it is more than files and options."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from dlkit.cli._rows import SHELVES

MODEL_SUFFIXES = (".keras", ".h5", ".tflite")


def networks_and_recipes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of networks, and recipes in ./recipes."""
    from dlkit.networks import NETWORKS

    return _beginning(incomplete, [*NETWORKS, *_recipe_files()])


def entries(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names on the shelf of the kind that was typed, for networks their families too."""
    kind = ctx.params.get("kind")
    if kind == "recipes":
        return _beginning(incomplete, [Path(file).stem for file in _recipe_files()])
    rows = SHELVES[kind]() if kind in SHELVES else []
    return _beginning(incomplete, [row[key] for key in ("name", "family") for row in rows if key in row])


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


def topics_and_commands(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """What `dlkit help` has a page for."""
    from dlkit.cli import COMMANDS
    from dlkit.help import PAGES

    return _beginning(incomplete, [*PAGES, *COMMANDS])


def models(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str] | list[CompletionItem]:
    """Names of models in the folder of --out, recipes in ./recipes, model files where it is being typed."""
    out = glob.escape(ctx.params.get("out") or "exported")
    names = [os.path.basename(folder) for folder in _folders_with("model.json", f"{out}/*/")]  # noqa: PTH119
    typed = glob.escape(incomplete)
    files = sorted(file for suffix in MODEL_SUFFIXES for file in glob.glob(f"{typed}*{suffix}"))  # noqa: PTH207
    return _beginning(incomplete, [*names, *_recipe_files(), *files]) or _any_file(incomplete)


def bundles(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str] | list[CompletionItem]:
    """Bundles in ./exported, and up to two folders below what is being typed."""
    typed = glob.escape(incomplete)
    folders = _folders_with("manifest.json", "exported/*/*/", f"{typed}*/", f"{typed}*/*/")
    return _beginning(incomplete, folders) or _any_file(incomplete)


def _folders_with(name: str, *patterns: str) -> list[str]:
    """Folders of the patterns that hold a file called `name`, spelt as in the pattern; hidden ones are unfinished."""
    found = {file for pattern in patterns for file in glob.glob(f"{pattern}{name}")}  # noqa: PTH207
    return sorted(os.path.dirname(file) for file in found)  # noqa: PTH120


def _any_file(incomplete: str) -> list[CompletionItem]:
    """Leave it to the shell."""
    return [CompletionItem(incomplete, type="file")]


def _recipe_files() -> list[str]:
    return [str(path) for path in sorted(Path("recipes").glob("**/*.toml"), key=lambda path: (len(path.parts), path))]


def _beginning(incomplete: str, names: list[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete)]
