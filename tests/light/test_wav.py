"""WAV files of every format that is read, and what is said of the others."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from sounds import form, riff, sine, wav_bytes

from dlkit.errors import DataError
from dlkit.runtime.resampling import resampled
from dlkit.runtime.wav import decoded_wav

SOUND = np.random.default_rng(0).uniform(-1, 1, 500)
FLOATS = SOUND.astype("<f4").tobytes()


def refused(content: bytes) -> str:
    with pytest.raises(DataError) as caught:
        decoded_wav(content, "a.wav")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_pcm_of_every_width(width: int) -> None:
    """To half of its least step, as the standard library writes it."""
    found = decoded_wav(wav_bytes(SOUND, width=width), "a.wav")
    assert found.rate == 8000
    np.testing.assert_allclose(found.samples, SOUND, atol=1.01 * 2.0 ** (1 - 8 * width))


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_the_least_number_is_minus_one_and_none_is_nought(width: int) -> None:
    """Exactly."""
    assert decoded_wav(wav_bytes(np.array([-1.0, 0.0]), width=width), "a.wav").samples.tolist() == [-1.0, 0.0]


@pytest.mark.parametrize("bits", [32, 64])
def test_floats_are_as_they_are(bits: int) -> None:
    """Of either width."""
    values = SOUND.astype(f"<f{bits // 8}")
    assert np.array_equal(decoded_wav(riff(form(3, bits), values.tobytes()), "a.wav").samples, values)


def test_channels_are_mixed_down() -> None:
    """By their mean."""
    both = np.stack([np.full(9, 0.5), np.full(9, -0.25)], axis=1)
    assert decoded_wav(wav_bytes(both), "a.wav").samples.tolist() == [0.125] * 9


def test_an_extensible_format_says_what_it_is_inside() -> None:
    """As programs write it for 24 bits and for many channels."""
    extension = struct.pack("<HHIH14s", 22, 32, 4, 3, bytes(14))
    found = decoded_wav(riff(form(0xFFFE, 32) + extension, FLOATS), "a.wav")
    assert np.array_equal(found.samples, SOUND.astype(np.float32))


def test_other_chunks_are_passed_over() -> None:
    """Also of an odd length, which a byte follows."""
    content = riff(form(3, 32), FLOATS, before=b"LIST" + struct.pack("<I", 3) + b"abc\0")
    assert len(decoded_wav(content, "a.wav").samples) == 500


def test_a_length_that_was_not_known_is_that_of_the_file() -> None:
    """As a program writes it into a pipe."""
    assert len(decoded_wav(riff(form(3, 32), FLOATS, claimed=0xFFFFFFFF), "a.wav").samples) == 500


def test_no_more_is_decoded_than_wanted() -> None:
    """Of an hour, a second."""
    assert len(decoded_wav(wav_bytes(np.zeros(80_000)), "a.wav", 1.5).samples) == 12_000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "a.wav: is not a WAV file; ffmpeg -i FILE sound.wav makes one that can be read"),
        (b"ID3 an mp3", "a.wav: is not a WAV file"),
        (riff(form(3, 32), FLOATS)[:900], "a.wav: is cut off: 856 of 2,000 bytes of sound are there"),
        (riff(form(3, 32), b""), "a.wav: holds no sound"),
        (riff(form(3, 32), FLOATS, claimed=0), "a.wav: holds no sound"),
        (riff(form(3, 32), b"")[:36], "a.wav: the WAV file is broken: it has no sound"),
        (riff(form(3, 32), b"")[:12], "a.wav: the WAV file is broken: it has no format"),
        (riff(form(3, 32)[:9], FLOATS), "a.wav: the WAV file is broken: its format makes no sense"),
        (riff(form(3, 32, channels=0), FLOATS), "a.wav: the WAV file is broken: its format makes no sense"),
        (riff(form(17, 4), FLOATS), "a.wav: is a WAV file of format 0x0011 with 4 bits; PCM of 8, 16, 24 or 32 bits"),
        (riff(form(3, 32, rate=10), FLOATS), "a.wav: has 10 samples a second; 1,000 to 384,000 are read"),
        (riff(form(3, 32), np.full(3, np.nan, "<f4").tobytes()), "a.wav: holds NaN or infinity; save it again"),
    ],
)
def test_what_cannot_be_read_is_told(content: bytes, said: str) -> None:
    """In one line that begins with the file."""
    assert refused(content).startswith(said)


def test_a_file_that_is_too_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is decoded."""
    monkeypatch.setattr("dlkit.runtime.wav.LARGEST_SOUND_BYTES", 1000)
    assert refused(wav_bytes(SOUND)) == "a.wav: has 1,044 bytes, and a sound at most 1,000; cut it"


# --- other rates ---


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 48_000, 15_999])
def test_a_tone_keeps_its_pitch_and_level(rate: int) -> None:
    """In the middle, to 1e-4; at the ends there is silence around it."""
    found = resampled(sine(1000, 1.0, rate), rate, 16_000)
    assert len(found) == 16_000
    np.testing.assert_allclose(found[200:-200], sine(1000, 1.0, 16_000)[200:-200], atol=1e-4)


def test_what_the_lower_rate_cannot_hold_is_taken_out() -> None:
    """A tone of 9.5 kHz would come back as one of 6.5."""
    assert np.abs(resampled(sine(9500, 1.0, 44_100), 44_100, 16_000)[200:-200]).max() < 1e-4


def test_the_same_rate_changes_nothing() -> None:
    """Not a bit."""
    assert resampled(SOUND, 8000, 8000) is SOUND


@pytest.mark.parametrize("channels", [1, 2])
def test_floats_that_are_no_sound_are_told(channels: int) -> None:
    """Their mean, and what is made of them, would be infinite."""
    said = refused(riff(form(3, 64, channels), np.full(4 * channels, 1e308).tobytes()))
    assert said == "a.wav: holds numbers beyond 1e+30, and those of a sound are from -1 to 1; save it again"


def test_a_nan_that_signals_is_told_without_a_warning() -> None:
    """As any other."""
    assert refused(riff(form(3, 32), b"\x01\x00\x80\x7f" * 4)) == "a.wav: holds NaN or infinity; save it again"
