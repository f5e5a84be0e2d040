"""A recipe's table → TOML that reads back to the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")
DEEPEST = 8
"""Tables inside tables; no recipe has so many."""


def toml_of(table: Mapping[str, Any]) -> str:
    """TOML of nested tables; what is None is left out, as is what a file of strangers nests without end.

    >>> print(toml_of({"name": "a", "data": {"noise": 0.5, "classes": ["x"]}}))
    name = "a"
    <BLANKLINE>
    [data]
    noise = 0.5
    classes = ["x"]
    """
    return "\n".join(_lines(table, ())).strip()


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    values = {key: value for key, value in table.items() if value is not None and not isinstance(value, dict)}
    inner = {key: value for key, value in table.items() if isinstance(value, dict)}
    if path and (values or not inner):
        yield ""
        yield f"[{'.'.join(_key(part) for part in path)}]"
    for key, value in values.items():
        yield f"{_key(key)} = {_value(value, 0)}"
    for key, value in inner.items():
        if len(path) < DEEPEST:
            yield from _lines(value, (*path, key))


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _value(value: Any, depth: int) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_value(each, depth + 1) for each in value)}]" if depth < DEEPEST else "[]"
    if isinstance(value, dict):
        inside = ", ".join(f"{_key(key)} = {_value(each, depth + 1)}" for key, each in value.items())
        return f"{{{inside}}}" if depth < DEEPEST else "{}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
