"""Whole networks as C source: bit by bit LiteRT's reference kernels, on this computer and on emulated Cortex-M."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
from c_programs import run_here, run_on, write_sources

from dlkit.finishing._c_source.boards import BOARDS
from dlkit.networks import NETWORKS

pytestmark = pytest.mark.tf
SAMPLES = 20
PASSED = f"PASS: {SAMPLES} samples, every number as expected"
TRIED: dict[str, dict[str, Any]] = {
    "cnn": {"width": 8},
    "resnet8": {},
    "ds_cnn": {},
    "mobilenet_v1_025_96": {},
    "mobilenet_v3_small": {"input_shape": (32, 32, 3), "width": 0.35, "classes": 10},
    "convolutional_autoencoder": {},
    "dense_autoencoder": {},
    "dcgan28_generator": {},
    "gru": {"units": 16},
}
"""Network of the shelf → options: convolutions, depthwise ones, squeeze and excitation, transposed ones, loops that are
unrolled."""
LONG = ("dcgan28_generator", "gru", "mobilenet_v1_025_96", "mobilenet_v3_small")
ON_BOARDS = ("cnn", "resnet8", "ds_cnn", "dense_autoencoder")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory):
    """Network → the folder of its C source, with weights that are random."""

    @functools.cache
    def made(name: str) -> Path:
        from shelf import converted, lively

        network, folder = NETWORKS[name], tmp_path_factory.mktemp(name)
        file = converted(network, lively(network, **TRIED[name]), folder).int8
        write_sources(file, folder, count=SAMPLES)
        return folder

    return made


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=(pytest.mark.slow, pytest.mark.full) if n in LONG else ()) for n in TRIED]
)
def test_on_this_computer(sources, name: str) -> None:
    """Twenty random inputs; no warning from the compiler, nothing for the sanitizers."""
    assert run_here(sources(name)) == PASSED


@pytest.mark.slow
@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("name", ON_BOARDS)
def test_on_a_microcontroller(sources, name: str, board: str) -> None:
    """The same inputs, the same bytes."""
    assert run_on(BOARDS[board], sources(name)) == PASSED
