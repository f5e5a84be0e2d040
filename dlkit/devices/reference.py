"""LiteRT's reference kernels, which say what an integer file computes: a device is held against them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlkit.conversion.batches import mapped_batch, read_batch
from dlkit.conversion.child import run_task
from dlkit.progress import Advance
from dlkit.runtime.arrays import write_npz
from dlkit.runtime.inspection import inspect_model, read_model
from dlkit.runtime.litert import Session
from dlkit.writing import temporary_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


INT16 = 7
"""TensorType.INT16 of the schema."""
SHORT_STEPS = 16
"""A sixteenth of what a step of 8 bits is, of a range as wide."""


def reference_answers(
    file: Path, inputs: Mapping[str, NDArray[Any]], advance: Advance
) -> dict[str, NDArray[np.float32]]:
    """What a .tflite file computes by definition, from a child process: as `Session.run_named` has it.

    An integer file is run by the reference kernels, a float one by the fast ones: sums differ in their order alone.

    Raises:
        ModelFileError: it is no .tflite file, or the runtime refuses it.
        ConversionError: the runtime crashes on it.
    """
    with temporary_folder() as folder:
        given, found = folder / "inputs.npz", folder / "outputs.npz"
        write_npz(given, dict(inputs))
        run_task("dlkit.devices.reference:answer", advance, frameworks=False, tflite=str(file), inputs=str(given),
                 result=str(found))  # fmt: skip
        return read_batch(found)


def answer(tflite: str, inputs: str, result: str, advance: Advance) -> None:
    """The child's side: outputs as an archive."""
    content = Path(tflite).read_bytes()
    session = Session(content, 1, reference=bool(steps_of(content)))
    write_npz(result, session.run_named(mapped_batch(inputs), advance))


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
