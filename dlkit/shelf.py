"""A shelf: a folder whose files are the entries of a read-only mapping.

Adding an entry is adding a file; nothing else has to be edited. A shelf is read when it is first
looked at, so importing the package that holds it costs nothing.
"""

from __future__ import annotations

import importlib
import pkgutil
import types
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from dlkit.errors import UnknownName

T = TypeVar("T")


class Shelf(Mapping[str, T]):
    """Read-only mapping of name → entry, filled by `read` on first use.

    Attributes:
        kind: what an entry is called in messages, for instance "network".
    """

    def __init__(self, kind: str, read: Callable[[], dict[str, T]]) -> None:
        self.kind = kind
        self._read = read
        self._entries: dict[str, T] | None = None

    def _load(self) -> dict[str, T]:
        if self._entries is None:
            self._entries = dict(sorted(self._read().items()))
        return self._entries

    def __getitem__(self, name: str) -> T:
        entries = self._load()
        if name not in entries:
            raise UnknownName(self.kind, name, entries)
        return entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._load()

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __len__(self) -> int:
        return len(self._load())


def entries_of_modules(package: str, entry: type[T] | tuple[type[T], ...], name_of: Callable[[T], str]) -> dict[str, T]:
    """All objects of type `entry`, or of one of these types, in the public modules of `package`, keyed by their name.

    A module that starts with an underscore is machinery and is not looked at. Two entries of one
    name are a mistake in the package and raise ValueError.
    """
    found: dict[str, T] = {}
    for module_info in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if module_info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{package}.{module_info.name}")
        for value in vars(module).values():
            # Functions carry their entry as `.entry`, so that a builder stays an ordinary function.
            item = getattr(value, "entry", None) if isinstance(value, types.FunctionType) else value
            if not isinstance(item, entry):
                continue
            if found.setdefault(name_of(item), item) is not item:
                raise ValueError(f"{package}: two entries are called {name_of(item)!r}")
    return found


def files_of(package: str, suffix: str) -> dict[str, str]:
    """Stem → text of every file of `package` that ends in `suffix`."""
    from importlib.resources import files

    return {
        path.name.removesuffix(suffix): path.read_text(encoding="utf-8")
        for path in files(package).iterdir()
        if path.name.endswith(suffix)
    }
