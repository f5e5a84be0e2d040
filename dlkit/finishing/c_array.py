"""For firmware: the file as an array in C, with what a program must know of it as constants."""

from __future__ import annotations

from dlkit.devices.tflm import recommended_arena
from dlkit.finishing import Finish, Finished, Finishing
from dlkit.finishing._c_ends import end_lines
from dlkit.finishing._c_text import byte_lines, comment, identifier, string_literal
from dlkit.finishing._mcu_guide import guide
from dlkit.runtime.litert import Session

HEADER = """\
/* {about}. See README.md. */
#ifndef {guard}_MODEL_DATA_H
#define {guard}_MODEL_DATA_H

#include <stdint.h>

/* Memory for TensorFlow Lite Micro to work in: what it was measured to need on a 64-bit machine, and an eighth. */
#define {guard}_ARENA_BYTES {arena}

{ends}

#define {guard}_LABELS {labels}
#define {guard}_MODEL_BYTES {size}

#ifdef __cplusplus
extern "C" {{
#endif

/* The bytes of model.tflite, aligned to 16. */
extern const unsigned char {name}_model[{guard}_MODEL_BYTES];
{declared}
#ifdef __cplusplus
}}
#endif

#endif /* {guard}_MODEL_DATA_H */
"""
SOURCE = """\
/* {about}. C99 with GCC or Clang, C11, or C++11. */
#include "model_data.h"

#if defined(__cplusplus)
#define {guard}_ALIGNED alignas(16)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define {guard}_ALIGNED _Alignas(16)
#elif defined(__GNUC__)
#define {guard}_ALIGNED __attribute__((aligned(16)))
#else
#error "the array must be aligned to 16 bytes: compile this file as C11 or C++11"
#endif

{guard}_ALIGNED const unsigned char {name}_model[{guard}_MODEL_BYTES] = {{
{lines}
}};
{defined}"""


def make(given: Finishing) -> Finished:
    """mcu/model_data.h, model_data.c, and README.md on how they are used.

    Raises:
        ExtraMissing: TensorFlow Lite Micro, which the arena is measured with, is not installed.
        IllegalCombination, ConversionError: it does not run the file.
    """
    content, session = given.file.read_bytes(), Session(given.file, 1)
    name = identifier(given.name)
    guard = name.upper()
    arena = recommended_arena(given.file, given.advance)
    ends = end_lines(guard, session, given.inputs)
    about = comment(f"{given.name}, {given.scheme.name} for {given.target.name}, made by dlkit")
    declared, defined = _labels(name, guard, given.labels)
    header = HEADER.format(
        about=about, guard=guard, name=name, arena=arena, ends="\n".join(ends), labels=len(given.labels),
        size=len(content), declared=declared,
    )  # fmt: skip
    source = SOURCE.format(about=about, guard=guard, name=name, lines="\n".join(byte_lines(content)), defined=defined)
    files = {
        "mcu/model_data.h": header.encode("ascii"),
        "mcu/model_data.c": source.encode("ascii"),
        "mcu/README.md": guide(given, session, arena).encode(),
    }
    return Finished(files)


def _labels(name: str, guard: str, labels: tuple[str, ...]) -> tuple[str, str]:
    """Declaration and definition of the class names, in the order of the output; nothing where there are none."""
    if not labels:
        return "", ""
    array = f"const char *const {name}_labels[{guard}_LABELS]"
    lines = "".join(f"  {string_literal(label)},\n" for label in labels)
    return f"/* Names of the classes in UTF-8. */\nextern {array};\n", f"\n{array} = {{\n{lines}}};\n"


C_ARRAY = Finish("c_array", "the file as a C array", make)
