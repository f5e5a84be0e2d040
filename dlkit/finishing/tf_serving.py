"""tf_serving: what TensorFlow Serving needs beside a SavedModel, and requests of real samples to try it with.

Sources: tensorflow/serving, tensorflow_serving/g3doc/serving_config.md, saved_model_warmup.md, api_rest.md and
batching/README.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.bundle.loading import MODELS
from dlkit.conversion.serving import RAW
from dlkit.extras import require
from dlkit.finishing import Finish, Finished, Finishing
from dlkit.finishing._serving import (
    BATCH_SIZES,
    LARGEST_BATCH,
    QUEUE_MICROSECONDS,
    answers_to,
    as_lists,
    in_words,
    json_line,
    network_inputs,
    raw_inputs,
    served_name,
)
from dlkit.runtime.saved_model import SIGNATURE
from dlkit.writing import temporary_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

WARMUP = f"{MODELS['saved_model']}/assets.extra/tf_serving_warmup_requests"
"""Where TensorFlow Serving looks for it."""
WARMUP_BYTES = 2**22
"""Larger batches are left out of the warm-up of a model whose inputs are large."""


def make(given: Finishing) -> Finished:
    """Of a SavedModel; TensorFlow Serving serves nothing else."""
    if not given.file.is_dir():
        return Finished({}, ("TensorFlow Serving serves no ONNX file; for it use --scheme saved_model",))
    raw = raw_inputs(given)
    answers = answers_to(given, RAW, {name: values[:1] for name, values in raw.items()})
    name = served_name(given)
    files = {
        WARMUP: warmup_records(name, {SIGNATURE: network_inputs(given), RAW: raw}),
        "tf_serving/batching_parameters.txt": _BATCHING.encode(),
        "tf_serving/models.config": _config(name).encode(),
        "tf_serving/request.json": json_line({"signature_name": RAW, "inputs": _first(raw)}),
        "tf_serving/response.json": json_line({"outputs": _response(answers)}),
        "tf_serving/client.py": _client(name, given).encode(),
        "tf_serving/README.md": _readme(name, given, in_words(given, answers)).encode(),
    }
    return Finished(files, ("tf_serving/ and the warm-up requests were made for a server that was not run here",))


def _first(inputs: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    return {name: as_lists(values[:1]) for name, values in inputs.items()}


def _response(answers: Mapping[str, NDArray[np.float32]]) -> Any:
    """As the server gives it in "columns": of one output its values alone."""
    lists = {name: as_lists(values) for name, values in answers.items()}
    return next(iter(lists.values())) if len(lists) == 1 else lists


def warmup_records(name: str, inputs: Mapping[str, Mapping[str, NDArray[Any]]]) -> bytes:
    """Requests of each size of batch, as a file of TFRecords of PredictionLog messages.

    Args:
        inputs: signature → input name → (N, ...) as it takes them; a larger batch repeats them.
    """
    tf = require("tensorflow")
    with temporary_folder() as folder:
        place = folder / "records"
        with tf.io.TFRecordWriter(str(place)) as writer:
            for log in _logs(name, inputs):
                writer.write(log)
        return place.read_bytes()


def _logs(name: str, inputs: Mapping[str, Mapping[str, NDArray[Any]]]) -> Iterator[bytes]:
    """Of each signature in each size of batch, as long as they are not too many bytes."""
    size = 0
    for batch in BATCH_SIZES:
        for signature, named in inputs.items():
            log = _prediction_log(name, signature, {key: _repeated(values, batch) for key, values in named.items()})
            size += len(log)
            if batch > 1 and size > WARMUP_BYTES:
                return
            yield log


def _repeated(values: NDArray[Any], count: int) -> NDArray[Any]:
    return values[np.arange(count) % len(values)]


def _prediction_log(name: str, signature: str, inputs: Mapping[str, NDArray[Any]]) -> bytes:
    """A PredictionLog (6: PredictLog (1: PredictRequest (1: ModelSpec (1: name, 3: signature), 2: inputs))).

    The numbers are those of tensorflow_serving/apis: prediction_log.proto, predict.proto and model.proto. Written by
    hand, as their package has a TensorFlow of its own minor version beside it and adds nothing to ten lines.
    """
    tf = require("tensorflow")
    spec = _field(1, name.encode()) + _field(3, signature.encode())
    tensors = {
        key: tf.make_tensor_proto(values).SerializeToString(deterministic=True) for key, values in inputs.items()
    }
    entries = b"".join(_field(2, _field(1, key.encode()) + _field(2, tensor)) for key, tensor in tensors.items())
    return _field(6, _field(1, _field(1, spec) + entries))


def _field(number: int, content: bytes) -> bytes:
    """A field of a protocol buffer whose content has a length: text, bytes or a message."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


