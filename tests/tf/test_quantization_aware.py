"""Training with rounding: what it rounds is what the file will round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shelf import in_lanes, inputs_for, lively, made_in_children

from dlkit.calibration.observers import OBSERVERS
from dlkit.compression.bridge import twin_of
from dlkit.compression.quantization_aware import Rounding
from dlkit.errors import TrainingError
from dlkit.networks import NETWORKS
from dlkit.runtime.litert import Session

pytestmark = pytest.mark.tf

NEAR = {"cnn": 0.2, "ds_cnn": 0.01, "resnet8": 0.4, "mobilenet_v2": 0.5, "inception_v2": 0.8}
"""Network → distance of its file from the rounded twin, at most, in units of that from the float network.

Where the runtime multiplies and TensorFlow divides, one value in some hundreds is rounded to the next step, and what
follows from that grows with the depth. With other steps than the file's the numbers are 1 and more.
"""


def network_and_inputs(name: str) -> tuple[Any, np.ndarray]:
    network = NETWORKS[name]
    model = lively(network, **network.small, activation="linear")
    return model, inputs_for(network, model.input_shape[1:], 16)


@pytest.mark.slow
@pytest.mark.parametrize("name", in_lanes(NEAR, {"mobilenet_v2", "inception_v2"}.__contains__))
def test_a_rounded_twin_errs_as_the_file_does(name: str, tmp_path: Path) -> None:
    """Pools, sums and what is put together included: the file is nearer to it than to the network without rounding."""
    model, inputs = network_and_inputs(name)
    made = made_in_children(model, "int8", inputs, tmp_path)
    rounding = Rounding(twin_of(model))
    rounded = rounding.model()
    rounding.measuring([inputs]).on_epoch_begin(0)
    file = Session(made.file).run(inputs)
    apart = np.abs(file - rounded.predict(inputs, verbose=0)).mean() / np.abs(file - made.reference).mean()
    assert apart < NEAR[name]


@pytest.mark.parametrize("method", OBSERVERS)
def test_ranges_are_those_that_the_method_gives(method: str) -> None:
    """Of the inputs here, which clipping makes narrower, and of other inputs when it is asked again."""
    model, inputs = network_and_inputs("cnn")
    rounding = Rounding(twin_of(model), method)
    rounding.model()
    for each in (inputs, 3 * inputs):
        observer = OBSERVERS[method]()
        observer.observe(each, float(each.min()), float(each.max()))
        rounding.measuring([each]).on_epoch_begin(0)
        low, high = observer.range()
        steps = rounding.steps["entry0"]
        assert (steps.low.numpy(), steps.high.numpy()) == pytest.approx((min(low, 0), high))


def test_scores_before_a_softmax_are_counted_as_the_file_counts_them() -> None:
    """Without those that are far below the largest, where the method leaves them out of the file's range too."""
    network = NETWORKS["cnn"]
    model = lively(network, **network.small)
    model.layers[-1].set_weights([100 * weights for weights in model.layers[-1].get_weights()])
    inputs, lows = inputs_for(network, model.input_shape[1:], 16), {}
    for method in OBSERVERS:
        rounding = Rounding(twin_of(model), method)
        rounding.model()
        rounding.measuring([inputs]).on_epoch_begin(0)
        scores = next(name for name, own in rounding.twin.names.items() if own == model.layers[-1].name)
        lows[method] = rounding.steps[scores].low.numpy()
    assert lows["percentile"] > 0.9 * lows["minmax"]
    assert lows["mse"] > 0.9 * lows["minmax"]


def test_what_rounds_is_taken_off_again() -> None:
    """The twin answers as the network does, and its weights are its own."""
    model, inputs = network_and_inputs("resnet8")
    twin = twin_of(model)
    rounding = Rounding(twin)
    rounded = rounding.model()
    rounding.measuring([inputs]).on_epoch_begin(0)
    assert np.abs(rounded.predict(inputs, verbose=0) - model.predict(inputs, verbose=0)).max() > 1e-3
    rounding.take_off()
    np.testing.assert_allclose(twin.assembled().predict(inputs, verbose=0), model.predict(inputs, verbose=0), atol=1e-5)


def test_values_that_are_no_numbers_are_told_with_their_layer() -> None:
    """No range can be had of them; a smaller rate may help."""
    model, inputs = network_and_inputs("cnn")
    rounding = Rounding(twin_of(model))
    rounding.model()
    kernel = next(kernel for kernels in rounding.kernels.values() for kernel in kernels)
    kernel.variable.assign(np.full(kernel.variable.shape, np.nan))
    with pytest.raises(TrainingError, match=rf"{kernel.layer}.*compression\.learning_rate"):
        rounding.measuring([inputs]).on_epoch_begin(0)
