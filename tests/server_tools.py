"""What tests of model servers read their files with: the servers' own messages."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(os.environ.get("DLKIT_DEVICE_TOOLS", Path.home() / ".cache" / "dlkit-devices"))


def triton_messages() -> ModuleType:
    """Triton's model_config_pb2, out of its client, whose own requirements would pull protobuf back."""
    file = TOOLS / "tritonclient" / "tritonclient" / "grpc" / "model_config_pb2.py"
    if not file.is_file():
        pytest.skip(f"NO TRITON MESSAGES: {file} is missing; run .ci/devices.d/server")
    spec = importlib.util.spec_from_file_location("model_config_pb2", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def serving_messages(name: str) -> ModuleType:
    """A module of tensorflow_serving.apis, from the client's package."""
    return pytest.importorskip(
        f"tensorflow_serving.{name}", reason="NO TENSORFLOW SERVING CLIENT: pip install 'dlkit[serving]'"
    )
