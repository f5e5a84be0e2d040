"""Files of other schemes on an Ethos-U, and what an export for it leaves in the bundle."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dlkit.devices import RUNTIMES
from dlkit.errors import IllegalCombination
from dlkit.pipeline import export
from dlkit.progress import ignore
from dlkit.runtime.inspection import inspect_file
from dlkit.targets import TARGETS

pytest.importorskip("ethosu", reason="ETHOS-U NOT TRIED: pip install 'dlkit[ethos-u]'")
pytest.importorskip("tflite_micro", reason="ETHOS-U NOT TRIED: pip install 'dlkit[micro]'")
U55 = TARGETS["ethos-u55"]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["float32", "dynamic_int8", "weights_int8"])
def test_nothing_placed_is_no_success(trained, tmp_path: Path, scheme: str) -> None:
    """vela ends well on a file of floats, and nothing of it is on the NPU: that blocks it, with what to type."""
    bundle, _ = export(trained, scheme, out=tmp_path)
    verdict = RUNTIMES["ethos_u"].examine(bundle.model, U55, ignore)
    assert not verdict.fits
    assert "no operation runs on the NPU" in verdict.blocks[0]
    assert "use --scheme int8" in verdict.blocks[0]


def test_float_ends_stay_on_the_processor(trained, tmp_path: Path) -> None:
    """They are told with vela's reason; the rest is on the NPU."""
    bundle, _ = export(trained, "int8_float_io", out=tmp_path)
    verdict = RUNTIMES["ethos_u"].examine(bundle.model, U55, ignore)
    left = {placement.operation: placement.reason for placement in verdict.placements if placement.place == "CPU"}
    assert verdict.fits
    assert left.keys() == {"QUANTIZE", "DEQUANTIZE"}
    assert "unsupported DataType Float32" in left["QUANTIZE"]


def test_a_bundle_for_an_npu(trained, tmp_path: Path, dlkit) -> None:
    """It holds the compiled file, its estimates and its layers, and checks itself in the runtime that calls the NPU."""
    bundle, report = export(trained, target="ethos-u55", out=tmp_path)
    folder = bundle.folder / "ethos-u"
    assert bundle.folder.name == "ethos-u55-int8"
    assert inspect_file(folder / "model_vela.tflite").ops == {"CUSTOM ethos-u": 1}
    assert float(json.loads((folder / "summary.json").read_text())["cycles_total"]) > 0
    assert (folder / "layers.csv").read_text().count("\n") > 4
    assert report.device is not None
    assert (report.device.samples, report.device.steps) == (16, 0.0)
    said = dlkit("predict", bundle.folder, "--check")
    assert said.code == 0, said.err


def test_a_float_file_for_an_npu(trained, tmp_path: Path) -> None:
    """Its scheme is refused before anything is made."""
    with pytest.raises(IllegalCombination, match="ethos-u55 cannot run float32 files"):
        export(trained, "float32", "ethos-u55", out=tmp_path)
