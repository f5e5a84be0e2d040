"""The earliest TFLite runtime that has every operation of a file, in the number formats the file uses it with.

An operation has versions; a runtime that lacks the version refuses the file. The facts below are those of
LiteRT's `tflite/tools/versioning/runtime_version.cc` (version of an operation → first runtime) and
`op_version.cc` (number formats → version), as of LiteRT's main branch in 2025.

The number a file states is not enough: litert-quantizer 0.11 leaves the versions of the float file as
they were and so states 1.5.0 for an int8 convolution, which came with 1.14.0.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

# Operation → first runtime that has version 1, 2, …; "-" where there never was one.
_FIRST_RUNTIMES = """
ABS 1.13.0 2.4.0 2.5.0 2.6.0 2.12.0
ADD 1.5.0 1.14.0 2.4.0 2.6.0 2.13.0
ADD_N 1.14.0
ARG_MAX 1.9.0 1.14.0 2.9.0
ARG_MIN 1.9.0 1.14.0 2.9.0
ASSIGN_VARIABLE 2.6.0
ATAN2 2.10.0
AVERAGE_POOL_2D 1.5.0 1.14.0 2.3.0
BATCH_MATMUL 2.3.0 2.3.0 2.4.0 2.5.0
BATCH_TO_SPACE_ND 1.6.0 1.14.0 2.3.0 2.12.0
BIDIRECTIONAL_SEQUENCE_LSTM 1.14.0 1.14.0 1.14.0
BIDIRECTIONAL_SEQUENCE_RNN 1.14.0 1.14.0 2.3.0
BROADCAST_ARGS 2.6.0
BROADCAST_TO - 2.5.0 2.5.0
CALL_ONCE 2.5.0
CAST 1.5.0 2.7.0 2.8.0 2.9.0 2.12.0 2.15.0 2.17.0
CEIL 1.14.0
CONCATENATION 1.5.0 1.14.0 2.3.0 2.14.0
CONV_2D 1.5.0 1.14.0 1.14.0 2.3.0 2.4.0 2.9.0 2.11.0 2.15.0
CONV_3D 2.5.0
CONV_3D_TRANSPOSE 2.6.0
COS 1.14.0
CUMSUM 2.4.0
DEPTH_TO_SPACE 2.1.0 2.5.0
DEPTHWISE_CONV_2D 1.5.0 1.12.0 1.14.0 2.2.0 2.3.0 2.3.0 2.11.0
DEQUANTIZE 1.13.1 1.14.0 1.15.0 2.2.0 2.7.0 2.18.0
DIV 1.6.0 2.3.0
DYNAMIC_UPDATE_SLICE 2.9.0 2.17.0 2.19.0 2.20.0
ELU 1.14.0
EMBEDDING_LOOKUP 1.13.0 1.14.0 1.14.0 2.18.0
EQUAL 1.14.0 1.14.0 2.3.0 2.13.0
EXP 1.7.0 2.12.0
EXPAND_DIMS 1.10.0
FILL 1.13.0 2.3.0 2.5.0 2.12.0
FLOOR 1.9.0
FLOOR_DIV 1.14.0 1.14.0 2.13.0
FLOOR_MOD 1.13.0 2.13.0
FULLY_CONNECTED 1.5.0 1.10.0 1.14.0 1.14.0 2.0.0 2.1.0 2.3.0 2.3.0 2.3.0 2.11.0 2.15.0 2.17.0 2.18.0
GATHER 1.6.0 1.14.0 1.15.0 2.4.0 2.5.0 2.13.0 2.15.0
GATHER_ND 1.14.0 2.3.0 2.5.0 2.13.0 2.16.0
GELU 2.9.0 2.9.0
GREATER 1.14.0 1.14.0
GREATER_EQUAL 1.14.0 1.14.0 2.13.0
HARD_SWISH 1.15.0
IF 1.15.0
L2_NORMALIZATION 1.5.0 1.14.0
L2_POOL_2D 1.5.0
LEAKY_RELU 1.13.1 2.3.0
LESS 1.14.0 1.14.0 2.13.0
LESS_EQUAL 1.14.0 1.14.0
LOCAL_RESPONSE_NORMALIZATION 1.5.0
LOG 1.14.0 2.15.0
LOGICAL_AND 1.11.0
LOGICAL_NOT 1.11.0
LOGICAL_OR 1.11.0
LOGISTIC 1.14.0 1.14.0 2.3.0
LOG_SOFTMAX 1.14.0 1.14.0
LSTM 1.7.0 1.10.0 1.14.0 2.3.0
MAX_POOL_2D 1.5.0 1.14.0 2.3.0
MAXIMUM 1.14.0 1.14.0 2.3.0 2.3.0
MEAN 1.6.0 1.14.0 2.4.0
MINIMUM 1.14.0 1.14.0 2.3.0 2.3.0
MIRROR_PAD 1.13.1 2.3.0 2.12.0
MUL 1.5.0 1.14.0 1.15.0 2.3.0 2.6.0 2.11.0 2.13.0
NEG 1.9.0
NOT_EQUAL 1.14.0 1.14.0 2.3.0
ONE_HOT 1.11.0
PACK 1.11.0 1.14.0 2.3.0 2.13.0
PAD 1.5.0 1.14.0 2.4.0 2.6.0
PADV2 1.9.0 1.14.0 2.4.0 2.6.0
POW 1.10.0
PRELU 1.8.0
QUANTIZE 1.14.0 1.15.0 2.7.0
RANDOM_STANDARD_NORMAL 2.8.0
RANDOM_UNIFORM 2.8.0
RANGE 1.13.0 2.14.0
RANK 1.14.0
READ_VARIABLE 2.6.0
REDUCE_ALL 2.6.0
REDUCE_ANY 1.11.0
REDUCE_MAX 1.11.0 1.14.0 2.5.0
REDUCE_MIN 1.11.0 1.14.0 2.5.0
REDUCE_PROD 1.11.0 2.6.0
RELU 1.5.0 2.1.0 2.5.0
RELU6 1.5.0 1.14.0 2.5.0
RELU_0_TO_1 2.10.0
RELU_N1_TO_1 1.5.0
RESHAPE 1.5.0
RESIZE_BILINEAR 1.7.0 1.14.0 2.2.0 2.5.0
RESIZE_NEAREST_NEIGHBOR 1.13.1 1.14.0 2.3.0 2.4.0
REVERSE_SEQUENCE 1.14.0
REVERSE_V2 1.14.0 2.2.0 2.5.0
RNN 1.5.0 1.14.0 2.3.0
ROUND 1.14.0
RSQRT 1.10.0 2.5.0 2.15.0
SCATTER_ND 2.1.0
SELECT 1.14.0 1.14.0 2.12.0 2.12.0
SELECT_V2 2.2.0 2.12.0
SHAPE 1.10.0
SIGN 2.11.0 2.12.0
SIN 1.9.0
SLICE 1.14.0 1.14.0 1.14.0 2.4.0 2.5.0 2.14.0
SOFTMAX 1.5.0 1.14.0 2.3.0
SPACE_TO_BATCH_ND 1.6.0 1.14.0 2.3.0 2.12.0
SPACE_TO_DEPTH 1.5.0 1.14.0
SPLIT 1.5.0 1.14.0 1.14.0 2.3.0
SPLIT_V 1.13.1 2.3.0
SQRT 1.10.0
SQUARE 1.12.0
SQUARED_DIFFERENCE 1.13.1 2.5.0
SQUEEZE 1.6.0 2.5.0
STRIDED_SLICE 1.6.0 1.14.0 2.1.0 2.2.0 2.5.0 2.6.0 2.14.0 2.14.0
SUB 1.6.0 1.14.0 2.3.0 2.4.0 2.4.0
SUM 1.10.0 1.15.0
SVDF 1.5.0 1.14.0 2.2.0 2.3.0
TANH 1.14.0 1.14.0 2.3.0
TILE 1.10.1 2.2.0 2.8.0
TOPK_V2 1.7.0 1.14.0 2.13.0
TRANSPOSE 1.6.0 1.14.0 1.15.0 2.3.0 2.4.0 2.12.0 2.14.4
TRANSPOSE_CONV 1.9.0 2.2.0 2.3.0 2.13.0 2.15.0
UNIDIRECTIONAL_SEQUENCE_LSTM 1.13.1 1.14.0 2.3.0 2.12.0
UNIDIRECTIONAL_SEQUENCE_RNN 1.14.0 1.14.0 2.3.0
UNPACK 1.11.0 1.14.0 2.2.0 2.3.0
VAR_HANDLE 2.6.0
WHERE 1.14.0 2.8.0
WHILE 1.15.0
ZEROS_LIKE 1.12.0
"""

# Data, weights → version of an operation with weights; "per channel" where its weights have many scales.
_BY_WEIGHTS = {
    "CONV_2D": {
        "int8 int8": 3,
        "int8 int4": 7,
        "int16 int8": 4,
        "float32 int8": 2,
        "float32 int8 per channel": 5,
    },
    "DEPTHWISE_CONV_2D": {
        "int8 int8": 3,
        "int8 int4": 7,
        "int16 int8": 5,
        "float32 int8": 4,
        "float32 int8 per channel": 6,
    },
    "FULLY_CONNECTED": {
        "int8 int8": 4,
        "int8 int4": 10,
        "int16 int8": 7,
        "int16 int4": 13,
        "float32 int8": 3,
        "float32 int8 per channel": 12,
    },
    "TRANSPOSE_CONV": {"int8 int8": 2, "int16 int8": 3},
}
_WEIGHTS_OF = {"TRANSPOSE_CONV": (2, 1)}
"""Places of data and weights among the operands, where they are not the first two."""

_INT8_2 = (
    "ADD ARG_MAX ARG_MIN AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND CONCATENATION DEPTH_TO_SPACE DEQUANTIZE EQUAL "
    "EXP GATHER GELU GREATER GREATER_EQUAL LESS LESS_EQUAL LOG LOG_SOFTMAX LOGISTIC L2_NORMALIZATION MAX_POOL_2D "
    "MAXIMUM MEAN MINIMUM MIRROR_PAD MUL NOT_EQUAL PACK PAD PADV2 REDUCE_MAX REDUCE_MIN REDUCE_PROD RELU RELU6 "
    "RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SELECT SLICE SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V "
    "SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM TANH TOPK_V2 TRANSPOSE UNPACK ABS"
)
_INT16_3 = (
    "ADD AVERAGE_POOL_2D BATCH_MATMUL CONCATENATION DEQUANTIZE LOGISTIC MAX_POOL_2D MEAN MIRROR_PAD PACK PAD PADV2 "
    "REDUCE_MAX REDUCE_MIN RELU RELU6 RSQRT SOFTMAX TANH ABS"
)
_INT16_4 = "MUL MAXIMUM MINIMUM SPLIT SLICE UNPACK RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR GATHER BATCH_TO_SPACE_ND"
_BY_DATA = (
    {(name, "int8"): 2 for name in _INT8_2.split()}
    | {(name, "int16"): 3 for name in _INT16_3.split()}
    | {(name, "int16"): 4 for name in [*_INT16_4.split(), "SPACE_TO_BATCH_ND"]}
    | {("SUB", "int16"): 5, ("TRANSPOSE", "int16"): 5, ("LEAKY_RELU", "int16"): 2}
    | {("TILE", "int8"): 3, ("REVERSE_V2", "int8"): 3, ("CAST", "int8"): 3, ("BROADCAST_TO", "int8"): 3}
    | {("DEQUANTIZE", "float16"): 3, ("DEQUANTIZE", "int4"): 6, ("DEQUANTIZE", "int8 per channel"): 5}
)
_DATA_OF = {"SPLIT": 1}
"""Place of the data among the operands, where it is not the first."""
_BY_RESULT = {("QUANTIZE", "int16"): 2, ("QUANTIZE", "int4"): 4}


def needed_version(operation: str, operands: tuple[str, ...], results: tuple[str, ...] = ()) -> int | None:
    """The version of `operation` that has operands and results of these formats; None if the facts do not say.

    Args:
        operation: its name in the schema.
        operands, results: dtypes in the schema's spelling, "" for one that is not given, with
            " per channel" behind that of a tensor with several scales.
    """
    if results and (operation, results[0]) in _BY_RESULT:
        return _BY_RESULT[operation, results[0]]
    data_at, weights_at = _WEIGHTS_OF.get(operation, (_DATA_OF.get(operation, 0), 1))
    data = operands[data_at] if data_at < len(operands) else ""
    if operation not in _BY_WEIGHTS or weights_at >= len(operands):
        return _BY_DATA.get((operation, data), _BY_DATA.get((operation, _plain(data)), 1))
    weights = operands[weights_at]
    if weights in ("float32", "uint8") and data == weights:
        return 1
    known = _BY_WEIGHTS[operation]
    return known.get(f"{_plain(data)} {weights}", known.get(f"{_plain(data)} {_plain(weights)}"))


def first_runtime(operation: str, version: int) -> str | None:
    """The earliest runtime that has `version` of `operation`, for instance "1.14.0"; None if the facts do not say."""
    runtimes = _runtimes().get(operation, [])
    found = runtimes[version - 1] if 1 <= version <= len(runtimes) else "-"
    return None if found == "-" else found


def latest(runtimes: Iterable[str]) -> str:
    """The latest of some versions "2.3.0"; "" if there are none. Raises ValueError for what is no version."""
    return max(runtimes, key=lambda version: [int(part) for part in version.split(".")], default="")


def _plain(dtype: str) -> str:
    return dtype.removesuffix(" per channel")


@functools.cache
def _runtimes() -> dict[str, list[str]]:
    return {name: runtimes for name, *runtimes in map(str.split, _FIRST_RUNTIMES.strip().splitlines())}
