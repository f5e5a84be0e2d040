"""How made-up sounds sound. Each is drawn by its place, so that it is the same in whatever batch it is made.

tone     a steady pitch                              tremolo  a tone that swells 6 to 14 times a second
rising   a glide upwards by 3 to 12 semitones        clicks   6 to 14 strokes a second of a ringing body
falling  the same downwards                          hiss     a band of noise
arch     upwards and back                            vowel_a  a voice through the formants of "father"
trill    two pitches in turn, 6 to 14 times a second vowel_u  the same of "boot"

Pitch, timbre, length, start, and level and colour of the noise are random and drawn alike for all, so that none of
them gives a class away.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from dlkit.datasets import Split
from dlkit.datasets.chirps import KINDS, ChirpOptions
from dlkit.runtime.lazy_sounds import SoundFeatures
from dlkit.runtime.rows import LazyRows
from dlkit.runtime.spectra import heard

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Sound = NDArray[np.float64]

EDITION = 1
"""Of what is below: another gives other sounds."""
HIGHEST_HZ = 3800.0
"""Of what a pitched sound is made of."""
MOST_OVERTONES = 8
"""Of one that is no voice."""
PITCHES_HZ = (180.0, 900.0)
VOICES_HZ = (90.0, 240.0)
TURNS = (6.0, 14.0)
"""A second, of what repeats itself."""
LENGTHS = (0.35, 0.8)
"""Of the time there is."""
MOST_KEPT_BYTES = 2**27
"""Of what has been made of a split."""
RAMP_S = 0.02
"""In which a sound comes and goes."""
FORMANTS = {"vowel_a": (730.0, 1090.0, 2440.0), "vowel_u": (300.0, 870.0, 2240.0)}
"""Of men, in Hz: Peterson & Barney 1952, doi:10.1121/1.1906875, table II."""
BANDWIDTHS_HZ = (90.0, 110.0, 170.0)
SHARES = (1.0, 0.6, 0.3)
"""Of the formants."""


class Chirps(LazyRows):
    """(N, length) float32 waveforms from -1 to 1; the classes take turns.

    Of 16 bits, as in a file; what has been made is kept, for making one takes longer than its features do.
    """

    def __init__(self, options: ChirpOptions, start: int, count: int) -> None:
        super().__init__((count, options.length), np.dtype(np.float32))
        self._options, self._start = options, start
        self._kept: dict[int, NDArray[np.int16]] = {}

    def read(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        found = np.empty((len(positions), *self.shape[1:]), np.float32)
        for row, position in enumerate(map(int, positions)):
            made = self._kept.get(position)
            if made is None:
                made = _in_noise(self._options, self._start + position)
                if (position + 1) * made.nbytes <= MOST_KEPT_BYTES:
                    self._kept[position] = made
            found[row] = heard(made / 2.0**15, self._options)
        return found

    def identity(self) -> Iterator[bytes]:
        """What they are drawn from: how numbers round differs between processors, and they are the same sounds."""
        o = self._options
        told = (EDITION, self._start, self.shape, o.sample_rate, o.snr_db, o.data_seed)
        yield f"chirps {told} ".encode()


def split_of_chirps(options: ChirpOptions, start: int, count: int) -> Split:
    """Sounds `start` and the next."""
    waveforms = Chirps(options, start, count)
    return Split(SoundFeatures(waveforms, options.front_end), np.arange(start, start + count) % len(KINDS))


def _in_noise(options: ChirpOptions, number: int) -> NDArray[np.int16]:
    """(length,) one sound, quiet before and after, and noise over all of it."""
    rng = np.random.default_rng((options.data_seed, number))
    kind, rate = KINDS[number % len(KINDS)], options.sample_rate
    count = round(rng.uniform(*LENGTHS) * options.length)
    sound = _MADE.get(kind, _pitched)(rng, kind, count, rate)
    ramp = np.minimum(1.0, np.minimum(np.arange(count), np.arange(count)[::-1]) / (RAMP_S * rate))
    sound = sound * ramp
    sound /= np.sqrt(np.mean(sound**2)) or 1.0
    start = rng.integers(0, options.length - count + 1)
    made = _noise(rng, options.length, rate) * 10 ** (-rng.uniform(*options.snr_db) / 20)
    made[start : start + count] += sound
    loudest = rng.uniform(0.1, 0.9) * 2**15
    return np.asarray(np.round(made * (loudest / np.max(np.abs(made)))), np.int16)


def _noise(rng: np.random.Generator, count: int, rate: int) -> Sound:
    """(count,) of power 1, whose spectrum falls by 0 to 6 dB an octave above 100 Hz."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    spectrum *= np.maximum(np.fft.rfftfreq(count, 1 / rate), 100.0) ** -rng.uniform(0.0, 1.0)
    made = np.fft.irfft(spectrum, count)
    return np.asarray(made / np.sqrt(np.mean(made**2)))


