"""dlkit: from a Keras network to a file that provably runs on a device.

The public names below are loaded on first use; importing dlkit imports no framework.

>>> import dlkit
>>> bundle = dlkit.load("exported/digits-tiny/cpu-int8")    # doctest: +SKIP
>>> bundle.predict(images)                                  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Bundle": "dlkit.bundle.loading",
    "DATASETS": "dlkit.datasets",
    "DlkitError": "dlkit.errors",
    "NETWORKS": "dlkit.networks",
    "Recipe": "dlkit.recipe",
    "Report": "dlkit.report",
    "SCHEMES": "dlkit.schemes",
    "Session": "dlkit.runtime.litert",
    "TARGETS": "dlkit.targets",
    "Trained": "dlkit.trained",
    "build_network": "dlkit.pipeline",
    "build_recipe": "dlkit.pipeline",
    "custom_layers": "dlkit.networks._layers",
    "evaluate": "dlkit.pipeline.evaluating",
    "export": "dlkit.pipeline",
    "export_schemes": "dlkit.pipeline",
    "inspect_file": "dlkit.runtime.inspection",
    "load": "dlkit.bundle.loading",
    "load_bundle": "dlkit.bundle.loading",
    "load_trained": "dlkit.trained",
    "read_recipe": "dlkit.recipe",
    "run": "dlkit.pipeline",
    "sensitivity": "dlkit.pipeline.sensing",
    "train": "dlkit.pipeline",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'dlkit' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
