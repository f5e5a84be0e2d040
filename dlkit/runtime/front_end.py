"""From sound to what a network reads: the parameters of the front-end, and the numbers that follow from them.

    WAV file ─mono→ resample ─crop, pad→ level → frames ─Hann, FFT→ magnitudes ─mel→ bands ─ln→ log_mel ─DCT→ mfcc

Everything is fixed by the attributes of `FrontEnd`, which travel in a bundle's manifest. The defaults are those of
MLPerf Tiny's keyword spotting (Banbury et al. 2021, arXiv:2106.07597; mlcommons/tiny, get_dataset.py of
keyword_spotting), and the formulae those of tf.signal: linear_to_mel_weight_matrix and
mfccs_from_log_mel_spectrograms.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator
from typing import Literal

LOG_FLOOR = 1e-6
"""Is added to each band before its logarithm; mlcommons/tiny, get_dataset.py."""
MOST_SOUND_SAMPLES = 2**24
"""Of a sound as the network hears it: 17 minutes at 16 kHz."""
MOST_WINDOW_SAMPLES = 2**15
MOST_MEL_BANDS = 1024
MOST_SPECTRUM, MOST_WEIGHTS = 2**26, 2**22
"""Points of the Fourier transforms of all frames of a sound together; numbers of the matrix that makes bands of one."""
SLOWEST_RATE, FASTEST_RATE = 1_000, 384_000
"""Of a sound, in Hz."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrontEnd:
    """How a sound becomes numbers, (frames, features).

    Attributes:
        features: "mfcc", mel-frequency cepstral coefficients, or "log_mel", logarithms of the energies of mel bands.
        sample_rate: in Hz, to which sounds are resampled.
        seconds: of each sound: the beginning of a longer one; behind a shorter one there is silence.
        level: "peak" divides each sound by its largest absolute value, "none" leaves it as it is, from -1 to 1.
        window_ms, hop_ms: length of a frame, and from the beginning of one to that of the next; both in whole
            samples, rounded down.
        mel_bands: triangles of equal width on the mel scale.
        fmin, fmax: where the first of them begins and the last ends, in Hz.
        coefficients: of "mfcc", the first so many.
    """

    features: Literal["mfcc", "log_mel"] = "mfcc"
    sample_rate: int = 16_000
    seconds: float = 1.0
    level: Literal["peak", "none"] = "peak"
    window_ms: float = 30.0
    hop_ms: float = 20.0
    mel_bands: int = 40
    fmin: float = 20.0
    fmax: float = 4000.0
    coefficients: int = 10

    def __post_init__(self) -> None:
        for key, holds, wanted in self._checks():
            if not holds:
                raise ValueError(f"data.options.{key} = {getattr(self, key)!r} must be {wanted}")

    def _checks(self) -> Iterator[tuple[str, bool, str]]:
        """Key, whether its value makes sense, and what would; each presumes that those before it do."""
        rate, bands, coefficients = self.sample_rate, self.mel_bands, self.coefficients
        yield "features", self.features in ("mfcc", "log_mel"), "'mfcc' or 'log_mel'"
        yield "level", self.level in ("peak", "none"), "'peak' or 'none'"
        good = type(rate) is int and SLOWEST_RATE <= rate <= FASTEST_RATE
        yield "sample_rate", good, f"a whole number from {SLOWEST_RATE} to {FASTEST_RATE} (Hz)"
        good = _is_length(self.window_ms) and 2 <= self.window <= MOST_WINDOW_SAMPLES
        yield "window_ms", good, f"2 to {MOST_WINDOW_SAMPLES} samples long"
        yield "hop_ms", _is_length(self.hop_ms) and self.hop >= 1, "at least a sample long"
        good = _is_length(self.seconds) and self.window <= self.length <= MOST_SOUND_SAMPLES
        yield "seconds", good, f"as long as a window at least, and at most {MOST_SOUND_SAMPLES:,} samples"
        frames = 1 + (self.length - self.window) // self.hop
        yield (
            "hop_ms",
            frames * self.fft <= MOST_SPECTRUM,
            f"longer: the sound has {frames:,} frames of {self.fft:,} points",
        )
        yield "mel_bands", type(bands) is int and 1 <= bands <= MOST_MEL_BANDS, f"from 1 to {MOST_MEL_BANDS}"
        yield "mel_bands", bands * self.fft // 2 <= MOST_WEIGHTS, f"fewer, for a frame of {self.fft:,} points"
        yield "fmin", 0 <= self.fmin < math.inf, "at least 0 (Hz)"
        yield "fmax", self.fmin < self.fmax <= rate / 2, "above fmin, at most half of sample_rate (Hz)"
        good = type(coefficients) is int and 1 <= coefficients <= MOST_MEL_BANDS
        yield "coefficients", good, f"from 1 to {MOST_MEL_BANDS}"
        yield "coefficients", self.features != "mfcc" or coefficients <= bands, f"at most mel_bands = {bands}"
        yield (
            "mel_bands",
            _are_wide(self),
            f"fewer: the lowest are narrower than the {rate / self.fft:.4g} Hz that an FFT of {self.fft} points tells "
            "apart; or make window_ms longer",
        )

    @property
    def length(self) -> int:
        """Of a sound as it is heard."""
        return _whole_samples(self.seconds * self.sample_rate)

    @property
    def window(self) -> int:
        """Samples of a frame."""
        return _whole_samples(self.window_ms * self.sample_rate / 1000)

    @property
    def hop(self) -> int:
        """Samples from the beginning of a frame to that of the next."""
        return _whole_samples(self.hop_ms * self.sample_rate / 1000)

    @property
    def fft(self) -> int:
        """Points of the Fourier transform: the least power of two that holds a frame, which zeros follow."""
        return 1 << (self.window - 1).bit_length()

    @property
    def shape(self) -> tuple[int, int]:
        """(frames, features) of a sound. Only whole frames count."""
        frames = 1 + (self.length - self.window) // self.hop
        return frames, self.coefficients if self.features == "mfcc" else self.mel_bands

    @property
    def raw_range(self) -> tuple[float, float]:
        """Numbers between which all features of all sounds are, outwards to whole ones."""
        return _range_of(self)


