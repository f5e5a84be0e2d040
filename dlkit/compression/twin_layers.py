"""The layers of tf_keras that compute what a layer of Keras 3 does."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from dlkit.errors import IllegalCombination
from dlkit.frameworks import keras
from dlkit.frameworks import tensorflow as tf

INSTEAD = "use a scheme that needs no fine-tuning: --scheme int8"
_WITHOUT_EFFECT: dict[str, Callable[[Any], bool]] = {
    "quantization_config": lambda value: value is None,
    "lora_rank": lambda value: value is None,
    "lora_alpha": lambda value: value is None,
    "zero_output_for_mask": lambda value: True,  # there are no masks
    "use_cudnn": lambda value: True,
    "seed": lambda value: True,
    "optional": lambda value: not value,
    "ragged": lambda value: not value,
    "sparse": lambda value: not value,
    "data_format": lambda value: value in (None, "channels_last"),
    "antialias": lambda value: not value,
    "pad_to_aspect_ratio": lambda value: not value,
    "crop_to_aspect_ratio": lambda value: not value,
    "fill_mode": lambda value: True,
    "fill_value": lambda value: True,
    "input_spec": lambda value: True,
}
"""Keys that tf_keras does not have, and whether a value of one says no more than it does without it."""
_OTHER_NAMES = {"LeakyReLU": {"negative_slope": "alpha"}}
_SAME_ACTIVATIONS = {
    "relu", "relu6", "linear", "softmax", "sigmoid", "tanh", "elu", "selu", "softplus", "softsign", "gelu",
    "exponential", "mish",
}  # fmt: skip
CONVOLVING = {
    "Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "DepthwiseConv1D", "DepthwiseConv2D", "Dense",
}  # fmt: skip
FUSED = {"relu", "relu6"}
"""Activations that become part of the operation before them."""
_COMBINING = ("Add", "Subtract", "Multiply", "Maximum", "Minimum")
_ELEMENTWISE = {
    "Relu": "relu", "Relu6": "relu6", "Sigmoid": "sigmoid", "Tanh": "tanh", "Softmax": "softmax", "Silu": "silu",
    "Elu": "elu", "Selu": "selu", "Softplus": "softplus", "HardSigmoid": "hard_sigmoid", "HardSilu": "hard_silu",
}  # fmt: skip


def refusal(name: str, why: str) -> IllegalCombination:
    """What is said of a layer that tf_keras cannot stand for."""
    return IllegalCombination(f"layer {name!r} cannot be fine-tuned for compression: {why}; {INSTEAD}")


def twins_of(layer: Any, name: str, path: str) -> list[Any]:
    """Layers of tf_keras, one behind the other, that compute what a layer of Keras 3 does; their weights are its own.

    Args:
        name: for the first of them; unique in the twin.
        path: what the layer is called in the model, for a refusal.

    Raises:
        IllegalCombination: there are none.
    """
    import tf_keras

    kind, own = type(layer).__name__, type(layer).__module__.startswith("keras.")
    with tf_keras.utils.custom_object_scope(_ours()):
        if not own:
            return [_ours_like(layer, name, path)]
        if kind in ("SeparableConv2D", "SeparableConv1D"):
            return _separated(layer, name, path)
        if kind in ("Bidirectional", "TimeDistributed"):
            return [_wrapping(layer, name, path)]
        return _parted(_like(layer, name, path))


def _parted(twin: Any) -> list[Any]:
    """A layer of tf_keras with its activation behind it, where a file has a tensor between the two.

    LiteRT fuses no others than rectifiers; what a softmax, for one, reads is rounded like any other tensor.
    """
    import tf_keras

    if type(twin).__name__ not in CONVOLVING:
        return [twin]
    activation = twin.activation
    if activation.__name__ in ("linear", *FUSED):
        return [twin]
    twin.activation = tf_keras.activations.linear
    return [twin, tf_keras.layers.Activation(activation, name=f"{twin.name}_activation")]


def operation_twin(entry: dict[str, Any], numbers: list[Any], name: str) -> Any:
    """The layer of tf_keras for an operation of Keras 3 such as `a + b`.

    Args:
        entry: of the model's configuration.
        numbers: what it is given beside tensors, in order.

    Raises:
        IllegalCombination: there is none.
    """
    import tf_keras

    kind, layers = entry["class_name"], tf_keras.layers
    if kind in _COMBINING and not numbers:
        return getattr(layers, kind)(name=name)
    plain = len(numbers) == 1 and isinstance(numbers[0], int | float)
    if plain and kind in ("Add", "Multiply"):
        return layers.Rescaling(*((1.0, numbers[0]) if kind == "Add" else (numbers[0], 0.0)), name=name)
    if kind in _ELEMENTWISE and not numbers:
        return layers.Activation(_activation(_ELEMENTWISE[kind], entry["name"]), name=name)
    raise refusal(entry["name"], f"it is the operation {kind}, and not a layer of Keras")


def _like(layer: Any, name: str, path: str) -> Any:
    """The layer of the same name in tf_keras, by the configuration of one of Keras 3."""
    import tf_keras

    kind = type(layer).__name__
    cls = getattr(tf_keras.layers, kind, None)
    if cls is None:
        raise refusal(path, f"{kind} exists in Keras 3 alone")
    if getattr(layer, "stateful", False):
        raise refusal(path, "it keeps its state between batches")
    if kind == "Masking" or getattr(layer, "mask_zero", False):
        raise refusal(path, "it masks steps")
    known, options = _accepted(cls), {}
    for key, value in layer.get_config().items():
        key = _OTHER_NAMES.get(kind, {}).get(key, key)
        if key in ("name", "dtype", "trainable"):
            continue
        if key not in known:
            if not _WITHOUT_EFFECT.get(key, lambda _: False)(value):
                raise refusal(path, f"{kind} with {key} = {value!r} exists in Keras 3 alone")
        elif key.endswith("_initializer"):
            options[key] = "zeros"  # its weights are copied
        else:
            options[key] = _activation(value, path) if key.endswith("activation") else _plain(value)
    return cls(name=name, trainable=layer.trainable, **options)


def _plain(value: Any) -> Any:
    """A value of a configuration as tf_keras takes it."""
    import tf_keras

    if isinstance(value, dict) and str(value.get("module", "")).startswith("keras."):
        family = getattr(tf_keras, value["module"].split(".")[1])
        return family.deserialize({"class_name": value["class_name"], "config": value["config"]})
    return value


def _activation(value: Any, name: str) -> Any:
    """An activation of Keras 3, as it is in a configuration, for tf_keras."""
    import tf_keras

    if isinstance(value, dict) and value.get("class_name") == "function":
        value = value["config"]
    if value is None or (isinstance(value, str) and value in _SAME_ACTIVATIONS):
        return value
    if value in ("silu", "swish"):
        return tf_keras.activations.swish
    if isinstance(value, str) and value in _ours():
        return _ours()[value]
    told = value if isinstance(value, str) else value.get("class_name", value)
    raise refusal(name, f"tf_keras has no activation {told!r}")


def _ours() -> dict[str, Callable[[Any], Any]]:
    """Activations that tf_keras lacks or, of a hard sigmoid, defines in another way."""

    def hard_sigmoid(x: Any) -> Any:
        return tf.nn.relu6(x + 3.0) / 6.0

    def hard_silu(x: Any) -> Any:
        return x * tf.nn.relu6(x + 3.0) / 6.0

    return {
        "hard_sigmoid": hard_sigmoid,
        "hard_silu": hard_silu,
        "hard_swish": hard_silu,
        "log_softmax": tf.nn.log_softmax,
    }


def _accepted(cls: type) -> set[str]:
    """What a layer's constructor takes, its bases' options among it."""
    names: set[str] = set()
    for each in cls.__mro__[:-1]:
        own = each.__dict__.get("__init__")
        if own is not None and each.__name__ not in ("Layer", "Module"):
            names |= set(inspect.signature(inspect.unwrap(own)).parameters)
    return names - {"self", "args", "kwargs"}


def _separated(layer: Any, name: str, path: str) -> list[Any]:
    """A separable convolution is a depthwise one and one of a single place."""
    import tf_keras

    config, layers = layer.get_config(), tf_keras.layers
    one, flat = (
        ("DepthwiseConv2D", "Conv2D") if type(layer).__name__ == "SeparableConv2D" else ("DepthwiseConv1D", "Conv1D")
    )
    depthwise = getattr(layers, one)(
        config["kernel_size"],
        strides=config["strides"],
        padding=config["padding"],
        dilation_rate=config["dilation_rate"],
        depth_multiplier=config["depth_multiplier"],
        use_bias=False,
        depthwise_initializer="zeros",
        depthwise_regularizer=_plain(config["depthwise_regularizer"]),
        name=f"{name}_depthwise",
        trainable=layer.trainable,
    )
    pointwise = getattr(layers, flat)(
        config["filters"],
        1,
        use_bias=config["use_bias"],
        activation=_activation(config["activation"], path),
        kernel_initializer="zeros",
        kernel_regularizer=_plain(config["pointwise_regularizer"]),
        bias_regularizer=_plain(config["bias_regularizer"]),
        name=f"{name}_pointwise",
        trainable=layer.trainable,
    )
    return [depthwise, pointwise]


def _wrapping(layer: Any, name: str, path: str) -> Any:
    """A layer that holds others."""
    import tf_keras

    layers = tf_keras.layers
    if type(layer).__name__ == "TimeDistributed":
        if isinstance(layer.layer, keras.Model):
            raise refusal(path, "it applies a whole model to each step")
        return layers.TimeDistributed(_like(layer.layer, f"{name}_each", path), name=name)
    ways = [_like(one, f"{name}_{way}", path) for way, one in _ways(layer)]
    return layers.Bidirectional(ways[0], backward_layer=ways[1], merge_mode=layer.merge_mode, name=name)


def _ways(layer: Any) -> tuple[tuple[str, Any], tuple[str, Any]]:
    return ("ahead", layer.forward_layer), ("back", layer.backward_layer)


def _ours_like(layer: Any, name: str, path: str) -> Any:
    """The counterpart of a layer of `networks._layers`."""
    kind = type(layer).__name__
    if not type(layer).__module__.startswith("dlkit."):
        raise refusal(path, f"{kind} is a layer of your own")
    if kind == "LocalResponseNormalization":
        return _response_normalization()(layer.size, layer.alpha, layer.k, name=name)
    raise refusal(path, f"{kind} has no counterpart in tf_keras")


def gives_its_first_input(layer: Any) -> bool:
    """Whether a layer of ours does nothing else outside training: the mean of what `Sampling` draws from."""
    return type(layer).__name__ == "Sampling" and type(layer).__module__.startswith("dlkit.")


def _response_normalization() -> Any:
    import numpy as np
    import tf_keras

    class LocalResponseNormalization(tf_keras.layers.Layer):
        """As in `networks._layers`."""

        def __init__(self, size: int, alpha: float, k: float, **options: Any) -> None:
            super().__init__(**options)
            self.size, self.alpha, self.k = size, alpha, k

        def call(self, x: Any) -> Any:
            channels = np.arange(x.shape[-1])
            band = np.abs(channels[:, np.newaxis] - channels) <= self.size // 2
            total = tf.linalg.matmul(x * x, tf.constant((self.alpha * band).astype("float32")))
            r = tf.math.rsqrt(total + self.k)
            return x * (r * (r * tf.math.rsqrt(r)))

        def compute_output_shape(self, input_shape: Any) -> Any:
            return input_shape

    return LocalResponseNormalization
