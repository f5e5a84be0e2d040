"""Ways to spoil a .tflite file that know what is in it: mostly still a flatbuffer, which says what cannot be."""

from __future__ import annotations

import functools
import io
import struct
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fuzzing.mutations import spoiled_bytes, spoiled_json, spoiled_zip

SIZES = (-(2**31), -1, 0, 0, 1, 2, 3, 5, 7, 64, 255, 4096, 65535, 65536, 2**20, 2**28, 2**30, 2**31 - 1)
FLOATS = (0.0, -0.0, -1.0, 1e-45, 1e-38, 3e38, -3e38, float("nan"), float("inf"), float("-inf"), 0.5, 1.0)
ARCHIVE = b"PK\x03\x04"


def spoiled_tflite(chance: Random, content: bytes) -> bytes:
    """A .tflite file with one to three things in it that are not as they were; its bytes, its tables or its archive."""
    kind = chance.randrange(10)
    if kind < 2:
        return spoiled_bytes(chance, content)
    if kind < 4:
        return spoiled_words(chance, content)
    if kind == 4 and ARCHIVE in content:
        return _archive(chance, content)
    model = _unpacked(content)
    try:
        for _ in range(chance.choice((1, 1, 2, 3))):
            chance.choice(_CHANGES)(chance, model)
        packed = _packed(model)
    except Exception:  # an edit of an edit that finds nothing to edit, or that the schema's own writer does not write
        return spoiled_bytes(chance, content)
    return spoiled_bytes(chance, packed) if chance.randrange(10) == 0 else packed


@functools.lru_cache(maxsize=64)
def _template(content: bytes) -> Any:
    return schema.Model.GetRootAs(content, 0)


def _unpacked(content: bytes) -> Any:
    return schema.ModelT.InitFromObj(_template(content))


def _packed(model: Any) -> bytes:
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def spoiled_words(chance: Random, content: bytes) -> bytes:
    """Offsets, lengths and numbers of the head, where the tables are, each at its place."""
    found = bytearray(content)
    words = len(content) // 4
    for _ in range(chance.choice((1, 1, 2, 3))):
        place = 4 * chance.randrange(words)
        old = struct.unpack_from("<I", found, place)[0]
        new = chance.choice(
            (
                0,
                1,
                4,
                old + 4,
                old - 4,
                old * 2,
                old + 1,
                2**31,
                2**32 - 1,
                2**32 - 4,
                len(content),
                2**16,
                len(content) - place,
                place,
                old ^ (1 << chance.randrange(32)),
                chance.getrandbits(32),
            )
        )
        struct.pack_into("<I", found, place, new % 2**32)
    return bytes(found)


def _archive(chance: Random, content: bytes) -> bytes:
    """The archive of labels behind the model."""
    at = content.index(ARCHIVE)
    spoil = chance.choice((spoiled_zip, spoiled_bytes, _parts_of_json))
    return content[:at] + spoil(chance, content[at:])


