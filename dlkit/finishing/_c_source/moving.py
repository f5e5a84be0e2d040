"""Operations that compute nothing: numbers keep their value and get another place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.finishing._c_source.graph import Operation, Tensor
from dlkit.finishing._c_source.steps import Call, Constant, Fields, Step
from dlkit.finishing._c_source.strides import fewer_dimensions, steps_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOVE_DIMENSIONS = 5
"""Over which numbers are moved, see `nn_moves`."""


def _bytes(*tensors: Tensor) -> None:
    """Raise ValueError unless each is of int8 and all have one scale and zero point, so that bytes can be copied."""
    for tensor in tensors:
        if not tensor.is_quantized:
            raise ValueError(f"of {tensor.dtype}")
        if (tensor.scale, tensor.zero_point) != (tensors[0].scale, tensors[0].zero_point):
            raise ValueError("of tensors with different scales")


def _moved(
    given: Tensor,
    result: Tensor,
    shape: Sequence[int],
    in_steps: Sequence[int],
    out_steps: Sequence[int],
    in_start: int = 0,
    out_start: int = 0,
) -> Call:
    sizes, (inwards, outwards) = fewer_dimensions(shape, [in_steps, out_steps], MOVE_DIMENSIONS)
    fields: Fields = {
        "shape": sizes, "in_steps": inwards, "out_steps": outwards, "in_start": in_start, "out_start": out_start,
    }  # fmt: skip
    return Call("nn_move", (given, result), "nn_moves", fields)


def _constant(operation: Operation, place: int) -> NDArray[Any]:
    """A constant operand as a flat array. Raises ValueError if it is none."""
    tensor = operation.input(place)
    if tensor is None or tensor.values is None:
        raise ValueError("with a shape that is no constant")
    return tensor.values.reshape(-1)


def rename(operation: Operation) -> Step:
    """The same numbers in another shape."""
    if operation.given.size != operation.result.size or operation.given.dtype != operation.result.dtype:
        raise ValueError("to another size")
    return Step(operation, renames=True)


def concatenation(operation: Operation) -> Step:
    """Each part to its place."""
    result, options = operation.result, operation.options
    if options.fusedActivationFunction != 0:
        raise ValueError("with a fused activation")
    axis = options.axis % len(result.shape)
    calls, start, steps = [], 0, steps_of(result.shape)
    for part in operation.inputs:
        assert part is not None
        _bytes(part, result)
        calls.append(_moved(part, result, part.shape, steps_of(part.shape), steps, 0, start * steps[axis]))
        start += part.shape[axis]
    return Step(operation, tuple(calls))


def pad(operation: Operation) -> Step:
    """The result is filled, then what is given laid into it. Zero is the zero point, unless a value is given."""
    given, result = operation.given, operation.result
    _bytes(given, result)
    paddings = _constant(operation, 1).reshape(-1, 2)
    value = result.zero_point if operation.input(2) is None else int(_constant(operation, 2)[0])
    steps = steps_of(result.shape)
    start = sum(int(before) * step for (before, _), step in zip(paddings, steps, strict=True))
    fill = Call("memset", (result, str(value), str(result.size)))
    return Step(operation, (fill, _moved(given, result, given.shape, steps_of(given.shape), steps, 0, start)))


def transpose(operation: Operation) -> Step:
    """Dimensions in another order."""
    given, result = operation.given, operation.result
    _bytes(given, result)
    steps = steps_of(given.shape)
    taken = [steps[int(axis)] for axis in _constant(operation, 1)]
    return Step(operation, (_moved(given, result, result.shape, taken, steps_of(result.shape)),))


def strided_slice(operation: Operation) -> Step:
    """Every n-th along each dimension."""
    given, result, options = operation.given, operation.result, operation.options
    _bytes(given, result)
    if options.ellipsisMask or options.newAxisMask or getattr(options, "offset", False):
        raise ValueError("with an ellipsis, a new axis or offsets")
    begins, ends, strides = (_constant(operation, place) for place in (1, 2, 3))
    parts = []
    for axis, size in enumerate(given.shape):
        begin, end, stride = int(begins[axis]), int(ends[axis]), int(strides[axis])
        if options.shrinkAxisMask >> axis & 1:
            begin, end, stride = begin % size, begin % size + 1, 1
        first = None if options.beginMask >> axis & 1 else begin
        last = None if options.endMask >> axis & 1 and not options.shrinkAxisMask >> axis & 1 else end
        parts.append(range(*slice(first, last, stride).indices(size)))
    return _sliced(operation, result, parts)


def slice_(operation: Operation) -> Step:
    """A part along each dimension."""
    given, result = operation.given, operation.result
    _bytes(given, result)
    begins, sizes = (_constant(operation, place) for place in (1, 2))
    parts = [
        range(int(begin), size if length < 0 else int(begin) + int(length))
        for begin, length, size in zip(begins, sizes, given.shape, strict=True)
    ]
    return _sliced(operation, result, parts)


def _sliced(operation: Operation, result: Tensor, parts: Sequence[range]) -> Step:
    """Of what is given, the places `parts` along each dimension, in `result`."""
    shape = [len(part) for part in parts]
    if int(np.prod(shape, dtype=np.int64)) != result.size or result.size == 0:
        raise ValueError(f"of shape {result.shape} where {tuple(shape)} is cut out")
    steps = steps_of(operation.given.shape)
    start = sum(part.start * step for part, step in zip(parts, steps, strict=True))
    taken = [part.step * step for part, step in zip(parts, steps, strict=True)]
    return Step(operation, (_moved(operation.given, result, shape, taken, steps_of(shape), start),))


def unpack(operation: Operation) -> Step:
    """A result for each place along one dimension."""
    given, axis = operation.given, operation.options.axis % len(operation.given.shape)
    _bytes(given, *operation.outputs)
    shape, steps = list(given.shape), steps_of(given.shape)
    rest, taken = shape[:axis] + shape[axis + 1 :], steps[:axis] + steps[axis + 1 :]
    return Step(
        operation,
        tuple(
            _moved(given, result, rest, taken, steps_of(rest), place * steps[axis])
            for place, result in enumerate(operation.outputs)
        ),
    )


def pack(operation: Operation) -> Step:
    """What is given next to each other along a new dimension."""
    result, axis = operation.result, operation.options.axis % len(operation.result.shape)
    steps = steps_of(result.shape)
    laid = steps[:axis] + steps[axis + 1 :]
    calls = []
    for place, part in enumerate(operation.inputs):
        assert part is not None
        _bytes(part, result)
        calls.append(_moved(part, result, part.shape, steps_of(part.shape), laid, 0, place * steps[axis]))
    return Step(operation, tuple(calls))


def split(operation: Operation) -> Step:
    """Parts of one size along a dimension, which is its first operand."""
    given = operation.input(1)
    if given is None:
        raise ValueError("without an input")
    _bytes(given, *operation.outputs)
    axis, steps, calls, start = int(_constant(operation, 0)[0]) % len(given.shape), steps_of(given.shape), [], 0
    for result in operation.outputs:
        calls.append(_moved(given, result, result.shape, steps, steps_of(result.shape), start * steps[axis]))
        start += result.shape[axis]
    return Step(operation, tuple(calls))


def resize_nearest_neighbor(operation: Operation) -> Step:
    """Which pixel each one is, as tables of rows and columns."""
    given, result, options = operation.given, operation.result, operation.options
    _bytes(given, result)
    if len(given.shape) != 4 or given.shape[0] != 1:
        raise ValueError(f"of shape {given.shape}, not one sample of (height, width, channels)")
    rows, columns = (
        Constant(name, _nearest(given.shape[axis], result.shape[axis], options.alignCorners, options.halfPixelCenters))
        for axis, name in ((1, "rows"), (2, "columns"))
    )
    fields: Fields = {
        "in_width": given.shape[2], "out_height": result.shape[1], "out_width": result.shape[2],
        "channels": given.shape[3], "rows": rows, "columns": columns,
    }  # fmt: skip
    return Step(operation, (Call("nn_resize_nearest_neighbor", (given, result), "nn_nearest", fields),))


def _nearest(given: int, found: int, align_corners: bool, half_pixels: bool) -> NDArray[np.uint16]:
    """The place in `given` pixels of each of `found`; in float32, as LiteRT has it."""
    places = np.arange(found, dtype=np.float32) + np.float32(0.5 if half_pixels else 0.0)
    if align_corners and found > 1:
        exact = places * (np.float32(given - 1) / np.float32(found - 1))
        nearest = np.floor(exact + np.float32(0.5))
    else:
        nearest = np.floor(places * (np.float32(given) / np.float32(found)))
    return np.asarray(np.clip(nearest, 0, given - 1), np.uint16)


MOVES: dict[str, Callable[[Operation], Step]] = {
    "CONCATENATION": concatenation,
    "EXPAND_DIMS": rename,
    "PACK": pack,
    "PAD": pad,
    "PADV2": pad,
    "RESHAPE": rename,
    "RESIZE_NEAREST_NEIGHBOR": resize_nearest_neighbor,
    "SLICE": slice_,
    "SPLIT": split,
    "SQUEEZE": rename,
    "STRIDED_SLICE": strided_slice,
    "TRANSPOSE": transpose,
    "UNPACK": unpack,
}
