"""Kernels put into a .tflite file that was converted without them; runs in a child process.

The converter holds every weight several times over: VGG16 at full size takes it 22 s and 5.0 GB. It
was therefore given large kernels as inputs, without their numbers (`thin`), which takes it half a
second. Here such an input becomes the constant it stands for. What the converter does to constant
kernels it could not do to an input: a batch normalisation behind one is folded here, by the same
multiplications. Where anything else is left that it would have folded, or a kernel is not simply the
weights of its operations, the kernel is said to be unfit, and must be converted as a constant.
"""

from __future__ import annotations

import collections
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WEIGHTED = {"CONV_2D", "FULLY_CONNECTED"}
_DATA, _WEIGHTS, _BIAS = range(3)
"""Their operands. The weights' first axis is that of the channels that come out."""
# Operations that the converter takes into the weights or the activation of a neighbour.
_FOLDING = {"ADD", "SUB", "MUL", "DIV"}
_RECTIFYING = {"RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1"}
_ALIGNMENT = 16
"""Of a constant's numbers in the file, as the schema demands."""
_BLOCK_BYTES, _TILE = 2**24, 64
"""Numbers are put into the file's order so many bytes at once, and so many of each channel."""


class IncompleteFile:
    """A .tflite file some of whose inputs are kernels.

    Attributes:
        unfit: names of kernels that must be converted as constants; empty if the file can be completed.
    """

    def __init__(self, content: bytes, kernels: dict[str, tuple[int, ...]]) -> None:
        """Look at a .tflite file, and fold what is to be folded.

        Args:
            content: what the converter made.
            kernels: input name in the signature → the kernel's shape in the file's order, channels first.
        """
        from ai_edge_litert import schema_py_generated as schema

        self._schema = schema
        self._model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        self._graph = self._model.subgraphs[0]
        names: dict[int, str] = {
            number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)
        }
        codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in self._model.operatorCodes]
        self._kinds: list[str] = [names[code] for code in codes]
        signature = {entry.name.decode(): entry.tensorIndex for entry in self._model.signatureDefs[0].inputs}
        self._tensors = {name: signature[name] for name in kernels if name in signature}
        self._index()
        self._factors: dict[str, NDArray[np.float32]] = {}
        self.unfit = {name for name, shape in kernels.items() if not self._fits(name, shape)}
        if not self.unfit:
            for name in kernels:
                self._fold(name)
        self._kernels = list(kernels)

    def write(self, path: Path, values: Callable[[str], NDArray[np.float32]], labels: dict[str, str]) -> None:
        """Write the file with its kernels.

        Args:
            path: of the .tflite file.
            values: kernel's name → (channels, numbers of each), in the file's order; a view will do.
            labels: kernel's name → name of its tensor.
        """
        places = {}
        for name in self._kernels:
            tensor = self._graph.tensors[self._tensors[name]]
            tensor.name, tensor.buffer = labels[name], len(self._model.buffers)
            places[tensor.buffer] = name
            self._model.buffers.append(self._schema.BufferT())
        self._close_inputs()
        self._drop_unused()
        small = {i: buffer.data for i, buffer in enumerate(self._model.buffers) if buffer.data is not None}
        for i in (*small, *places):
            self._model.buffers[i].data = []
        head = _packed(self._model)

        def blocks(place: int) -> Iterator[Any]:
            if place in small:
                return iter([small[place]])
            return _blocks(values(places[place]), self._factors.get(places[place]))

        sizes = {i: len(data) for i, data in small.items()} | {i: values(name).nbytes for i, name in places.items()}
        with path.open("wb") as file:
            _write_behind(file, bytearray(head), self._schema.Model.GetRootAs(head, 0), sizes, blocks)

    def _index(self) -> None:
        """Who makes and who reads each tensor."""
        self._makers = {out: op for op in self._graph.operators for out in op.outputs}
        self._readers = collections.defaultdict(list)
        for op in self._graph.operators:
            for tensor in op.inputs if op.inputs is not None else ():
                self._readers[tensor].append(op)

    def _kind(self, op: Any) -> str:
        """The name of an operation."""
        number: int = op.opcodeIndex
        return self._kinds[number]

    def _shape(self, tensor: int) -> tuple[int, ...]:
        shape = self._graph.tensors[tensor].shape
        return () if shape is None else tuple(map(int, shape))  # a single number has none

    def _fits(self, name: str, shape: tuple[int, ...]) -> bool:
        """Whether an input is a kernel of that shape, and nothing is left around it that cannot be folded here."""
        tensor = self._tensors.get(name, -1)
        if tensor == -1 or self._shape(tensor) != shape or tensor in self._graph.outputs:
            return False
        readers = self._readers[tensor]
        return bool(readers) and all(self._takes_as_weights(op, tensor, len(readers) == 1) for op in readers)

    def _takes_as_weights(self, op: Any, tensor: int, alone: bool) -> bool:
        read_as = [place for place, read in enumerate(op.inputs) if read == tensor]
        if self._kind(op) not in _WEIGHTED or read_as != [_WEIGHTS] or self._folds_into(op.inputs[_DATA]):
            return False
        return not self._takes_next(op) or (alone and self._normalisation(op) is not None)

    def _takes_next(self, op: Any) -> bool:
        """Whether the step behind `op` is one that the converter would take into it."""
        behind = self._next(op)
        if behind is None or self._activation(op):
            return False
        kind = self._kind(behind)
        return kind in _RECTIFYING or (kind in _FOLDING and any(map(self._is_constant, behind.inputs)))

    def _folds_into(self, data: int) -> bool:
        """Whether `data` comes from a step with a constant that would be taken into what reads it.

        One that is a normalisation behind a kernel will be taken into that.
        """
        steps, maker = 0, self._makers.get(data)
        while maker is not None and self._kind(maker) in _FOLDING and not self._activation(maker):
            computed = [tensor for tensor in maker.inputs if not self._is_constant(tensor)]
            if len(computed) != 1:
                break
            steps, maker = steps + 1, self._makers.get(computed[0])
        normalises_kernel = (
            maker is not None
            and self._kind(maker) in _WEIGHTED
            and not self._activation(maker)
            and maker.inputs[_WEIGHTS] in self._tensors.values()
        )
        return steps > 0 and not normalises_kernel

    def _next(self, op: Any) -> Any | None:
        """The only operation that reads the result of `op`; None if there are more, or if it is the answer."""
        [out] = op.outputs
        readers = self._readers[out]
        return readers[0] if len(readers) == 1 and out not in self._graph.outputs else None

    def _is_constant(self, tensor: int) -> bool:
        return tensor >= 0 and tensor not in self._makers and self._numbers(tensor) is not None

    def _numbers(self, tensor: int) -> NDArray[np.float32] | None:
        """What a float constant holds; None if the tensor is none."""
        described = self._graph.tensors[tensor]
        data = self._model.buffers[described.buffer].data
        if data is None or len(data) == 0 or described.type != self._schema.TensorType.FLOAT32:
            return None
        return np.asarray(data, np.uint8).view(np.float32)

    def _normalisation(self, op: Any) -> tuple[NDArray[np.float32], NDArray[np.float32], Any] | None:
        """Factor and offset of each channel in the MUL and ADD behind `op`, and the ADD; None if they are not there."""
        channels = self._shape(op.inputs[_WEIGHTS])[0]
        multiply = self._next(op)
        add = self._next(multiply) if multiply is not None and self._kind(multiply) == "MUL" else None
        if add is None or self._kind(add) != "ADD" or self._activation(op) or self._activation(multiply):
            return None
        factor, offset = (self._per_channel(step, channels) for step in (multiply, add))
        if factor is None or offset is None or self._bias(op, channels) is None or self._takes_next(add):
            return None
        return factor, offset, add

    def _per_channel(self, op: Any, channels: int) -> NDArray[np.float32] | None:
        """The constant of `op`, if it has one number for each channel."""
        constants = [tensor for tensor in op.inputs if self._is_constant(tensor)]
        if len(constants) != 1 or self._shape(constants[0])[-1:] != (channels,):
            return None
        numbers = self._numbers(constants[0])
        return numbers if numbers is not None and len(numbers) == channels else None

    def _activation(self, op: Any) -> int:
        return int(getattr(op.builtinOptions, "fusedActivationFunction", 0))

    def _bias(self, op: Any, channels: int) -> NDArray[np.float32] | None:
        """The bias of `op`, zeros where it has none; None if it is not constant."""
        if op.inputs[_BIAS] == -1:
            return np.zeros(channels, np.float32)
        return self._numbers(op.inputs[_BIAS]) if self._is_constant(op.inputs[_BIAS]) else None

    def _fold(self, name: str) -> None:
        """Take the batch normalisation behind a kernel's operation, if there is one, into its weights and bias."""
        readers = self._readers[self._tensors[name]]
        found = self._normalisation(readers[0]) if len(readers) == 1 else None
        if found is None:
            return
        [op] = readers
        factor, offset, add = found
        multiply, bias = self._next(op), self._bias(op, len(factor))
        assert bias is not None  # `_normalisation` saw it
        self._factors[name] = factor
        described = self._graph.tensors[add.outputs[0]]
        self._model.buffers.append(self._schema.BufferT(data=(bias * factor + offset).view(np.uint8)))
        self._graph.tensors.append(
            self._schema.TensorT(
                shape=[len(factor)],
                type=self._schema.TensorType.FLOAT32,
                buffer=len(self._model.buffers) - 1,
                name=described.name + b"/bias",
                hasRank=True,
            )
        )
        op.inputs = [op.inputs[_DATA], op.inputs[_WEIGHTS], len(self._graph.tensors) - 1]
        op.outputs = list(add.outputs)
        op.builtinOptions.fusedActivationFunction = self._activation(add)
        self._graph.operators = [kept for kept in self._graph.operators if kept is not multiply and kept is not add]
        self._index()

    def _close_inputs(self) -> None:
        """The kernels are no inputs any more, of the graph or of its signature."""
        kernels = {self._tensors[name] for name in self._kernels}
        self._graph.inputs = [tensor for tensor in self._graph.inputs if tensor not in kernels]
        for signature in self._model.signatureDefs:
            signature.inputs = [entry for entry in signature.inputs if entry.tensorIndex not in kernels]

    def _drop_unused(self) -> None:
        """Leave out the tensors, constants and kinds of operations that folding left without a use."""
        graph, model = self._graph, self._model
        fields = [(end, field) for end in (graph, *graph.operators) for field in ("inputs", "outputs", "intermediates")]
        lists = [(end, field, tensors) for end, field in fields if (tensors := getattr(end, field, None)) is not None]
        used = sorted({int(tensor) for *_, tensors in lists for tensor in tensors} - {-1})
        number = {-1: -1, **{old: new for new, old in enumerate(used)}}
        for end, field, tensors in lists:
            setattr(end, field, [number[int(tensor)] for tensor in tensors])
        for signature in model.signatureDefs:
            for entry in (*signature.inputs, *signature.outputs):
                entry.tensorIndex = number[entry.tensorIndex]
        graph.tensors = [graph.tensors[old] for old in used]
        held = {tensor.buffer for part in model.subgraphs for tensor in part.tensors}
        held |= {entry.buffer for entry in model.metadata or ()}
        for i, buffer in enumerate(model.buffers):
            if i not in held:
                buffer.data = None
        kinds = sorted({op.opcodeIndex for part in model.subgraphs for op in part.operators})
        model.operatorCodes = [model.operatorCodes[kind] for kind in kinds]
        for op in (op for part in model.subgraphs for op in part.operators):
            op.opcodeIndex = kinds.index(op.opcodeIndex)


