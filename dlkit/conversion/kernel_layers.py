"""Which operation, and which layer, a kernel that was timed belongs to.

LiteRT's own kernels say their place in the file. XNNPACK takes the file's operations over in their order, fuses some
and adds others (copies, reshapes), and says only what its kernels compute: they are matched by that, kind for kind.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from dlkit.conversion.layer_names import Operation, operations
from dlkit.runtime.operation_times import KernelTime, OperationTimes

KINDS: tuple[tuple[frozenset[str], frozenset[str]], ...] = (
    (  # a convolution of 1×1 is to XNNPACK a fully connected layer
        frozenset({"Convolution", "Fully Connected"}),
        frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}),
    ),
    (frozenset({"Deconvolution"}), frozenset({"TRANSPOSE_CONV"})),
    (frozenset({"Batch Matrix Multiply"}), frozenset({"BATCH_MATMUL"})),
    (frozenset({"Max Pooling"}), frozenset({"MAX_POOL_2D"})),
    (frozenset({"Average Pooling"}), frozenset({"AVERAGE_POOL_2D"})),
    (frozenset({"Mean"}), frozenset({"MEAN"})),
    (frozenset({"Add"}), frozenset({"ADD"})),
    (frozenset({"Multiply"}), frozenset({"MUL"})),
    (frozenset({"Subtract"}), frozenset({"SUB"})),
    (frozenset({"Softmax"}), frozenset({"SOFTMAX"})),
    (frozenset({"Sigmoid"}), frozenset({"LOGISTIC"})),
    (frozenset({"TanH"}), frozenset({"TANH"})),
    (frozenset({"HardSwish"}), frozenset({"HARD_SWISH"})),
    (frozenset({"Constant Pad"}), frozenset({"PAD", "PADV2"})),
    (frozenset({"LeakyReLU"}), frozenset({"LEAKY_RELU"})),
    (frozenset({"Convert"}), frozenset({"QUANTIZE", "DEQUANTIZE"})),
    (frozenset({"Slice"}), frozenset({"SLICE", "STRIDED_SLICE"})),
    (frozenset({"Resize Bilinear"}), frozenset({"RESIZE_BILINEAR"})),
)
"""What XNNPACK calls kernels, before the brackets, and the operations that they are for."""


@dataclasses.dataclass(frozen=True)
class TimedOperation:
    """A kernel with what it is for.

    Attributes:
        operation: in the schema's spelling; "" of a kernel that XNNPACK added, or that could be one of several.
        layers: that it came from, the one with weights first; () where no name tells.
        kernel: what ran.
    """

    operation: str
    layers: tuple[str, ...]
    kernel: KernelTime


def timed_operations(tflite: Path, times: OperationTimes) -> list[TimedOperation]:
    """The kernels of a whole file, in their order, each with its operation and layers where these are known."""
    return matched(operations(tflite, ()), times.kernels)


def matched(found: Sequence[Operation], kernels: Sequence[KernelTime]) -> list[TimedOperation]:
    """Kernels with the operations of the main subgraph: a kind of XNNPACK's only where there are as many of both."""
    by_kernel: dict[int, Operation] = {}
    taken = set()
    for place, kernel in enumerate(kernels):
        if not kernel.delegated and kernel.subgraph == 0 and _is_at(found, kernel):
            by_kernel[place] = found[kernel.number]
            taken.add(kernel.number)
    for called, names in KINDS:
        places = [
            place for place, kernel in enumerate(kernels)
            if kernel.delegated and kernel.subgraph == 0 and kind_of_kernel(kernel) in called
        ]  # fmt: skip
        theirs = [one for n, one in enumerate(found) if n not in taken and one.name in names]
        if len(places) == len(theirs):
            by_kernel.update(zip(places, theirs, strict=True))
    nothing = Operation("", (), (), ())
    given = [by_kernel.get(place, nothing) for place in range(len(kernels))]
    return [TimedOperation(one.name, one.layers, kernel) for one, kernel in zip(given, kernels, strict=True)]


def kind_of_kernel(kernel: KernelTime) -> str:
    """What it computes: "Convolution" of "Convolution (NHWC, QC8) IGEMM"."""
    return kernel.kernel.partition(" (")[0]


def _is_at(found: Sequence[Operation], kernel: KernelTime) -> bool:
    """Whether the file has that operation at that place: the runtime may have made others of them."""
    return 0 <= kernel.number < len(found) and found[kernel.number].name == kernel.kernel
