"""A .tflite file with something in it changed, to see whether it is noticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema


def edited(content: bytes, change: Callable[[Any], None]) -> bytes:
    """The file `content` after `change` of its schema's ModelT."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    change(model)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def code_of(model: Any, name: str) -> Any:
    """The operator code (OperatorCodeT) called `name`."""
    [code] = [c for c in model.operatorCodes if names()[max(c.builtinCode, c.deprecatedBuiltinCode)] == name]
    return code


def operators_of(model: Any, name: str) -> list[Any]:
    """The operators (OperatorT) of the main subgraph that are called `name`."""
    number = model.operatorCodes.index(code_of(model, name))
    return [operator for operator in model.subgraphs[0].operators if operator.opcodeIndex == number]


def rename(model: Any, name: str, builtin: str, custom: bytes | None = None) -> None:
    """Make every operation called `name` the one called `builtin`, or the custom one called `custom`."""
    code = code_of(model, name)
    code.builtinCode = getattr(schema.BuiltinOperator, builtin)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.customCode = custom


def names() -> dict[int, str]:
    """Number → name of an operation."""
    return {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
