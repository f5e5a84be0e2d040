"""Readers of Keras files and SavedModels, which need TensorFlow: whole models, weights, the parts of a SavedModel."""

from __future__ import annotations

import functools
import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from fuzzing.mutations import spoiled_bytes, spoiled_json, spoiled_zip, zip_of
from fuzzing.readers import Reader

HUGE = (0, -1, 1, 2, 7, 10**6, 10**9, 2**31, 2**32, 2**62, 2**63, 10**30, 1.5, None, "3", True, [3], {})
FOREIGN = (
    ("os", "system", "true"),
    ("subprocess", "Popen", {"args": "true"}),
    ("builtins", "exec", "1"),
    ("builtins", "eval", "1"),
    ("keras.utils", "get_file", {"origin": "file:///etc/passwd"}),
    ("keras.layers", "TFSMLayer", {"filepath": "/tmp"}),
    ("keras.layers", "Lambda", {"function": {"class_name": "__lambda__", "config": {"value": ["4wE=", None, None]}}}),
    ("keras.layers", "StringLookup", {"vocabulary": "/etc/passwd"}),
    ("keras.layers", "TorchModuleWrapper", {"module": "x"}),
    ("no.such.module", "Evil", {}),
    ("dlkit.writing", "write_bytes", {}),
    ("keras.saving", "load_model", {"filepath": "/etc/passwd"}),
    ("keras.models", "clone_model", {}),
    ("keras.config", "enable_unsafe_deserialization", {}),
    ("keras", "Sequential", {"layers": []}),
    ("keras.layers", "Dense", {"units": 3}),
    ("keras.layers", "Reshape", {"target_shape": [2**40]}),
    ("numpy", "load", "x.npy"),
    ("keras.layers", "RepeatVector", {"n": 10**9}),
    ("keras.layers", "Embedding", {"input_dim": 10**9, "output_dim": 10**9}),
    ("keras.layers", "Conv2D", {"filters": 10**6, "kernel_size": [10**4, 10**4]}),
    ("keras.layers", "ZeroPadding1D", {"padding": 10**9}),
)


@functools.cache
def _files() -> dict[str, bytes]:
    """Good files by their endings, of a few small models; and the parts of a SavedModel."""
    import keras

    image = keras.Input((8, 8, 1), name="x")
    y = keras.layers.Conv2D(4, 3, activation="relu")(image)
    y = keras.layers.BatchNormalization()(y)
    y = keras.layers.GlobalAveragePooling2D()(y)
    functional = keras.Model(image, keras.layers.Dense(3, activation="softmax")(y), name="net")
    rows = keras.Sequential([keras.Input((4, 3)), keras.layers.LSTM(5), keras.layers.Dense(2)], name="rows")
    found: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        for model in (functional, rows):
            for ending in (".keras", ".h5"):
                path = Path(folder, f"{model.name}{ending}")
                model.save(path)
                found[path.name] = path.read_bytes()
        functional.export(str(Path(folder, "sm")), verbose=False)
        for path in Path(folder, "sm").rglob("*"):
            if path.is_file():
                found[str(path.relative_to(folder))] = path.read_bytes()
        own = _own_network()
        for ending in (".keras", ".weights.h5", ".h5"):
            path = Path(folder, f"own{ending}")
            own.save_weights(path) if ending == ".weights.h5" else own.save(path)
            found[path.name] = path.read_bytes()
    return found


@functools.cache
def _own_network() -> Any:
    from dlkit.networks import NETWORKS

    return NETWORKS["cnn"].build({"input_shape": (8, 8, 1), "width": 4, "classes": 3}, "own")


def _seeds(*names: str) -> Callable[[], list[bytes]]:
    return lambda: [_files()[name] for name in names]


