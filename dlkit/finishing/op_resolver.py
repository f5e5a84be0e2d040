"""For TensorFlow Lite Micro: what tells it to link the kernels of this network's operations, and no others."""

from __future__ import annotations

from collections.abc import Iterable

from dlkit.errors import IllegalCombination
from dlkit.finishing import Finish, Finished, Finishing
from dlkit.finishing._c_text import camel, comment, identifier
from dlkit.runtime.inspection import inspect_file

WORDS = {"2D": "2D", "BATCH_MATMUL": "BatchMatMul", "CUMSUM": "CumSum", "LSTM": "LSTM", "PADV2": "PadV2"}
"""Words of the schema's names that its methods write otherwise than with a capital in front."""
HEADER = """\
/* {about}: registers its {count} operations, so that no kernel of another is linked.
 *
 * static {type}OpResolver resolver;
 * if (Register{type}Operations(resolver) != kTfLiteOk) ...
 *
 * The methods are those of tflite-micro's micro_mutable_op_resolver.h.
 */
#ifndef {guard}_OP_RESOLVER_H
#define {guard}_OP_RESOLVER_H

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

using {type}OpResolver = tflite::MicroMutableOpResolver<{count}>;

inline TfLiteStatus Register{type}Operations({type}OpResolver& resolver) {{
{calls}
  return kTfLiteOk;
}}

#endif  /* {guard}_OP_RESOLVER_H */
"""


def make(given: Finishing) -> Finished:
    """mcu/op_resolver.h. Raises IllegalCombination for a custom operation, which the runtime does not have."""
    name = identifier(given.name)
    methods = [method_of(operation) for operation in sorted(inspect_file(given.file).ops)]
    text = HEADER.format(
        about=comment(f"{given.name}, {given.scheme.name}"),
        count=len(methods),
        type=camel(name),
        guard=name.upper(),
        calls="\n".join(_calls(methods)),
    )
    return Finished({"mcu/op_resolver.h": text.encode("ascii")})


def method_of(operation: str) -> str:
    """The method of MicroMutableOpResolver that registers an operation, by its name in the schema.

    Names were held against micro_mutable_op_resolver.h for every operation that the runtime has.

    >>> method_of("DEPTHWISE_CONV_2D"), method_of("UNIDIRECTIONAL_SEQUENCE_LSTM")
    ('AddDepthwiseConv2D', 'AddUnidirectionalSequenceLSTM')

    Raises:
        IllegalCombination: a custom operation: its kernel is code of one's own.
    """
    if operation.startswith("CUSTOM"):
        raise IllegalCombination(f"{operation} has no method in TensorFlow Lite Micro's op resolver")
    if operation in WORDS:
        return f"Add{WORDS[operation]}"
    return "Add" + "".join(WORDS.get(word, word.capitalize()) for word in operation.split("_"))


def _calls(methods: Iterable[str]) -> list[str]:
    return [f"  if (resolver.{method}() != kTfLiteOk) return kTfLiteError;" for method in methods]


OP_RESOLVER = Finish("op_resolver", "the list of operations for TensorFlow Lite Micro", make)
