"""Sounds: features as tf.signal computes them, changes of them, and the way from a folder of files to a bundle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sounds import sine, wav_bytes, write_sounds

from dlkit.frameworks import tensorflow as tf
from dlkit.pipeline import export, train
from dlkit.pipeline.evaluating import evaluate
from dlkit.pipeline.trying import try_training
from dlkit.recipe import AugmentationPart, Recipe, recipe_from
from dlkit.recipe_data import data_preprocessing, splits_of
from dlkit.runtime.front_end import FrontEnd
from dlkit.runtime.preprocessing import preprocessing_for
from dlkit.runtime.spectra import features_of
from dlkit.training.augmentation import changed_waveforms, changes_of
from dlkit.training.input_pipeline import labelled_batches

pytestmark = pytest.mark.tf

MFCC, LOG_MEL = FrontEnd(), FrontEnd(features="log_mel")
SOUNDS = np.stack([sine(hertz, 1.0, 16_000, 0.5) for hertz in range(200, 1400, 100)]).astype(np.float32)
WITHOUT_TENSORFLOW = """
import json, sys
for name in ("tensorflow", "keras", "tf_keras"):
    sys.modules[name] = None
from dlkit.cli import main
main(json.loads(sys.argv[1]), prog_name="dlkit")
"""


def recipe_of(name: str, options: dict[str, Any], **tables: Any) -> Recipe:
    table = {
        "name": "heard",
        "network": {"name": "ds_cnn", "options": {"width": 16, "momentum": 0.8, "dropout": 0.0}},
        "data": {"name": name, "preprocessing": "standard", "options": options},
        "training": {"epochs": 2, "batch_size": 32},
    }
    return recipe_from(table | tables, "heard.toml")


# --- features ---


@pytest.mark.parametrize(
    "front_end",
    [
        MFCC,
        LOG_MEL,
        FrontEnd(sample_rate=8000, window_ms=32, hop_ms=10, mel_bands=24, fmin=60, fmax=3800, coefficients=13),
    ],
    ids=["MLPerf Tiny", "log-mel", "other numbers"],
)
def test_features_are_those_of_tf_signal(front_end: FrontEnd) -> None:
    """To the rounding of float32, in which it computes: of noise, a tone and silence."""
    length = front_end.length
    sounds = np.random.default_rng(0).uniform(-1, 1, (6, length)).astype(np.float32)
    sounds[1], sounds[2] = sine(440, 1.0, length), 0
    magnitudes = tf.abs(tf.signal.stft(sounds, front_end.window, front_end.hop, None, window_fn=tf.signal.hann_window))
    weights = tf.signal.linear_to_mel_weight_matrix(
        front_end.mel_bands, magnitudes.shape[-1], front_end.sample_rate, front_end.fmin, front_end.fmax
    )
    wanted = tf.math.log(tf.tensordot(magnitudes, weights, 1) + 1e-6)
    if front_end.features == "mfcc":
        wanted = tf.signal.mfccs_from_log_mel_spectrograms(wanted)[..., : front_end.coefficients]
    found = features_of(sounds, front_end)
    assert found.shape == tuple(wanted.shape)
    loud = np.asarray([0, 2, 3, 4, 5])
    np.testing.assert_allclose(found[loud], wanted.numpy()[loud], atol=2e-4)
    # Beside a tone its float32 FFT has noise, of which it takes the logarithm.
    assert np.median(np.abs(found[1] - wanted.numpy()[1])) < 2e-2


# --- changes ---


def changed(seed: int = 0, sounds: np.ndarray = SOUNDS, **part: float) -> np.ndarray:
    step = tf.function(lambda sounds, seed: changed_waveforms(AugmentationPart(**part), MFCC, sounds, seed))
    return step(tf.constant(sounds), tf.constant([seed, 1], tf.int64)).numpy()


@pytest.mark.parametrize("part", [{"time_shift": 0.1}, {"background": 0.2}], ids=lambda part: next(iter(part)))
def test_a_change_of_waveforms_is_of_its_seed(part: dict[str, float]) -> None:
    """Alike only for the same seed, each sound by itself, from -1 to 1."""
    one, again, other = changed(0, **part), changed(0, **part), changed(1, **part)
    assert one.shape == SOUNDS.shape
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert (one != SOUNDS).any(axis=1).mean() > 0.8
    assert np.abs(one).max() <= 1


def test_a_shift_moves_silence_in() -> None:
    """By up to so many seconds to either side, and leaves the rest as it was."""
    ramp = np.arange(1, 16_001, dtype=np.float32) / 16_001
    found = changed(time_shift=0.1, sounds=np.tile(ramp, (12, 1)))
    later = [8000 - round(float(sound[8000]) * 16_001 - 1) for sound in found]
    assert -1600 <= min(later) < 0 < max(later) <= 1600
    for sound, n in zip(found, later, strict=True):
        wanted = np.zeros_like(ramp)
        wanted[max(0, n) : 16_000 + min(0, n)] = ramp[max(0, -n) : 16_000 - max(0, n)]
        assert np.array_equal(sound, wanted)


def test_background_is_as_loud_as_was_drawn() -> None:
    """From none to the largest deviation."""
    loud = (changed(background=0.3) - SOUNDS).std(axis=1)
    assert 0 <= loud.min() < loud.max() <= 0.31
    assert len(set(loud.round(3).tolist())) > 8


@pytest.mark.parametrize(("key", "axis"), [("time_mask", 1), ("frequency_mask", 2)])
def test_a_mask_is_one_piece_of_the_mean(key: str, axis: int) -> None:
    """Of at most so many frames or bands; all else is as it was, and alike only for the same seed."""
    raw = features_of(SOUNDS, LOG_MEL)
    shape = (*LOG_MEL.shape, 1)
    preprocessing = preprocessing_for("none", shape, None, LOG_MEL.raw_range, "crop", sound=LOG_MEL)
    step = tf.function(changes_of(AugmentationPart(**{key: 0.3}), preprocessing))
    masked, again, other = (
        step(tf.constant(raw), tf.zeros((12, 2)), tf.constant([seed, 1], tf.int64))[0].numpy() for seed in (0, 0, 1)
    )
    assert np.array_equal(masked, again)
    assert not np.array_equal(masked, other)
    different = (masked != raw).any(axis=3 - axis)  # (N, size)
    assert 0 < different.sum(axis=1).max() <= 0.3 * raw.shape[axis]
    for sound, own, places in zip(masked, raw, different, strict=True):
        where = np.flatnonzero(places)
        if len(where):
            assert len(where) == where[-1] - where[0] + 1
            piece = sound[where] if axis == 1 else sound[:, where].T
            np.testing.assert_allclose(piece, np.broadcast_to(own.mean(axis=axis - 1), piece.shape), rtol=1e-4)


CHANGING = {"time_shift": 0.1, "background": 0.1, "time_mask": 0.2, "noise": 0.01}


def batches(recipe: Recipe, first: int = 0) -> list[np.ndarray]:
    preprocessing, train_split = data_preprocessing(recipe), splits_of(recipe).train
    return [inputs.numpy() for inputs, _ in labelled_batches(train_split, preprocessing, recipe, 10, first)]


def test_batches_are_decided_by_seed_epoch_and_step() -> None:
    """A training that is taken up at the second epoch hears what it would have heard."""
    recipe = recipe_of("chirps", {"sounds": 100}, augmentation=CHANGING)
    whole, second = batches(recipe), batches(recipe, 1)
    assert [batch.shape for batch in whole] == [(32, 49, 10, 1), (32, 49, 10, 1), (6, 49, 10, 1)] * 2
    assert all(np.array_equal(one, two) for one, two in zip(whole[3:], second, strict=True))
    assert not np.array_equal(whole[0], whole[3])


def test_without_changes_a_network_hears_the_samples() -> None:
    """In another order."""
    recipe = recipe_of("chirps", {"sounds": 100})
    inputs = data_preprocessing(recipe).apply(splits_of(recipe).train.samples)
    heard = np.concatenate(batches(recipe)[:3])
    order = [int(np.abs(inputs - one).sum(axis=(1, 2, 3)).argmin()) for one in heard]
    assert sorted(order) == list(range(70))
    np.testing.assert_allclose(heard, inputs[order], atol=1e-5)


# --- from a folder to a bundle ---


@pytest.mark.slow
def test_a_folder_of_sounds_becomes_a_proven_bundle(tmp_path: Path, fresh: Callable) -> None:
    """Trained, exported to int8, evaluated; its WAV files are labelled where there is no TensorFlow, and no dlkit."""
    folder = write_sounds(tmp_path / "sounds", 30)
    options = {"path": str(folder), "sample_rate": 8000, "seconds": 0.5, "fmax": 3600, "mel_bands": 24}
    training = {"epochs": 8, "learning_rate": 0.01, "batch_size": 16}
    augmentation = {"time_shift": 0.05, "background": 0.02}
    calibration = {"calibration_samples": 60}
    recipe = recipe_of("audio", options, training=training, augmentation=augmentation, export=calibration)
    result = train(recipe, tmp_path / "out")
    assert result.trained.labels == ("high", "low", "middle")
    assert result.test.value >= 0.9
    bundle, report = export(result.trained, "int8", out=tmp_path / "out")
    assert report.gate.exported >= report.gate.float - 0.01
    assert evaluate(bundle).float == pytest.approx(result.test.value)
    assert evaluate(bundle, folder).exported >= 0.9
    assert bundle.manifest["inputs"]["sound"]["preprocessing"]["sound"]["sample_rate"] == 8000
    (tmp_path / "tone.wav").write_bytes(wav_bytes(sine(1800, 0.6, 44_100), 44_100, 3))
    said = fresh("-c", WITHOUT_TENSORFLOW, json.dumps(["predict", str(bundle.folder), str(tmp_path / "tone.wav")]))
    assert (said.code, said.err) == (0, "")
    assert said.out.split()[1] == "high"
    alone = shutil.copytree(bundle.folder, tmp_path / "device")
    runner = fresh("-I", alone / "predict.py", tmp_path / "tone.wav", cwd=tmp_path)
    assert (runner.code, runner.out) == (0, said.out)


@pytest.mark.slow
def test_two_steps_are_tried_without_the_sounds() -> None:
    """On made-up values of the same shape; what changes sounds is left out."""
    recipe = recipe_of(
        "chirps", {"sounds": 100}, augmentation={"time_shift": 0.1, "noise": 0.1}, training={"epochs": 1}
    )
    assert np.isfinite(try_training(recipe).loss)
