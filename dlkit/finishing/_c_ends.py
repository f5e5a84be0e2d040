"""Inputs and outputs of a file as constants of C: shapes, number formats, and how raw values become network input."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from dlkit.finishing._c_text import C_TYPES, comment, float_literal, int_literal, listed, string_literal
from dlkit.runtime.dtypes import TensorFormat
from dlkit.runtime.named_ends import NamedEnds
from dlkit.runtime.preprocessing import Preprocessing


def end_lines(guard: str, session: NamedEnds, inputs: Mapping[str, Preprocessing]) -> list[str]:
    """Lines of a header.

    Args:
        guard: what the names of constants begin with.
        inputs: input name → preprocessing; of one that is not there nothing is told.
    """
    lines = [f"#define {guard}_INPUTS {len(session.inputs)}", f"#define {guard}_OUTPUTS {len(session.outputs)}"]
    for place, (name, end) in enumerate(session.inputs.items()):
        lines += ["", *_end(f"{guard}_INPUT_{place}", name, end)]
        if name in inputs:
            lines += _preprocessing(f"{guard}_INPUT_{place}", inputs[name])
    for place, (name, end) in enumerate(session.outputs.items()):
        lines += ["", *_end(f"{guard}_OUTPUT_{place}", name, end)]
    return lines


def _end(prefix: str, name: str, end: TensorFormat) -> Iterator[str]:
    yield f"#define {prefix}_NAME {string_literal(name)}"
    yield f"#define {prefix}_TYPE {C_TYPES[end.dtype]}"
    yield f"#define {prefix}_RANK {len(end.shape)}"
    yield f"#define {prefix}_SHAPE {listed(str(n) for n in end.shape)}"
    yield f"#define {prefix}_ELEMENTS {math.prod(end.shape)}"
    if end.quantized:
        yield "/* number = scale * (stored - zero point) */"
        yield f"#define {prefix}_SCALE {float_literal(end.scale)}"
        yield f"#define {prefix}_ZERO_POINT {int_literal(end.zero_point)}"


def _preprocessing(prefix: str, preprocessing: Preprocessing) -> Iterator[str]:
    low, high = preprocessing.raw_range
    known = f", raw from {low:g} to {high:g}" if preprocessing.is_bounded else ""
    order = f", channels in the order {preprocessing.color}" if preprocessing.color in ("rgb", "bgr") else ""
    yield f"/* {comment(f'network input = raw * factor + offset, by its last axis{known}{order}')} */"
    count = max(len(preprocessing.scale), len(preprocessing.offset))
    yield f"#define {prefix}_CHANNELS {count}"
    for what, values in (("FACTORS", preprocessing.scale), ("OFFSETS", preprocessing.offset)):
        each = values * count if len(values) == 1 else values
        yield f"#define {prefix}_{what} {listed(float_literal(value) for value in each)}"
