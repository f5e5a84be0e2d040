"""The C array, compiled and run: its bytes, constants and names are the file's own."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from c_stub import WARNINGS, compiled

from dlkit.bundle.loading import load_bundle
from dlkit.devices.tflm import recommended_arena
from dlkit.finishing import FINISHES, Finishing
from dlkit.finishing._c_text import C_TYPES, comment, identifier, string_literal
from dlkit.runtime.litert import Session
from dlkit.schemes import SCHEMES
from dlkit.targets import TARGETS

pytest.importorskip("tflite_micro", reason="C ARRAY NOT TRIED: pip install 'dlkit[micro]'")

BUNDLE = load_bundle(Path(__file__).parents[2] / "exported" / "digits-tiny" / "cpu-int8")
LABELS = ("null", 'a "quoted" one', "back\\slash", "é 语", "what??/", "", "*/", "8", "%s", "tab\tnewline\n")
GIVEN = Finishing(
    BUNDLE.model, "digits-tiny", SCHEMES["int8"], TARGETS["cortex-m4"], "classification", LABELS, BUNDLE.inputs, {}
)
# Prints what a firmware sees of the header and the array, as JSON.
MAIN = """
#include <stdio.h>
#include <string.h>
#include <stdint.h>
#include "model_data.h"
int main(void) {
  const float numbers[] = {DIGITS_TINY_INPUT_0_SCALE, DIGITS_TINY_OUTPUT_0_SCALE};
  const float factors[DIGITS_TINY_INPUT_0_CHANNELS] = DIGITS_TINY_INPUT_0_FACTORS;
  const float offsets[DIGITS_TINY_INPUT_0_CHANNELS] = DIGITS_TINY_INPUT_0_OFFSETS;
  const int shape[DIGITS_TINY_INPUT_0_RANK] = DIGITS_TINY_INPUT_0_SHAPE;
  DIGITS_TINY_INPUT_0_TYPE smallest = DIGITS_TINY_INPUT_0_ZERO_POINT;
  uint32_t bits[2];
  memcpy(bits, numbers, sizeof bits);
  printf("{\\"bits\\": [%lu, %lu], ", (unsigned long)bits[0], (unsigned long)bits[1]);
  printf("\\"factor\\": %.9g, \\"offset\\": %.9g, ", (double)factors[0], (double)offsets[0]);
  printf("\\"shape\\": [%d, %d, %d, %d], ", shape[0], shape[1], shape[2], shape[3]);
  printf("\\"zero\\": %d, \\"arena\\": %d, ", smallest, DIGITS_TINY_ARENA_BYTES);
  printf("\\"aligned\\": %d, ", (int)((uintptr_t)digits_tiny_model % 16));
  printf("\\"name\\": \\"%s\\", ", DIGITS_TINY_INPUT_0_NAME);
  printf("\\"labels\\": [");
  for (int i = 0; i < DIGITS_TINY_LABELS; ++i) {
    printf("%s\\"", i ? ", " : "");
    for (const char *c = digits_tiny_labels[i]; *c; ++c) printf("%02x", (unsigned char)*c);
    printf("\\"");
  }
  printf("], \\"bytes\\": \\"");
  for (int i = 0; i < DIGITS_TINY_MODEL_BYTES; ++i) printf("%02x", digits_tiny_model[i]);
  printf("\\"}");
  return 0;
}
"""
COMPILERS = {
    "C99": ("gcc", "-x", "c", "-std=c99"),
    "C11": ("gcc", "-x", "c", "-std=c11"),
    "C++11": ("g++", "-x", "c++", "-std=c++11"),
    "C++17": ("g++", "-x", "c++", "-std=c++17"),
}


def written(folder: Path, given: Finishing = GIVEN) -> Path:
    """The files of the step, in `folder`/mcu."""
    for name, content in FINISHES["c_array"].make(given).files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder / "mcu"


def compiler(*wanted: str) -> None:
    for name in wanted:
        if shutil.which(name) is None:
            pytest.skip(f"C ARRAY NOT COMPILED: there is no {name}")


@pytest.mark.parametrize("language", COMPILERS)
def test_what_firmware_sees(tmp_path: Path, language: str) -> None:
    """In C and in C++, without a warning: every byte of the file, its scales to the bit, labels in UTF-8."""
    compiler(COMPILERS[language][0])
    folder = written(tmp_path)
    (folder / "main.c").write_text(MAIN)
    flags = (*COMPILERS[language], *WARNINGS)
    assert compiled(*flags, "main.c", "model_data.c", "-o", "seen", folder=folder) == ""
    seen = json.loads(subprocess.run([folder / "seen"], capture_output=True, check=True, timeout=60).stdout)
    session = Session(BUNDLE.model, 1)
    assert bytes.fromhex(seen["bytes"]) == BUNDLE.model.read_bytes()
    assert seen["bits"] == [int(np.float32(end.scale).view(np.uint32)) for end in (session.input, session.output)]
    assert tuple(bytes.fromhex(label).decode() for label in seen["labels"]) == LABELS
    assert (seen["shape"], seen["zero"], seen["aligned"], seen["name"]) == ([1, 8, 8, 1], -128, 0, "image")
    assert (seen["factor"], seen["offset"]) == (BUNDLE.preprocessing.scale[0], 0.0)
    assert seen["arena"] == recommended_arena(BUNDLE.model)


@pytest.mark.parametrize("language", COMPILERS)
@pytest.mark.parametrize("processor", ["cortex-m0plus", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"])
def test_on_the_processor(tmp_path: Path, processor: str, language: str) -> None:
    """Arm's compiler takes it for each, and puts the array where it cannot be written, aligned to 16 bytes."""
    compiler("arm-none-eabi-gcc", "arm-none-eabi-objdump")
    folder = written(tmp_path)
    # -ffreestanding: a C++ compiler without C's library has no stdint.h of its own
    flags = (*COMPILERS[language][1:], "-ffreestanding", f"-mcpu={processor}", "-mthumb", *WARNINGS)
    flags = (*flags, "-c", "model_data.c", "-o", "model_data.o")
    assert compiled("arm-none-eabi-gcc", *flags, folder=folder) == ""
    said = subprocess.run(
        ["arm-none-eabi-objdump", "-h", "model_data.o"], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
    [section] = [line.split() for line in said.splitlines() if " .rodata " in line]
    assert int(section[2], 16) >= BUNDLE.model.stat().st_size
    assert section[6] == "2**4"


def test_a_file_without_classes(tmp_path: Path) -> None:
    """There is no array of labels; the rest compiles alone."""
    compiler("gcc")
    folder = written(tmp_path, dataclasses.replace(GIVEN, labels=()))
    assert "_labels" not in (folder / "model_data.h").read_text()
    assert compiled("gcc", "-std=c99", *WARNINGS, "-c", "model_data.c", folder=folder) == ""


@pytest.mark.parametrize("name", ["3d-net", "*/ int x; /*", "模型", "mine.v2", "int", "__x"])
def test_a_model_of_any_name(tmp_path: Path, name: str) -> None:
    """What C does not take in a name, or in a comment, is not there."""
    compiler("g++")
    folder = written(tmp_path, dataclasses.replace(GIVEN, name=name))
    assert compiled("g++", "-std=c++11", *WARNINGS, "-x", "c++", "-c", "model_data.c", folder=folder) == ""


def test_the_same_file_gives_the_same_text(tmp_path: Path) -> None:
    """A bundle can be made again."""
    sums = [zlib.crc32((written(tmp_path / each) / "model_data.c").read_bytes()) for each in "ab"]
    assert sums[0] == sums[1]


def test_texts_of_c() -> None:
    """A string ends where it is meant to; a comment does not end before."""
    assert string_literal("a\x01f") == '"a\\001f"'
    assert "*/" not in comment("*/ // /*\n")
    assert identifier("_Ab-ä.1") == "ab_1"


def test_every_format_of_an_end_has_a_type() -> None:
    """Of those that schemes for microcontrollers give."""
    kinds = {SCHEMES[name].io for name in TARGETS["cortex-m4"].schemes}
    assert kinds <= set(C_TYPES)
