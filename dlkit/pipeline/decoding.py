"""A variational auto-encoder → its decoder alone, which makes samples of noise: a generator."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from dlkit.calibration.samples import MOST_HELD_OUT, ExportSamples, HeldOut
from dlkit.calibration.sources import Samples
from dlkit.conversion.keras_file import write_keras
from dlkit.conversion.named_ends import input_names
from dlkit.errors import ModelFileError
from dlkit.runtime.preprocessing import preprocessing_for
from dlkit.trained import Trained
from dlkit.writing import temporary_folder

CALIBRATION_SAMPLES = 300
RANGE = (-8.0, 8.0)
"""No draw of a standard normal is beyond it."""


@contextlib.contextmanager
def decoder_of(whole: Trained) -> Iterator[tuple[Trained, ExportSamples]]:
    """What follows the draw of the latent numbers in `whole`, as NAME-decoder, and noise to export it with.

    Raises ModelFileError if `whole` draws none.
    """
    from dlkit.conversion.tflite import load_model
    from dlkit.frameworks import keras
    from dlkit.networks._layers import custom_layers

    layers: list[Any] = load_model(whole.model).layers
    draws = [place for place, layer in enumerate(layers) if isinstance(layer, custom_layers()["Sampling"])]
    if not draws or len(whole.inputs) != 1:
        raise ModelFileError(f"{whole.name} has no decoder of its own: it is no variational auto-encoder of dlkit")
    noise = x = keras.Input(layers[draws[0]].output.shape[1:], name="noise")
    for layer in layers[draws[0] + 1 :]:
        x = layer(x)  # the decoder of the shelf's network is one layer after the other
    name = f"{whole.name}-decoder"
    model = keras.Model(noise, x, name=name)
    [name_of_input] = input_names(model)
    preprocessing = preprocessing_for("none", tuple(noise.shape[1:]), None, RANGE, "crop")
    drawn, other = preprocessing.noise(CALIBRATION_SAMPLES, 1), preprocessing.noise(MOST_HELD_OUT, 2)
    samples = ExportSamples(
        calibration=Samples({name_of_input: drawn}, None, "standard normal noise"),
        gate=HeldOut("other noise", {name_of_input: other}, None),
        test=None,
        asked_for=True,
    )
    [makes] = whole.inputs.values()
    with temporary_folder() as folder:
        write_keras(model, folder / "model.keras")
        inputs = {name_of_input: preprocessing}
        yield Trained(name, folder / "model.keras", "", None, inputs, (), trained=whole.trained, makes=makes), samples
