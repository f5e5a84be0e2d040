"""Training with the rounding of 8-bit integers, so that the weights come to stand it.

Jacob et al. 2018, arXiv:1712.05877, by TensorFlow's optimization toolkit: its wrapper and its quantizers round weights
and activations in the forward pass and let gradients through. Where they are placed is decided here, for the file that
will be made: every kernel by a scale for each output, as LiteRT has it (the toolkit has one scale for dense, depthwise
and transposed kernels); an activation where LiteRT writes a tensor, that is not between layers it fuses. What rounds is
taken off again: the weights go back into the Keras 3 model, which is then quantized as any.
"""

from __future__ import annotations

from typing import Any

from dlkit.compression.bridge import Call, Twin
from dlkit.compression.kernels import Kernel, kernels_of
from dlkit.compression.toolkit import environment_kept
from dlkit.compression.twin_layers import CONVOLVING, FUSED

_SAME_VALUES = {
    "Flatten", "Reshape", "Permute", "RepeatVector", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianNoise",
    "GaussianDropout", "MaxPooling1D", "MaxPooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "ZeroPadding1D",
    "ZeroPadding2D", "Cropping1D", "Cropping2D", "UpSampling1D", "Lambda", "Embedding",
}  # fmt: skip
"""Layers that give values they are given."""
_OF_FIXED_RANGE = {"softmax", "sigmoid", "tanh", "log_softmax"}
"""Activations at the end of a network: the loss wants them as they are, and the file has a scale for them that fits."""


class Rounding:
    """A twin that is trained with rounding."""

    def __init__(self, twin: Twin) -> None:
        with environment_kept():
            import tensorflow_model_optimization  # noqa: F401 - before its parts
        self.twin = twin
        self.kernels = {name: kernels_of(layer, twin.names[name]) for name, layer in twin.layers.items()}

    def model(self) -> Any:
        """The twin with a wrapper around each layer, which shares its variables."""
        rounded = {call.layer for call in self.twin.calls if self._writes(call)}
        wrapped = {
            name: _wrapped(layer, self.kernels[name], name in rounded)
            for name, layer in self.twin.layers.items()
            if self.kernels[name] or name in rounded
        }
        return self.twin.assembled(wrapped, self._entry)

    def take_off(self) -> None:
        """Give the twin's layers back their variables, in whose place rounded tensors are."""
        for kernels in self.kernels.values():
            for kernel in kernels:
                setattr(kernel.holder, kernel.attribute, kernel.variable)

    def _entry(self, tensor: Any, place: int) -> Any:
        import tf_keras

        if not tensor.dtype.is_floating:
            return tensor
        return _wrapped(tf_keras.layers.Activation("linear", name=f"entry{place}"), [], True)(tensor)

    def _writes(self, call: Call) -> bool:
        """Whether LiteRT writes what a call gives as a tensor with a range of its own."""
        layer = self.twin.layers[call.layer]
        if type(layer).__name__ in _SAME_VALUES or len(call.made) > 1:
            return False
        [made] = call.made
        if made in self.twin.outputs:
            return _activation_of(layer) not in _OF_FIXED_RANGE
        after = self.twin.consumers(made)
        if len(after) != 1 or _activation_of(layer) not in ("", "linear"):
            return True
        return not self._fuses(layer, self.twin.layers[after[0].layer])

    def _fuses(self, before: Any, after: Any) -> bool:
        """Whether `after` becomes part of the operation of `before`."""
        kind = type(after).__name__
        if kind == "BatchNormalization":
            return type(before).__name__ in CONVOLVING
        if kind == "ReLU":
            return after.max_value in (None, 6.0) and not after.negative_slope and not after.threshold
        return kind == "Activation" and _activation_of(after) in FUSED


def _activation_of(layer: Any) -> str:
    """The name of a layer's activation; "" if it has none."""
    return str(getattr(getattr(layer, "activation", None), "__name__", ""))


def _wrapped(layer: Any, kernels: list[Kernel], rounds_output: bool) -> Any:
    """The toolkit's wrapper around a layer, which rounds its kernels and, if asked, what it gives."""
    from tensorflow_model_optimization.python.core.quantization.keras import quantize_wrapper, quantizers
    from tensorflow_model_optimization.quantization.keras import QuantizeConfig

    class OfKernel(quantizers.LastValueQuantizer):
        """By the largest weight of each output."""

        def __init__(self, kernel: Kernel) -> None:
            super().__init__(num_bits=8, per_axis=True, symmetric=True, narrow_range=True)
            self.kernel = kernel

        def build(self, tensor_shape: Any, name: str, layer: Any) -> Any:
            outputs = self.kernel.cube(self.kernel.values).shape[-1]
            ends = {"min_var": -1.0, "max_var": 1.0}
            return {
                end: layer.add_weight(
                    f"{self.kernel.name}_{end}", shape=(outputs,), initializer=_constant(value), trainable=False
                )
                for end, value in ends.items()
            }

        def __call__(self, inputs: Any, training: Any, weights: Any, **options: Any) -> Any:
            rounded = super().__call__(self.kernel.by_output(inputs), training, weights, **options)
            return self.kernel.back(rounded)

    class Config(QuantizeConfig):  # type: ignore[misc, unused-ignore]
        def get_weights_and_quantizers(self, layer: Any) -> Any:
            return [(kernel.variable, OfKernel(kernel)) for kernel in kernels]

        def get_activations_and_quantizers(self, layer: Any) -> Any:
            return []

        def set_quantize_weights(self, layer: Any, quantize_weights: Any) -> None:
            for kernel, rounded in zip(kernels, quantize_weights, strict=True):
                setattr(kernel.holder, kernel.attribute, rounded)

        def set_quantize_activations(self, layer: Any, quantize_activations: Any) -> None:
            assert not quantize_activations

        def get_output_quantizers(self, layer: Any) -> Any:
            # As calibration does, and not by the toolkit's moving average, which begins at ±6 and follows slowly.
            ends = quantizers.AllValuesQuantizer(num_bits=8, per_axis=False, symmetric=False, narrow_range=False)
            return [ends] if rounds_output else []

        def get_config(self) -> dict[str, Any]:
            return {}

    return quantize_wrapper.QuantizeWrapperV2(layer, Config())


def _constant(value: float) -> Any:
    import tf_keras

    return tf_keras.initializers.Constant(value)
