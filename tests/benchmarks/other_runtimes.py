"""The same model as files of others: by the TensorFlow converter, and for ONNX Runtime and OpenVINO.

Each is made in processes of its own; one that cannot be made is told by how its process ended.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pairing import Failed
from processes import PYTHON, ending, used_by

STOCK = """
import os, sys
import keras, numpy as np, tensorflow as tf

for scheme in sys.argv[1:]:
    if pid := os.fork():
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        open(f"stock-{{scheme}}.code", "w").write(str(code))
        continue
    os.dup2(os.open(f"stock-{{scheme}}.txt", os.O_WRONLY | os.O_CREAT), 2)
    break
else:
    os._exit(0)

from dlkit.networks._layers import custom_layers

custom_layers()  # of networks that have layers which Keras has not
converter = tf.lite.TFLiteConverter.from_keras_model(keras.models.load_model({model!r}))
if scheme != "float32":
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
if scheme == "float16":
    converter.target_spec.supported_types = [tf.float16]
if scheme in ("int8", "int16x8"):
    ops = {{"int8": "TFLITE_BUILTINS_INT8", "int16x8": "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8"}}
    converter.representative_dataset = lambda: ([row[np.newaxis]] for row in np.load("inputs.npy"))
    converter.target_spec.supported_ops = [tf.lite.OpsSet[ops[scheme]]]
    converter.inference_input_type = converter.inference_output_type = {{"int8": tf.int8, "int16x8": tf.int16}}[scheme]
open(f"stock-{{scheme}}.tflite", "wb").write(converter.convert())
"""
ONNX = """
import onnx
from onnx.tools.update_model_dims import update_inputs_outputs_dims
from dlkit.conversion.serving import serve

serve(model={model!r}, inputs="inputs.npz", scheme="onnx", preprocessing="{{}}", served="open.onnx",
      reference="answers.npz", facts="facts.json", advance=lambda done, total: None)
model = onnx.load("open.onnx")
ends = [{{end.name: [1, *(d.dim_value for d in end.type.tensor_type.shape.dim[1:])] for end in side}}
        for side in (model.graph.input, model.graph.output)]
onnx.save(update_inputs_outputs_dims(model, *ends), "float32.onnx")
"""
ONNX_INT8 = """
import numpy as np, onnx
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

class Samples(CalibrationDataReader):
    def __init__(self):
        [end] = onnx.load("float32.onnx", load_external_data=False).graph.input
        self.left = iter([{{end.name: row[np.newaxis]}} for row in np.load("inputs.npy")])

    def get_next(self):
        return next(self.left, None)

quant_pre_process("float32.onnx", "prepared.onnx", skip_symbolic_shape=True)
quantize_static("prepared.onnx", "int8.onnx", Samples(), per_channel=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
"""
LIMIT_S = 1800.0


def make_all_stock(model: Path, folder: Path, schemes: Sequence[str]) -> None:
    """By the TensorFlow converter, each in a process of its own, of the inputs that lie in `folder`. Raises Failed."""
    used_by([*PYTHON, "-c", STOCK.format(model=str(model)), *schemes], folder, LIMIT_S)


def stock_file(folder: Path, scheme: str) -> Path:
    """Of one scheme. Raises Failed if it could not be made."""
    code = int((folder / f"stock-{scheme}.code").read_text())
    if code:
        raise Failed(ending(code, (folder / f"stock-{scheme}.txt").read_text(errors="replace")))
    return folder / f"stock-{scheme}.tflite"


def make_onnx(model: Path, folder: Path) -> Path:
    """Of a batch of 1. Raises Failed."""
    used_by([*PYTHON, "-c", ONNX.format(model=str(model))], folder, LIMIT_S)
    return folder / "float32.onnx"


def make_onnx_int8(folder: Path) -> Path:
    """By ONNX Runtime's own static quantization (QDQ, a scale for each channel) of what `make_onnx` made."""
    used_by([*PYTHON, "-c", ONNX_INT8.format()], folder, LIMIT_S)
    return folder / "int8.onnx"


def in_onnxruntime(file: Path, sample: np.ndarray[Any, Any]) -> Callable[[], object]:
    """What runs one inference on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common class
        raise Failed(f"does not load it: {last_line(error)}") from None
    given = {session.get_inputs()[0].name: sample[np.newaxis]}
    return lambda: session.run(None, given)


def in_openvino(file: Path, sample: np.ndarray[Any, Any]) -> Callable[[], object]:
    """Likewise; numbers stay float32 where the file says so."""
    import openvino

    settings = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    try:
        request = openvino.Core().compile_model(str(file), "CPU", settings).create_infer_request()
    except RuntimeError as error:
        raise Failed(f"does not load it: {last_line(error)}") from None
    request.set_input_tensor(openvino.Tensor(np.ascontiguousarray(sample[np.newaxis])))
    return request.infer


def last_line(error: Exception) -> str:
    """Where a runtime's long text comes to the point."""
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)[
        :120
    ]


def write_inputs(folder: Path, name: str, inputs: np.ndarray[Any, Any]) -> None:
    """What the scripts above read."""
    np.save(folder / "inputs.npy", inputs)
    np.savez(folder / "inputs.npz", **{name: inputs})
    (folder / "facts.json").write_text(json.dumps({}))
