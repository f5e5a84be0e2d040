"""The source of a program: model.h, model.c, self_test.c and a Makefile beside the kernels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit import __version__
from dlkit.finishing._c_source import text
from dlkit.finishing._c_source.graph import Tensor
from dlkit.finishing._c_source.program import END_TYPES, Program
from dlkit.finishing._c_source.steps import Call, Constant, Step
from dlkit.finishing._c_text import comment, identifier, string_literal

if TYPE_CHECKING:
    from numpy.typing import NDArray

KERNELS = ("kernels.c", "kernels.h", "Makefile")
"""That are the same for every model."""


@dataclasses.dataclass(frozen=True)
class Named:
    """What a source is called and says.

    Attributes:
        name: of the model, whatever it is.
        labels: of the classes; empty where the outputs are none.
        inputs, outputs: names of the ends, in the file's order.
    """

    name: str
    labels: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def prefix(self) -> str:
        return identifier(self.name)


def kernels() -> dict[str, str]:
    """File name → content, of what is the same for every model."""
    folder = files("dlkit.finishing._c_source")
    return {name: (folder / name).read_text(encoding="utf-8") for name in KERNELS}


def header(program: Program, named: Named) -> str:
    """model.h: the function to call, and what goes in and out."""
    prefix, macro = named.prefix, named.prefix.upper()
    graph = program.graph
    ends = "".join(
        _end(f"{macro}_{kind}{_nth(i, tensors)}", name, tensor)
        for kind, tensors, names in (("INPUT", graph.inputs, named.inputs), ("OUTPUT", graph.outputs, named.outputs))
        for i, (tensor, name) in enumerate(zip(tensors, names, strict=True))
    )
    labels = ""
    if named.labels:
        labels = (
            f"#define {macro}_CLASSES {len(named.labels)}\n\n/* Of the classes, in the order of the output; UTF-8. */\n"
            f"extern const char *const {prefix}_class_names[{macro}_CLASSES];\n"
        )
    return f"""/* The network "{comment(named.name)}", made by dlkit {comment(__version__)}.
 *
 * Compile model.c and kernels.c with your program; any C99 compiler does:
 *     arm-none-eabi-gcc -std=c99 -Os -mthumb -mcpu=cortex-m4 -c model.c kernels.c
 * and try them on your device with self_test.c (`make check` runs it on this computer). kernels.c is the same for every
 * network: of several, compile one.
 *
 * real = scale * (integer - zero point)
 */
#ifndef {macro}_MODEL_H
#define {macro}_MODEL_H

#include <stdint.h>

{ends}
/* Of static memory beside the constants. */
#define {macro}_STATIC_BYTES {program.memory.arena_bytes}
{labels}
/* One inference. Inputs and outputs may not overlap. It uses static memory: one call at a time. */
void {prefix}_infer({_parameters(program)});