def spoiled_configuration(chance: Random, content: bytes) -> bytes:
    """A .keras file with a configuration that names other things, or sizes that nothing has."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = [(name, archive.read(name)) for name in archive.namelist()]
    changed = []
    for name, data in parts:
        if name == "config.json" or (name == "metadata.json" and chance.randrange(8) == 0):
            data = spoiled_json(chance, data) if chance.randrange(3) == 0 else _named(chance, data)
        changed.append((name, data))
    return zip_of(changed, packed=chance.random() < 0.3)


def spoiled_attribute(chance: Random, content: bytes) -> bytes:
    """An .h5 file whose configuration is spoiled likewise."""
    import h5py

    held = io.BytesIO(content)
    with h5py.File(held, "r+") as file:
        stored = file.attrs["model_config"]
        data = stored if isinstance(stored, bytes) else stored.encode()
        spoil = spoiled_json if chance.randrange(3) == 0 else _named
        file.attrs["model_config"] = spoil(chance, data).replace(b"\0", b"")[:60_000].decode("utf-8", "replace")
        if chance.randrange(4) == 0:
            file.attrs["keras_version"] = chance.choice(("2.15.0", "2", "", "99.0", "x" * 999, "3.0"))
    return held.getvalue()


def _named(chance: Random, data: bytes) -> bytes:
    config = json.loads(data)
    places = list(_tables(config))
    for _ in range(chance.choice((1, 1, 2))):
        table = chance.choice(places)
        key = chance.choice(list(table)) if table else "x"
        module, kind, inner = chance.choice(FOREIGN)
        fault = chance.randrange(5)
        if fault == 0 and "class_name" in table:
            table.update(module=module, class_name=kind, config=inner, registered_name=chance.choice((None, kind)))
        elif fault == 1:
            table[key] = {"module": module, "class_name": kind, "config": inner, "registered_name": None}
        elif fault == 2:
            table[key] = {"module": module, "class_name": "function", "config": kind, "registered_name": kind}
        else:
            numbers = [(t, k) for t in places for k, v in t.items() if isinstance(v, int) and not isinstance(v, bool)]
            holder, name = chance.choice(numbers) if numbers else (table, key)
            holder[name] = chance.choice(HUGE)
            shapes = [(t, k) for t in places for k, v in t.items() if isinstance(v, list) and v and "shape" in k]
            if shapes and chance.randrange(2):
                holder, name = chance.choice(shapes)
                holder[name] = [*holder[name][:-1], chance.choice(HUGE)]
    return json.dumps(config).encode()


def _tables(value: Any) -> Any:
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _tables(inner)


def spoiled_arrays(chance: Random, content: bytes) -> bytes:
    """HDF5 weights with an array of another shape, kind or place."""
    import h5py

    if chance.randrange(3) == 0:
        return spoiled_bytes(chance, content)
    held = io.BytesIO(content)
    with h5py.File(held, "r+") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        name = chance.choice(names)
        shape, fault = file[name].shape, chance.randrange(9)
        del file[name]
        if fault == 0:
            file.create_dataset(name, shape=chance.choice(((10**6, 10**5), (2**40,), (3, 3), (), (0,))), dtype="f4")
        elif fault == 1:
            file.create_dataset(name, shape=(30_000, 30_000), dtype="f4", chunks=(1000, 1000), compression="gzip")
        elif fault == 2:
            file[name] = h5py.ExternalLink("/etc/passwd", "/x")
        elif fault == 3:
            file[name] = h5py.SoftLink("/")
        elif fault == 4:
            file.create_dataset(name, shape=shape, dtype="f4", external=[("/etc/passwd", 0, 10**6)])
        elif fault == 5:
            file.create_dataset(name, data=np.full(shape, np.nan, np.float32))
        elif fault == 6:
            file[name] = ["text"] * 3
        elif fault == 7:
            file[name] = file["/"]
    return held.getvalue()


def spoiled_graph(chance: Random, content: bytes) -> bytes:
    """saved_model.pb with operations, shapes, assets or signatures that are others."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    if chance.randrange(3) == 0:
        return spoiled_bytes(chance, content)
    saved = SavedModel.FromString(content)
    graph = saved.meta_graphs[0]
    nodes = [
        *graph.graph_def.node,
        *(node for function in graph.graph_def.library.function for node in function.node_def),
    ]
    for _ in range(chance.choice((1, 1, 3))):
        node, fault = chance.choice(nodes), chance.randrange(9)
        signature = graph.signature_def["serving_default"]
        if fault == 0:
            node.op = chance.choice(
                ("ReadFile", "WriteFile", "PyFunc", "NoSuch", "", "Conv2D", "StatefulPartitionedCall")
            )
        elif fault == 1:
            node.name = chance.choice(("", "../x", "x" * 5000, nodes[0].name))
        elif fault == 2 and node.input:
            node.input[0] = chance.choice(("", "none", "^x", node.name, "x:99999999999"))
        elif fault == 3:
            ends = chance.choice((signature.inputs, signature.outputs))
            for info in ends.values():
                for dim in info.tensor_shape.dim:
                    dim.size = chance.choice((-1, 0, 1, -5, 2**31, 2**62, 2**63 - 1, 10**6))
        elif fault == 4:
            for info in signature.inputs.values():
                info.dtype = chance.choice((0, 1, 7, 9, 21, 100, 999))
        elif fault == 5:
            asset = graph.asset_file_def.add()
            asset.filename = chance.choice(("../../../etc/passwd", "/etc/passwd", "x", ""))
        elif fault == 6:
            graph.signature_def.clear() if chance.randrange(2) else saved.meta_graphs.add()
        elif fault == 7:
            del graph.object_graph_def.nodes[chance.randrange(len(graph.object_graph_def.nodes)) :]
        else:
            for attribute in node.attr.values():
                for dim in attribute.shape.dim:
                    dim.size = chance.choice((0, 2**40, -7))
    return saved.SerializeToString()


