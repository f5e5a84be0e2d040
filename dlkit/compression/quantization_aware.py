"""Training with the rounding of 8-bit integers, so that the weights come to stand it.

Jacob et al. 2018, arXiv:1712.05877, by TensorFlow's optimization toolkit: its wrapper and its quantizers round weights
and activations in the forward pass and let gradients through. Where they are placed is decided here, for the file that
will be made: every kernel by a scale for each output, as LiteRT has it (the toolkit has one scale for dense, depthwise
and transposed kernels); an activation where LiteRT writes a tensor, that is not between layers it fuses, in the range
that calibration by the recipe's method gives it, measured anew before each epoch. (By the toolkit's extremes of all
that training batches ever did, steps would grow coarser than the file's.) What rounds is taken off again: the weights
go back into the Keras 3 model, which is then quantized as any.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dlkit.calibration.observers import Observer, observer_of, scores_observer_of
from dlkit.compression.bridge import Call, Twin
from dlkit.compression.kernels import Kernel, kernels_of
from dlkit.compression.toolkit import environment_kept
from dlkit.compression.twin_layers import CONVOLVING, FUSED
from dlkit.errors import TrainingError
from dlkit.frameworks import tensorflow as tf

_SAME_VALUES = {
    "Flatten", "Reshape", "Permute", "RepeatVector", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianNoise",
    "GaussianDropout", "MaxPooling1D", "MaxPooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "ZeroPadding1D",
    "ZeroPadding2D", "Cropping1D", "Cropping2D", "UpSampling1D", "Lambda", "Embedding",
}  # fmt: skip
"""Layers that give values they are given."""
_OF_ITS_INPUT = {"AveragePooling1D", "AveragePooling2D"}
"""Layers whose output LiteRT counts in the steps of what they read, however small the averages are."""
_OF_ITS_OUTPUT = {"Concatenate"}
"""Layers that only put together what they read, which LiteRT therefore writes in the steps of the whole."""
_OF_FIXED_RANGE = {"softmax", "sigmoid", "tanh", "log_softmax"}
"""Activations at the end of a network: the loss wants them as they are, and the file has a scale for them that fits."""


class Steps:
    """The range of a tensor, or of several that are counted in the same steps."""

    def __init__(self) -> None:
        self.low, self.high = (tf.Variable(end, trainable=False) for end in (-1.0, 1.0))

    def become(self, low: float, high: float) -> None:
        """Take another range; zero is always inside."""
        self.low.assign(min(low, 0.0))
        self.high.assign(max(high, 0.0))


class Rounding:
    """A twin that is trained with rounding.

    Attributes:
        steps: of layers that write a tensor, by name in the twin, and of the entries "entry0", "entry1" …
    """

    def __init__(self, twin: Twin, method: str = "minmax") -> None:
        """
        Args:
            method: how ranges are chosen, a key of `calibration.observers.OBSERVERS`.
        """
        with environment_kept():
            import tensorflow_model_optimization  # noqa: F401 - before its parts
        self.twin, self._observer, self._scores_observer = twin, observer_of(method), scores_observer_of(method)
        self.kernels = {name: kernels_of(layer, twin.names[name]) for name, layer in twin.layers.items()}
        self._written = {call.layer: call for call in reversed(twin.calls) if self._writes(call)}
        self.steps: dict[str, Steps] = {}

    def model(self) -> Any:
        """The twin with a wrapper around each layer, which shares its variables."""
        entries = {at: _entry(at) for at, (_, _, dtype) in enumerate(self.twin.inputs) if "float" in dtype}
        self.steps = {layer: Steps() for layer in [*(entry.name for entry in entries.values()), *self._written]}
        wrapped = {
            name: _wrapped(layer, self.kernels[name], self.steps[self._leader(name)] if name in self._written else None)
            for name, layer in self.twin.layers.items()
            if self.kernels[name] or name in self._written
        }
        rounded = {at: _wrapped(entry, [], self.steps[entry.name]) for at, entry in entries.items()}
        return self.twin.assembled(wrapped, lambda tensor, at: rounded[at](tensor) if at in rounded else tensor)

    def measuring(self, inputs: Sequence[Any]) -> Any:
        """A callback of tf_keras that gives each tensor the range it has for some inputs, before each epoch.

        Args:
            inputs: batches of what the network reads.

        It raises TrainingError where the network does not give numbers.
        """
        import tf_keras

        names = {tensor: _entry(at).name for at, (tensor, _, _) in enumerate(self.twin.inputs)}
        names |= {call.made[0]: call.layer for call in self.twin.calls}
        leads = {tensor: name for tensor, name in names.items() if name in self.steps and self._leader(name) == name}
        watched, measure = self.twin.assembled(outputs=[*leads]), self._measure

        class Measuring(tf_keras.callbacks.Callback):
            def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
                measure(watched, [*leads.values()], inputs)

        return Measuring()

    def _measure(self, watched: Any, names: Sequence[str], inputs: Sequence[Any]) -> None:
        self.take_off()  # the network as it will be calibrated
        observers = {name: self._observer_for(name) for name in names}
        for batch in inputs:
            given = watched(batch, training=False)
            for name, tensor in zip(names, given if len(names) > 1 else [given], strict=True):
                values = tensor.numpy()
                low, high = float(values.min()), float(values.max())
                if not math.isfinite(high - low):
                    where = self.twin.names.get(name, "an input")
                    raise TrainingError(
                        f"{where} gives NaN or infinity in the fitting; try a smaller rate: "
                        "--set compression.learning_rate=0.0001"
                    )
                observers[name].observe(values, low, high)
        for name, observer in observers.items():
            self.steps[name].become(*observer.range())

    def _observer_for(self, name: str) -> Observer:
        after = self.twin.consumers(self._written[name].made[0]) if name in self._written else []
        layers = [self.twin.layers[call.layer] for call in after]
        before_softmax = all(
            type(layer).__name__ == "Softmax" or _activation_of(layer) == "softmax" for layer in layers
        )
        return self._scores_observer() if layers and before_softmax else self._observer()

    def take_off(self) -> None:
        """Give the twin's layers back their variables, in whose place rounded tensors are."""
        for kernels in self.kernels.values():
            for kernel in kernels:
                setattr(kernel.holder, kernel.attribute, kernel.variable)

    def _leader(self, name: str) -> str:
        """The layer or entry in whose steps the output of a layer is counted, most often its own."""
        while (next_one := self._next_leader(name)) != name:
            name = next_one
        return name

    def _next_leader(self, name: str) -> str:
        if name not in self._written:
            return name
        call = self._written[name]
        after = self.twin.consumers(call.made[0])
        if len(after) == 1 and call.made[0] not in self.twin.outputs and self._is(after[0], _OF_ITS_OUTPUT):
            return after[0].layer
        source = self._source(call) if self._is(call, _OF_ITS_INPUT) else name
        return source if source in self.steps else name

    def _source(self, call: Call) -> str:
        """The layer or entry whose values a call reads first, before layers that leave them as they are."""
        tensor = call.takes[0]
        while maker := next((each for each in self.twin.calls if tensor in each.made), None):
            if not self._is(maker, _SAME_VALUES):
                return maker.layer
            tensor = maker.takes[0]
        return next(_entry(at).name for at, (each, _, _) in enumerate(self.twin.inputs) if each == tensor)

    def _is(self, call: Call, kinds: set[str]) -> bool:
        return type(self.twin.layers[call.layer]).__name__ in kinds

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