def _pitched(rng: np.random.Generator, kind: str, count: int, rate: int) -> Sound:
    """(count,) a pitch that moves as its kind says, with overtones that fade at random."""
    way = np.arange(count) / count  # 0 to 1
    turn = np.sin(2 * np.pi * (rng.uniform(*TURNS) * np.arange(count) / rate + rng.uniform()))
    octaves = rng.uniform(3, 12) / 12
    bends = {
        "rising": way - 0.5,
        "falling": 0.5 - way,
        "arch": 0.5 - np.abs(2 * way - 1),
        "trill": np.tanh(6 * turn) / 4,
    }
    bend = octaves * bends.get(kind, np.zeros(count))
    pitch = _between(rng, PITCHES_HZ) * 2.0**bend
    fading = rng.uniform(0.5, 2.0)
    made = _overtones(pitch, rate, [k**-fading for k in range(1, MOST_OVERTONES + 1)])
    return made * (1 + 0.9 * turn) if kind == "tremolo" else made


def _voice(rng: np.random.Generator, kind: str, count: int, rate: int) -> Sound:
    """(count,) a pitch of a voice that glides a little, through resonances each up to 8 % off."""
    way = np.arange(count) / count
    middle = _between(rng, VOICES_HZ)
    pitch = middle * 2.0 ** (rng.uniform(-0.25, 0.25) * (way - 0.5))
    formants = np.asarray(FORMANTS[kind]) * rng.uniform(0.92, 1.08, 3)
    hertz = middle * np.arange(1, int(HIGHEST_HZ / middle) + 1)[:, np.newaxis]
    resonances = SHARES / (1 + ((hertz - formants) / BANDWIDTHS_HZ) ** 2)  # (overtones, formants)
    return _overtones(pitch, rate, resonances.sum(axis=1).tolist())


def _overtones(pitch: Sound, rate: int, loud: list[float]) -> Sound:
    """(count,) the sum of the overtones below 3.8 kHz of a pitch (count,) in Hz, each as loud as is said."""
    first = np.exp(2j * np.pi * np.cumsum(pitch) / rate)
    overtone, made = np.ones_like(first), np.zeros(len(pitch))
    for _, amplitude in zip(range(int(HIGHEST_HZ / float(pitch.max()))), loud, strict=False):
        overtone *= first
        made += overtone.imag * amplitude
    return made


def _clicks(rng: np.random.Generator, kind: str, count: int, rate: int) -> Sound:
    """(count,) strokes at even distances, of a body that rings at a pitch for some milliseconds."""
    apart = round(rate / rng.uniform(*TURNS))
    time = np.arange(apart) / rate
    stroke = np.sin(2 * np.pi * _between(rng, (PITCHES_HZ[0], HIGHEST_HZ)) * time) * np.exp(
        -time / rng.uniform(0.004, 0.015)
    )
    return np.resize(stroke, count)


def _hiss(rng: np.random.Generator, kind: str, count: int, rate: int) -> Sound:
    """(count,) noise of a band of one to two octaves."""
    low = _between(rng, (PITCHES_HZ[0], HIGHEST_HZ / 2))
    high = low * 2 ** rng.uniform(1, 2)
    whole = 1 << (count - 1).bit_length()  # an FFT of any other length takes long
    spectrum, hertz = np.fft.rfft(rng.standard_normal(whole)), np.fft.rfftfreq(whole, 1 / rate)
    return np.fft.irfft(spectrum * ((low <= hertz) & (hertz < high)), whole)[:count]


def _between(rng: np.random.Generator, ends: tuple[float, float]) -> float:
    """Drawn evenly on a scale of octaves."""
    return float(np.exp(rng.uniform(*np.log(ends))))


_MADE = {"clicks": _clicks, "hiss": _hiss, "vowel_a": _voice, "vowel_u": _voice}
"""Kind → what makes it; the others are pitched."""
