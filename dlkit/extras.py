"""Optional packages: used where installed, named with their pip line where not, never installed for the user."""

from __future__ import annotations

import importlib
import importlib.util
import shlex
from types import ModuleType

from dlkit.errors import ExtraMissing

# What a device that has only numpy, click and ai-edge-litert may lack, and what it is for.
PURPOSES = {
    "PIL": ("Pillow", "reading and writing images"),
    "matplotlib": ("matplotlib", "drawing"),
    "tensorflow": ("tensorflow", "building, training and converting"),
    "keras": ("keras", "building, training and converting"),
    "tensorboard": ("tensorboard", "writing event files"),
    "onnxruntime": ("onnxruntime", "running an ONNX file"),
    "onnx": ("onnx", "writing an ONNX file"),
    "tf2onnx": ("tf2onnx", "writing an ONNX file"),
    "tensorflow_datasets": ("tensorflow-datasets", "reading data sets of TFDS"),
    "ray": ("ray[train]", "starting workers on a Ray cluster"),
    "tflite_micro": ("dlkit[micro]", "asking what memory a microcontroller needs for a file"),
    "ethosu": ("dlkit[ethos-u]", "compiling for an Ethos-U"),
    "openvino": ("dlkit[openvino]", "a second reader of models for servers"),
    "ai_edge_litert": ("ai-edge-litert", "reading or running a .tflite file"),
}


def require(module: str) -> ModuleType:
    """The optional `module`, imported. Raises ExtraMissing with the pip line if it is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise _missing(module) from None


def check_installed(module: str) -> None:
    """Raise ExtraMissing with the pip line if the optional `module` is not installed; it is not imported."""
    if importlib.util.find_spec(module) is None:
        raise _missing(module)


def _missing(module: str) -> ExtraMissing:
    distribution, purpose = PURPOSES[module.split(".")[0]]
    return ExtraMissing(f"{purpose} needs {distribution}: pip install {shlex.quote(distribution)}")