def _parts_of_json(chance: Random, content: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(held, "w") as new:
        for info in old.infolist():
            data = old.read(info)
            if data.startswith((b"{", b"[")):
                data = spoiled_json(chance, data)
            new.writestr(zipfile.ZipInfo(info.filename), data)
    return held.getvalue()


def _graph(chance: Random, model: Any) -> Any:
    return chance.choice(model.subgraphs)


def _tensor(chance: Random, model: Any) -> Any:
    return chance.choice(_graph(chance, model).tensors)


def _operator(chance: Random, model: Any) -> Any:
    return chance.choice([o for graph in model.subgraphs for o in graph.operators or ()])


def _shape(chance: Random, model: Any) -> None:
    tensor = _tensor(chance, model)
    shape = [int(n) for n in (tensor.shape if tensor.shape is not None else ())]
    fault = chance.randrange(8)
    if fault == 0:
        shape = [chance.choice(SIZES) for _ in range(chance.choice((0, 1, 2, 4, 5, 8, 9, 70)))]
    elif fault == 1:
        shape = shape[1:]
    elif fault == 2:
        shape = [*shape, chance.choice(SIZES)]
    elif fault == 3:
        shape = shape[::-1]
    elif shape:
        shape[chance.randrange(len(shape))] = chance.choice(SIZES)
    tensor.shape = np.array(shape, np.int32)


def _signature(chance: Random, model: Any) -> None:
    tensor = _tensor(chance, model)
    tensor.shapeSignature = np.array([chance.choice(SIZES) for _ in range(chance.choice((1, 2, 4, 70)))], np.int32)


def _type(chance: Random, model: Any) -> None:
    _tensor(chance, model).type = chance.choice((*range(21), 21, 64, 127, -1))


def _buffer_number(chance: Random, model: Any) -> None:
    _tensor(chance, model).buffer = chance.choice(
        (0, 1, len(model.buffers) - 1, len(model.buffers), 2**32 - 1, 2**31, chance.randrange(len(model.buffers)))
    )


def _buffer(chance: Random, model: Any) -> None:
    """A constant that is cut short, longer, not there, or elsewhere."""
    buffer = chance.choice(model.buffers)
    data = b"" if buffer.data is None else bytes(bytearray(buffer.data))
    fault = chance.randrange(6)
    if fault == 0:
        buffer.data = None
    elif fault == 1:
        buffer.data = np.frombuffer(data[: chance.randrange(len(data) + 1)], np.uint8)
    elif fault == 2:
        buffer.data = np.frombuffer(data + bytes(chance.choice((1, 4, 100))), np.uint8)
    elif fault == 3:
        buffer.data = np.frombuffer(spoiled_bytes(chance, data), np.uint8)
    elif fault == 4 and len(data) <= 64:  # numbers of an operation: a shape, axes, paddings
        words = [chance.choice(SIZES) for _ in range(max(1, len(data) // 4))]
        buffer.data = np.frombuffer(np.array(words, np.int32).tobytes(), np.uint8)
    else:
        buffer.offset = chance.choice((0, 1, 8, 1000, 2**31, 2**32, 2**63, 2**64 - 1))
        buffer.size = chance.choice((0, 1, 16, 1000, 2**31, 2**32, 2**63, 2**64 - 1))


def _ends(chance: Random, model: Any) -> None:
    """Which tensors an operation or the graph reads and writes."""
    graph = _graph(chance, model)
    end = chance.choice([graph, *(graph.operators or ())])
    side = chance.choice(("inputs", "outputs"))
    numbers = [int(n) for n in (getattr(end, side) if getattr(end, side) is not None else ())]
    most = len(graph.tensors)
    other = chance.choice((-1, -2, -(2**31), 0, most - 1, most, most + 1, 2**31 - 1, chance.randrange(most)))
    fault = chance.randrange(6)
    if fault == 0:
        numbers = []
    elif fault == 1:
        numbers = [*numbers, other]
    elif fault == 2:
        numbers = numbers[:-1]
    elif fault == 3:
        numbers = numbers * 2
    elif numbers:
        numbers[chance.randrange(len(numbers))] = other
    setattr(end, side, np.array(numbers, np.int32))


def _opcode(chance: Random, model: Any) -> None:
    _operator(chance, model).opcodeIndex = chance.choice(
        (0, len(model.operatorCodes) - 1, len(model.operatorCodes), 2**31, 2**32 - 1)
    )


def _code(chance: Random, model: Any) -> None:
    """What an operation is: another, a custom one, one of another version, none that there is."""
    code = chance.choice(model.operatorCodes)
    fault = chance.randrange(5)
    if fault == 0:
        code.version = chance.choice((0, -1, 2, 5, 100, 2**31 - 1))
    elif fault == 1:
        code.builtinCode, code.customCode = (
            schema.BuiltinOperator.CUSTOM,
            chance.choice((None, b"", b"Mine", b"\xff\0")),
        )
        code.deprecatedBuiltinCode = 32
    else:
        number = chance.choice((*range(210), 210, 127, 128, -1, 2**31 - 1))
        code.builtinCode, code.deprecatedBuiltinCode = number, min(max(number, -128), 127)


def _options(chance: Random, model: Any) -> None:
    """The numbers of an operation, or those of another kind of operation, or none."""
    operator = _operator(chance, model)
    options = operator.builtinOptions
    if options is None or chance.randrange(5) == 0:
        operator.builtinOptionsType = chance.choice((0, 1, 5, 8, 17, 200, 255))
        if chance.random() < 0.5:
            operator.builtinOptions = None
            operator.builtinOptionsType = 0
        return
    name = chance.choice(list(vars(options)))
    old = getattr(options, name)
    if isinstance(old, bool):
        setattr(options, name, not old)
    elif isinstance(old, float):
        setattr(options, name, chance.choice(FLOATS))
    elif isinstance(old, int):
        setattr(options, name, chance.choice((*SIZES, 1, 2, 3)) if abs(old) > 127 or chance.random() < 0.7 else 127)
    else:
        setattr(options, name, np.array([chance.choice(SIZES) for _ in range(chance.choice((0, 1, 3, 9)))], np.int32))


def _quantization(chance: Random, model: Any) -> None:
    """Scales, zero points and their axis: NaN, 0, of another count."""
    tensor = _tensor(chance, model)
    found = tensor.quantization or schema.QuantizationParametersT()
    fault = chance.randrange(6)
    scales = [float(s) for s in (found.scale if found.scale is not None else [])]
    zeros = [int(z) for z in (found.zeroPoint if found.zeroPoint is not None else [])]
    if fault == 0:
        scales = [chance.choice(FLOATS) for _ in scales or [0]]
    elif fault == 1:
        scales = scales[1:] if chance.random() < 0.5 else [*scales, 1.0]
    elif fault == 2:
        zeros = [chance.choice((2**63 - 1, -(2**63), 2**31, 1, -129, 128)) for _ in zeros or [0]]
    elif fault == 3:
        zeros = zeros[1:] if chance.random() < 0.5 else [*zeros, 0]
    elif fault == 4:
        found.quantizedDimension = chance.choice((-1, 1, 2, 3, 4, 64, 2**31 - 1, -(2**31)))
    else:
        found.details, found.detailsType = None, chance.choice((0, 1, 2, 77))
    found.scale, found.zeroPoint = np.array(scales, np.float32), np.array(zeros, np.int64)
    tensor.quantization = found


def _sparsity(chance: Random, model: Any) -> None:
    """A constant that says it is stored in the sparse form."""
    found = schema.SparsityParametersT()
    found.traversalOrder = np.array(
        [chance.choice((0, 1, 2, 9, -1)) for _ in range(chance.choice((0, 1, 2, 4)))], np.int32
    )
    found.blockMap = np.array([chance.choice(SIZES) for _ in range(chance.choice((0, 1)))], np.int32)
    found.dimMetadata = []
    for _ in range(chance.choice((0, 1, 2, 4))):
        dimension = schema.DimensionMetadataT()
        dimension.format, dimension.denseSize = chance.choice((0, 1, 2)), chance.choice(SIZES)
        if chance.random() < 0.5:
            dimension.arraySegmentsType = schema.SparseIndexVector.Int32Vector
            dimension.arraySegments = schema.Int32VectorT()
            dimension.arraySegments.values = np.array([chance.choice(SIZES) for _ in range(3)], np.int32)
        found.dimMetadata.append(dimension)
    _tensor(chance, model).sparsity = found


def _variable(chance: Random, model: Any) -> None:
    tensor = _tensor(chance, model)
    tensor.isVariable = not tensor.isVariable


def _name(chance: Random, model: Any) -> None:
    _tensor(chance, model).name = chance.choice((None, b"", b"\xff\xfe", b"a\nb", b"x" * 70000, b"\x1b[2J", b"\0"))


def _order(chance: Random, model: Any) -> None:
    """Operations in another order, twice, or gone."""
    graph = _graph(chance, model)
    operators = list(graph.operators or ())
    fault = chance.randrange(4)
    if fault == 0:
        chance.shuffle(operators)
    elif fault == 1 and operators:
        operators = [*operators, chance.choice(operators)]
    elif fault == 2 and operators:
        del operators[chance.randrange(len(operators))]
    else:
        operators = []
    graph.operators = operators


def _loop(chance: Random, model: Any) -> None:
    """Control flow into a subgraph that is this one, that is not there, or that has other ends."""
    code = schema.OperatorCodeT()
    name = chance.choice(("WHILE", "IF", "CALL_ONCE", "CALL", "STABLEHLO_WHILE"))
    code.builtinCode = getattr(schema.BuiltinOperator, name)
    code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
    model.operatorCodes = [*model.operatorCodes, code]
    operator = chance.choice(model.subgraphs[0].operators or [schema.OperatorT()])
    operator.opcodeIndex = len(model.operatorCodes) - 1
    number = chance.choice((0, 0, 0, -1, 1, 1000, 2**31 - 1))
    if name == "WHILE":
        operator.builtinOptionsType, operator.builtinOptions = (
            schema.BuiltinOptions.WhileOptions,
            schema.WhileOptionsT(),
        )
        operator.builtinOptions.condSubgraphIndex = chance.choice((0, 1, number))
        operator.builtinOptions.bodySubgraphIndex = number
        if chance.random() < 0.5:
            operator.outputs = operator.inputs
    elif name == "IF":
        operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.IfOptions, schema.IfOptionsT()
        operator.builtinOptions.thenSubgraphIndex = operator.builtinOptions.elseSubgraphIndex = number
    elif name == "CALL_ONCE":
        operator.builtinOptionsType = schema.BuiltinOptions.CallOnceOptions
        operator.builtinOptions = schema.CallOnceOptionsT()
        operator.builtinOptions.initSubgraphIndex = number
    elif name == "CALL":
        operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.CallOptions, schema.CallOptionsT()
        operator.builtinOptions.subgraph = number % 2**32


def _lists(chance: Random, model: Any) -> None:
    """Whole lists of the model that are empty, or that have one entry less or more."""
    name = chance.choice(("subgraphs", "buffers", "operatorCodes", "signatureDefs", "metadata"))
    entries = list(getattr(model, name) or ())
    setattr(model, name, chance.choice((None, [], entries[1:], entries[:-1], [*entries, *entries])))


def _named(chance: Random, model: Any) -> None:
    """What the signature says of the ends."""
    if not model.signatureDefs:
        return
    found = model.signatureDefs[0]
    maps = [*(found.inputs or ()), *(found.outputs or ())]
    fault = chance.randrange(5)
    if fault == 0:
        found.subgraphIndex = chance.choice((1, 1000, 2**32 - 1))
    elif fault == 1:
        found.signatureKey = chance.choice((None, b"", b"\xff", b"a" * 70000))
    elif fault == 2:
        found.inputs = chance.choice((None, [], [*(found.inputs or ()), *(found.inputs or ())]))
    elif maps:
        entry = chance.choice(maps)
        entry.tensorIndex = chance.choice((0, 1, 1000, 2**31, 2**32 - 1, entry.tensorIndex))
        entry.name = chance.choice((None, b"", b"\xff", b"x\ny", entry.name))


def _metadata(chance: Random, model: Any) -> None:
    """The metadata in the file: of labels and preprocessing, and the version of the runtime."""
    if not model.metadata:
        return
    entry = chance.choice(model.metadata)
    fault = chance.randrange(4)
    if fault == 0:
        entry.buffer = chance.choice((0, len(model.buffers), 2**32 - 1))
    elif fault == 1:
        entry.name = chance.choice((None, b"", b"\xff", b"min_runtime_version", b"TFLITE_METADATA"))
    elif (number := int(entry.buffer)) < len(model.buffers) and model.buffers[number].data is not None:
        data = bytes(bytearray(model.buffers[number].data))
        model.buffers[number].data = np.frombuffer(spoiled_bytes(chance, data), np.uint8)


_CHANGES: tuple[Callable[[Random, Any], None], ...] = (
    _shape,
    _shape,
    _shape,
    _signature,
    _type,
    _type,
    _buffer_number,
    _buffer,
    _buffer,
    _ends,
    _ends,
    _opcode,
    _code,
    _code,
    _options,
    _options,
    _options,
    _quantization,
    _quantization,
    _quantization,
    _sparsity,
    _variable,
    _name,
    _order,
    _loop,
    _lists,
    _named,
    _metadata,
)
