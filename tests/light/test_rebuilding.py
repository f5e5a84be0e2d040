"""What an auto-encoder is held against, and the span of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlkit.pipeline.rebuilding import span, to_rebuild
from dlkit.runtime.preprocessing import ANY_NUMBER, preprocessing_for
from dlkit.trained import Trained

INPUTS = np.array([[0.0, 0.5], [2.0, 1.0]], np.float32)


def trained(network: str, raw_range: tuple[float, float] = (0.0, 255.0)) -> Trained:
    mode = "none" if raw_range == ANY_NUMBER else "unit"
    inputs = {"x": preprocessing_for(mode, (2,), None, raw_range, "crop")}
    return Trained("mine", Path("mine.keras"), network, None, inputs, (), trained=True)


@pytest.mark.parametrize(("mode", "peak"), [("unit", 1.0), ("signed", 2.0), ("none", 16.0)])
def test_the_span_is_that_of_the_raw_range(mode: str, peak: float) -> None:
    """Whatever the samples are."""
    assert span(preprocessing_for(mode, (2,), None, (0.0, 16.0), "crop"), INPUTS) == pytest.approx(peak)


def test_without_a_raw_range_it_is_that_of_the_samples() -> None:
    """From 0 to 2."""
    assert span(preprocessing_for("none", (2,), None, ANY_NUMBER, "crop"), INPUTS) == 2.0


def test_the_span_of_colour_is_over_all_channels() -> None:
    """Lowest of blue, in ImageNet's units, to highest of red or green or blue."""
    torch = preprocessing_for("torch", (4, 4, 3), (4, 4, 3), (0.0, 255.0), "crop")
    highest, lowest = (1 - 0.406) / 0.225, -0.485 / 0.229
    assert span(torch, INPUTS) == pytest.approx(highest - lowest)


def test_an_autoencoder_of_the_shelf_is_to_give_its_input_again() -> None:
    """The variational one too."""
    for network in ("dense_autoencoder", "variational_autoencoder", "fc_autoencoder"):
        rebuilt = to_rebuild(trained(network), {"x": INPUTS})
        assert rebuilt is not None
        assert np.array_equal(rebuilt.wanted, INPUTS / np.float32(255.0))
        assert rebuilt.peak == pytest.approx(1.0)


@pytest.mark.parametrize("network", ["", "cnn", "a network that was on the shelf once"])
def test_other_models_rebuild_nothing(network: str) -> None:
    """One from elsewhere has no task, and a classifier another."""
    assert to_rebuild(trained(network), {"x": INPUTS}) is None


def test_inputs_that_do_not_vary_are_nothing_to_rebuild() -> None:
    """Where their range is not known either, there is no peak."""
    assert to_rebuild(trained("dense_autoencoder", ANY_NUMBER), {"x": np.ones((2, 2), np.float32)}) is None
