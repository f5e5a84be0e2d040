"""Every network that stands for a kind, on every target: run there, or refused for a reason that is known."""

from __future__ import annotations

import pytest
from target_matrix import NETWORKS_TRIED, Files, tried

from dlkit.devices import RUNTIMES
from dlkit.errors import ExtraMissing
from dlkit.targets import TARGETS

pytestmark = pytest.mark.slow

REFUSED = {
    ("dcgan28_generator", board): "flash (the file) 2,641,568 bytes"
    for board in ("cortex-m0plus", "cortex-m33", "cortex-m4", "cortex-m7")
} | {("convolutional_autoencoder", "cortex-m4"): "RAM (arena) 152,576 bytes"}
"""(network, target) → what the refusal says; every other cell runs."""
FAST_KERNELS = dict.fromkeys(NETWORKS_TRIED, 2.5) | {"mobilenet_v1_025_96": 25.0}
"""Steps that LiteRT's fast kernels are from its reference ones, at most; the random weights of a deep network make much
of little: the MobileNet was 22 steps off, on this processor."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Files]:
    """Those of each network."""
    return {name: Files(name, tmp_path_factory.mktemp(name)) for name in NETWORKS_TRIED}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("network", NETWORKS_TRIED)
def test_a_network_on_a_target(files: dict[str, Files], network: str, target: str) -> None:
    """It is refused for the documented reason, or gives what the file computes by definition."""
    try:
        cell = tried(files[network], target)
    except ExtraMissing as error:
        pytest.skip(f"{target} NOT TRIED: {error}")
    expected = REFUSED.get((network, target), "")
    if expected:
        assert expected in cell.refused
        return
    assert cell.refused == ""
    runtime = RUNTIMES[TARGETS[target].runtime]
    if cell.steps is not None:
        assert cell.steps <= (FAST_KERNELS[network] if runtime.answers is None else runtime.steps + 1e-3)
    elif cell.gap is not None:
        assert cell.gap <= runtime.gap
