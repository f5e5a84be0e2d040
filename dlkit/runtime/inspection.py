"""What is in a .tflite file, read from its bytes without running it.

The FlatBuffers reader trusts its offsets, so every buffer is held against the file's size first, and
so is the number of entries read in all: a truncated or corrupt file is an error, never a crash or a
long wait.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import math
import struct
from pathlib import Path
from typing import Any

from dlkit.errors import ModelFileError
from dlkit.extras import require
from dlkit.filing import read_file
from dlkit.runtime.dtypes import TensorFormat

LARGEST_BYTES = 2**32
"""No device runs a longer file."""
MOST_DIMENSIONS = 64
FUSED_LSTM = "UNIDIRECTIONAL_SEQUENCE_LSTM"
"""The one recurrent operation that has an int8 kernel."""
_MALFORMED = (struct.error, IndexError, ValueError, TypeError, OverflowError, KeyError, AttributeError, RecursionError)


@dataclasses.dataclass(frozen=True)
class Inspection:
    """The contents of a .tflite file.

    Attributes:
        size: bytes of the file.
        description: what wrote the file.
        minimum_runtime: earliest TFLite runtime that has all its operations; "" where not stated.
        ops: operation → count, over all subgraphs; a custom operation keeps its own name.
        tensors: dtype → count, over all subgraphs, of those an operation reads or writes (the
            quantized LSTM keeps empty placeholders beside them).
        inputs, outputs: of the main subgraph.
        constants: dtype → numbers held in constant tensors.
        subgraphs: 1 without control flow.
    """

    size: int
    description: str
    minimum_runtime: str
    ops: dict[str, int]
    tensors: dict[str, int]
    inputs: tuple[TensorFormat, ...]
    outputs: tuple[TensorFormat, ...]
    constants: dict[str, int]
    subgraphs: int

    @property
    def parameters(self) -> int:
        """Numbers held in constant tensors."""
        return sum(self.constants.values())

    def as_dict(self) -> dict[str, Any]:
        """As nested dictionaries, ready for JSON."""
        return dataclasses.asdict(self)


def inspect_file(path: Path) -> Inspection:
    """The contents of the .tflite file at `path`. Raises ModelFileError if it is not a whole one."""
    try:
        content = read_file(path, LARGEST_BYTES)
    except FileNotFoundError:
        raise ModelFileError(f"there is no file {path}") from None
    except IsADirectoryError:
        raise ModelFileError(f"{path} is a folder; name the .tflite file in it, {path / 'model.tflite'}") from None
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror}") from None
    return inspect_model(content, str(path))


def inspect_model(content: bytes, where: str) -> Inspection:
    """The contents of a .tflite file given as bytes; `where` is its name, for messages."""
    if content[4:8] != b"TFL3":
        raise ModelFileError(f"{where}: is not a .tflite file (the mark 'TFL3' is missing)")
    try:
        return _inspected(_model(content), content)
    except _MALFORMED:
        raise ModelFileError(f"{where}: the .tflite file is cut short or corrupt; copy or export it again") from None


def _model(content: bytes) -> Any:
    return require("ai_edge_litert.schema_py_generated").Model.GetRootAs(content, 0)


def _inspected(model: Any, content: bytes) -> Inspection:
    entries = _Entries(len(content))
    _check_buffers(model, entries)
    codes = [operation_name(model.OperatorCodes(i)) for i in entries(model.OperatorCodesLength())]
    ops: collections.Counter[str] = collections.Counter()
    tensors: collections.Counter[str] = collections.Counter()
    constants: collections.Counter[str] = collections.Counter()
    graphs = [model.Subgraphs(i) for i in entries(model.SubgraphsLength())]
    for graph in graphs:
        operators = [graph.Operators(i) for i in entries(graph.OperatorsLength())]
        ops.update(codes[operator.OpcodeIndex()] for operator in operators)
        for i in sorted(_used_tensors(graph, operators, entries)):
            tensor = graph.Tensors(i)
            tensors[_dtype_name(tensor)] += 1
            buffer = model.Buffers(tensor.Buffer())
            if stored := buffer.DataLength() or buffer.Size():
                constants[_dtype_name(tensor)] += _elements(tensor, stored)
    main = graphs[0]
    return Inspection(
        size=len(content),
        description=(model.Description() or b"").decode("utf-8"),
        minimum_runtime=_minimum_runtime(model),
        ops=dict(sorted(ops.items())),
        tensors=dict(sorted(tensors.items())),
        inputs=tuple(_format(main.Tensors(main.Inputs(i))) for i in entries(main.InputsLength())),
        outputs=tuple(_format(main.Tensors(main.Outputs(i))) for i in entries(main.OutputsLength())),
        constants=dict(sorted(constants.items())),
        subgraphs=len(graphs),
    )


class _Entries:
    """Calling it with a vector's length gives its positions, as long as a file of `size` bytes can have them.

    An entry takes at least 4 bytes and is read at most twice, so an honest file stays far below
    `size` entries; one whose vectors overlap could have their product.
    """

    def __init__(self, size: int) -> None:
        self.size = self.left = size

    def __call__(self, count: int) -> range:
        self.left -= count
        if self.left < 0:
            raise ValueError("more entries than the file has bytes")
        return range(count)


def _used_tensors(graph: Any, operators: list[Any], entries: _Entries) -> set[int]:
    """Numbers of the tensors that an operation or the subgraph itself reads or writes."""
    ends = [graph, *operators]
    used = {end.Inputs(i) for end in ends for i in entries(end.InputsLength())}
    used |= {end.Outputs(i) for end in ends for i in entries(end.OutputsLength())}
    used -= {-1}  # stands for an optional input that is not given
    if used and not 0 <= min(used) <= max(used) < graph.TensorsLength():
        raise ValueError("tensor number outside the subgraph")
    return used


def _check_buffers(model: Any, entries: _Entries) -> None:
    """Every constant lies inside the file (a truncated file keeps its head and loses its weights).

    Large files keep constants behind the flatbuffer, as an offset and a size.
    """
    for i in entries(model.BuffersLength()):
        buffer = model.Buffers(i)
        field = buffer._tab.Offset(4)
        if field and buffer._tab.Vector(field) + buffer._tab.VectorLen(field) > entries.size:
            raise ValueError("constant outside the file")
        if buffer.Offset() + buffer.Size() > entries.size:
            raise ValueError("constant outside the file")


def operation_name(code: Any) -> str:
    """The name of an entry of the schema's operator codes; "CUSTOM …" with its own name for a custom one."""
    # Codes above 127 are in the new field, those below in the deprecated byte; the larger holds.
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    name = _names("BuiltinOperator")[number]
    return f"CUSTOM {(code.CustomCode() or b'?').decode('utf-8')}" if name == "CUSTOM" else name


