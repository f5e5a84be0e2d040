"""Networks in TensorFlow Lite Micro's own runtime, and what an export for a microcontroller leaves in the bundle."""

from __future__ import annotations

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from board import write_board
from c_stub import WARNINGS, compiled, write_stub
from shelf import converted, in_lanes, lively

from dlkit.devices.checking import check_bundle
from dlkit.devices.tflm import answers, recommended_arena
from dlkit.errors import IllegalCombination, VerificationRefused
from dlkit.networks import NETWORKS
from dlkit.pipeline import export
from dlkit.progress import ignore
from dlkit.runtime.inspection import FUSED_LSTM, inspect_file
from dlkit.runtime.litert import Session
from dlkit.targets import TARGETS

pytest.importorskip("tflite_micro", reason="MICROCONTROLLERS NOT TRIED: pip install 'dlkit[micro]'")
M4 = TARGETS["cortex-m4"]
EXACT = ("convolutional_autoencoder", "ds_cnn", "mobilenet_v1_025", "resnet8")
"""Convolutions, depthwise ones, pooling, additions, and one dense layer at most."""
IN_THE_MATRIX = {"convolutional_autoencoder", "dcgan28_generator", "ds_cnn", "lstm", "mobilenet_v1_025", "resnet8"}
"""See `test_target_matrix`."""
A_STEP = ("dcgan28_generator", "dense_autoencoder", "lstm")
RUN = ("float32", "int8_float_io", "int8_uint8_io", "int16x8", "int16x8_float_io")


@pytest.mark.parametrize("name", in_lanes(EXACT + A_STEP, IN_THE_MATRIX.__contains__))
def test_it_computes_what_the_file_computes(tmp_path: Path, name: str) -> None:
    """Bit for bit, or within a step where dense layers or an LSTM are rounded twice."""
    keras.backend.clear_session()
    network = NETWORKS[name]
    made = converted(network, lively(network, **network.small), tmp_path)
    x = {made.name: made.inputs}
    [found] = answers(made.int8, x, M4, ignore).values()
    session = Session(made.int8, 1, reference=True)
    [wanted] = session.run_named(x).values()
    gap = np.abs(found - wanted).max() / session.output.scale
    assert gap <= (0 if name in EXACT else 1.001)


@pytest.mark.parametrize("scheme", in_lanes(RUN, lambda scheme: scheme.endswith("_io")))
def test_schemes_that_it_runs(trained, tmp_path: Path, scheme: str) -> None:
    """Each goes through its proof, and the bundle through its own check."""
    bundle, report = export(trained, scheme, "cortex-m4", out=tmp_path)
    assert report.device is not None
    assert report.device.samples == 16
    if scheme == "float32":
        assert report.device.largest_gap <= 1e-5
    else:
        assert report.device.steps is not None
        assert report.device.steps <= 1.001
    _, gap, allowed = check_bundle(bundle)
    assert gap <= allowed


@pytest.mark.parametrize("scheme", ["dynamic_int8", "weights_int8", "float16"])
def test_schemes_that_it_does_not(trained, tmp_path: Path, scheme: str) -> None:
    """They are refused before anything is made, with those that it runs."""
    with pytest.raises(IllegalCombination, match=f"cortex-m4 cannot run {scheme} files; it runs int8"):
        export(trained, scheme, "cortex-m4", out=tmp_path)


def test_a_bundle_for_a_microcontroller(trained, tmp_path: Path, dlkit) -> None:
    """It has the firmware's files under its sha256, and checks itself in the device's runtime."""
    bundle, report = export(trained, target="cortex-m4", out=tmp_path)
    assert bundle.folder.name == "cortex-m4-int8"
    assert {"mcu/model_data.c", "mcu/model_data.h", "mcu/op_resolver.h", "mcu/README.md"} <= set(
        bundle.manifest["sha256"]
    )
    header = (bundle.folder / "mcu" / "model_data.h").read_text()
    assert f"#define SHORT_ARENA_BYTES {recommended_arena(bundle.model)}\n" in header
    assert report.device is not None
    assert report.device.steps == 0.0
    said = dlkit("predict", bundle.folder, "--check")
    assert said.code == 0, said.err
    assert "TensorFlow Lite Micro" in said.out


def test_a_recurrent_network(lstm_models: Path, tmp_path: Path) -> None:
    """A fused LSTM: its operation is on the list, and the guide's lines forget the sequence before."""
    from dlkit.trained import load_trained

    bundle, report = export(load_trained(lstm_models / "lstm"), target="cortex-m4", out=tmp_path)
    assert FUSED_LSTM in inspect_file(bundle.model).ops
    assert report.device is not None
    assert report.device.steps is not None
    folder = bundle.folder / "mcu"
    assert "resolver.AddUnidirectionalSequenceLSTM()" in (folder / "op_resolver.h").read_text()
    code = (folder / "README.md").read_text().split("```cpp\n")[1].split("```")[0]
    assert "interpreter.Reset();" in code
    if shutil.which("g++") is None:
        pytest.skip("GUIDE NOT COMPILED: there is no g++")
    write_stub(tmp_path, ["AddUnidirectionalSequenceLSTM", *_others(folder)])
    shutil.copytree(folder, tmp_path / "mcu")
    (tmp_path / "mcu" / "run.cpp").write_text(code)
    flags = ("g++", "-std=c++17", *WARNINGS, "-I", tmp_path, "-fsyntax-only", "run.cpp")
    assert compiled(*flags, folder=tmp_path / "mcu") == ""


def _others(folder: Path) -> list[str]:
    """The other methods that the list of operations calls."""
    text = (folder / "op_resolver.h").read_text()
    called = [line.split("resolver.")[1].split("(")[0] for line in text.splitlines() if "if (resolver." in line]
    return [method for method in called if method != "AddUnidirectionalSequenceLSTM"]


def test_too_large_for_the_board(trained, tmp_path: Path) -> None:
    """The arena and what there is; nothing is written."""
    board = write_board(tmp_path, runtime="tflm", ram_bytes=1024, flash_bytes=10**6)
    with pytest.raises(VerificationRefused, match=r"refused for my-board .*RAM \(arena\) .* but my-board has 1,024"):
        export(trained, target=str(board), out=tmp_path)
    assert not (tmp_path / "short" / "my-board-int8").exists()
