"""README.md of the folder mcu: what is in it, and the lines of C++ that run it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dlkit.finishing import Finishing
from dlkit.finishing._c_text import C_TYPES, camel, float_literal, identifier
from dlkit.quantities import times
from dlkit.runtime.dtypes import TensorFormat
from dlkit.runtime.inspection import FUSED_LSTM, inspect_file
from dlkit.runtime.named_ends import NamedEnds
from dlkit.runtime.preprocessing import Preprocessing

FIELDS = {"int8": "int8", "uint8": "uint8", "int16": "i16", "int32": "i32", "float32": "f"}
"""What a tensor holds → where TfLiteTensor.data has it."""
LIMITS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}
TEXT = """\
# {name}, {scheme} for {target}

| file | what it is |
|---|---|
| `model_data.c`, `model_data.h` | `model.tflite` as an array, byte for byte; shapes, scales{labels} as constants |
{resolver_row}
It is for firmware with [TensorFlow Lite Micro](https://github.com/tensorflow/tflite-micro).

- RAM: an arena of {arena:,} bytes is what its runtime was measured to need on a 64-bit machine, with an eighth added
  and in whole KiB. Pointers of a microcontroller are shorter, but kernels of its own (CMSIS-NN) may want more to work
  in: ask `interpreter.arena_used_bytes()` on the device.
- Flash: the file's {size:,} bytes; the runtime's code comes on top.

{about}

```cpp
{code}
```

This was run in TensorFlow Lite Micro's Python package on the machine that made it; nothing here was compiled together
with TensorFlow Lite Micro, or run on a {target}.
"""
INCLUDES = """\
#include <cmath>
#include <cstdint>

#include "model_data.h"
{resolver}#include "tensorflow/lite/micro/micro_interpreter.h"
{mutable}#include "tensorflow/lite/schema/schema_generated.h"

alignas(16) static uint8_t arena[{guard}_ARENA_BYTES];
"""
RUN = """
// {arguments}. Returns 0 if all went well.
int run({parameters}) {{
  static {type} resolver;
{register}  static tflite::MicroInterpreter interpreter(tflite::GetModel({name}_model), resolver,
                                              arena, sizeof(arena));
  static const bool ready = {ready}
                            interpreter.AllocateTensors() == kTfLiteOk;
  if (!ready) return 1;
{reset}{inputs}
  if (interpreter.Invoke() != kTfLiteOk) return 2;
{outputs}
  return 0;
}}"""


def guide(given: Finishing, session: NamedEnds, arena: int) -> str:
    """The text, in Markdown.

    Args:
        session: the file, loaded.
        arena: bytes that are recommended.
    """
    with_resolver = "op_resolver" in given.target.finish
    row = "| `op_resolver.h` | registers the operations of this network |\n" if with_resolver else ""
    return TEXT.format(
        name=given.name,
        scheme=given.scheme.name,
        target=given.target.name,
        labels=" and labels" if given.labels else "",
        resolver_row=row,
        arena=arena,
        size=given.file.stat().st_size,
        about="\n".join(_about(session, given.inputs)),
        code=_code(given, session, with_resolver),
    )


def _about(session: NamedEnds, inputs: Mapping[str, Preprocessing]) -> Iterator[str]:
    """A line for each input and output: its numbers, and the formula."""
    for name, end in session.inputs.items():
        yield f"- input `{name}`, {times(end.shape)} {end.dtype}: {_prepared(inputs.get(name))}{_stored(end)}"
    for name, end in session.outputs.items():
        formula = f": number = {end.scale:.8g} × (stored{_added(-end.zero_point)})" if end.quantized else ""
        yield f"- output `{name}`, {times(end.shape)} {end.dtype}{formula}"


def _prepared(inputs: Preprocessing | None) -> str:
    """How a raw value becomes network input x."""
    if inputs is None:
        return "x as the network takes it"
    low, high = inputs.raw_range
    raw = f"a raw value from {low:g} to {high:g}" if inputs.is_bounded else "a raw value"
    if inputs.image:
        height, width, channels = inputs.image
        raw = f"pixels of {height}×{width}×{channels}, {inputs.color}, each {raw}"
    if inputs.sound:
        raw = f"{inputs.sound.features} features of {times(inputs.sound.shape)}, as manifest.json has them, each {raw}"
    if len(inputs.scale) == len(inputs.offset) == 1:
        return f"{raw}; x = raw × {inputs.scale[0]:.8g}{_added(inputs.offset[0])}"
    return f"{raw}; x = raw × factor + offset, of each channel or feature its own, see `model_data.h`"


def _stored(end: TensorFormat) -> str:
    """How network input is stored in the tensor."""
    if not end.quantized:
        return ", stored as it is"
    low, high = LIMITS[end.dtype]
    return f"; stored = round(x / {end.scale:.8g}){_added(end.zero_point)}, at least {low} and at most {high}"


def _added(value: float) -> str:
    """What is added to something, as people write it: " − 128"; "" for nothing."""
    return f" {'−' if value < 0 else '+'} {abs(value):.8g}" if value else ""


def _code(given: Finishing, session: NamedEnds, with_resolver: bool) -> str:
    name = identifier(given.name)
    type_, guard, count = camel(name), name.upper(), len(inspect_file(given.file).ops)
    includes = INCLUDES.format(
        guard=guard,
        resolver='#include "op_resolver.h"\n' if with_resolver else "",
        mutable="" if with_resolver else '#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"\n',
    )
    run = RUN.format(
        name=name,
        type=f"{type_}OpResolver" if with_resolver else f"tflite::MicroMutableOpResolver<{count}>",
        register="" if with_resolver else "  // resolver.Add…() of each operation, once\n",
        ready=f"Register{type_}Operations(resolver) == kTfLiteOk &&" if with_resolver else "",
        reset=_reset(given),
        arguments="Network inputs (float, in the order of the tensor) → outputs",
        parameters=", ".join(
            [f"const float* x{place}" for place in range(len(session.inputs))]
            + [f"float* y{place}" for place in range(len(session.outputs))]
        ),
        inputs="\n".join(_input(guard, place, end) for place, end in enumerate(session.inputs.values())),
        outputs="\n".join(_output(guard, place, end) for place, end in enumerate(session.outputs.values())),
    )
    return includes + run


def _reset(given: Finishing) -> str:
    """A fused LSTM keeps its state: a new sequence begins with none."""
    fused = FUSED_LSTM in inspect_file(given.file).ops
    return "  interpreter.Reset();  // the LSTM's state; leave it out within a sequence\n" if fused else ""


def _input(guard: str, place: int, end: TensorFormat) -> str:
    prefix, to = f"{guard}_INPUT_{place}", f"interpreter.input({place})->data.{FIELDS[end.dtype]}[i]"
    loop = f"  for (int i = 0; i < {prefix}_ELEMENTS; ++i) {{\n"
    if not end.quantized:
        return f"{loop}    {to} = {_cast(end, f'x{place}[i]')};\n  }}"
    low, high = (float_literal(limit) for limit in LIMITS[end.dtype])
    return (
        f"{loop}    float q = std::nearbyint(x{place}[i] / {prefix}_SCALE) + {prefix}_ZERO_POINT;\n"
        f"    q = q < {low} ? {low} : q > {high} ? {high} : q;\n"
        f"    {to} = {_cast(end, 'q')};\n  }}"
    )


def _output(guard: str, place: int, end: TensorFormat) -> str:
    prefix, found = f"{guard}_OUTPUT_{place}", f"interpreter.output({place})->data.{FIELDS[end.dtype]}[i]"
    number = f"{prefix}_SCALE * ({found} - {prefix}_ZERO_POINT)" if end.quantized else found
    return f"  for (int i = 0; i < {prefix}_ELEMENTS; ++i) {{\n    y{place}[i] = {number};\n  }}"


def _cast(end: TensorFormat, value: str) -> str:
    return value if end.dtype == "float32" else f"static_cast<{C_TYPES[end.dtype]}>({value})"
