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
import re
import struct
from pathlib import Path
from typing import Any

from dlkit.errors import ModelFileError
from dlkit.extras import require
from dlkit.filing import read_file
from dlkit.runtime.dtypes import TensorFormat
from dlkit.runtime.shapes import known_beforehand
from dlkit.runtime.structure import check_structure
from dlkit.runtime.versions import first_runtime, latest, needed_version

LARGEST_BYTES = 2**32
"""No device runs a longer file."""
MOST_DIMENSIONS = 64
MOST_NAMED = 10
"""Tensors that are named of those that are wrong in the same way."""
CONTROL_FLOW = frozenset({"CALL", "CALL_ONCE", "IF", "STABLEHLO_CASE", "STABLEHLO_WHILE", "WHILE"})
"""Operations that run a subgraph, or do not."""
FUSED_LSTM = "UNIDIRECTIONAL_SEQUENCE_LSTM"
"""The one recurrent operation that has an int8 kernel."""
MALFORMED = (
    struct.error, IndexError, ValueError, TypeError, ArithmeticError, KeyError, AttributeError, RecursionError,
)  # fmt: skip
"""What reading a flatbuffer raises that is none."""


@dataclasses.dataclass(frozen=True)
class Inspection:
    """The contents of a .tflite file.

    Attributes:
        size: bytes of the file.
        description: what wrote the file.
        minimum_runtime: earliest TFLite runtime that has all its operations, by their versions and
            number formats and by what the file states, whichever is later; "" where nothing says.
        ops: operation → count, over all subgraphs; a custom operation keeps its own name.
        tensors: dtype → count, over all subgraphs, of those an operation reads or writes (the
            quantized LSTM keeps empty placeholders beside them).
        inputs, outputs: of the main subgraph.
        constants: dtype → numbers held in constant tensors.
        subgraphs: 1 without control flow.
        stated_runtime: what the file itself says of that; "" if nothing.
        unknown_versions: operations of which it is not known what runtime they need, with the version.
        custom: custom operation → a tensor that it writes, whose name tells the layer.
        resized: tensors whose shape is only known at run time, the first ten.
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
    stated_runtime: str = ""
    unknown_versions: tuple[str, ...] = ()
    custom: dict[str, str] = dataclasses.field(default_factory=dict)
    resized: tuple[str, ...] = ()

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
        check_structure(content)
        return _inspected(read_model(content), content)
    except MALFORMED:
        raise ModelFileError(f"{where}: the .tflite file is cut short or corrupt; copy or export it again") from None


def read_model(content: bytes) -> Any:
    """The flatbuffer of a .tflite file, without a check: `inspect_model` first."""
    return require("ai_edge_litert.schema_py_generated").Model.GetRootAs(content, 0)


def _inspected(model: Any, content: bytes) -> Inspection:
    entries = _Entries(len(content))
    _check_buffers(model, entries)
    codes = [operation_name(model.OperatorCodes(i)) for i in entries(model.OperatorCodesLength())]
    ops: collections.Counter[str] = collections.Counter()
    tensors: collections.Counter[str] = collections.Counter()
    constants: collections.Counter[str] = collections.Counter()
    used: set[_Use] = set()
    custom: dict[str, str] = {}
    resized: list[str] = []
    graphs = [model.Subgraphs(i) for i in entries(model.SubgraphsLength())]
    _check_names(model, entries)
    for graph in graphs:
        _check_tensors(model, graph, entries)
        operators = [graph.Operators(i) for i in entries(graph.OperatorsLength())]
        ops.update(codes[operator.OpcodeIndex()] for operator in operators)
        for i in sorted(_used_tensors(graph, operators, entries)):
            tensor = graph.Tensors(i)
            tensors[_dtype_name(tensor)] += 1
            buffer = model.Buffers(tensor.Buffer())
            if stored := buffer.DataLength() or buffer.Size():
                constants[_dtype_name(tensor)] += _elements(tensor, stored)
            elif min(_signature(tensor), default=0) < 0 and len(resized) < MOST_NAMED:
                resized.append(_name(tensor))
        for operator in operators:
            use = _use(model, graph, operator, codes)
            used.add(use)
            if use.name.startswith("CUSTOM") and use.name not in custom:
                custom[use.name] = _first_result(graph, operator)
            if not known_beforehand(use.name, use.constant) and len(resized) < MOST_NAMED:
                resized.append(_first_result(graph, operator))
    main = graphs[0]
    stated = _stated_runtime(model)
    needed = {use: use.runtime for use in used}
    return Inspection(
        size=len(content),
        description=(model.Description() or b"").decode("utf-8"),
        minimum_runtime=latest(filter(None, [stated, *needed.values()])),
        ops=dict(sorted(ops.items())),
        tensors=dict(sorted(tensors.items())),
        inputs=tuple(_format(main.Tensors(main.Inputs(i))) for i in entries(main.InputsLength())),
        outputs=tuple(_format(main.Tensors(main.Outputs(i))) for i in entries(main.OutputsLength())),
        constants=dict(sorted(constants.items())),
        subgraphs=len(graphs),
        stated_runtime=stated,
        unknown_versions=tuple(sorted({str(use) for use, runtime in needed.items() if runtime is None})),
        custom=dict(sorted(custom.items())),
        resized=tuple(dict.fromkeys(resized)),
    )


@dataclasses.dataclass(frozen=True)
class _Use:
    """An operation as a file uses it: what decides which runtime it needs, and whether its result has a known shape.

    Attributes:
        name: of the operation.
        version: as the file states it.
        operands, results: dtypes, see `versions.needed_version`.
        constant: which of the operands are.
    """

    name: str
    version: int
    operands: tuple[str, ...]
    results: tuple[str, ...]
    constant: tuple[bool, ...]

    @property
    def runtime(self) -> str | None:
        needed = needed_version(self.name, self.operands, self.results)
        return None if needed is None else first_runtime(self.name, max(needed, self.version))

    def __str__(self) -> str:
        if needed_version(self.name, self.operands, self.results) is None:
            return f"{self.name} of {', '.join(self.operands[:2])}"
        return self.name if self.name.startswith("CUSTOM") else f"{self.name} version {self.version}"


def _use(model: Any, graph: Any, operator: Any, codes: list[str]) -> _Use:
    """What `operator` is and reads; its tensors were checked to be there."""
    code = operator.OpcodeIndex()
    operands = [operator.Inputs(i) for i in range(operator.InputsLength())]
    results = [operator.Outputs(i) for i in range(operator.OutputsLength())]
    buffers = [None if i == -1 else model.Buffers(graph.Tensors(i).Buffer()) for i in operands]
    return _Use(
        name=codes[code],
        version=model.OperatorCodes(code).Version(),
        operands=tuple("" if i == -1 else _format_name(graph.Tensors(i)) for i in operands),
        results=tuple("" if i == -1 else _format_name(graph.Tensors(i)) for i in results),
        constant=tuple(b is None or bool(b.DataLength() or b.Size()) for b in buffers),
    )


def _first_result(graph: Any, operator: Any) -> str:
    return _name(graph.Tensors(operator.Outputs(0))) if operator.OutputsLength() else ""


def _format_name(tensor: Any) -> str:
    quantization = tensor.Quantization()
    several = quantization is not None and quantization.ScaleLength() > 1
    return _dtype_name(tensor) + (" per channel" if several else "")


def _name(tensor: Any) -> str:
    return (tensor.Name() or b"").decode("utf-8")


def _signature(tensor: Any) -> tuple[int, ...]:
    """The shape with -1 where it is open; () where nothing is."""
    rank = tensor.ShapeSignatureLength()
    if rank > MOST_DIMENSIONS:
        raise ValueError("more dimensions than a tensor has")
    return tuple(int(tensor.ShapeSignature(i)) for i in range(rank))


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


def _check_tensors(model: Any, graph: Any, entries: _Entries) -> None:
    """Every tensor has its name in UTF-8 and a constant that is there, whether an operation reads it or not."""
    for i in entries(graph.TensorsLength()):
        tensor = graph.Tensors(i)
        _name(tensor)
        if not tensor.Buffer() < model.BuffersLength():
            raise ValueError("constant that is not there")


def _check_names(model: Any, entries: _Entries) -> None:
    """What signatures call inputs and outputs."""
    for i in entries(model.SignatureDefsLength()):
        signature = model.SignatureDefs(i)
        ends = [signature.Inputs(j) for j in entries(signature.InputsLength())]
        ends += [signature.Outputs(j) for j in entries(signature.OutputsLength())]
        for end in ends:
            if not end.Name():
                raise ValueError("a signature without a name")
            end.Name().decode("utf-8")


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
    return TensorFormat(_name(tensor), _shape(tensor), _dtype_name(tensor), scale, zero_point)


def _stated_runtime(model: Any) -> str:
    """The version of the runtime in the file's own metadata; "" if it is not there, or is none."""
    for i in range(model.MetadataLength()):
        entry = model.Metadata(i)
        if entry.Name() == b"min_runtime_version":
            stated = bytes(model.Buffers(entry.Buffer()).DataAsNumpy()).rstrip(b"\0").decode("ascii")
            return stated if re.fullmatch(r"\d{1,9}(\.\d{1,9}){0,3}", stated, re.ASCII) else ""
    return ""
