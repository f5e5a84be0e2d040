"""Networks on LiteRT's GPU accelerator, and what an export for it makes of those that would not run as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from shelf import converted, in_lanes, lively, with_statistics

from dlkit.bundle.loading import load_bundle
from dlkit.devices import RUNTIMES
from dlkit.devices.proving import proven_on_device
from dlkit.errors import ExtraMissing, IllegalCombination, VerificationRefused
from dlkit.networks import NETWORKS
from dlkit.pipeline import export
from dlkit.progress import SILENT, ignore
from dlkit.runtime.adapters import found_adapter
from dlkit.runtime.inspection import inspect_file
from dlkit.targets import TARGETS

GPU = TARGETS["gpu"]
AVOID = ",".join(GPU.avoid)
OPTIONS: dict[str, dict[str, object]] = {
    "cnn": {},
    "resnet8": {},
    "ds_cnn": {},
    "fc_autoencoder": {},
    "convolutional_autoencoder": {},
    "dcgan28_generator": {"width": 8},
    "mobilenet_v1_025_96": {"input_shape": (32, 32, 3), "classes": 10},
    "lstm": {"input_shape": (8, 8), "units": 8},
    "bidirectional_lstm": {"input_shape": (8, 8), "units": 8},
    "gru": {"input_shape": (8, 8), "units": 8},
}
"""Networks, at full size where that is small."""
IN_THE_MATRIX = {"convolutional_autoencoder", "ds_cnn", "lstm", "mobilenet_v1_025_96", "resnet8"}
"""Of nothing that the others have not; see `test_target_matrix`."""
LATER = IN_THE_MATRIX | {"bidirectional_lstm"}


@pytest.fixture(scope="module")
def gpu() -> str:
    """A GPU, of whatever kind."""
    name = found_adapter()
    if not name:
        pytest.skip("GPU NOT TRIED: there is no Vulkan adapter; bash .ci/devices.d/gpu")
    return name


@pytest.mark.slow
@pytest.mark.parametrize("name", in_lanes(OPTIONS, LATER.__contains__))
def test_a_network_runs_there(gpu: str, name: str, tmp_path: Path) -> None:
    """In every scheme of the target, as a whole, and as LiteRT computes it on the processor."""
    network = NETWORKS[name]
    made = converted(network, with_statistics(network, **OPTIONS[name]), tmp_path, AVOID)
    assert np.ptp(made.reference, axis=0).max() > 1e-3  # a network that answers the same to everything shows nothing
    for scheme in GPU.schemes:
        proof = proven_on_device(made.file(scheme), {made.name: made.inputs}, GPU, SILENT)
        assert proof is not None
        assert proof.verdict.fits
        assert {placement.place for placement in proof.verdict.placements} == {"GPU"}
        assert proof.largest_gap <= proof.allowed
        assert proof.samples > 0


def test_a_fused_lstm(lstm_models: Path, tmp_path: Path) -> None:
    """A file for processors is refused by name, with what to do; the export for GPUs has none of it."""
    bundle, _ = export(lstm_models / "lstm", "float32", "cpu", out=tmp_path)
    verdict = RUNTIMES["litert_gpu"].examine(bundle.model, GPU, ignore)
    assert any("UNIDIRECTIONAL_SEQUENCE_LSTM" in block for block in verdict.blocks)
    assert any("dlkit export --target gpu" in block for block in verdict.blocks)


def test_an_integer_file_that_differs(gpu: str, tmp_path: Path) -> None:
    """8-bit files are computed in floats there; a residual network is more than a step off, and so it is blocked."""
    network = NETWORKS["resnet8"]
    made = converted(network, lively(network), tmp_path)
    verdict = RUNTIMES["litert_gpu"].examine(made.int8, GPU, ignore)
    assert "8-bit steps from what the file computes" in verdict.blocks[0]
    assert "use --scheme float16" in verdict.blocks[0]
    with pytest.raises(VerificationRefused, match="8-bit steps"):
        proven_on_device(made.int8, {made.name: made.inputs}, GPU, SILENT)


def test_a_bundle_for_a_gpu(gpu: str, trained, tmp_path: Path, dlkit) -> None:
    """The target's best scheme; it checks itself and is timed on the GPU, and still runs on a processor."""
    bundle, report = export(trained, target="gpu", out=tmp_path)
    assert bundle.folder.name == "gpu-float16"
    assert report.device is not None
    assert report.device.samples == 16
    assert gpu in report.device.verdict.how
    said = dlkit("predict", bundle.folder, "--check")
    assert said.code == 0, said.err
    assert dlkit("bench", bundle.folder, "--runs", "3", "--quiet").out.endswith(f"ran on {gpu}\n")
    assert np.isfinite(load_bundle(bundle.folder).check()).all()


@pytest.mark.slow
def test_a_recurrent_bundle(gpu: str, lstm_models: Path, tmp_path: Path, dlkit) -> None:
    """Its steps are unrolled."""
    bundle, _ = export(lstm_models / "lstm", target="gpu", out=tmp_path)
    assert {"WHILE", "UNIDIRECTIONAL_SEQUENCE_LSTM"}.isdisjoint(inspect_file(bundle.model).ops)
    assert dlkit("predict", bundle.folder, "--check").code == 0


def test_no_export_without_a_gpu(monkeypatch: pytest.MonkeyPatch, trained, tmp_path: Path) -> None:
    """Nothing is written that was not proven, and what to install is said."""
    monkeypatch.setenv("VK_DRIVER_FILES", "/nonexistent")
    with pytest.raises(ExtraMissing, match="apt install libvulkan1 chromium-common"):
        export(trained, target="gpu", out=tmp_path)
    assert not list(tmp_path.rglob("*.tflite"))


@pytest.mark.parametrize("scheme", ["int8", "dynamic_int8", "weights_int8"])
def test_schemes_that_it_computes_otherwise(trained, tmp_path: Path, scheme: str) -> None:
    """They are refused before anything is made, with those that run."""
    with pytest.raises(IllegalCombination, match=rf"gpu cannot run {scheme} files; it runs float16, float32"):
        export(trained, scheme, "gpu", out=tmp_path)
