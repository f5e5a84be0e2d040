"""TOML text → frozen dataclass, strictly.

An unknown key, a missing key or a value of the wrong type is refused with the file, the key and,
for a misspelling, the nearest key. Nothing is evaluated and nothing is converted, but for an
integer where a float is asked for and a list where a tuple is.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from dlkit.errors import RecipeError, suggestion

T = TypeVar("T")

_NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    dict: "a table",
    list: "a list",
}
MOST_LEVELS = 32
"""Of tables and lists in each other; no recipe has more than four."""
_PART = r"""(?:[A-Za-z0-9_-]{1,64}+|"(?:[^"\\\n]|\\.){0,64}+"|'[^'\n]{0,64}+')"""
_DEEP_KEY = re.compile(rf"(?<![A-Za-z0-9_-])(?:{_PART}[ \t]*+\.[ \t]*+){{{MOST_LEVELS}}}")
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """The tables of a TOML text. Raises RecipeError with line and column if it is not TOML."""
    try:
        return _tables_of(text)
    except ValueError as error:  # TOMLDecodeError, or a number of thousands of digits
        raise RecipeError(f"{where}: not valid TOML: {error}") from None
    except RecursionError:
        raise RecipeError(f"{where}: not valid TOML: nested too deeply") from None


def _tables_of(text: str) -> dict[str, Any]:
    """What `tomllib` reads; RecursionError also for what it would take hours for, a key of thousands of parts."""
    import tomllib

    if _DEEP_KEY.search(text):
        raise RecursionError
    tables = tomllib.loads(text)
    level: list[Any] = [tables]
    for _ in range(MOST_LEVELS):
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return tables
    raise RecursionError


def parse_override(text: str) -> tuple[list[str], Any]:
    """`"training.epochs=3"` → (["training", "epochs"], 3).

    The value is read as TOML; what is not TOML (an unquoted word) is taken as a string, and the
    type of the key decides whether a string is allowed.
    """
    key, equals, value = text.partition("=")
    path = [part.strip() for part in key.split(".")]
    if not equals or not all(path):
        raise RecipeError(f"--set {text}: write it as --set KEY=VALUE, for instance --set training.epochs=3")
    if len(path) > MOST_LEVELS:
        raise RecipeError(f"--set {key[:60]}…: the key is nested too deeply")
    try:
        table = _tables_of(f"value = {value}")
    except ValueError:
        return path, value.strip()
    except RecursionError:
        raise RecipeError(f"--set {key}: the value is nested too deeply") from None
    if len(table) != 1:
        raise RecipeError(f"--set {text}: holds more than one value; repeat --set for each")
    return path, table["value"]


def with_overrides(table: Mapping[str, Any], overrides: typing.Iterable[str]) -> dict[str, Any]:
    """A copy of `table` with each `KEY=VALUE` put in its place; missing tables are created."""
    changed = _deep_copy(table)
    for text in overrides:
        path, value = parse_override(text)
        here = changed
        for part in path[:-1]:
            here = here.setdefault(part, {})
            if not isinstance(here, dict):
                raise RecipeError(f"--set {text}: {part!r} is a value, not a table")
        here[path[-1]] = value
    return changed


def _deep_copy(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _deep_copy(value) if isinstance(value, dict) else value for key, value in table.items()}


def read_dataclass(cls: type[T], table: Mapping[str, Any], where: str, key: str = "") -> T:
    """`table` as an instance of the frozen dataclass `cls`.

    Args:
        where: the file, for messages.
        key: the dotted key of `table` inside the file, for messages.
    """
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    dot = f"{key}." if key else ""
    for name in table:
        if name not in fields:
            raise RecipeError(f"{where}: unknown key {dot + name!r}; {suggestion(name, fields)}")
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in table:
            values[name] = read_value(hints[name], table[name], where, dot + name)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise RecipeError(f"{where}: missing key {dot + name!r}")
    try:
        return cls(**values)
    except ValueError as error:  # a __post_init__ that names the key and the value itself
        raise RecipeError(f"{where}: {error}") from None


def read_arguments(
    function: typing.Callable[..., Any], table: Mapping[str, Any], where: str, key: str
) -> dict[str, Any]:
    """`table` as keyword arguments of `function`, held against its annotations.

    The return annotation is not looked at: for a network builder it would import Keras.
    """
    annotations = {n: a for n, a in function.__annotations__.items() if n != "return"}
    bare = types.SimpleNamespace(__annotations__=annotations)
    hints = typing.get_type_hints(bare, globalns=getattr(function, "__globals__", {}))
    for name in table:
        if name not in hints:
            raise RecipeError(f"{where}: unknown key {f'{key}.{name}'!r}; {suggestion(name, hints)}")
    return {name: read_value(hints[name], value, where, f"{key}.{name}") for name, value in table.items()}


def read_value(hint: Any, value: Any, where: str, key: str) -> Any:
    """`value` as TOML gave it, held against the type `hint`. Raises RecipeError naming `key`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:  # of JSON; TOML has none
            return None
        *others, last = [a for a in arguments if a is not type(None)]
        for inner in others:
            with contextlib.suppress(RecipeError):
                return read_value(inner, value, where, key)
        return read_value(last, value, where, key)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, dict):
            raise _wrong_type(where, key, "a table", value)
        return read_dataclass(hint, value, where, key)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise _wrong_type(where, key, "a list", value)
        fixed = arguments if arguments[-1] is not Ellipsis else (arguments[0],) * len(value)
        if len(fixed) != len(value):
            raise RecipeError(f"{where}: {key} = {_shown(value)} has {len(value)} values; it takes {len(fixed)}")
        return tuple(read_value(h, v, where, f"{key}[{i}]") for i, (h, v) in enumerate(zip(fixed, value, strict=True)))
    if origin is typing.Literal:
        if not isinstance(value, str):
            raise _wrong_type(where, key, "a string", value)
        if value not in arguments:
            raise RecipeError(f"{where}: {key} = {_shown(value)} is not one of them; {suggestion(value, arguments)}")
        return value
    if origin is dict or hint is dict:
        if not isinstance(value, dict):
            raise _wrong_type(where, key, "a table", value)
        return value
    if isinstance(value, int) and not _LOWEST <= value <= _HIGHEST:
        raise RecipeError(f"{where}: {key} = {_shown(value)} is outside the 64-bit whole numbers of TOML")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise _wrong_type(where, key, _NAMES.get(hint, str(hint)), value)
    return value


def _wrong_type(where: str, key: str, wanted: str, value: Any) -> RecipeError:
    return RecipeError(f"{where}: {key} = {_shown(value)} is {_NAMES.get(type(value), 'a date')}; it takes {wanted}")


def _shown(value: Any) -> str:
    """`value` as it would be written, shortened."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to write numbers of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= 60 else text[:57] + "..."
