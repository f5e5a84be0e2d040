"""The steps of integers that the outputs of a .tflite file are computed in, float outputs too."""

from __future__ import annotations

from typing import Any

from dlkit.runtime.inspection import inspect_model, read_model

INT16 = 7
"""TensorType.INT16 of the schema."""
SHORT_STEPS = 16
"""A sixteenth of what a step of 8 bits is, of a range as wide."""


def steps_of(content: bytes) -> dict[int, float]:
    """Place of an output of a .tflite file → the step of its integers, where it is computed in such.

    That is the scale of an integer output, and of what a float output is dequantized from; of 16-bit integers
    `SHORT_STEPS` times that, as each rounding on the way is a step there that nothing of an answer hangs on.

    Raises:
        ModelFileError: it is no .tflite file.
    """
    inspect_model(content, "the file")
    model = read_model(content)
    graph = model.Subgraphs(0)
    made_by = {}
    for number in range(graph.OperatorsLength()):
        operator = graph.Operators(number)
        for place in range(operator.OutputsLength()):
            made_by[operator.Outputs(place)] = operator
    steps = {}
    for place in range(graph.OutputsLength()):
        tensor = graph.Outputs(place)
        operator = made_by.get(tensor)
        if operator is not None and _scale(graph, tensor) == 0.0 and operator.InputsLength() == 1:
            tensor = operator.Inputs(0)  # DEQUANTIZE: of a float operation that has no scale either
        if scale := _scale(graph, tensor):
            steps[place] = scale
    return steps


def _scale(graph: Any, number: int) -> float:
    """The scale of a whole tensor of integers; 0.0 where it has none."""
    tensor = graph.Tensors(number)
    quantization = tensor.Quantization()
    is_float = tensor.Type() in (0, 1)  # FLOAT32, FLOAT16
    if is_float or quantization is None or quantization.ScaleLength() != 1:
        return 0.0
    return float(quantization.Scale(0)) * (SHORT_STEPS if tensor.Type() == INT16 else 1)
