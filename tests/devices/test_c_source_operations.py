"""Each operation of the C source, alone: bit by bit what LiteRT's reference kernel gives, whatever scales it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from c_programs import run_here, write_sources
from one_operation import End, model_of, options

from dlkit.errors import IllegalCombination
from dlkit.finishing._c_source.program import COVERED, program_of
from dlkit.progress import ignore

SAME, VALID = 0, 1
NONE, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3
RNG = np.random.default_rng(7)


def scale(low: float = 0.004, high: float = 0.1) -> float:
    return float(np.exp(RNG.uniform(np.log(low), np.log(high))))


def zero() -> int:
    return int(RNG.integers(-128, 128))


def end(*shape: int) -> End:
    return End(shape, scale(), zero())


def weights(*shape: int, axis: int, per_channel: bool = True) -> End:
    values = RNG.integers(-127, 128, shape).astype(np.int8)
    scales = np.array([scale(1e-3, 2e-2) for _ in range(shape[axis] if per_channel else 1)], np.float32)
    return End(shape, scales, 0, values=values, axis=axis)


def bias(channels: int, step: float = 1e-4) -> End:
    return End((channels,), step, 0, "int32", RNG.integers(-3000, 3000, channels))


def whole(*values: int) -> End:
    return End(np.shape(values), dtype="int32", values=np.asarray(values, np.int32))


def conv(height: int, width: int, channels: int, outputs: int, **given: Any) -> bytes:
    """A convolution; "groups" and "per_channel" are no options of the schema."""
    groups, per_channel = given.pop("groups", 1), given.pop("per_channel", True)
    table = options("Conv2D", **{"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1, **given})
    kernel = weights(outputs, 3, 2, channels // groups, axis=0, per_channel=per_channel)
    found = after(height, width, 3, 2, table)
    return model_of(
        "CONV_2D", [end(1, height, width, channels), kernel, bias(outputs)], [end(1, *found, outputs)], table
    )


def after(height: int, width: int, kernel_height: int, kernel_width: int, table: Any) -> tuple[int, int]:
    """Height and width of what windows give."""
    sizes = []
    for size, kernel, stride, dilation in (
        (height, kernel_height, table.strideH, getattr(table, "dilationHFactor", 1)),
        (width, kernel_width, table.strideW, getattr(table, "dilationWFactor", 1)),
    ):
        reach = (kernel - 1) * dilation + 1
        sizes.append(-(-size // stride) if table.padding == SAME else -(-(size - reach + 1) // stride))
    return sizes[0], sizes[1]


def depthwise(multiplier: int, **given: Any) -> bytes:
    table = options(
        "DepthwiseConv2D",
        **{
            "strideH": 1,
            "strideW": 1,
            "dilationHFactor": 1,
            "dilationWFactor": 1,
            "depthMultiplier": multiplier,
            **given,
        },
    )
    channels = 3 * multiplier
    found = after(7, 6, 3, 3, table)
    inputs = [end(1, 7, 6, 3), weights(1, 3, 3, channels, axis=3), bias(channels)]
    return model_of("DEPTHWISE_CONV_2D", inputs, [end(1, *found, channels)], table)


def transpose_conv(stride: int, kernel: int, padding: int, with_bias: bool) -> bytes:
    table = options("TransposeConv", strideH=stride, strideW=stride, padding=padding)
    size = 4 * stride if padding == SAME else 3 * stride + max(kernel, stride)
    inputs = [whole(1, size, size, 5), weights(5, kernel, kernel, 3, axis=0), end(1, 4, 4, 3)]
    return model_of("TRANSPOSE_CONV", inputs + ([bias(5)] if with_bias else []), [end(1, size, size, 5)], table)


def dense(rows: int, per_channel: bool, activation: int = NONE, with_bias: bool = True) -> bytes:
    table = options("FullyConnected", fusedActivationFunction=activation, keepNumDims=rows > 1)
    given, kernel = end(1, rows, 33), weights(9, 33, axis=0, per_channel=per_channel)
    step = given.scale * float(kernel.scale[0])  # which LiteRT checks where there is one
    inputs = [given, kernel, bias(9, step) if with_bias else None]
    return model_of("FULLY_CONNECTED", inputs, [end(1, rows, 9)], table)


def pool(name: str, **given: Any) -> bytes:
    table = options("Pool2D", **{"filterHeight": 3, "filterWidth": 2, "strideH": 2, "strideW": 1, **given})
    before = end(1, 8, 7, 5)
    found = after(8, 7, 3, 2, table)
    return model_of(name, [before], [End((1, *found, 5), before.scale, before.zero_point)], table)


def pair(name: str, a: tuple[int, ...], b: tuple[int, ...], activation: int = NONE, constant: bool = False) -> bytes:
    table = options(name.capitalize(), fusedActivationFunction=activation)
    second = end(*b)
    if constant:
        second = End(b, scale(), zero(), values=RNG.integers(-128, 128, b).astype(np.int8))
    result = np.broadcast_shapes(a, b)
    return model_of(name, [end(*a), second], [end(*result)], table)


def mean(shape: tuple[int, ...], axes: tuple[int, ...], keep: bool) -> bytes:
    result = [n for i, n in enumerate(shape) if i not in axes] if not keep else [
        1 if i in axes else n for i, n in enumerate(shape)
    ]  # fmt: skip
    return model_of("MEAN", [end(*shape), whole(*axes)], [end(*result)], options("Reducer", keepDims=keep))


def softmax(rows: int, depth: int, step: float, beta: float = 1.0) -> bytes:
    given, result = End((1, rows, depth), step, zero()), End((1, rows, depth), 1 / 256, -128)
    return model_of("SOFTMAX", [given], [result], options("Softmax", beta=beta))


def unary(name: str, table: Any = None, result: End | None = None, given: End | None = None) -> bytes:
    return model_of(name, [given or end(1, 50)], [result or end(1, 50)], table)


def moved(name: str, *shapes: tuple[int, ...], result: tuple[int, ...], others: Any = (), table: Any = None) -> bytes:
    """An operation that moves: all have one scale. Constants after what is given, or before it for SPLIT."""
    step, point = scale(), zero()
    given = [End(shape, step, point) for shape in shapes]
    inputs = [*others, *given] if name == "SPLIT" else [*given, *others]
    count = 4 if name == "UNPACK" else 2 if name == "SPLIT" else 1
    return model_of(name, inputs, [End(result, step, point) for _ in range(count)], table)


def pairs_of(*paddings: tuple[int, int]) -> End:
    return End((len(paddings), 2), dtype="int32", values=np.asarray(paddings, np.int32))


CASES = {
    "conv": lambda: conv(9, 8, 4, 6),
    "conv valid stride": lambda: conv(9, 8, 4, 6, padding=VALID, strideH=2, strideW=3),
    "conv same stride": lambda: conv(9, 8, 4, 6, strideH=2, strideW=2, fusedActivationFunction=RELU),
    "conv dilated": lambda: conv(11, 9, 2, 3, dilationHFactor=3, dilationWFactor=2, fusedActivationFunction=RELU6),
    "conv groups": lambda: conv(5, 5, 6, 4, groups=2),
    "conv one scale": lambda: conv(5, 5, 3, 4, per_channel=False, fusedActivationFunction=RELU_N1_TO_1),
    "depthwise": lambda: depthwise(1),
    "depthwise stride": lambda: depthwise(1, strideH=2, strideW=2, padding=VALID, fusedActivationFunction=RELU6),
    "depthwise multiplier": lambda: depthwise(3, fusedActivationFunction=RELU),
    "depthwise dilated": lambda: depthwise(2, dilationHFactor=2, dilationWFactor=2),
    "transpose same": lambda: transpose_conv(2, 3, SAME, True),
    "transpose valid": lambda: transpose_conv(2, 5, VALID, False),
    "transpose stride 1": lambda: transpose_conv(1, 4, SAME, True),
    "transpose wide stride": lambda: transpose_conv(3, 2, VALID, True),
    "dense": lambda: dense(1, True),
    "dense one scale": lambda: dense(1, False, RELU),
    "dense rows": lambda: dense(4, True, RELU6, with_bias=False),
    "average": lambda: pool("AVERAGE_POOL_2D"),
    "average valid": lambda: pool("AVERAGE_POOL_2D", padding=VALID, fusedActivationFunction=RELU),
    "max": lambda: pool("MAX_POOL_2D", fusedActivationFunction=RELU6),
    "max valid": lambda: pool("MAX_POOL_2D", padding=VALID),
    "add": lambda: pair("ADD", (1, 4, 5, 6), (1, 4, 5, 6), RELU),
    "add repeated": lambda: pair("ADD", (1, 4, 5, 6), (1, 1, 1, 6)),
    "add constant": lambda: pair("ADD", (1, 2, 40), (40,), constant=True),
    "sub": lambda: pair("SUB", (1, 4, 5, 6), (1, 4, 5, 6)),
    "sub repeated": lambda: pair("SUB", (1, 1, 5, 1), (1, 4, 1, 6), RELU6),
    "mul": lambda: pair("MUL", (1, 4, 5, 6), (1, 4, 5, 6), RELU6),
    "mul repeated": lambda: pair("MUL", (1, 4, 5, 6), (1, 1, 1, 6)),
    "mul number": lambda: pair("MUL", (1, 60), (1,), constant=True),
    "mean": lambda: mean((1, 5, 7, 6), (1, 2), False),
    "mean kept": lambda: mean((1, 3, 3, 9), (2, 1), True),
    "mean last": lambda: mean((1, 9, 31), (2,), False),
    "softmax": lambda: softmax(1, 10, 0.1),
    "softmax rows": lambda: softmax(7, 5, 0.25, beta=0.5),
    "softmax flat": lambda: softmax(1, 100, 1e-3),
    "softmax steep": lambda: softmax(2, 12, 2.0),
    "softmax wide": lambda: softmax(1, 1000, 0.05),
    "logistic": lambda: unary("LOGISTIC", None, End((1, 50), 1 / 256, -128)),
    "tanh": lambda: unary("TANH", None, End((1, 50), 1 / 128, 0)),
    "relu": lambda: unary("RELU"),
    "relu6": lambda: unary("RELU6"),
    "leaky relu": lambda: unary("LEAKY_RELU", options("LeakyRelu", alpha=0.2)),
    "hard swish": lambda: unary("HARD_SWISH", options("HardSwish")),
    "relu n1 to 1": lambda: unary("RELU_N1_TO_1"),
    "gelu": lambda: unary("GELU", options("Gelu", approximate=False)),
    "abs": lambda: unary("ABS", options("Abs"), given=End((1, 50), 0.02, 3), result=End((1, 50), 0.02, 3)),
    "rsqrt": lambda: unary("RSQRT", given=End((1, 50), 0.05, -128), result=End((1, 50), 0.02, -128)),
    "requantize": lambda: unary("QUANTIZE", options("Quantize")),
    "from uint8": lambda: unary("QUANTIZE", options("Quantize"), given=End((1, 50), scale(), 131, "uint8")),
    "from float": lambda: unary("QUANTIZE", options("Quantize"), given=End((1, 50), dtype="float32")),
    "to float": lambda: unary("DEQUANTIZE", options("Dequantize"), result=End((1, 50), dtype="float32")),
    "reshape": lambda: moved("RESHAPE", (1, 4, 6), result=(1, 24), others=[whole(1, 24)], table=options("Reshape")),
    "squeeze": lambda: moved("SQUEEZE", (1, 4, 1, 6), result=(1, 4, 6), table=options("Squeeze", squeezeDims=[2])),
    "expand": lambda: moved(
        "EXPAND_DIMS", (1, 4, 6), result=(1, 1, 4, 6), others=[whole(1)], table=options("ExpandDims")
    ),
    "concatenation": lambda: moved(
        "CONCATENATION", (1, 3, 4, 2), (1, 3, 4, 5), (1, 3, 4, 1), result=(1, 3, 4, 8),
        table=options("Concatenation", axis=3),
    ),
    "concatenation of rows": lambda: moved(
        "CONCATENATION", (1, 3, 4), (1, 2, 4), result=(1, 5, 4), table=options("Concatenation", axis=-2)
    ),
    "pad": lambda: moved(
        "PAD", (1, 3, 4, 2), result=(1, 6, 5, 4), others=[pairs_of((0, 0), (1, 2), (0, 1), (2, 0))],
        table=options("Pad"),
    ),
    "nearest": lambda: moved(
        "RESIZE_NEAREST_NEIGHBOR", (1, 3, 4, 2), result=(1, 6, 8, 2), others=[whole(6, 8)],
        table=options("ResizeNearestNeighbor", halfPixelCenters=True),
    ),
    "nearest odd": lambda: moved(
        "RESIZE_NEAREST_NEIGHBOR", (1, 3, 5, 2), result=(1, 7, 4, 2), others=[whole(7, 4)],
        table=options("ResizeNearestNeighbor", alignCorners=True),
    ),
    "transpose": lambda: moved(
        "TRANSPOSE", (1, 3, 4, 5), result=(1, 5, 3, 4), others=[whole(0, 3, 1, 2)], table=options("Transpose")
    ),
    "slice": lambda: moved(
        "SLICE", (1, 5, 6), result=(1, 3, 4), others=[whole(0, 1, 2), whole(1, 3, -1)], table=options("Slice")
    ),
    "strided slice": lambda: moved(
        "STRIDED_SLICE", (1, 7, 6), result=(1, 3),
        others=[whole(0, 5, 1), whole(1, 6, 6), whole(1, 1, 2)],
        table=options("StridedSlice", beginMask=1, endMask=5, shrinkAxisMask=2),
    ),
    "reversed": lambda: moved(
        "STRIDED_SLICE", (1, 7, 6), result=(1, 7, 6),
        others=[whole(0, 0, 0), whole(0, 0, 0), whole(1, -1, 1)], table=options("StridedSlice", beginMask=7, endMask=7),
    ),
    "unpack": lambda: moved("UNPACK", (1, 4, 5), result=(1, 5), table=options("Unpack", num=4, axis=1)),
    "pack": lambda: moved("PACK", (1, 5), (1, 5), result=(1, 2, 5), table=options("Pack", valuesCount=2, axis=1)),
    "split": lambda: moved(
        "SPLIT", (1, 6, 4), result=(1, 3, 4), others=[whole(1)], table=options("Split", numSplits=2)
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_an_operation(tmp_path: Path, case: str) -> None:
    """Forty random inputs, at each of two choices of scales, give every byte of the reference kernel."""
    for _ in range(2):
        file = tmp_path / "one.tflite"
        file.write_bytes(CASES[case]())
        write_sources(file, tmp_path, count=40)
        assert run_here(tmp_path) == "PASS: 40 samples, every number as expected"


def test_what_is_not_covered() -> None:
    """All operations without a kernel are named, each with its reason."""
    given, result = End((1, 8), dtype="float32"), End((1, 8), dtype="float32")
    with pytest.raises(IllegalCombination, match="there is no kernel for: TANH of float32"):
        program_of(model_of("TANH", [given], [result]), "m.tflite", ignore)
    assert "L2_NORMALIZATION" not in COVERED
    with pytest.raises(IllegalCombination, match="L2_NORMALIZATION"):
        program_of(model_of("L2_NORMALIZATION", [end(1, 8)], [end(1, 8)], options("L2Norm")), "m.tflite", ignore)


def test_sums_that_may_be_too_large() -> None:
    """A layer whose sums may be beyond 32 bits is refused: the source never overflows."""
    kernel = weights(2, 33, axis=0)
    large = End((2,), 1e-9, 0, "int32", np.array([2**31 - 1, 0]))
    table = options("FullyConnected")
    with pytest.raises(IllegalCombination, match="FULLY_CONNECTED with sums that may be beyond 32 bits"):
        program_of(model_of("FULLY_CONNECTED", [end(1, 33), kernel, large], [end(1, 2)], table), "m.tflite", ignore)
