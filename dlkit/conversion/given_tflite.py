"""A float .tflite file from elsewhere, made ready to be quantized: no conversion, and no TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dlkit.conversion.folding_shapes import fold_shapes
from dlkit.errors import ModelFileError
from dlkit.runtime.inspection import inspect_file
from dlkit.runtime.litert import Session

FLOATS = {"float32", "int32", "int64", "bool", "uint8"}
"""Dtypes in a file that is not quantized; uint8 is pixels that a CAST makes floats of."""
VARIABLES = "resource"
SIGNATURE = "serving_default"


def check_float(path: Path) -> None:
    """Raise ModelFileError unless the .tflite file at `path` is whole, in float32 and of one graph to call."""
    found = inspect_file(path)
    if VARIABLES in found.tensors:
        raise ModelFileError(
            f"{path}: keeps its weights in variables, which nothing can quantize; convert the model again with "
            "TFLiteConverter.from_saved_model, or export the SavedModel itself"
        )
    quantized = {name: count for name, count in found.tensors.items() if name not in FLOATS}
    if any(end.scale for end in (*found.inputs, *found.outputs) if end.dtype == "uint8"):
        quantized["uint8"] = found.tensors["uint8"]
    if quantized:
        counts = ", ".join(f"{count} tensors are {name}" for name, count in quantized.items())
        raise ModelFileError(
            f"{path}: is quantized already ({counts}), and a second time would only lose more; export the float file "
            "it was made from"
        )
    for name in found.ops:
        if name.startswith(("CUSTOM", "Flex")):
            raise ModelFileError(f"{path}: has the operation {name}, which is none of the runtime's own")


def take(path: Path, tflite: Path) -> None:
    """Write the file at `path` to `tflite` with static shapes, a batch of 1 and the one signature that others expect.

    Raises:
        ModelFileError: as `check_float` does; or it takes several samples at a time, or has several signatures.
    """
    check_float(path)
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    content = path.read_bytes()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    if len(model.signatureDefs or ()) > 1:
        names = ", ".join(entry.signatureKey.decode() for entry in model.signatureDefs)
        raise ModelFileError(f"{path}: has several signatures ({names}); convert the model again with one of them")
    main = model.subgraphs[0]
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.shapeSignature = None  # where the batch is open, its shape says 1
    for number in main.inputs:
        shape = main.tensors[number].shape
        if shape is None or len(shape) == 0 or shape[0] != 1:
            found = tuple(map(int, shape)) if shape is not None else ()
            raise ModelFileError(
                f"{path}: an input has the shape {found}; a file must take one sample at a time: convert the model "
                "again with a batch of 1"
            )
    if not model.signatureDefs:
        model.signatureDefs = [_signature(path, main, schema)]
    fold_shapes(model, content, schema)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    tflite.write_bytes(builder.Output())


def _signature(path: Path, graph: Any, schema: Any) -> Any:
    """The names that `Session` gives to inputs and outputs without a signature, as one."""
    session = Session(path)
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SIGNATURE.encode(), 0
    for kind in ("inputs", "outputs"):
        entries = []
        for name, number in zip(getattr(session, kind), getattr(graph, kind), strict=True):
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = name.encode(), int(number)
            entries.append(entry)
        setattr(signature, kind, entries)
    return signature
