"""A bundle whose model reads sounds takes WAV files itself, by `dlkit predict` and by predict.py alike.

What it answers here means nothing: it is the bundle of digits, told that its 8×8 numbers are features of a sound.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from as_files import npy
from sounds import sine, wav_bytes
from test_runner import WITHOUT_DLKIT

from dlkit.bundle.flatten import flattened_runner
from dlkit.bundle.loading import load_bundle
from dlkit.errors import ModelFileError
from dlkit.runtime.front_end import FrontEnd
from dlkit.runtime.spectra import features_of, waveform_of

FRONT_END = FrontEnd(
    sample_rate=8000, seconds=0.256, window_ms=32, hop_ms=32, mel_bands=20, fmax=3600, coefficients=8
)  # 8 frames of 8 features
SOUND = wav_bytes(sine(500, 0.3, 16_000), 16_000)


def preprocessing(**changes: Any) -> dict[str, Any]:
    sound = dataclasses.asdict(FRONT_END) | changes
    return {
        "shape": [8, 8, 1], "image": None, "raw_range": FRONT_END.raw_range, "color": "grey", "resize": "crop",
        "scale": [0.02] * 8, "offset": [0.5] * 8, "sound": sound,
    }  # fmt: skip


@pytest.fixture
def hearing(bundle: Path, vouch: Callable) -> Path:
    (bundle / "predict.py").write_text(flattened_runner())
    change(bundle, vouch)
    return bundle


def change(bundle: Path, vouch: Callable, **changes: Any) -> None:
    [(name, end)] = json.loads((bundle / "manifest.json").read_text())["inputs"].items()
    vouch(bundle, inputs={name: end | {"preprocessing": preprocessing(**changes)}})


@pytest.fixture
def runner(hearing: Path, fresh: Callable) -> Callable:
    def run(*arguments: str | Path, stdin: bytes = b""):
        return fresh("-c", WITHOUT_DLKIT, hearing / "predict.py", *arguments, stdin=stdin)

    return run


def test_a_wav_file_is_its_features(dlkit, hearing: Path, tmp_path: Path) -> None:
    """Resampled, cut to length and at the level that the manifest says; the same as an array of them."""
    (tmp_path / "a.wav").write_bytes(SOUND)
    features = features_of(waveform_of(SOUND, FRONT_END, "a")[np.newaxis], FRONT_END)[0]
    (tmp_path / "a.npy").write_bytes(npy(features))
    by_sound, by_array = (dlkit("predict", hearing, tmp_path / f"a.{kind}", "--top", "3") for kind in ("wav", "npy"))
    assert by_sound.code == 0
    assert by_sound.out.partition("  ")[2] == by_array.out.partition("  ")[2] != ""
    loaded = load_bundle(hearing)
    assert loaded.preprocessing.sound == FRONT_END
    assert np.array_equal(loaded.predict(tmp_path / "a.wav"), loaded.predict(features[np.newaxis]))


@pytest.mark.parametrize("kind", ["wav", "no suffix", "folder", "-", "npy"])
def test_the_runners_answers_are_those_of_dlkit_predict(runner, dlkit, hearing, tmp_path: Path, kind: str) -> None:
    """Without dlkit, letter for letter."""
    place = tmp_path / "sounds"
    place.mkdir()
    for name in ("a.wav", "b.WAV"):
        (place / name).write_bytes(SOUND)
    (tmp_path / "a").write_bytes(SOUND)
    (tmp_path / "a.npy").write_bytes(npy(np.zeros((2, 8, 8), np.float32)))
    name = {"wav": place / "a.wav", "no suffix": tmp_path / "a", "folder": place, "-": "-", "npy": tmp_path / "a.npy"}
    wanted = dlkit("predict", hearing, name[kind], stdin=SOUND)
    said = runner(name[kind], stdin=SOUND)
    assert (said.code, said.out, said.err) == (0, wanted.out, "")
    assert len(wanted.out.splitlines()) == (2 if kind in ("folder", "npy") else 1)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.wav", b"hello", "a.wav: is not a WAV file; ffmpeg -i FILE sound.wav makes one that can be read"),
        ("a.wav", SOUND[:99], "a.wav: is cut off: 55 of 9,600 bytes of sound are there"),
        ("a.mp3", b"ID3", "a.mp3: is not a WAV file, and this model takes those; ffmpeg -i FILE sound.wav makes one"),
        ("a.npy", npy(np.zeros((9, 9))), "a.npy: shape 9×9, but this model takes 8×8×1"),
    ],
)
def test_what_is_no_sound_is_told(runner, dlkit, hearing, tmp_path, name: str, content: bytes, message: str) -> None:
    """The same line by both, exit code 1."""
    (tmp_path / name).write_bytes(content)
    wanted = dlkit("predict", hearing, tmp_path / name)
    said = runner(tmp_path / name)
    assert (said.code, said.out, said.err) == (wanted.code, "", wanted.err) == (1, "", wanted.err)
    assert message in wanted.err


def test_a_folder_without_sounds_is_told(dlkit, hearing, tmp_path, digit_png: bytes) -> None:
    """Pictures are none."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(digit_png)
    said = dlkit("predict", hearing, tmp_path / "photos")
    assert (said.code, said.out) == (1, "")
    assert "photos: no WAV files in this folder (looked for .wav, .wave)" in said.err


def test_a_model_of_images_takes_no_sound(dlkit, bundle, tmp_path) -> None:
    """It says what it takes."""
    (tmp_path / "a.wav").write_bytes(SOUND)
    said = dlkit("predict", bundle, tmp_path / "a.wav")
    assert (said.code, said.out) == (1, "")
    assert "a.wav: is a sound, but this model takes images" in said.err


def test_folders_of_sounds_are_evaluated(dlkit, hearing, tmp_path) -> None:
    """Called like the classes."""
    label = dlkit("predict", hearing, "-", stdin=SOUND).out.split()[2]
    for name in (label, "0" if label != "0" else "1"):
        (tmp_path / "test" / name).mkdir(parents=True)
        (tmp_path / "test" / name / "a.wav").write_bytes(SOUND)
    said = dlkit("evaluate", hearing, "--data", tmp_path / "test", "--json")
    assert said.code == 0
    assert (json.loads(said.out)["exported"], json.loads(said.out)["samples"]) == (0.5, 2)


@pytest.mark.parametrize(
    "changes",
    [{"sample_rate": 0}, {"seconds": 1e12}, {"mel_bands": "many"}, {"hop": 3}, {"coefficients": 9}, {"hop_ms": None}],
    ids=str,
)
def test_a_broken_front_end_is_refused(hearing: Path, vouch: Callable, changes: dict[str, Any]) -> None:
    """Nothing is guessed, nothing allocated."""
    change(hearing, vouch, **changes)
    with pytest.raises(ModelFileError, match=r"manifest\.json: is not a dlkit manifest, or is corrupt"):
        load_bundle(hearing)
