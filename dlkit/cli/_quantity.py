"""Options that take a size or a time with its unit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from dlkit.quantities import bytes_of, milliseconds_of


class Quantity(click.ParamType[Any]):
    """A number with a unit, read by a function that raises ValueError."""

    def __init__(self, name: str, read: Callable[[str], float]) -> None:
        self.name, self._read = name, read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number in the function's unit; what is one already stays."""
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


SIZE, TIME = Quantity("size", bytes_of), Quantity("time", milliseconds_of)
