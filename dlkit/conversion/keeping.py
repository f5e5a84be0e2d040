"""Layers that stay float in a quantized file: `--keep-float LAYER`.

Between a layer that was kept and its neighbours the quantizer writes QUANTIZE and DEQUANTIZE; the file's input
and output keep the number format of the scheme.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dlkit.conversion.layer_names import Operation, operations
from dlkit.errors import UnknownName
from dlkit.schemes import Scheme


def kept_operations(float_file: Path, keep: Sequence[str], names: Sequence[str]) -> list[Operation]:
    """The operations of the float file that came from a layer one of the patterns names.

    Args:
        keep: names of layers, with "*", "?" and "[…]" as in file names.
        names: of the Keras layers, see `layer_names`; may be empty.

    Raises:
        UnknownName: no operation came from a layer of such a name; with the nearest names.
    """
    made = operations(float_file, names)
    known = {layer for operation in made for layer in operation.layers}
    for pattern in keep:
        if not fnmatch.filter(known, pattern):
            raise UnknownName("layer", pattern, known, "--keep-float")
    kept = {layer for pattern in keep for layer in fnmatch.filter(known, pattern)}
    return [operation for operation in made if kept.intersection(operation.layers)]


def with_kept(base_recipe: list[dict[str, Any]], kept: Iterable[Operation]) -> list[dict[str, Any]]:
    """A recipe of litert-quantizer with one more rule for each operation that stays float; later rules win.

    Args:
        base_recipe: for instance `litert_quantizer.recipe.static_wi8_ai8()`.
        kept: see `kept_operations`.
    """
    from litert_quantizer import qtyping
    from litert_quantizer.recipe_manager import AlgorithmName

    rules = [
        {
            "regex": f"^{re.escape(operation.scope)}$",
            "operation": qtyping.TFLOperationName.ALL_SUPPORTED,
            "algorithm_key": AlgorithmName.NO_QUANTIZE,
            "op_config": {},
        }
        for operation in kept
    ]
    return [*base_recipe, *rules]


def left_to_quantize(float_file: Path, keep: Sequence[str], names: Sequence[str]) -> set[str]:
    """Names of the operations that do not stay float; what `quantizer.can_quantize` has to have.

    Raises:
        UnknownName: see `kept_operations`.
    """
    kept = {operation.scope for operation in kept_operations(float_file, keep, names)} if keep else set()
    return {operation.name for operation in operations(float_file, names) if operation.scope not in kept}


def mixed(scheme: Scheme) -> Scheme:
    """What `scheme` promises of a file in which some layers stay float."""
    return dataclasses.replace(scheme, tensors=scheme.tensors | {"float32"})
