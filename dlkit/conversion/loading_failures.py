"""Why Keras cannot load a model file, and what to do about it, in plain words."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path
from typing import Any

from dlkit.errors import ModelFileError

_LAMBDA = "whose `function` is a Python lambda"
_NO_MEMORY = "OOM when allocating"
_MISSING_CLASS = (
    r"Could not locate (?:class|function) '([^']+)'",
    r"Unknown (?:\w+): '?([\w>]+)'?",
    r"Could not deserialize (?:class|function) '([^']+)' because",
)
_WEIGHTS = (
    r"expected \d+ variables, but received \d+",
    r"objects could not be loaded",
    r"[Ww]eight count mismatch",
    r"[Ll]ayer count mismatch",
    r"[Ss]hape mismatch",
    r"doesn't exist\)",
)


def cannot_load(path: Path, error: Exception, config: dict[str, Any], version: str) -> ModelFileError:
    """The error for the user.

    Args:
        error: what Keras raised.
        config: the model's configuration.
        version: of the Keras that wrote the file; "" if that is not known.
    """
    text = str(error)
    if _LAMBDA in text or _has_code(config):
        what = "has a Lambda layer" if _LAMBDA in text else "has a lambda for an activation or the like"
        return ModelFileError(
            f"{path}: {what}; its Python code is in the file, and code in files is never run: write it as a layer "
            "class or function in a module of yours, build and save the model with that, and add --custom MODULE"
        )
    if isinstance(error, MemoryError) or _NO_MEMORY in text:
        return ModelFileError(
            f"{path}: its layers need far more memory than the weights in it, {path.stat().st_size:,} bytes; save the "
            "whole model again: model.save(...)"
        )
    if any(re.search(mark, text) for mark in _WEIGHTS):
        return ModelFileError(
            f"{path}: the weights in it are not those of its layers (some are missing, or have other shapes); save the "
            "whole model again: model.save(...)"
        )
    newer = _is_newer(version)
    if newer:
        return ModelFileError(
            f"{path}: was saved by Keras {version}, and this is {importlib.metadata.version('keras')}, which cannot "
            f"load it ({_reason(error)}); save it with this one, or pip install --upgrade keras"
        )
    for mark in _MISSING_CLASS:
        if found := re.search(mark, text):
            name = found[1].rpartition(">")[2]
            return ModelFileError(
                f"{path}: needs {name!r}, which is no part of Keras; name the Python module that defines it: "
                "add --custom MODULE"
            )
    return ModelFileError(f"{path}: Keras cannot load this file: {_reason(error)}")


def _has_code(config: Any) -> bool:
    """Whether a configuration holds the code of a Python function; as an activation, it has lost its name."""
    if isinstance(config, list):
        return any(map(_has_code, config))
    if not isinstance(config, dict):
        return False
    code = config.get("value") if config.keys() == {"value"} else None
    bare = isinstance(code, list) and len(code) == 3 and isinstance(code[0], str)
    return bare or config.get("class_name") == "__lambda__" or any(map(_has_code, config.values()))


def _reason(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "")[:300] or type(error).__name__


def _is_newer(version: str) -> bool:
    """Whether that Keras has a later number than the one installed; patches do not count."""

    def number(text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in re.findall(r"\d+", text)[:2])

    return number(version) > number(importlib.metadata.version("keras"))