_BATCHING = f"""\
# How TensorFlow Serving puts requests together: --enable_batching --batching_parameters_file=THIS.
# Starting points, not measured on your server. Raise max_batch_size while throughput grows and latency still serves;
# lower batch_timeout_micros where requests are rare.
max_batch_size {{ value: {LARGEST_BATCH} }}
# As long a request waits for others, in microseconds.
batch_timeout_micros {{ value: {QUEUE_MICROSECONDS} }}
# Batches at work at once: as many as processor cores without a GPU; 2 keep one GPU busy while the next batch is made.
num_batch_threads {{ value: 2 }}
# Beyond so many waiting batches, requests are refused, which is better than answers that come too late.
max_enqueued_batches {{ value: 100 }}
# A batch is filled up to one of these, so that kernels are chosen for few shapes; all are in the warm-up requests.
{chr(10).join(f"allowed_batch_sizes: {size}" for size in BATCH_SIZES)}
"""


def _config(name: str) -> str:
    return f"""\
# What TensorFlow Serving serves: --model_config_file=THIS. Add a model to the list to serve several.
model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: 1 }} }}
  }}
}}
"""


def _client(name: str, given: Finishing) -> str:
    raw = raw_inputs(given)
    tensors = "\n".join(
        f"request.inputs[{key!r}].CopyFrom(tf.make_tensor_proto(np.asarray(sent[{key!r}], np.{values.dtype})))"
        for key, values in raw.items()
    )
    return f'''\
"""Asks TensorFlow Serving by gRPC what request.json asks: python client.py [HOST:PORT]

pip install 'tensorflow-serving-api>=2.21,<2.22'
"""

import json
import pathlib
import sys

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

sent = json.loads((pathlib.Path(__file__).parent / "request.json").read_text())["inputs"]
request = predict_pb2.PredictRequest()
request.model_spec.name = {name!r}
request.model_spec.signature_name = {RAW!r}
{tensors}
with grpc.insecure_channel(sys.argv[1] if len(sys.argv) > 1 else "localhost:8500") as channel:
    answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=30)
print(json.dumps({{key: tf.make_ndarray(values).tolist() for key, values in answer.outputs.items()}}))
'''


def _readme(name: str, given: Finishing, words: str) -> str:
    mount = f'-v "$PWD/saved_model:/models/{name}/1:ro"'
    return f"""\
# {name} on TensorFlow Serving

Made for a server that was not run when the bundle was made; the model itself was loaded and run by TensorFlow
{version("tensorflow")}. Take a TensorFlow Serving of that version or later. All commands are typed in the bundle's
folder, the one with `manifest.json`.

## Serve

```
docker run --rm -p 8500:8500 -p 8501:8501 {mount} -e MODEL_NAME={name} \\
  tensorflow/serving
```

With a GPU, `--gpus all` before the `-p` and the image `tensorflow/serving:latest-gpu`. With requests put together:

```
docker run --rm -p 8500:8500 -p 8501:8501 {mount} \\
  -v "$PWD/tf_serving:/settings:ro" tensorflow/serving \\
  --model_config_file=/settings/models.config \\
  --enable_batching --batching_parameters_file=/settings/batching_parameters.txt
```

Without Docker the folder must be called after its version:

```
mkdir -p models/{name} && cp -r saved_model models/{name}/1
tensorflow_model_server --rest_api_port=8501 --model_name={name} --model_base_path="$PWD/models/{name}"
```

## Ask

```
curl -d @tf_serving/request.json http://localhost:8501/v1/models/{name}:predict
python tf_serving/client.py localhost:8500
```

The first asks by REST, the second by gRPC (`pip install tensorflow-serving-api`). Both send a held-out sample as it is,
to the signature `{RAW}`, which prepares it: {_taken(given)}. The answer is that of
`response.json`, up to rounding: {words}

The signature `{SIGNATURE}` takes what the network takes, prepared by you; `manifest.json` says how.

## What is here

| file | for |
| --- | --- |
| `../{WARMUP}` | requests that the server sends itself before the first client's |
| `batching_parameters.txt` | when requests are put together; starting points |
| `models.config` | which models are served |
| `request.json`, `response.json`, `client.py` | a request of a real sample, and the answer |
"""


def _taken(given: Finishing) -> str:
    """ "image (8, 8, 1) from 0 to 16"."""
    told = []
    for key, preprocessing in given.inputs.items():
        low, high = preprocessing.raw_range
        between = f" from {low:g} to {high:g}" if preprocessing.is_bounded else ""
        told.append(f"{key} {preprocessing.raw_shape}{between}")
    return ", ".join(told)


TF_SERVING = Finish("tf_serving", "TensorFlow Serving's settings and warm-up requests", make)
