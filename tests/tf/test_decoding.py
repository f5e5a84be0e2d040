"""The decoder of a variational auto-encoder, exported alone as a generator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from short import short_recipe

from dlkit.bundle.loading import Bundle
from dlkit.datasets import DATASETS
from dlkit.errors import DataError, ModelFileError
from dlkit.frameworks import keras
from dlkit.networks._layers import custom_layers
from dlkit.pipeline import build_network, export, train
from dlkit.report import Report
from dlkit.trained import Trained

pytestmark = [pytest.mark.tf, pytest.mark.slow]

Decoder = tuple[Trained, Bundle, Report]


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    """Of a network that has seen a few epochs, in int8, as its recipe says."""
    recipe = short_recipe(
        name="vae",
        network={"name": "variational_autoencoder", "options": {"width": 8, "latent": 4}},
        data={"name": "digits", "resize": "pad"},
        training={"epochs": 2, "learning_rate": 0.01, "loss": "binary_crossentropy"},
    )
    place = tmp_path_factory.mktemp("vae")
    result = train(recipe, place)
    return result.trained, *export(result.trained, out=place, decoder=True)


def test_it_makes_what_the_whole_network_makes_of_the_same_numbers(decoder: Decoder) -> None:
    """To within the steps of int8."""
    trained, bundle, _ = decoder
    model = keras.models.load_model(trained.model, custom_objects=custom_layers())
    x = DATASETS["digits"].load().test.samples[:20] / 16.0
    z = keras.Model(model.input, model.get_layer("z").output).predict(x, verbose=0)
    assert z.shape == (20, 4)
    assert np.abs(bundle.predict(z) - model.predict(x, verbose=0)).max() < 0.05


def test_it_is_a_generator_of_its_own_name(decoder: Decoder) -> None:
    """Proven on other noise than calibrated it."""
    _, bundle, report = decoder
    assert (bundle.name, bundle.task) == ("vae-decoder/cpu-int8", "generation")
    assert bundle.preprocessing.shape == (4,)
    assert (report.gate.split, report.calibration_source) == ("other noise", "standard normal noise")
    assert report.gate.sqnr_db > 15


def test_predict_draws_its_images(decoder: Decoder, dlkit, fresh, tmp_path: Path) -> None:
    """From 0 to 1 become black to white; the bundle's own runner writes the same bytes."""
    _, bundle, _ = decoder
    said = dlkit("predict", bundle.folder, "--count", "4", "--output", tmp_path / "ours.png")
    alone = fresh(bundle.folder / "predict.py", "--count", "4", "--output", tmp_path / "alone.png")
    assert (said.code, alone.code, alone.err) == (0, 0, "")
    assert (tmp_path / "ours.png").read_bytes() == (tmp_path / "alone.png").read_bytes()
    assert bundle.picture is not None
    assert bundle.picture.raw_range == (0.0, 16.0)


def test_what_has_no_decoder_is_refused(tmp_path: Path) -> None:
    """Another auto-encoder's layers are one whole."""
    trained, _ = build_network("dense_autoencoder", tmp_path, {"input_shape": [8, 8, 1]})
    with pytest.raises(ModelFileError, match="dense_autoencoder has no decoder of its own: it is no variational"):
        export(trained, out=tmp_path, decoder=True)


def test_a_decoder_takes_no_data(decoder: Decoder, dlkit, tmp_path: Path) -> None:
    """Noise is what it makes images of."""
    trained, _, _ = decoder
    with pytest.raises(DataError, match="calibrated with the noise that it makes images of; leave out data"):
        export(trained, data=np.zeros((100, 4)), out=tmp_path, decoder=True)
    said = dlkit("export", "vae", "--decoder", "--data", tmp_path)
    assert (said.code, said.out) == (2, "")
    assert "--decoder is calibrated with noise; leave out --data" in said.err
