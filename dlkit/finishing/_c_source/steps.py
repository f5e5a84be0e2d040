"""What a layer is in C: a call of a kernel, the table of its numbers, and the constants that these point to."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dlkit.finishing._c_source.graph import Operation, Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

C_TYPES = {"int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "uint16": "uint16_t", "int32": "int32_t"}
"""Of constants, by numpy's names."""


@dataclasses.dataclass(frozen=True, eq=False)
class Constant:
    """An array that the source holds.

    Attributes:
        name: what it is of its operation, "weights".
        values: in one of the dtypes of `C_TYPES`.
    """

    name: str
    values: NDArray[Any]


Fields = Mapping[str, int | list[int] | Constant]
"""Of a table: a number, a list of numbers, or what it points to, by the names that they have in kernels.h."""


@dataclasses.dataclass(frozen=True)
class Call:
    """A call of a function, `function(&table, arguments…)`.

    Attributes:
        function: of kernels.h, or memset or memcpy.
        arguments: tensors, constants, and C expressions as they are, in order, behind the table.
        struct: the type of its table; "" where it has none.
        fields: of the table.
    """

    function: str
    arguments: tuple[Tensor | Constant | str, ...]
    struct: str = ""
    fields: Fields = dataclasses.field(default_factory=dict)

    @property
    def constants(self) -> tuple[Constant, ...]:
        """Those that it refers to."""
        return tuple(value for value in (*self.fields.values(), *self.arguments) if isinstance(value, Constant))


@dataclasses.dataclass(frozen=True)
class Step:
    """An operation in C.

    Attributes:
        calls: one after the other; none where the result is the input in another shape.
        overwrites: inputs in whose place the result may be put, byte by byte, where nothing else reads them.
        renames: whether the result is the input as it is.
    """

    operation: Operation
    calls: tuple[Call, ...] = ()
    overwrites: tuple[Tensor, ...] = ()
    renames: bool = False
