"""What a .tflite file with an open batch computes about its own shapes, as constants for a batch of 1.

The converter writes a Flatten of an open batch as SHAPE, STRIDED_SLICE, PACK and RESHAPE. Neither
quantizer has the first three, so no such file could be int8.
"""

from __future__ import annotations

from typing import Any

import numpy as np

WHOLE = ("int32", "int64", "bool")


def fold_shapes(model: Any, content: bytes, schema: Any) -> None:
    """Turn all whole numbers in the main graph that are known before any input is into constants, in place.

    Args:
        model: the file as `schema.ModelT`, its shapes static.
        content: the same file; it is run once, on zeros.
    """
    graph = model.subgraphs[0]
    known = {i for i, tensor in enumerate(graph.tensors) if _is_constant(model, tensor)}
    shape = schema.BuiltinOperator.SHAPE
    folded = []
    for op in graph.operators:
        code = model.operatorCodes[op.opcodeIndex]
        is_shape = max(code.builtinCode, code.deprecatedBuiltinCode) == shape
        if is_shape or all(int(tensor) in known or tensor == -1 for tensor in op.inputs):
            folded.append(op)
            known.update(map(int, op.outputs))
    if not folded:
        return
    values = _values(content, [int(tensor) for op in folded for tensor in op.outputs])
    folded = [op for op in folded if all(values[int(tensor)].dtype.name in WHOLE for tensor in op.outputs)]
    for tensor in (int(tensor) for op in folded for tensor in op.outputs):
        stored = schema.BufferT()
        stored.data = np.frombuffer(values[tensor].tobytes(), np.uint8)
        graph.tensors[tensor].buffer, graph.tensors[tensor].shape = len(model.buffers), list(values[tensor].shape)
        model.buffers.append(stored)
    gone = {id(op) for op in folded}
    graph.operators = [op for op in graph.operators if id(op) not in gone]


def _is_constant(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def _values(content: bytes, tensors: list[int]) -> dict[int, np.ndarray[Any, Any]]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    for end in interpreter.get_input_details():
        interpreter.set_tensor(end["index"], np.zeros(end["shape"], end["dtype"]))
    interpreter.invoke()
    return {tensor: np.asarray(interpreter.get_tensor(tensor)) for tensor in tensors}