#endif
"""


def _nth(place: int, tensors: Sequence[Tensor]) -> str:
    return str(place) if len(tensors) > 1 else ""


def _end(macro: str, name: str, tensor: Tensor) -> str:
    shape = ", ".join(str(n) for n in tensor.shape[1:]) or "1"
    lines = f"/* {comment(name)}: {tensor.dtype} ({shape}) */\n#define {macro}_SIZE {tensor.size}\n"
    if tensor.dtype != "float32" and len(tensor.scales) == 1:
        lines += f"#define {macro}_SCALE {text.real(tensor.scale)} /* {tensor.scale:.9g} */\n"
        lines += f"#define {macro}_ZERO_POINT ({tensor.zero_point})\n"
    return lines


def _parameters(program: Program) -> str:
    graph = program.graph
    ends = [f"const {END_TYPES[tensor.dtype]} *{end}" for tensor, end in _with_names(graph.inputs, "input")]
    ends += [f"{END_TYPES[tensor.dtype]} *{end}" for tensor, end in _with_names(graph.outputs, "output")]
    return ", ".join(ends)


def _with_names(tensors: Sequence[Tensor], kind: str) -> list[tuple[Tensor, str]]:
    return list(zip(tensors, _called(tensors, kind), strict=True))


def _called(tensors: Sequence[Tensor], kind: str) -> list[str]:
    return [f"{kind}{_nth(i, tensors)}" for i in range(len(tensors))]


def model(program: Program, named: Named) -> str:
    """model.c: the constants, and the calls of the kernels."""
    writer = _Writer(program)
    body = "".join(writer.step(number, step) for number, step in enumerate(program.steps)) + writer.ends()
    arena = f"static int8_t arena[{program.memory.arena_bytes}];\n\n" if program.memory.arena_bytes else ""
    labels = ""
    if named.labels:
        strings = "".join(f"    {string_literal(label)},\n" for label in named.labels)
        labels = f"const char *const {named.prefix}_class_names[{len(named.labels)}] = {{\n{strings}}};\n\n"
    includes = '#include "model.h"\n\n#include <string.h>\n\n#include "kernels.h"\n\n'
    function = f"void {named.prefix}_infer({_parameters(program)}) {{\n{body}}}\n"
    return includes + labels + "".join(f"{part}\n" for part in writer.definitions) + arena + function


class _Writer:
    """Writes steps one after the other.

    Attributes:
        definitions: of the constants and tables that the steps so far point to.
    """

    def __init__(self, program: Program) -> None:
        self.definitions: list[str] = []
        self._program = program
        self._ends = {
            "input": _called(program.graph.inputs, "input"),
            "output": _called(program.graph.outputs, "output"),
        }
        self._constants = {tensor.number for tensor in program.graph.tensors if tensor.values is not None}
        self._written: set[int] = set()

    def step(self, number: int, step: Step) -> str:
        """The lines of a step; none of one that renames."""
        if number in self._program.memory.copied:
            return self._copied(step.operation.given, self._at(step.operation.result))
        lines = [self._call(call, f"{number}_{i}" if i else str(number)) for i, call in enumerate(step.calls)]
        return f"    /* {comment(step.operation.name)} */\n" + "".join(lines) if lines else ""

    def ends(self) -> str:
        """Outputs that are not where they belong: those that are an input, a constant, or another output."""
        lines = ""
        for place, (tensor, end) in enumerate(zip(self._program.graph.outputs, self._ends["output"], strict=True)):
            found = self._program.memory.places[tensor.number]
            if (found.where, found.at) != ("output", place):
                lines += self._copied(tensor, end)
        return lines

    def _copied(self, tensor: Tensor, where: str) -> str:
        return f"    memcpy({where}, {self._at(tensor)}, {tensor.size} * sizeof *{where});\n"

    def _call(self, call: Call, suffix: str) -> str:
        for constant in call.constants:
            self.definitions.append(text.array(f"{constant.name}_{suffix}", constant.values))
        arguments = [self._argument(argument, suffix) for argument in call.arguments]
        if call.struct:
            table = f"layer_{suffix}"
            self.definitions.append(_table(call, table, suffix))
            arguments.insert(0, f"&{table}")
        return f"    {call.function}({', '.join(arguments)});\n"

    def _argument(self, argument: Tensor | Constant | str, suffix: str) -> str:
        if isinstance(argument, str):
            return argument
        return f"{argument.name}_{suffix}" if isinstance(argument, Constant) else self._at(argument)

    def _at(self, tensor: Tensor) -> str:
        """An expression for where a tensor is."""
        place = self._program.memory.places[tensor.number]
        if place.where == "arena":
            return f"arena + {place.at}" if place.at else "arena"
        if place.where != "constant":
            return self._ends[place.where][place.at]
        constant = self._program.graph.tensors[place.at]
        if place.at not in self._written and constant.values is not None:
            self._written.add(place.at)
            self.definitions.append(text.array(f"constant_{place.at}", constant.values))
        return f"constant_{place.at}"


def _table(call: Call, name: str, suffix: str) -> str:
    fields = []
    for key, value in call.fields.items():
        if isinstance(value, Constant):
            told = f"{value.name}_{suffix}"
        elif isinstance(value, list):
            told = "{" + ", ".join(map(text.whole, value)) + "}"
        else:
            told = text.whole(value)
        fields.append(f".{key} = {told}")
    return text.definition(f"static const {call.struct} {name}", fields)


def self_test(
    program: Program, named: Named, samples: Mapping[str, NDArray[Any]], answers: Mapping[str, NDArray[Any]]
) -> str:
    """self_test.c: a program that runs samples and compares each output with what LiteRT's reference kernels give.

    Args:
        samples, answers: name → (N, ...) in the dtypes of inputs and outputs.
    """
    graph, macro = program.graph, named.prefix.upper()
    inputs, outputs = _called(graph.inputs, "input"), _called(graph.outputs, "output")
    count = len(next(iter(samples.values())))
    data = "".join(
        _samples(f"{end}s" if kind == "given" else f"expected_{end}", tensor, values[name])
        for kind, tensors, ends, names, values in (
            ("given", graph.inputs, inputs, named.inputs, samples),
            ("expected", graph.outputs, outputs, named.outputs, answers),
        )
        for tensor, end, name in zip(tensors, ends, names, strict=True)
    )
    found = "".join(
        f"    static {END_TYPES[t.dtype]} {end}[{macro}_{end.upper()}_SIZE];\n"
        for t, end in _with_names(graph.outputs, "output")
    )
    given = ", ".join([f"{end}s + sample * {macro}_{end.upper()}_SIZE" for end in inputs] + outputs)
    compared = "".join(
        f"        for (long i = 0; i < {macro}_{end.upper()}_SIZE; i++)\n"
        f"            wrong += {end}[i] != expected_{end}[sample * {macro}_{end.upper()}_SIZE + i];\n"
        for end in outputs
    )
    return f"""/* Runs {count} samples and compares each output with what LiteRT's reference kernels give; the exit
 * code is 0 if all are the same.
 */
#include <stdio.h>

#include "model.h"

{data}
int main(void) {{
{found}    long wrong = 0;
    for (long sample = 0; sample < {count}; sample++) {{
        {named.prefix}_infer({given});
{compared}    }}
    if (wrong)
        printf("FAIL: %ld numbers of {count} samples are other than expected\\n", wrong);
    else
        printf("PASS: {count} samples, every number as expected\\n");
    return wrong != 0;
}}
"""


def _samples(name: str, tensor: Tensor, values: NDArray[Any]) -> str:
    flat = values.reshape(-1)
    if tensor.dtype == "float32":
        return text.definition(f"static const float {name}[{flat.size}]", [text.real(n) for n in flat.tolist()]) + "\n"
    return text.array(name, np.asarray(flat)) + "\n"
