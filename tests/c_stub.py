"""A stand-in for TensorFlow Lite Micro's headers: they declare what our C++ calls, so that its syntax can be compiled.

It is not TensorFlow Lite Micro, whose sources no package carries: what is compiled against it is never linked or run.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

RESOLVER = """
#pragma once
#include <cstdint>
enum TfLiteStatus { kTfLiteOk, kTfLiteError };
namespace tflite {
template <unsigned int N> class MicroMutableOpResolver {
 public:
  static_assert(N > 0, "no operation");
METHODS};
}
"""
INTERPRETER = """
#pragma once
#include <cstddef>
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
struct TfLiteTensor { union { int8_t* int8; uint8_t* uint8; int16_t* i16; int32_t* i32; float* f; } data; };
namespace tflite {
struct Model;
class MicroInterpreter {
 public:
  template <class R> MicroInterpreter(const Model*, const R&, uint8_t*, size_t);
  TfLiteStatus AllocateTensors();
  TfLiteStatus Invoke();
  TfLiteStatus Reset();
  TfLiteTensor* input(size_t);
  TfLiteTensor* output(size_t);
};
}
"""
SCHEMA = "#pragma once\nnamespace tflite { struct Model; const Model* GetModel(const void*); }\n"
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")


def write_stub(folder: Path, methods: Iterable[str]) -> None:
    """tensorflow/lite/… in `folder`, whose resolver has these methods."""
    lines = "".join(f"  TfLiteStatus {method}();\n" for method in methods)
    files = {
        "micro/micro_mutable_op_resolver.h": RESOLVER.replace("METHODS", lines),
        "micro/micro_interpreter.h": INTERPRETER,
        "schema/schema_generated.h": SCHEMA,
    }
    for name, text in files.items():
        path = folder / "tensorflow" / "lite" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def compiled(*arguments: str | Path, folder: Path) -> str:
    """What a compiler says, run in `folder`; "" if all is well."""
    done = subprocess.run([*map(str, arguments)], cwd=folder, capture_output=True, text=True)
    return done.stderr if done.returncode else ""
