"""Where each tensor lies in memory: those that are not needed at the same time share it.

Greedy by size, as TensorFlow Lite for Microcontrollers has it (Pisarchyk & Lee 2020, arXiv:2001.03288, section 5.2).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from dlkit.finishing._c_source.graph import Graph, Tensor
from dlkit.finishing._c_source.steps import Step

ALIGNMENT = 4
"""Bytes: a processor moves words faster from where they begin."""


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a tensor is.

    Attributes:
        where: "arena", "input", "output" or "constant".
        at: bytes into the arena; which input or output; the tensor's number of a constant.
    """

    where: str
    at: int


@dataclasses.dataclass(frozen=True)
class Memory:
    """The plan.

    Attributes:
        places: tensor number → where it is.
        arena_bytes: of the memory that tensors between inputs and outputs share.
        copied: steps that rename what cannot be renamed, and have to copy it.
    """

    places: Mapping[int, Place]
    arena_bytes: int
    copied: frozenset[int]


@dataclasses.dataclass
class _Storage:
    """Memory that holds one tensor after the other.

    Attributes:
        first, last: steps between which it is in use.
    """

    place: Place | None
    size: int
    first: int
    last: int


def plan(graph: Graph, steps: Sequence[Step]) -> Memory:
    """Places for all tensors that the steps read and write."""
    last_reads = _last_reads(graph, steps)
    outputs = {tensor.number: Place("output", i) for i, tensor in reversed(list(enumerate(graph.outputs)))}
    held = {tensor.number: _Storage(Place("input", i), tensor.size, -1, -1) for i, tensor in enumerate(graph.inputs)}
    copied = set()
    for now, step in enumerate(steps):
        for tensor in step.operation.inputs:
            if tensor is not None and tensor.values is not None:
                held.setdefault(tensor.number, _Storage(Place("constant", tensor.number), tensor.size, -1, -1))
        for result in step.operation.outputs:
            end, given = outputs.get(result.number), step.operation.given
            source = held[given.number] if step.renames else _overwritten(step, result, held, last_reads, now)
            if source is not None and source.place is not None and end is not None:
                source = None  # an output has its own memory, and so has what it would be put in the place of
            if source is None:
                source = _Storage(end, result.size, now, now)
                if step.renames:
                    copied.add(now)
            source.place = source.place or end
            source.last = max(source.last, last_reads.get(result.number, now))
            held[result.number] = source
    arena = {id(storage): storage for storage in held.values() if storage.place is None}
    arena_bytes = _laid_out(list(arena.values()))
    places = {number: storage.place for number, storage in held.items() if storage.place is not None}
    return Memory(places, arena_bytes, frozenset(copied))


def _last_reads(graph: Graph, steps: Sequence[Step]) -> dict[int, int]:
    """Tensor number → the last step that reads it; outputs of the graph are read after all."""
    found = {}
    for now, step in enumerate(steps):
        for tensor in step.operation.inputs:
            if tensor is not None:
                found[tensor.number] = now
    return found | {tensor.number: len(steps) for tensor in graph.outputs}


def _overwritten(
    step: Step, result: Tensor, held: Mapping[int, _Storage], last_reads: Mapping[int, int], now: int
) -> _Storage | None:
    """The memory of an input that the result may take; None if each is needed later, or is not the arena's."""
    for tensor in step.overwrites:
        storage = held[tensor.number]
        alike = tensor.dtype == result.dtype and tensor.size == result.size
        if storage.place is None and alike and storage.last <= now and last_reads[tensor.number] <= now:
            return storage
    return None


def _laid_out(storages: list[_Storage]) -> int:
    """Give each a place, the largest first, at the lowest address that is free while it is in use. Returns bytes."""
    placed: list[tuple[int, _Storage]] = []
    for storage in sorted(storages, key=lambda storage: (-storage.size, storage.first)):
        at = 0
        for start, other in sorted(placed, key=lambda pair: pair[0]):
            together = storage.first <= other.last and other.first <= storage.last
            if together and at + storage.size > start and start + other.size > at:
                at = -(-(start + other.size) // ALIGNMENT) * ALIGNMENT
        storage.place = Place("arena", at)
        placed.append((at, storage))
    return max((at + storage.size for at, storage in placed), default=0)
