"""Tables of the help pages that say what the code says: made from it, and held against the pages by a test."""

from __future__ import annotations

import dataclasses
import inspect
import re
import textwrap
import types
import typing
from collections.abc import Iterator
from typing import Any

import dlkit
from dlkit.datasets import DATASETS, Source
from dlkit.recipe.parts import Recipe
from dlkit.shelf import Shelf

TYPES = {int: "whole number", float: "number", str: "text", bool: "true or false", dict: "table"}


def keys_of_recipes() -> str:
    """A table for what stands above the tables of a recipe, and one for each of these."""
    hints = typing.get_type_hints(Recipe)
    above = [field for field in dataclasses.fields(Recipe) if hints[field.name] in TYPES]
    pieces = ["## Above the tables", "", *rows(Recipe, above)]
    for field in dataclasses.fields(Recipe):
        if field not in above:
            part = next(kind for kind in (*typing.get_args(hints[field.name]), hints[field.name]) if kind)
            told = paragraph(re.sub(r"^\[(\w+)\] ", "", introduction(part)))
            pieces += [
                "",
                f"## [{field.name}]",
                "",
                *textwrap.wrap(told[0].upper() + told[1:], 120),
                "",
                *rows(part, dataclasses.fields(part)),
            ]
    return "\n".join(pieces)


def options_of_sources() -> str:
    """A table for each source of data."""
    pieces = []
    for entry in DATASETS.values():
        if isinstance(entry, Source):
            fields = sorted(
                dataclasses.fields(entry.options), key=lambda field: field.default is not dataclasses.MISSING
            )
            told = textwrap.wrap(f"{entry.gives[0].upper()}{entry.gives[1:]}.", 120)
            pieces += [f"## {entry.name}", "", *told, "", *rows(entry.options, fields), ""]
    return "\n".join(pieces[:-1])


def rows(part: type, fields: Any) -> Iterator[str]:
    """The table of some keys."""
    hints, meanings = typing.get_type_hints(part), attributes(part)
    yield from ("| key | type | default | meaning |", "| --- | --- | --- | --- |")
    for field in fields:
        cells = (f"`{field.name}`", type_of(hints[field.name]), default_of(field), meanings[field.name])
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def type_of(hint: Any) -> str:
    """In words, or the values that there are."""
    kinds = [kind for kind in typing.get_args(hint) if kind is not types.NoneType]
    if typing.get_origin(hint) is typing.Literal:
        return ", ".join(f'`"{value}"`' for value in kinds)
    if typing.get_origin(hint) is tuple:
        if Ellipsis in kinds:
            return f"list of {type_of(kinds[0]).replace('number', 'numbers').replace('text', 'texts')}"
        return f"list of {len(kinds)} {type_of(kinds[0])}s"
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        single = [kind for kind in kinds if typing.get_origin(kind) is not tuple]
        if 1 < len(single) < len(kinds):
            return f"{' or '.join(map(type_of, single))}, or a list of such"
        return " or ".join(dict.fromkeys(type_of(kind) for kind in kinds))
    return TYPES[typing.get_origin(hint) or hint]


def default_of(field: Any) -> str:
    """As it is written in TOML."""
    default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    if default is dataclasses.MISSING:
        return "required"
    if default is None:
        return "not given"
    if isinstance(default, tuple):
        return f"`{list(default)}`"
    if isinstance(default, dict):
        return "`{}`"
    return f'`"{default}"`' if isinstance(default, str) else f"`{str(default).lower()}`"


def introduction(part: type) -> str:
    """What a docstring says before its attributes."""
    return (inspect.getdoc(part) or "").partition("\nAttributes:")[0]


def attributes(part: type) -> dict[str, str]:
    """Attribute → what the docstring of its class says of it, on one line; those of bases too."""
    found: dict[str, str] = {}
    for base in reversed(part.__mro__):
        found |= own_attributes(base)
    for name, told in found.items():
        if other := re.fullmatch(r"as of `(\w+)`\.", told):
            source = DATASETS[other[1]]
            assert isinstance(source, Source)
            found[name] = attributes(source.options)[name]
    return found


def own_attributes(part: type) -> dict[str, str]:
    """Attribute → what the class' own docstring says of it."""
    listed = inspect.cleandoc(part.__dict__.get("__doc__") or "").partition("\nAttributes:\n")[2]
    found = {}
    for names, text in re.findall(r"^    ([\w, ]+): ((?:.*\n?)(?:^     +.*\n?)*)", listed, re.M):
        found |= {name: paragraph(text) for name in names.split(", ")}
    return found


def paragraph(text: str) -> str:
    """On one line."""
    return " ".join(text.split())


def public_names() -> str:
    """A table of what `import dlkit` offers."""
    lines = ["| name | is |", "| --- | --- |"]
    for name in dlkit.__all__:
        if name != "__version__":
            value = getattr(dlkit, name)
            told = paragraph((inspect.getdoc(value) or "").partition("\n\n")[0])
            lines.append(f"| `{name}` | {told_of_shelf(value) if isinstance(value, Shelf) else told} |")
    return "\n".join(lines)


def told_of_shelf(shelf: Shelf[Any]) -> str:
    """What there is on it, and how one has it."""
    return f"The shelf of {shelf.kind}s: a read-only mapping, by name."


TABLES = {
    "recipe": ("keys", keys_of_recipes),
    "data-options": ("options", options_of_sources),
    "python-api": ("names", public_names),
}
"""Page → mark in it, and what makes what stands there."""


def between(mark: str, source: str) -> str:
    """What stands between `<!-- MARK -->` and `<!-- end of MARK -->`."""
    [text] = re.findall(rf"<!-- {mark} -->\n(.*?)\n?<!-- end of {mark} -->", source, re.S)
    return text
