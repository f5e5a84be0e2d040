"""From a waveform to features: shapes, ranges, and what is refused. Formulae are held to tf.signal in the tf lane."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from sounds import sine, wav_bytes

from dlkit.runtime.front_end import FrontEnd, mel_weights
from dlkit.runtime.spectra import features_of, heard, waveform_of

FRONT_ENDS = [
    FrontEnd(),
    FrontEnd(features="log_mel"),
    FrontEnd(level="none"),
    FrontEnd(sample_rate=8000, seconds=0.5, window_ms=32, hop_ms=16, mel_bands=24, fmax=3800, coefficients=13),
]
NOISE = np.random.default_rng(0).uniform(-1, 1, (40, 16_000)).astype(np.float32)


def test_the_defaults_are_those_of_mlperf_tiny() -> None:
    """49 frames of 10 coefficients, from 512 points of a second at 16 kHz."""
    own = FrontEnd()
    assert (own.length, own.window, own.hop, own.fft, own.shape) == (16_000, 480, 320, 512, (49, 10))


@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=str)
def test_features_are_inside_their_range(front_end: FrontEnd) -> None:
    """Of noise, silence, a full square wave and a single stroke."""
    length = front_end.length
    stroke, square = np.zeros(length, np.float32), np.sign(sine(500, 1.0, 16_000)[:length]).astype(np.float32)
    stroke[length // 2] = 1
    found = features_of(np.stack([NOISE[0, :length], 0 * stroke, square, stroke]), front_end)
    low, high = front_end.raw_range
    assert found.shape == (4, *front_end.shape)
    assert low <= found.min() <= found.max() <= high


def test_a_sound_has_the_same_features_alone_and_among_others() -> None:
    """To the last bit: batches differ between training, export and the device."""
    together = features_of(NOISE, FrontEnd())
    assert all(np.array_equal(features_of(NOISE[i : i + 1], FrontEnd())[0], together[i]) for i in range(40))


@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=str)
def test_every_band_hears_something(front_end: FrontEnd) -> None:
    """And nothing hears what is not in a band: silence at 0 Hz."""
    weights = np.asarray(mel_weights(front_end))
    assert weights.shape == (front_end.fft // 2 + 1, front_end.mel_bands)
    assert (weights.sum(axis=0) > 0).all()
    assert not weights[0].any()
    assert weights.max() <= 1


def test_a_tone_is_loudest_in_its_band() -> None:
    """The one whose middle is nearest on the mel scale."""
    own = FrontEnd(features="log_mel")
    found = features_of(sine(1000, 1.0, 16_000).astype(np.float32)[np.newaxis], own)[0].mean(axis=0)
    middles = np.linspace(*(1127 * np.log1p(np.array([20, 4000]) / 700)), 42)[1:-1]
    assert found.argmax() == np.abs(middles - 1127 * np.log1p(1000 / 700)).argmin()


def test_a_short_sound_is_followed_by_silence_and_a_long_one_is_cut() -> None:
    """At the end, as MLPerf Tiny does it."""
    own = FrontEnd(level="none")
    short, long = waveform_of(wav_bytes(np.full(100, 0.5), 16_000), own, "a"), heard(np.full(20_000, 0.5), own)
    assert (short[:100] == 0.5).all()
    assert not short[100:].any()
    assert long.shape == (16_000,)


def test_the_level_is_that_of_the_peak() -> None:
    """Of the part that is heard; silence stays silence, and without a level what is beyond full scale is cut off."""
    quiet = np.concatenate([np.full(16_000, -0.25), [1.0]])
    assert heard(quiet, FrontEnd()).min() == -1
    assert heard(quiet, FrontEnd(level="none")).min() == -0.25
    assert not heard(np.zeros(100), FrontEnd()).any()
    assert heard(np.full(9, 3.0), FrontEnd(level="none")).max() == 1


def test_another_rate_is_heard_as_the_same() -> None:
    """Features of forty tones at once from a file at 44.1 kHz and from one at 16 kHz."""
    front_end = FrontEnd()

    def features(rate: int) -> np.ndarray:
        tones = sum(sine(100 * n + 7 * n % 13, 1.2, rate, 0.02) for n in range(1, 41))
        return features_of(waveform_of(wav_bytes(np.asarray(tones), rate), front_end, "a")[np.newaxis], front_end)[0]

    assert np.abs(features(16_000) - features(44_100))[1:].max() < 0.1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"features": "plp"}, "data.options.features = 'plp' must be 'mfcc' or 'log_mel'"),
        ({"level": "loud"}, "data.options.level = 'loud' must be 'peak' or 'none'"),
        ({"sample_rate": 10}, "data.options.sample_rate = 10 must be a whole number from 1000 to 384000 (Hz)"),
        ({"window_ms": 0.0}, "data.options.window_ms = 0.0 must be 2 to 32768 samples long"),
        ({"hop_ms": 0.01}, "data.options.hop_ms = 0.01 must be at least a sample long"),
        ({"seconds": 0.02}, "data.options.seconds = 0.02 must be as long as a window at least"),
        ({"seconds": 1e9}, "data.options.seconds = 1000000000.0 must be as long as a window at least, and at most"),
        ({"seconds": float("nan")}, "data.options.seconds = nan must be"),
        ({"mel_bands": 0}, "data.options.mel_bands = 0 must be from 1 to 1024"),
        ({"mel_bands": 200}, "data.options.mel_bands = 200 must be fewer: the lowest are narrower than the 31.25 Hz"),
        ({"fmax": 9000.0}, "data.options.fmax = 9000.0 must be above fmin, at most half of sample_rate (Hz)"),
        ({"fmin": 5000.0}, "data.options.fmax = 4000.0 must be above fmin"),
        ({"coefficients": 41}, "data.options.coefficients = 41 must be at most mel_bands = 40"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(options: dict[str, Any], said: str) -> None:
    """By key and value."""
    with pytest.raises(ValueError, match=re.escape(said)):
        FrontEnd(**options)
