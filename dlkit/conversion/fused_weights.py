"""8-bit weights for a fused LSTM whose activations stay float ("hybrid" in the runtime's source).

litert-quantizer (0.11) leaves the operation as it is. The TensorFlow converter (2.21) quantizes those
of its weights that have 1,024 numbers or more, so nothing of a small LSTM.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dlkit.runtime.inspection import FUSED_LSTM, inspect_file

# Places of input-to-gate and recurrent-to-gate weights among the operands
# (tensorflow/lite/kernels/lstm_shared.h).
WEIGHTS = range(1, 9)


def quantize_fused_lstm(tflite: Path, kept: Collection[str] = ()) -> None:
    """Quantize the weights of the fused LSTMs in the file; symmetric, one scale per tensor.

    Args:
        kept: tensors; an operation that writes one of them keeps its weights.
    """
    if FUSED_LSTM not in inspect_file(tflite).ops:
        return
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(tflite.read_bytes(), 0)
    for tensor in _lstm_weights(model, getattr(schema.BuiltinOperator, FUSED_LSTM), kept):
        if tensor.type == schema.TensorType.FLOAT32:
            _quantize(model, tensor, schema)
    _drop_unused(model)
    builder = flatbuffers.Builder(tflite.stat().st_size)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    tflite.write_bytes(builder.Output())


def _lstm_weights(model: Any, code: int, kept: Collection[str]) -> Iterator[Any]:
    for graph in model.subgraphs:
        for operator in graph.operators:
            written = {graph.tensors[number].name.decode() for number in operator.outputs}
            if model.operatorCodes[operator.opcodeIndex].builtinCode == code and written.isdisjoint(kept):
                yield from (graph.tensors[operator.inputs[place]] for place in WEIGHTS)


def _quantize(model: Any, tensor: Any, schema: Any) -> None:
    """Turn one float tensor into int8, in a buffer of its own: another may share the one it has."""
    weights = np.asarray(model.buffers[tensor.buffer].data, np.uint8).view(np.float32)
    scale = float(np.abs(weights).max()) / 127 or 1.0
    stored = schema.BufferT()
    stored.data = np.clip(np.round(weights / scale), -127, 127).astype(np.int8).view(np.uint8)
    tensor.type, tensor.buffer = schema.TensorType.INT8, len(model.buffers)
    model.buffers.append(stored)
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [0]


def _drop_unused(model: Any) -> None:
    """Empty the buffers that no tensor is left to read; the numbers of the others stay."""
    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    used |= {entry.buffer for entry in model.metadata or ()}
    for number, buffer in enumerate(model.buffers):
        if number not in used:
            buffer.data = None
