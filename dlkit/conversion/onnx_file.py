"""An ONNX file of a Keras model, with an open batch, converted without its large kernels; runs in a child process.

tf2onnx 1.17 copies each constant many times over: VGG16 at full size took it more than 21 GB, and takes 7 GB without
the kernels of its dense layers. They are inputs of what is converted, and become constants of the file afterwards.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dlkit.conversion.named_ends import arranged, by_name, input_names
from dlkit.conversion.onnx_names import name_in_order
from dlkit.conversion.thin import LEAST_KERNEL_BYTES
from dlkit.conversion.without_loops import every_layer
from dlkit.extras import require
from dlkit.frameworks import keras
from dlkit.frameworks import tensorflow as tf

ONNX_OPSET = 18
"""The latest that tf2onnx 1.17 writes."""


def write_onnx(model: keras.Model, file: Path) -> tuple[dict[str, int], dict[str, int]]:
    """Write the ONNX file. Returns operation → count, and dtype → numbers of its constants."""
    onnx = require("onnx")
    kernels = _large_kernels(model)
    made = _converted(model, kernels)
    _put_in(made.graph, kernels)
    made.graph.name = model.name
    name_in_order(made.graph)
    onnx.checker.check_model(made)
    file.write_bytes(made.SerializeToString(deterministic=True))
    ops = collections.Counter(node.op_type for node in made.graph.node)
    sizes: collections.Counter[str] = collections.Counter()
    for constant in made.graph.initializer:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(constant.data_type)).name
        sizes[dtype] += int(np.prod(constant.dims))
    return dict(sorted(ops.items())), dict(sizes)


def _large_kernels(model: keras.Model) -> dict[str, keras.Variable]:
    """Input name → kernel of each large dense layer that multiplies by it as it is; (in, out) float32."""
    found: dict[int, keras.Variable] = {}
    for layer in every_layer(model):
        if type(layer) is not keras.layers.Dense or layer.compute_dtype != "float32":
            continue
        changed = getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None)
        if not changed and 4 * int(np.prod(layer.kernel.shape)) >= LEAST_KERNEL_BYTES:
            found[id(layer.kernel)] = layer.kernel  # once, if layers share it
    taken = {*input_names(model), *model.output_names}
    names = (name for name in map("kernel_{}".format, range(len(found) + len(taken))) if name not in taken)
    return dict(zip(names, found.values(), strict=False))


def _converted(model: keras.Model, kernels: Mapping[str, keras.Variable]) -> Any:
    """The ONNX model, with `kernels` as inputs after its own."""
    tf2onnx = require("tf2onnx")
    own = input_names(model)
    specs = [
        tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype, name=name)
        for name, tensor in zip(own, model.inputs, strict=True)
    ]
    specs += [tf.TensorSpec(kernel.shape, tf.float32, name=name) for name, kernel in kernels.items()]

    @tf.function(autograph=False, input_signature=specs)
    def answers(*given: Any) -> Any:
        named = dict(zip(own, given[: len(own)], strict=True))
        values = list(zip(kernels.values(), given[len(own) :], strict=True))
        with keras.StatelessScope(values, initialize_variables=False):
            return by_name(model, model(arranged(model, named), training=False))

    # Keras compiles grouped convolutions by a function of their own, which tf2onnx does not look into.
    tf.config.run_functions_eagerly(True)
    answers.get_concrete_function()
    tf.config.run_functions_eagerly(False)
    return tf2onnx.convert.from_function(answers, input_signature=specs, opset=ONNX_OPSET)[0]


def _put_in(graph: Any, kernels: Mapping[str, keras.Variable]) -> None:
    """Make constants of the inputs that are kernels."""
    onnx = require("onnx")
    own = [end for end in graph.input if end.name not in kernels]
    del graph.input[:]
    graph.input.extend(own)
    for name, kernel in kernels.items():
        graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(kernel.value), name))
