"""A user's folder of WAV files as a dataset."""

from __future__ import annotations

import re
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import write_pictures
from sounds import PITCHES, sine, wav_bytes, write_sounds

from dlkit.datasets import Split, Splits
from dlkit.errors import DataError, DlkitError
from dlkit.recipe import Recipe, opened, recipe_from
from dlkit.recipe_data import data_preprocessing, normal_samples, splits_of
from dlkit.runtime.inputs import read_inputs
from dlkit.runtime.lazy_sounds import SoundFeatures, WavFiles

PARTS = ("train", "validation", "test")
FRONT_END = {"sample_rate": 8000, "seconds": 0.5, "fmax": 3600, "mel_bands": 20}


def recipe_of(path: Path, /, network: str = "ds_cnn", **tables: Any) -> Recipe:
    options = {"path": str(path), **FRONT_END, **tables.pop("options", {})}
    table = {
        "name": "x",
        "network": {"name": network, "options": tables.pop("network_options", {})},
        "data": {"name": "audio", "preprocessing": "none", "options": options, **tables.pop("data", {})},
        "training": {"epochs": 1},
    }
    return recipe_from(table | tables, "x.toml")


def parts(splits: Splits) -> list[Split]:
    return [getattr(splits, part) for part in PARTS]


def files(split: Split) -> list[Path]:
    assert isinstance(split.samples, SoundFeatures)
    assert isinstance(split.samples.waveforms, WavFiles)
    return list(split.samples.waveforms.paths)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten of each of three classes, to look at."""
    return write_sounds(tmp_path_factory.mktemp("sounds") / "all")


@pytest.fixture
def own(sounds: Path, tmp_path: Path) -> Path:
    """A copy, to spoil."""
    return Path(shutil.copytree(sounds, tmp_path / "own"))


@pytest.mark.parametrize(
    ("network", "options", "shape"),
    [
        ("ds_cnn", {}, [24, 10, 1]),
        ("ds_cnn", {"features": "log_mel"}, [24, 20, 1]),
        ("lstm", {"coefficients": 13}, [24, 13]),
        ("ds_cnn", {"hop_ms": 10.0, "seconds": 0.25}, [23, 10, 1]),
    ],
)
def test_a_network_reads_frames_of_features(
    sounds: Path, network: str, options: dict[str, Any], shape: list[int]
) -> None:
    """As a picture of one channel or as a sequence; shape and classes follow from the folder and the front-end."""
    recipe = recipe_of(sounds, network, options=options)
    assert recipe.network.options == {"input_shape": shape, "classes": 3}
    assert opened(recipe).labels == tuple(sorted(PITCHES))
    splits = splits_of(recipe)
    assert {split.samples.shape[1:] for split in parts(splits)} == {tuple(shape[:2])}
    assert data_preprocessing(recipe).apply(splits.test.samples[:2]).shape == (2, *shape)


def test_splits_are_disjoint_whole_and_stratified(sounds: Path) -> None:
    """7, 1 and 2 of the ten of each class."""
    splits = parts(splits_of(recipe_of(sounds)))
    assert [np.bincount(split.labels).tolist() for split in splits] == [[7] * 3, [1] * 3, [2] * 3]
    assert sorted(path for split in splits for path in files(split)) == sorted(sounds.glob("*/*.wav"))


def test_background_noise_is_no_class(own: Path) -> None:
    """It lies beside the words of Speech Commands."""
    shutil.copytree(own / "low", own / "_background_noise_")
    assert opened(recipe_of(own)).labels == tuple(sorted(PITCHES))


def test_folders_of_splits_are_the_splits(tmp_path: Path) -> None:
    """As those of images are."""
    for seed, name in enumerate(("train", "val", "test")):
        write_sounds(tmp_path / name, 3, seed)
    splits = splits_of(recipe_of(tmp_path))
    assert [{path.parts[-3] for path in files(split)} for split in parts(splits)] == [{"train"}, {"val"}, {"test"}]


def test_the_same_file_in_two_given_splits_is_refused(tmp_path: Path) -> None:
    """By its contents."""
    for seed, name in enumerate(("train", "test")):
        write_sounds(tmp_path / name, 4, seed)
    shutil.copy(tmp_path / "train/low/001.wav", tmp_path / "test/low/other.wav")
    with pytest.raises(DataError, match=r"1 sample is in two splits: train/low/001\.wav is test/low/other\.wav too"):
        splits_of(recipe_of(tmp_path))


def test_a_sample_is_what_a_runner_makes_of_its_file(own: Path) -> None:
    """Of every rate, width and number of channels."""
    sound = sine(440, 0.4, 44_100)
    (own / "low" / "stereo.wav").write_bytes(wav_bytes(np.stack([sound, 0.5 * sound], axis=1), 44_100, 3))
    (own / "low" / "short.WAV").write_bytes(wav_bytes(sine(440, 0.01), width=1))
    recipe = recipe_of(own, data={"preprocessing": "standard"})
    seen: dict[str, np.ndarray] = {}
    for split in parts(splits_of(recipe)):
        seen |= {str(path): sample for path, sample in zip(files(split), split.samples, strict=True)}
    assert len(seen) == 32
    for path, sample in seen.items():
        [read] = read_inputs([path], data_preprocessing(recipe))
        assert np.array_equal(read.raw, sample), path


def test_standard_is_of_the_training_split(sounds: Path) -> None:
    """Each coefficient has mean 0 and deviation 1 there."""
    recipe = recipe_of(sounds, data={"preprocessing": "standard"})
    x = data_preprocessing(recipe).apply(splits_of(recipe).train.samples)[..., 0]
    np.testing.assert_allclose(x.mean(axis=(0, 1)), 0, atol=1e-4)
    np.testing.assert_allclose(x.std(axis=(0, 1)), 1, atol=1e-4)


def test_a_fingerprint_is_of_the_files(own: Path) -> None:
    """Not of the features that are computed; another sound is another split."""
    first = splits_of(recipe_of(own)).test
    assert splits_of(recipe_of(own, options={"features": "log_mel"})).test.fingerprint == first.fingerprint
    files(first)[0].write_bytes(wav_bytes(sine(100)))
    assert splits_of(recipe_of(own)).test.fingerprint != first.fingerprint


def test_broken_files_are_named_and_skipped_only_if_asked(own: Path) -> None:
    """As broken images are."""
    whole = (own / "low" / "000.wav").read_bytes()
    (own / "low" / "cut.wav").write_bytes(whole[:200])
    (own / "high" / "text.wav").write_bytes(b"no sound")
    with pytest.raises(DataError) as caught:
        splits_of(recipe_of(own))
    assert str(caught.value).startswith(f"{own}: 2 of 32 WAV files cannot be read: high/text.wav: is not a WAV file; ")
    assert "low/cut.wav: is cut off: 156 of" in str(caught.value)
    assert str(caught.value).endswith("or leave them out: --set data.options.broken=skip")
    assert sum(len(split) for split in parts(splits_of(recipe_of(own, options={"broken": "skip"})))) == 30


def test_normal_samples_of_a_detector_stay_sounds(sounds: Path) -> None:
    """So that they can be changed as such, and need not fit into memory."""
    anomaly = {"normal": "low"}
    network = "convolutional_autoencoder"
    recipe = recipe_of(sounds, network, anomaly=anomaly)
    kept = normal_samples(recipe, splits_of(recipe_of(sounds)).train)
    assert isinstance(kept.samples, SoundFeatures)
    assert set(kept.labels.tolist()) == {1}
    assert len(kept) == 7


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"options": {"hop": 3}}, "x.toml: unknown key 'data.options.hop'; did you mean 'hop_ms'?"),
        ({"options": {"features": "mel"}}, "x.toml: data.options.features = 'mel' is not one of them"),
        ({"options": {"fmax": 8000}}, "x.toml: data.options.fmax = 8000.0 must be above fmin, at most half"),
        ({"options": {"test": 0}}, "x.toml: data.options.test = 0.0 must be above 0 and below 1"),
        ({"options": {"path": "no/where"}}, "data.options.path = 'no/where': there is no such folder"),
        ({"network": "dcgan28_generator"}, "dcgan28_generator makes images like (28, 28, 1), and audio has"),
        ({"augmentation": {"flip": "horizontal"}},
         "x.toml: augmentation is of images, and audio has none; leave all but 'noise', 'mixup', 'time_shift', "
         "'background', 'time_mask' and 'frequency_mask' out"),
        ({"augmentation": {"time_shift": 0.5}},
         "x.toml: augmentation.time_shift = 0.5 must be less than data.options.seconds = 0.5"),
        ({"augmentation": {"frequency_mask": 0.2}},
         "x.toml: augmentation.frequency_mask is of bands, and data.options.features = 'mfcc' mixes them all"),
        ({"augmentation": {"background": 1}}, "augmentation.background = 1.0 must be from 0 to below 1"),
        ({"augmentation": {"time_shift": -1}}, "augmentation.time_shift = -1.0 must be at least 0 (seconds)"),
        ({"network_options": {"input_shape": [49, 10, 1]}},
         "network.options.input_shape = [49, 10, 1], but audio has [24, 10, 1]; leave it out"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(sounds: Path, tables: dict[str, Any], said: str) -> None:
    """With file and key."""
    with pytest.raises(DlkitError, match=re.escape(said)) as caught:
        recipe_of(sounds, **tables)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["time_shift", "background", "time_mask", "frequency_mask"])
def test_changes_of_sounds_are_of_sounds(key: str) -> None:
    """Said where there are none."""
    table = {
        "name": "x", "network": {"name": "cnn"}, "data": {"name": "digits"}, "training": {"epochs": 1},
        "augmentation": {key: 0.1},
    }  # fmt: skip
    with pytest.raises(DlkitError, match=rf"x\.toml: augmentation\.{key} is of sounds, and digits has none; leave it"):
        recipe_from(table, "x.toml")


def test_a_folder_of_pictures_holds_no_sounds(tmp_path: Path) -> None:
    """What was looked for is told."""
    write_pictures(tmp_path / "photos")
    with pytest.raises(DataError, match=r"blue: no WAV files in this folder \(looked for \.wav, \.wave\)"):
        recipe_of(tmp_path / "photos")


def test_a_stored_recipe_with_another_front_end_is_refused(sounds: Path) -> None:
    """What it was completed for is not what it now says."""
    table = recipe_of(sounds).as_dict()
    table["data"]["options"]["coefficients"] = 13
    stored = recipe_from(table, "bundle")
    with pytest.raises(DlkitError, match=r"input_shape = \[24, 10, 1\], but audio has \[24, 13, 1\]"):
        data_preprocessing(stored)


def test_memory_does_not_grow_with_the_folder(tmp_path: Path) -> None:
    """A pass over ten times the sounds takes no more."""

    def peak(count: int) -> int:
        recipe = recipe_of(write_sounds(tmp_path / str(count), count))
        tracemalloc.start()
        try:
            samples = splits_of(recipe).train.samples
            np.asarray(samples)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(4)  # what is imported once
    assert peak(200) < peak(60) + 2**20