def _wrapped(layer: Any, kernels: list[Kernel], steps: Steps | None) -> Any:
    """The toolkit's wrapper around a layer, which rounds its kernels and, in `steps`, what it gives."""
    from tensorflow_model_optimization.python.core.quantization.keras import quantize_wrapper, quantizers
    from tensorflow_model_optimization.quantization.keras import QuantizeConfig

    class OfKernel(quantizers.LastValueQuantizer):
        """By the largest weight of each output, as it is now."""

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
            rounded = super().__call__(self.kernel.by_output(inputs), True, weights, **options)
            return self.kernel.back(rounded)

    class OfOutput(quantizers.AllValuesQuantizer):
        """By the range that it has now."""

        def build(self, tensor_shape: Any, name: str, layer: Any) -> Any:
            assert steps is not None
            return {"min_var": steps.low, "max_var": steps.high}

        def __call__(self, inputs: Any, training: Any, weights: Any, **options: Any) -> Any:
            return super().__call__(inputs, False, weights, **options)

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
            ends = OfOutput(num_bits=8, per_axis=False, symmetric=False, narrow_range=False)
            return [ends] if steps else []

        def get_config(self) -> dict[str, Any]:
            return {}

    return quantize_wrapper.QuantizeWrapperV2(layer, Config())


def _entry(at: int) -> Any:
    """A layer that gives what it is given, for the input with this number."""
    import tf_keras

    return tf_keras.layers.Activation("linear", name=f"entry{at}")


def _constant(value: float) -> Any:
    import tf_keras

    return tf_keras.initializers.Constant(value)