def _dtype_name(tensor: Any) -> str:
    return _names("TensorType")[tensor.Type()].lower()


@functools.cache
def _names(enumeration: str) -> dict[int, str]:
    from ai_edge_litert import schema_py_generated as schema

    return {number: name for name, number in vars(getattr(schema, enumeration)).items() if isinstance(number, int)}


def _elements(tensor: Any, stored: int) -> int:
    """Numbers in a constant of `stored` bytes; the smallest numbers there are take 2 bits."""
    count = math.prod(_shape(tensor))
    if not 0 <= count <= 4 * stored:
        raise ValueError("shape larger than its constant")
    return count


def _shape(tensor: Any) -> tuple[int, ...]:
    rank = tensor.ShapeLength()
    if rank > MOST_DIMENSIONS:
        raise ValueError("more dimensions than a tensor has")
    return tuple(int(tensor.Shape(i)) for i in range(rank))


def _format(tensor: Any) -> TensorFormat:
    quantization = tensor.Quantization()
    scale, zero_point = 0.0, 0
    if quantization is not None and quantization.ScaleLength() == 1:
        scale, zero_point = float(quantization.Scale(0)), int(quantization.ZeroPoint(0))
    return TensorFormat((tensor.Name() or b"").decode("utf-8"), _shape(tensor), _dtype_name(tensor), scale, zero_point)


def _minimum_runtime(model: Any) -> str:
    for i in range(model.MetadataLength()):
        entry = model.Metadata(i)
        if entry.Name() == b"min_runtime_version":
            return bytes(model.Buffers(entry.Buffer()).DataAsNumpy()).rstrip(b"\0").decode("ascii")
    return ""
