"""What is left undone in a .tflite file: operations that should have been folded into the one before them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ai_edge_litert import schema_py_generated as schema

from dlkit.runtime.inspection import operation_name

LINEAR = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"}
"""What takes a multiplication or addition of a constant into its own weights."""
FUSING = LINEAR - {"TRANSPOSE_CONV"} | {"ADD", "MUL", "SUB"}
"""What computes a rectifier in the same pass."""


def unfolded(file: Path) -> list[str]:
    """Constants multiplied or added after a linear operation, and rectifiers after one that could have them.

    An operation whose result is used elsewhere too cannot take the next one in.
    """
    model = schema.Model.GetRootAs(file.read_bytes(), 0)
    graph = model.Subgraphs(0)
    operators = [graph.Operators(i) for i in range(graph.OperatorsLength())]
    names = [operation_name(model.OperatorCodes(op.OpcodeIndex())) for op in operators]
    reads = [[op.Inputs(i) for i in range(op.InputsLength())] for op in operators]
    # What is rectified already takes no further constant in: a name of its own.
    names_made = [f"{n} and rectified" if _is_rectified(op, n) else n for op, n in zip(operators, names, strict=True)]
    made_by = {op.Outputs(i): n for op, n in zip(operators, names_made, strict=True) for i in range(op.OutputsLength())}
    uses = Counter(tensor for inputs in reads for tensor in inputs)
    uses.update(graph.Outputs(i) for i in range(graph.OutputsLength()))

    def constant(tensor: int) -> bool:
        return tensor not in made_by and model.Buffers(graph.Tensors(tensor).Buffer()).DataLength() > 0

    found = []
    for name, inputs in zip(names, reads, strict=True):
        before = [made_by.get(tensor, "") for tensor in inputs if uses[tensor] == 1]
        if name in ("RELU", "RELU6") and FUSING & set(before):
            found.append(f"{name} after {before[0]}")
        if name in ("MUL", "ADD", "SUB") and LINEAR & set(before) and any(map(constant, inputs)):
            found.append(f"{name} of a constant after {before}")
    return found


def _is_rectified(operator: schema.Operator, name: str) -> bool:
    """Whether a linear operation or a sum computes an activation in the same pass."""
    options = {
        "CONV_2D": schema.Conv2DOptions,
        "DEPTHWISE_CONV_2D": schema.DepthwiseConv2DOptions,
        "FULLY_CONNECTED": schema.FullyConnectedOptions,
        "ADD": schema.AddOptions,
        "MUL": schema.MulOptions,
    }.get(name)
    table = operator.BuiltinOptions()
    if options is None or table is None:
        return False
    read = options()
    read.Init(table.Bytes, table.Pos)
    return bool(read.FusedActivationFunction())
