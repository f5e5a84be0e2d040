"""A .tflite file that holds one operation alone: to ask a runtime what it has."""

from __future__ import annotations

from dlkit.extras import require


def file_of_one(operation: str) -> bytes:
    """The file, with a float tensor going in and one coming out, (1, 4) each.

    Not every operation runs so, but it is looked up before that is known.

    Args:
        operation: as the schema calls it, "RELU"; a custom one is "CUSTOM" and its own name.
    """
    import flatbuffers

    schema = require("ai_edge_litert.schema_py_generated")
    code = schema.OperatorCodeT()
    builtin, _, custom = operation.partition(" ")
    code.builtinCode, code.customCode = getattr(schema.BuiltinOperator, builtin), custom or None
    code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0], [1]
    graph = schema.SubGraphT()
    graph.tensors = [schema.TensorT(), schema.TensorT()]
    for number, tensor in enumerate(graph.tensors):
        tensor.shape, tensor.type, tensor.buffer, tensor.name = [1, 4], schema.TensorType.FLOAT32, 0, str(number)
    graph.inputs, graph.outputs, graph.operators, graph.name = [0], [1], [operator], "main"
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], [schema.BufferT()]
    builder = flatbuffers.Builder(512)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
