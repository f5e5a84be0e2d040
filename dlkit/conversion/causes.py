"""Known failures of the converter and the quantizer: what they print → cause and fix in plain words."""

from __future__ import annotations

import re

RECURRENT = (
    "a recurrent layer with an open batch or sequence length; give every size but the batch and export the .keras "
    "file, or save the SavedModel for one sample: model.export(folder, input_signature=[keras.InputSpec(shape=(1, …))])"
)
ONLY_TENSORFLOW = "an operation that only full TensorFlow has{which}; replace that layer, or leave it outside the model"

CAUSES = (
    ("requires element_shape to be static", RECURRENT),
    ("TensorListReserve", RECURRENT),
    ("Select TensorFlow op", ONLY_TENSORFLOW),
    ("needs Flex", ONLY_TENSORFLOW),
    ("neither a custom op nor a flex op", ONLY_TENSORFLOW),
    ("custom op", "an operation the runtime does not have{which}; replace that layer"),
    ("Tensor data is null", "a loop in the network (a recurrent layer that could not be unrolled) cannot be quantized"),
    (
        "Quantization to 16x8-bit not yet supported",
        "an operation of this network has no form with 16-bit activations{which}; use --scheme int8",
    ),
    (
        "Max and min for dynamic tensors should be recorded",
        "inputs of whole numbers cannot be had with 16-bit activations; use --scheme int8",
    ),
    ("xf16>", "the model was built under mixed precision; build it under float32 and set the weights"),
    ("No space left on device", "the disk that holds temporary files is full; set TMPDIR to another one"),
    ("ResourceExhaustedError", "not enough memory"),
    ("MemoryError", "not enough memory"),
    ("std::bad_alloc", "not enough memory"),
)
_OPERATION = re.compile(r"'(tf\.\w+)' op|supported for op: '(\w+)'|op with name: (\w+)")


def plain_cause(text: str, code: int) -> str:
    """The cause and the fix, for what a child printed and its exit code."""
    for mark, cause in CAUSES:
        if mark in text:
            return cause.format(which=_operations(text))
    if code < 0:
        return "native code of the converter or the runtime cannot handle this model; try --scheme float32"
    return "the model has something the converter does not know; try --scheme float32"


def _operations(text: str) -> str:
    """The operations that a text complains of, in brackets; "" if it names none."""
    found = dict.fromkeys(next(filter(None, match.groups())) for match in _OPERATION.finditer(text))
    return f" ({', '.join(found)})" if found else ""