def _is_length(value: float) -> bool:
    return 0 < value < math.inf


def _whole_samples(count: float) -> int:
    return math.floor(count + 1e-6)  # 0.29 s at 100 Hz are 28.999999999999996


def mel_of(hertz: float) -> float:
    """The mel scale of HTK: 1127 ln(1 + f / 700)."""
    return 1127.0 * math.log1p(hertz / 700.0)


def _are_wide(front_end: FrontEnd) -> bool:
    """Whether there is a point of the Fourier transform inside each mel band."""
    low, high, bands = mel_of(front_end.fmin), mel_of(front_end.fmax), front_end.mel_bands
    edges = [700.0 * math.expm1((low + (high - low) * n / (bands + 1)) / 1127.0) for n in range(bands + 2)]
    apart = front_end.sample_rate / front_end.fft
    return all((math.floor(edges[n] / apart) + 1) * apart < edges[n + 2] for n in range(bands))


@functools.lru_cache(maxsize=8)
def mel_weights(front_end: FrontEnd) -> tuple[tuple[float, ...], ...]:
    """(fft / 2 + 1, mel_bands): how much of each magnitude is in each band; none of that at 0 Hz.

    Band b rises from 0 at edge b to 1 at edge b + 1 and falls to 0 at edge b + 2, straight on the mel scale; the edges
    are equally far apart there, from fmin to fmax.
    """
    low, high, bands = mel_of(front_end.fmin), mel_of(front_end.fmax), front_end.mel_bands
    apart = (high - low) / (bands + 1)
    rows = [(0.0,) * bands]
    for point in range(1, front_end.fft // 2 + 1):
        at = (mel_of(point * front_end.sample_rate / front_end.fft) - low) / apart  # 0 at edge 0, 1 at edge 1 …
        rows.append(tuple(max(0.0, min(at - band, band + 2 - at)) for band in range(bands)))
    return tuple(rows)


@functools.lru_cache(maxsize=8)
def cosines(front_end: FrontEnd) -> tuple[tuple[float, ...], ...]:
    """(mel_bands, coefficients): the DCT-II of HTK, coefficient k = √(2 / B) Σ_b x_b cos(π k (b + ½) / B)."""
    bands = front_end.mel_bands
    by = math.sqrt(2.0 / bands)
    return tuple(
        tuple(by * math.cos(math.pi * k * (band + 0.5) / bands) for k in range(front_end.coefficients))
        for band in range(bands)
    )


@functools.lru_cache(maxsize=8)
def _range_of(front_end: FrontEnd) -> tuple[float, float]:
    """No magnitude is larger than the sum of the window, half its length; no sample larger than 1."""
    loudest = front_end.window / 2 * max(map(math.fsum, zip(*mel_weights(front_end), strict=True)))
    low, high = math.log(LOG_FLOOR), math.log(loudest + LOG_FLOOR)
    if front_end.features == "log_mel":
        return float(math.floor(low)), float(math.ceil(high))
    ends = []
    for column in zip(*cosines(front_end), strict=True):
        up, down = math.fsum(w for w in column if w > 0), math.fsum(w for w in column if w < 0)
        ends += [up * low + down * high, up * high + down * low]
    return float(math.floor(min(ends))), float(math.ceil(max(ends)))
