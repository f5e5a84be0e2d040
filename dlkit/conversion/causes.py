"""Known failures of the converter and the quantizer: what they print → cause and fix in plain words."""

from __future__ import annotations

CAUSES = (
    (
        "requires element_shape to be static",
        "a recurrent layer with an open batch or sequence length; give every size but the batch",
    ),
    ("TensorListReserve", "a recurrent layer with an open batch or sequence length; give every size but the batch"),
    ("Select TensorFlow op", "an operation that only full TensorFlow has; replace that layer"),
    ("needs Flex", "an operation that only full TensorFlow has; replace that layer"),
    ("custom op", "an operation the runtime does not have; replace that layer"),
    ("Tensor data is null", "a loop in the network (a recurrent layer that could not be unrolled) cannot be quantized"),
    ("xf16>", "the model was built under mixed precision; build it under float32 and set the weights"),
    ("No space left on device", "the disk that holds temporary files is full; set TMPDIR to another one"),
    ("ResourceExhaustedError", "not enough memory"),
    ("MemoryError", "not enough memory"),
    ("std::bad_alloc", "not enough memory"),
)


def plain_cause(text: str, code: int) -> str:
    """The cause and the fix, for what a child printed and its exit code."""
    for mark, cause in CAUSES:
        if mark in text:
            return cause
    if code == -9:
        return "the system ended it, most likely for want of memory; close other programs or use a smaller network"
    if code < 0:
        return "native code of the converter or the runtime cannot handle this model; try --scheme float32"
    return "the model has something the converter does not know; try --scheme float32"
