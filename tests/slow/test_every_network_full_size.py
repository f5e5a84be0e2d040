"""Every network at its canonical size: built, saved, converted, quantized in child processes, and run.

All are in the slow lane; CI leaves out those marked `full`, whose like it has run already.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from dlkit.conversion.making import convert_model, make_file
from dlkit.conversion.named_ends import input_names
from dlkit.networks import NETWORKS
from dlkit.progress import SILENT
from dlkit.runtime.inspection import inspect_file
from dlkit.runtime.litert import Session
from dlkit.schemes import SCHEMES
from dlkit.verify import broken_promises, float_tolerance

pytestmark = [pytest.mark.tf, pytest.mark.slow]

# What CI runs: of every family one, and the deepest that the project promises.
IN_CI = {
    "alexnet", "convolutional_autoencoder", "dcgan_discriminator", "dcgan_generator", "densenet121", "ds_cnn",
    "efficientnet_lite0", "gru", "inception_resnet_v2", "inception_v1", "inception_v2", "inception_v4", "lstm",
    "mobilenet_v2", "resnet50", "resnet152", "resnext50_32x4d", "simple_rnn", "variational_autoencoder", "xception",
}  # fmt: skip
SIZES = [pytest.param(name, marks=[] if name in IN_CI else pytest.mark.full) for name in NETWORKS]


@pytest.mark.parametrize("network_name", SIZES)
def test_full_size(network_name: str, tmp_path: Path) -> None:
    """A float file with the model's answers and an int8 file that keeps its promise; both run in LiteRT."""
    import keras

    network = NETWORKS[network_name]
    keras.utils.set_random_seed(0)  # the weights, and with them the outputs, must not depend on the tests before
    model = network.build({})
    rng = np.random.default_rng(0)
    inputs = rng.random((2, *network.input), dtype=np.float32)
    model.save(tmp_path / "model.keras")
    parameters, [name] = model.count_params(), input_names(model)
    del model
    keras.backend.clear_session()
    batch = {name: inputs}
    converted = convert_model(tmp_path / "model.keras", batch, tmp_path, SILENT)
    made, reference = make_file(converted, SCHEMES["int8"], batch, SILENT), converted.reference["output"]
    answers = Session(made.float_file.read_bytes()).run(inputs)
    assert np.abs(answers - reference).max() <= float_tolerance(float(np.abs(reference).max()))
    assert made.float_file.stat().st_size < 4.1 * parameters + 2**18
    inspection = inspect_file(made.file)
    assert broken_promises(inspection, SCHEMES["int8"]) == []
    assert Session(made.file.read_bytes()).run(inputs).shape == reference.shape
    shutil.rmtree(tmp_path)
