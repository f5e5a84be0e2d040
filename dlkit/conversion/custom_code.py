"""A user's own layers and functions that a model file refers to: imported only from the modules the user names.

Keras itself imports no module that a file names (3.15). What is in the file itself, the code of a
Lambda layer, is not run either way.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from dlkit.errors import ModelFileError


def as_argument(modules: Sequence[str]) -> str:
    """The modules and where Python looks for them here, for a task in a child process; "" for none."""
    if not modules:
        return ""
    places = [os.path.abspath(place) for place in sys.path]  # noqa: PTH100 - "" is the current folder
    return json.dumps({"modules": list(modules), "places": places})


def custom_objects(argument: str) -> dict[str, Any]:
    """Name → class or function, of the modules in what `as_argument` gave.

    Classes that a module registers with Keras are found by Keras; those it does not register, and its
    functions, are returned.

    Raises:
        ModelFileError: a module is not there, or fails when it is imported.
    """
    if not argument:
        return {}
    wanted = json.loads(argument)
    # Behind what is there: a json.py in the user's folder is not imported in place of Python's.
    sys.path += [place for place in (*wanted["places"], os.getcwd()) if place not in sys.path]  # noqa: PTH109
    found: dict[str, Any] = {}
    for name in wanted["modules"]:
        module = _imported(name)
        package = name.partition(".")[0]
        for key, value in vars(module).items():
            if callable(value) and str(getattr(value, "__module__", "")).partition(".")[0] == package:
                found[key] = value
    return found


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise ModelFileError(
                f"--custom {name}: Python finds no module {error.name!r}; name it as an import statement would, and "
                "start dlkit in the folder it is in"
            ) from None
        raise ModelFileError(f"--custom {name}: it imports {error.name!r}, which is not installed") from None
    except Exception as error:  # the user's code may raise anything
        reason = next(iter(str(error).strip().splitlines()), "")
        raise ModelFileError(f"--custom {name}: importing it failed: {type(error).__name__}: {reason}") from None