def _write_behind(
    file: BinaryIO, head: bytearray, model: Any, sizes: dict[int, int], blocks: Callable[[int], Iterator[Any]]
) -> None:
    """Write a flatbuffer and behind it, as parts of it, the constants it has no numbers of yet.

    FlatBuffers' own builder would hold the file in memory twice, and puts constants at places that
    are no multiple of 16. A vector may lie anywhere behind the field that points to it.

    Args:
        head: the flatbuffer.
        model: the same, to read.
        sizes: number of a buffer → its bytes.
        blocks: gives these bytes in parts.
    """
    end = len(head)
    for place, size in sizes.items():
        end += (-end - 4) % _ALIGNMENT
        table = model.Buffers(place)._tab
        field = table.Pos + table.Offset(4)
        struct.pack_into("<I", head, field, end - field)
        end += 4 + size
    file.write(head)
    for place, size in sizes.items():
        file.write(bytes((-file.tell() - 4) % _ALIGNMENT))
        file.write(struct.pack("<I", size))
        for block in blocks(place):
            file.write(block)


def _blocks(value: NDArray[np.float32], factor: NDArray[np.float32] | None) -> Iterator[Any]:
    """The bytes of `value`, (channels, numbers of each), times the factor of each channel, some channels at a time.

    `value` mostly is a transposed view. In tiles that fit a processor's cache that is undone in a sixth
    of the time that one copy takes: 0.2 s in place of 1.2 s for the largest kernel of VGG16.
    """
    channels, numbers = value.shape
    step = max(1, _BLOCK_BYTES // (4 * numbers))
    for start in range(0, channels, step):
        part = value[start : start + step]
        block = np.empty(part.shape, np.float32)
        for tile in range(0, numbers, _TILE):
            block[:, tile : tile + _TILE] = part[:, tile : tile + _TILE]
        if factor is not None:
            block *= factor[start : start + step, np.newaxis]
        yield block.data


def _packed(model: Any) -> bytes:
    import flatbuffers

    builder = flatbuffers.Builder(2**20)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
