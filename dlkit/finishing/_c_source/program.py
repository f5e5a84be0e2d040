"""A .tflite file as the steps of a C program, or which of its operations cannot be one."""

from __future__ import annotations

import collections
import dataclasses

from dlkit.errors import IllegalCombination
from dlkit.finishing._c_source.graph import Graph, Operation, Tensor, read_graph
from dlkit.finishing._c_source.layers import LAYERS
from dlkit.finishing._c_source.planning import Memory, plan
from dlkit.finishing._c_source.steps import Step
from dlkit.finishing._c_source.tables import TABLES, is_of_bytes, lookup, tables_of
from dlkit.progress import Advance

END_TYPES = {"int8": "int8_t", "uint8": "uint8_t", "float32": "float"}
"""Of inputs and outputs."""
COVERED = frozenset(LAYERS) | TABLES


@dataclasses.dataclass(frozen=True)
class Program:
    """What the source is written from."""

    graph: Graph
    steps: tuple[Step, ...]
    memory: Memory


def program_of(content: bytes, where: str, advance: Advance) -> Program:
    """The program of a .tflite file given as bytes; `where` is its name, for messages.

    Raises:
        ModelFileError: it is not a whole .tflite file.
        IllegalCombination: some of its operations are not covered; all of them are named, with the reason.
    """
    graph = read_graph(content, where)
    written: dict[int, Step] = {}
    refused = collections.Counter(f"{end.dtype} inputs or outputs" for end in _ends(graph) if not _passed(end))
    by_table = [operation for operation in graph.operations if is_of_bytes(operation)]
    for operation in graph.operations:
        if operation not in by_table:
            try:
                written[operation.number] = _step(operation)
            except ValueError as error:
                refused[f"{operation.name} {error}".rstrip()] += 1
    if refused:
        told = "; ".join(f"{count} × {reason}" if count > 1 else reason for reason, count in refused.items())
        raise IllegalCombination(f"its C source would need what there is no kernel for: {told}")
    tables = tables_of(by_table, advance)
    written |= {operation.number: lookup(operation, tables[operation.number]) for operation in by_table}
    steps = tuple(written[operation.number] for operation in graph.operations)
    return Program(graph, steps, plan(graph, steps))


def _step(operation: Operation) -> Step:
    if operation.name not in LAYERS:
        raise ValueError(f"of {operation.given.dtype}" if operation.name in TABLES else "")
    return LAYERS[operation.name](operation)


def _ends(graph: Graph) -> tuple[Tensor, ...]:
    return (*graph.inputs, *graph.outputs)


def _passed(end: Tensor) -> bool:
    """Whether it can be a parameter of the function."""
    return end.dtype in END_TYPES