def _described(path: Path) -> Any:
    from dlkit.conversion.describing import described

    return described(path if path.suffix in (".keras", ".h5") else _model_of(path))


def _model_of(path: Path) -> Path:
    return next(parent for parent in path.parents if parent.name == "sm")


def _converted(path: Path) -> Any:
    from dlkit.conversion.child import run_task
    from dlkit.progress import ignore
    from dlkit.runtime.arrays import write_npz
    from dlkit.writing import temporary_folder

    with temporary_folder() as folder:
        write_npz(folder / "inputs.npz", {"x": np.zeros((2, 8, 8, 1), np.float32)})
        names = {name: str(folder / name) for name in ("saved_model", "tflite", "reference", "weights_sha256")}
        run_task("convert", ignore, model=str(_model_of(path)), inputs=str(folder / "inputs.npz"), **names)


def _weights(path: Path) -> Any:
    from dlkit.networks import NETWORKS
    from dlkit.pipeline.weights import check_file, load_weights

    check_file(path)
    load_weights(_own_network(), NETWORKS["cnn"], {}, str(path))


def _saved_model(folder: Path) -> None:
    for name, content in _files().items():
        if name.startswith("sm/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)


KERAS_READERS: dict[str, Reader] = {
    reader.name: reader
    for reader in (
        Reader(
            "keras",
            "a.keras",
            _seeds("net.keras", "rows.keras"),
            (spoiled_configuration, spoiled_configuration, spoiled_zip),
            _described,
            apart=True,
        ),
        Reader(
            "h5",
            "a.h5",
            _seeds("net.h5", "rows.h5"),
            (spoiled_attribute, spoiled_bytes, spoiled_arrays),
            _described,
            apart=True,
        ),
        Reader(
            "saved_model.pb",
            "sm/saved_model.pb",
            _seeds("sm/saved_model.pb"),
            (spoiled_graph,),
            _described,
            _saved_model,
            apart=True,
        ),
        Reader(
            "graph converted",
            "sm/saved_model.pb",
            _seeds("sm/saved_model.pb"),
            (spoiled_graph,),
            _converted,
            _saved_model,
            apart=True,
        ),
        Reader(
            "variables.index",
            "sm/variables/variables.index",
            _seeds("sm/variables/variables.index"),
            (spoiled_bytes,),
            _converted,
            _saved_model,
            apart=True,
        ),
        Reader("weights .keras", "w.keras", _seeds("own.keras"), (spoiled_zip,), _weights, apart=True),
        Reader("weights .h5", "w.weights.h5", _seeds("own.weights.h5"), (spoiled_arrays,), _weights, apart=True),
        Reader("weights of old .h5", "w.h5", _seeds("own.h5"), (spoiled_arrays,), _weights, apart=True),
    )
}
