"""A recipe: everything that decides a run, read from one TOML file.

A recipe is strict (an unknown key is refused) and complete (no inheritance): what is in the file,
plus the defaults of its parts, is what runs. It is stored in full in the bundle it leads to.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dlkit.errors import RecipeError, suggestion
from dlkit.filing import read_file
from dlkit.reading import parse_toml, read_dataclass, with_overrides
from dlkit.recipe.export_parts import CompressionPart, ExpectPart, ExportPart, MeasurePart
from dlkit.recipe.opening import opened
from dlkit.recipe.parts import (
    AdversarialPart,
    AnomalyPart,
    AugmentationPart,
    DataPart,
    NetworkPart,
    Recipe,
    TrainingPart,
    TransferPart,
)
from dlkit.recipe.rules import completed

__all__ = [
    "AdversarialPart",
    "AnomalyPart",
    "AugmentationPart",
    "CompressionPart",
    "DataPart",
    "ExpectPart",
    "ExportPart",
    "MeasurePart",
    "NetworkPart",
    "Recipe",
    "TrainingPart",
    "TransferPart",
    "different_keys",
    "find_recipes",
    "opened",
    "otherwise_trained",
    "read_recipe",
    "read_unopened",
    "recipe_from",
]

LARGEST_BYTES = 2**18
"""No recipe is longer; a device or a wrong file may be."""
NO_TRAINING = (
    "compression", "export", "expect", "measure", "anomaly.false_alarms", "data.options.season",
    "training.checkpoint_s", "training.checkpoints",
)  # fmt: skip
"""Tables and keys that no weight depends on."""


def read_recipe(path: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """The recipe in a TOML file, with `KEY=VALUE` overrides put in before it is checked.

    >>> recipe = dlkit.read_recipe("recipes/digits.toml", ["training.epochs=3"])    # doctest: +SKIP
    >>> recipe.training.epochs, recipe.network.options["input_shape"]               # doctest: +SKIP
    (3, [8, 8, 1])

    Args:
        path: of the file.
        overrides: as after --set, for instance "training.epochs=3".

    Raises:
        RecipeError: the file is missing, is not TOML, or a key or value is wrong.
        UnknownName: a network, dataset, scheme or target is not on its shelf.
    """
    path = Path(path)
    return recipe_from(with_overrides(parse_toml(_text(path), str(path)), overrides), str(path))


def read_unopened(path: str | Path) -> Recipe:
    """The recipe as it stands in its file: its data need not be there, and what they decide is not known.

    Raises as `read_recipe` does.
    """
    path = Path(path)
    return read_dataclass(Recipe, parse_toml(_text(path), str(path)), str(path))


def recipe_from(table: dict[str, Any], where: str) -> Recipe:
    """The recipe in a table; `where` is its origin, for messages."""
    return completed(read_dataclass(Recipe, table, where), where)


def different_keys(a: Recipe, b: Recipe, besides: Iterable[str] = ()) -> list[str]:
    """Dotted keys whose values differ, but for those in `besides` and those of the tables in it."""
    one, other = _flat(a.as_dict()), _flat(b.as_dict())
    different = (key for key in one.keys() | other.keys() if one.get(key) != other.get(key))
    return sorted(key for key in different if not any(f"{key}.".startswith(f"{name}.") for name in besides))


def otherwise_trained(a: Recipe, b: Recipe) -> list[str]:
    """Dotted keys for which the two recipes come to different weights."""
    return different_keys(a, b, NO_TRAINING)


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _text(path: Path) -> str:
    try:
        return read_file(path, LARGEST_BYTES).decode("utf-8")
    except FileNotFoundError:
        raise RecipeError(_missing(path)) from None
    except IsADirectoryError:
        raise RecipeError(f"{path} is a folder, not a recipe; name a .toml file") from None
    except UnicodeDecodeError:
        raise RecipeError(f"{path} is not a text file, so it is no recipe; name a .toml file") from None
    except OSError as error:
        raise RecipeError(f"cannot read {path}: {error.strerror}; name a .toml file") from None


def _missing(path: Path) -> str:
    nearby = find_recipes(path.parent)
    if not nearby:
        return f"there is no recipe {path}; 'dlkit list recipes' shows those in ./recipes"
    return f"there is no recipe {path}; {suggestion(path.name, nearby)}"


def find_recipes(folder: Path, *, below: bool = False) -> list[str]:
    """The .toml files in `folder`, `below` also those in folders in it: "digits.toml", then "own/photos.toml"."""
    if not folder.is_dir():
        return []
    found = [path.relative_to(folder) for path in folder.glob("**/*.toml" if below else "*.toml")]
    return [str(path) for path in sorted(found, key=lambda path: (len(path.parts), path))]
