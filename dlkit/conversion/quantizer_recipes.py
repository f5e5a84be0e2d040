"""What litert-quantizer calls a recipe: the settings that make the file of a scheme."""

from __future__ import annotations

from typing import Any

from dlkit.schemes import Scheme

NO_4_BIT_FORM = ("CONV_2D_TRANSPOSE", "DEPTHWISE_CONV_2D")
"""Operations whose kernels take 8 bits where 4 are asked for, as litert-quantizer calls them."""


LEAST_DYNAMIC_ELEMENTS = 1024
"""Smaller kernels stay float, as the TensorFlow converter leaves them: to quantize what flows into one costs more time
than its integers save. MobileNetV2 took 1.20 times as long as the TensorFlow converter's file with every kernel in
integers, takes 1.00 times as long with these, and its file grew by 0.15 %.
"""


def recipe_of(scheme: Scheme) -> list[dict[str, Any]]:
    """Settings for a scheme that is not float32."""
    from litert_quantizer import recipe, recipe_manager
    from litert_quantizer.algorithm_manager import AlgorithmName
    from litert_quantizer.qtyping import TFLOperationName

    everything = {"regex": ".*", "operation_name": TFLOperationName.ALL_SUPPORTED}
    rules = recipe_manager.RecipeManager()
    if scheme.quantizer == "cast":
        rules.add_weight_only_config(**everything, num_bits=16, algorithm_key=AlgorithmName.FLOAT_CASTING)
    elif scheme.quantizer == "dynamic":
        [rule] = recipe.dynamic_wi8_afp32()
        rules.load_quantization_recipe(
            [rule | {"op_config": rule["op_config"] | {"min_weight_elements": LEAST_DYNAMIC_ELEMENTS}}]
        )
    elif scheme.quantizer == "weights":
        # Of the ways to choose steps for 4 bits, the largest weight of a channel was the best one for
        # most networks: over nine of the shelf's, 15 to 22 dB above the noise; OCTAV 16 to 22, MSE 5 to 20.
        rules.add_weight_only_config(**everything, num_bits=8 if scheme.weights == "int8" else 4)
        if scheme.weights == "int4":
            for name in NO_4_BIT_FORM:
                rules.add_weight_only_config(regex=".*", operation_name=TFLOperationName(name), num_bits=8)
    else:
        bits = 16 if scheme.activations == "int16" else 8
        rules.add_static_config(**everything, activation_num_bits=bits, weight_num_bits=8)
        if scheme.io != scheme.activations:
            _set_ends(rules, scheme.io)
    found: list[dict[str, Any]] = rules.get_quantization_recipe()
    return found


def with_small_kernels(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A recipe that quantizes kernels of any size."""
    return [
        rule | {"op_config": rule["op_config"] | {"min_weight_elements": 0}} if rule.get("op_config") else rule
        for rule in rules
    ]


def _set_ends(rules: Any, io: str) -> None:
    """Inputs and outputs in another format than what is between them."""
    from litert_quantizer import qtyping
    from litert_quantizer.algorithm_manager import AlgorithmName

    ends = (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT)
    for end in ends:
        if io == "float32":
            rules.add_quantization_config(".*", end, algorithm_key=AlgorithmName.NO_QUANTIZE)
            continue
        unsigned = qtyping.OpQuantizationConfig(
            activation_tensor_config=qtyping.TensorQuantizationConfig(
                num_bits=8, symmetric=False, dtype=qtyping.TensorDataType.UINT
            ),
            weight_tensor_config=qtyping.TensorQuantizationConfig(
                num_bits=8, symmetric=True, granularity=qtyping.QuantGranularity.CHANNELWISE
            ),
            compute_precision=qtyping.ComputePrecision.INTEGER,
            explicit_dequantize=False,
        )
        rules.add_quantization_config(".*", end, op_config=unsigned)
