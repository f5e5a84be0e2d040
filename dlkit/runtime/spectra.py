"""A WAV file → the waveform that a network hears → its features; see `front_end` for the parameters."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from dlkit.runtime.front_end import LOG_FLOOR, FrontEnd, cosines, mel_weights
from dlkit.runtime.resampling import resampled
from dlkit.runtime.wav import decoded_wav

if TYPE_CHECKING:
    from numpy.typing import NDArray

SOUNDS_AT_ONCE, POINTS_AT_ONCE = 16, 2**24
"""Whose spectra are in memory together, but for one sound that has more points by itself."""


def waveform_of(content: bytes, front_end: FrontEnd, where: str) -> NDArray[np.float32]:
    """The bytes of a WAV file → (length,) from -1 to 1, at the rate, length and level of the front-end.

    Raises DataError as `decoded_wav` does.
    """
    wav = decoded_wav(content, where, front_end.seconds + 0.5)  # what comes after is not heard
    return heard(resampled(wav.samples, wav.rate, front_end.sample_rate), front_end)


def heard(samples: NDArray[np.float64], front_end: FrontEnd) -> NDArray[np.float32]:
    """(n,) at the front-end's rate → (length,) from -1 to 1, at its length and level; silence stays silence."""
    begun = samples[: front_end.length]
    peak = float(np.max(np.abs(begun), initial=0.0))
    if front_end.level == "peak" and peak > 0:
        begun = begun / peak
    found = np.zeros(front_end.length, np.float32)
    found[: len(begun)] = np.clip(begun, -1.0, 1.0)
    return found


def features_of(waveforms: NDArray[np.float32], front_end: FrontEnd) -> NDArray[np.float32]:
    """(N, length) from -1 to 1 → (N, frames, features), computed in float64; each as it would be alone.

    A frame under a periodic Hann window, ½ - ½ cos(2πn / window), becomes magnitudes |FFT|, those weighted sums by
    `mel_weights`, those ln(x + 1e-6), and for "mfcc" those sums by `cosines`.
    """
    found = np.empty((len(waveforms), *front_end.shape), np.float32)
    at_once = max(1, min(SOUNDS_AT_ONCE, POINTS_AT_ONCE // (front_end.shape[0] * front_end.fft)))
    for start in range(0, len(waveforms), at_once):
        found[start : start + at_once] = _features(waveforms[start : start + at_once], front_end)
    return found


def _features(waveforms: NDArray[np.float32], front_end: FrontEnd) -> NDArray[np.float64]:
    frames, _ = front_end.shape
    window, weights, basis = _tables(front_end)
    strided = np.lib.stride_tricks.sliding_window_view(waveforms, front_end.window, axis=1)
    framed = strided[:, : (frames - 1) * front_end.hop + 1 : front_end.hop] * window  # (N, frames, window)
    magnitudes = np.abs(np.fft.rfft(framed, front_end.fft))  # (N, frames, fft / 2 + 1)
    bands = np.log(magnitudes @ weights + LOG_FLOOR)  # (N, frames, mel_bands)
    return np.asarray(bands @ basis if front_end.features == "mfcc" else bands)


@functools.lru_cache(maxsize=8)
def _tables(front_end: FrontEnd) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Window (window,), weights of the bands (fft / 2 + 1, mel_bands), cosines (mel_bands, coefficients)."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(front_end.window) / front_end.window)
    return window, np.asarray(mel_weights(front_end)), np.asarray(cosines(front_end))
