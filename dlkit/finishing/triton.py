"""triton: the settings that NVIDIA Triton Inference Server wants beside a SavedModel or an ONNX file.

Sources: triton-inference-server/server, docs/user_guide/model_configuration.md and model_repository.md; the names are
those of triton-inference-server/common, protobuf/model_config.proto.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dlkit.errors import IllegalCombination
from dlkit.finishing import Finish, Finished, Finishing
from dlkit.finishing._serving import (
    LARGEST_BATCH,
    QUEUE_MICROSECONDS,
    answers_to,
    as_lists,
    in_words,
    json_line,
    network_inputs,
    served_name,
)
from dlkit.runtime.saved_model import SIGNATURE

if TYPE_CHECKING:
    from numpy.typing import NDArray

DTYPES = {"float32": "FP32", "float16": "FP16", "int32": "INT32", "int64": "INT64", "uint8": "UINT8", "bool": "BOOL"}
"""numpy's name → Triton's; with TYPE_ before it in a configuration."""
LAST_WITH_TENSORFLOW = "25.02"
"""Of Triton's images; its pull request 8068: "As of 25.03 TensorFlow backend is deprecated"."""


def make(given: Finishing) -> Finished:
    """Of a SavedModel or an ONNX file."""
    name = served_name(given)
    inputs = _as_taken(given)
    answers = answers_to(given, SIGNATURE, inputs)
    first = {key: values[:1] for key, values in answers.items()}
    files = {
        f"triton/{name}/config.pbtxt": _config(name, given).encode(),
        "triton/request.json": json_line({"inputs": [_tensor(key, values[:1]) for key, values in inputs.items()]}),
        "triton/response.json": json_line({"outputs": [_tensor(key, values) for key, values in first.items()]}),
        "triton/README.md": _readme(name, given, in_words(given, answers)).encode(),
    }
    for number, values in enumerate(inputs.values()):
        files[f"triton/{name}/warmup/{_warmup_file(number)}"] = values[:1].tobytes()
    return Finished(files, ("triton/ was made for a server that was not run here",))


def _warmup_file(number: int) -> str:
    """By number: an input may be called what no file can be."""
    return f"input{number}"


def _as_taken(given: Finishing) -> dict[str, NDArray[Any]]:
    """The samples as the network takes them, in its dtypes."""
    dtypes = {key: end["dtype"] for key, end in given.manifest["inputs"].items()}
    return {key: values.astype(dtypes[key]) for key, values in network_inputs(given).items()}


def _type(dtype: str) -> str:
    try:
        return DTYPES[dtype]
    except KeyError:
        raise IllegalCombination(f"Triton takes no {dtype} as it is named here; it takes {', '.join(DTYPES)}") from None


def _tensor(name: str, values: NDArray[Any]) -> dict[str, Any]:
    """As the protocol has it, KServe's v2: the numbers in a row."""
    flat = as_lists(values.reshape(-1))
    return {"name": name, "shape": list(values.shape), "datatype": _type(str(values.dtype)), "data": flat}


def _config(name: str, given: Finishing) -> str:
    is_folder = given.file.is_dir()
    ends = {key: _ends(given.manifest[key]) for key in ("inputs", "outputs")}
    signature = (
        f'parameters {{ key: "TF_SIGNATURE_DEF" value {{ string_value: "{SIGNATURE}" }} }}\n' if is_folder else ""
    )
    return f"""\
# Triton's settings of the model. The numbers are starting points, not measured on your server.
name: "{name}"
platform: "{"tensorflow_savedmodel" if is_folder else "onnxruntime_onnx"}"
max_batch_size: {LARGEST_BATCH}
{signature}input [
{ends["inputs"]}
]
output [
{ends["outputs"]}
]
# Requests are put together; one waits so long for others.
dynamic_batching {{ max_queue_delay_microseconds: {QUEUE_MICROSECONDS} }}
# Before the model is said to be ready, it is run on a real sample, alone and in the largest batch.
{_warmups(given)}
# One instance on each GPU, or one on the processors; two on a GPU hide the copies of one behind the other's work:
# instance_group [ {{ count: 2 kind: KIND_GPU }} ]
"""


def _ends(table: Mapping[str, Any]) -> str:
    """Inputs or outputs of the manifest."""
    rows = []
    for key, end in table.items():
        dims = end["shape"][1:]
        # A single number a sample has no dimension, and Triton wants one.
        shape = f"dims: [ {', '.join(map(str, dims))} ]" if dims else "dims: [ 1 ] reshape { shape: [ ] }"
        rows.append(f"  {{ name: {json.dumps(key)} data_type: TYPE_{_type(end['dtype'])} {shape} }}")
    return ",\n".join(rows)


def _warmups(given: Finishing) -> str:
    blocks = []
    for batch in (1, LARGEST_BATCH):
        rows = []
        for number, (key, end) in enumerate(given.manifest["inputs"].items()):
            dims = ", ".join(map(str, end["shape"][1:])) or "1"
            data = f'data_type: TYPE_{_type(end["dtype"])} dims: [ {dims} ] input_data_file: "{_warmup_file(number)}"'
            rows.append(f"  inputs {{ key: {json.dumps(key)} value {{ {data} }} }}")
        entries = "\n".join(rows)
        blocks.append(f'model_warmup {{\n  name: "batch of {batch}"\n  batch_size: {batch}\n{entries}\n}}')
    return "\n".join(blocks)


def _readme(name: str, given: Finishing, words: str) -> str:
    is_folder = given.file.is_dir()
    copy = f"cp -r saved_model models/{name}/1/model.savedmodel" if is_folder else f"cp model.onnx models/{name}/1/"
    image = (
        f"Images of Triton later than {LAST_WITH_TENSORFLOW} have no TensorFlow: for them export `--scheme onnx`."
        if is_folder
        else "YY.MM is a release of Triton; its image has ONNX Runtime in it."
    )
    tag = LAST_WITH_TENSORFLOW if is_folder else "YY.MM"
    return f"""\
# {name} on NVIDIA Triton Inference Server

Made for a server that was not run when the bundle was made. All commands are typed in the bundle's folder, the one with
`manifest.json`.

## Serve

```
mkdir -p models && cp -r triton/{name} models/ && mkdir models/{name}/1
{copy}
docker run --rm --gpus all -p 8000:8000 -p 8001:8001 -v "$PWD/models:/models:ro" \\
  nvcr.io/nvidia/tritonserver:{tag}-py3 tritonserver --model-repository=/models
```

Without a GPU leave out `--gpus all`. {image}

## Ask

```
curl -d @triton/request.json http://localhost:8000/v2/models/{name}/infer
```

That sends a held-out sample as the network takes it: prepared as `manifest.json` says under `inputs`,
`preprocessing`. The answer is that of `response.json`, up to rounding: {words}

## What is here

| file | for |
| --- | --- |
| `{name}/config.pbtxt` | ends, and batching: up to {LARGEST_BATCH} samples, {QUEUE_MICROSECONDS} µs of waiting |
| `{name}/warmup/` | the sample that the server runs before it says that it is ready |
| `request.json`, `response.json` | a request of a real sample, and the answer |
"""


TRITON = Finish("triton", "Triton's settings and warm-up data", make)
