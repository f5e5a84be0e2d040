"""Folders of short WAV files to train on: each class has a pitch of its own, with noise."""

from __future__ import annotations

import io
import struct
import wave
from pathlib import Path

import numpy as np

PITCHES = {"high": 1800.0, "low": 300.0, "middle": 800.0}
RATE = 8000


def sine(hertz: float, seconds: float = 0.5, rate: int = RATE, level: float = 0.5) -> np.ndarray:
    """(n,) float64."""
    return level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def wav_bytes(samples: np.ndarray, rate: int = RATE, width: int = 2) -> bytes:
    """PCM of (n,) or (n, channels) numbers from -1 to 1, by the standard library."""
    samples = samples.reshape(len(samples), -1)
    whole = np.clip(np.round(samples * 2.0 ** (8 * width - 1)), -(2.0 ** (8 * width - 1)), 2.0 ** (8 * width - 1) - 1)
    if width == 1:
        content = (whole + 128).astype(np.uint8).tobytes()
    else:
        content = whole.astype("<i4").reshape(-1, 1).view(np.uint8)[:, :width].tobytes()
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(content)
    return stream.getvalue()


def riff(form: bytes, data: bytes, *, before: bytes = b"", claimed: int | None = None) -> bytes:
    """A WAV file of these chunks; `before` comes between them, and `claimed` is the length that is written."""
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + before
    chunks += b"data" + struct.pack("<I", len(data) if claimed is None else claimed) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def form(kind: int, bits: int, channels: int = 1, rate: int = RATE) -> bytes:
    """The chunk that says the format."""
    block = channels * bits // 8
    return struct.pack("<HHIIHH", kind, channels, rate, rate * block, block, bits)


def write_sounds(folder: Path, count: int = 10, seed: int = 0) -> Path:
    """`count` sounds of each of three classes, of several lengths, in folders called like them."""
    rng = np.random.default_rng(seed)
    for name, hertz in PITCHES.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            sound = sine(hertz * rng.uniform(0.9, 1.1), rng.uniform(0.3, 0.7))
            sound += rng.normal(0, 0.02, len(sound))
            (folder / name / f"{number:03}.wav").write_bytes(wav_bytes(sound))
    return folder
