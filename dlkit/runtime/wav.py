"""WAV files, read strictly: PCM of 8, 16, 24 or 32 bits and float of 32 or 64, of any number of channels.

The standard library's reader knows no floats. What a header claims is held against the bytes that are there.
"""

from __future__ import annotations

import dataclasses
import math
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from dlkit.errors import DataError
from dlkit.runtime.front_end import FASTEST_RATE, SLOWEST_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST_SOUND_BYTES = 2**28
"""Of one WAV file: 2.3 hours of 16 bits at 16 kHz."""
PCM, FLOAT, EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
"""Tags of formats; Microsoft & IBM 1991, "Multimedia Programming Interface and Data Specifications 1.0", mmreg.h."""
UNTOLD = 0xFFFFFFFF
"""The length that a program writes which cannot go back to say how much it wrote."""
LOUDEST = 1e30
"""What is larger is no sound: floats of one are from -1 to 1, or at most as large as the integers of others."""
CONVERT = "ffmpeg -i FILE sound.wav makes one that can be read"


@dataclasses.dataclass(frozen=True)
class Wav:
    """A sound as its file has it.

    Attributes:
        rate: samples a second.
        samples: (n,) float64, the mean of the channels; integers from -1 to below 1, floats as they are.
    """

    rate: int
    samples: NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class _Format:
    """Of a WAV file's samples.

    Attributes:
        kind: PCM or FLOAT.
        width: bytes of a sample of one channel.
    """

    kind: int
    channels: int
    rate: int
    width: int


def is_wav(content: bytes) -> bool:
    """Whether bytes begin as a WAV file does."""
    return content[:4] == b"RIFF" and content[8:12] == b"WAVE"


def decoded_wav(content: bytes, where: str, seconds: float = math.inf) -> Wav:
    """The sound in the bytes of a WAV file, or the first `seconds` of it.

    Raises:
        DataError: they are no WAV file, one that is broken, cut off or empty, or of a format that is not read.
    """
    if len(content) > LARGEST_SOUND_BYTES:
        raise DataError(f"{where}: has {len(content):,} bytes, and a sound at most {LARGEST_SOUND_BYTES:,}; cut it")
    if not is_wav(content):
        raise DataError(f"{where}: is not a WAV file; {CONVERT}")
    form, data = _parts_of(content, where)
    frame = form.channels * form.width
    count = len(data) // frame
    if not count:
        raise DataError(f"{where}: holds no sound")
    wanted = min(float(count), math.ceil(seconds * form.rate) if seconds < math.inf else math.inf)
    values = _numbers_of(data[: int(wanted) * frame], form).reshape(-1, form.channels)
    if not np.isfinite(values).all():
        raise DataError(f"{where}: holds NaN or infinity; save it again")
    if np.abs(values).max() > LOUDEST:
        raise DataError(
            f"{where}: holds numbers beyond {LOUDEST:g}, and those of a sound are from -1 to 1; save it again"
        )
    return Wav(form.rate, values.mean(axis=1))


def _parts_of(content: bytes, where: str) -> tuple[_Format, memoryview]:
    """The format, and the bytes of samples."""
    form: _Format | None = None
    for name, claimed, chunk in _chunks(content):
        if name == b"fmt ":
            form = _format_of(bytes(chunk), where)
        elif name == b"data":
            if form is None:
                break
            if claimed != UNTOLD and claimed > len(chunk):
                raise DataError(f"{where}: is cut off: {len(chunk):,} of {claimed:,} bytes of sound are there")
            return form, chunk
    missing = "format" if form is None else "sound"
    raise DataError(f"{where}: the WAV file is broken: it has no {missing}; {CONVERT}")


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, memoryview]]:
    """Name, the length it claims, and what is there of it."""
    place, view = 12, memoryview(content)
    while place + 8 <= len(content):
        name, claimed = struct.unpack_from("<4sI", content, place)
        untold = name == b"data" and claimed == UNTOLD
        yield name, claimed, view[place + 8 :] if untold else view[place + 8 : place + 8 + claimed]
        if untold:
            return
        place += 8 + claimed + claimed % 2


def _format_of(chunk: bytes, where: str) -> _Format:
    broken = DataError(f"{where}: the WAV file is broken: its format makes no sense; {CONVERT}")
    if len(chunk) < 16:
        raise broken
    kind, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", chunk)
    if kind == EXTENSIBLE and len(chunk) >= 40:
        kind = struct.unpack_from("<H", chunk, 24)[0]
    if (kind, bits) not in ((PCM, 8), (PCM, 16), (PCM, 24), (PCM, 32), (FLOAT, 32), (FLOAT, 64)):
        raise DataError(
            f"{where}: is a WAV file of format {kind:#06x} with {bits} bits; PCM of 8, 16, 24 or 32 bits and float of "
            f"32 or 64 are read: {CONVERT}"
        )
    if not channels or block != channels * bits // 8:
        raise broken
    if not SLOWEST_RATE <= rate <= FASTEST_RATE:
        raise DataError(f"{where}: has {rate:,} samples a second; {SLOWEST_RATE:,} to {FASTEST_RATE:,} are read")
    return _Format(kind, channels, rate, bits // 8)


def _numbers_of(data: memoryview, form: _Format) -> NDArray[np.float64]:
    """Bytes of 8 bits are unsigned, all others signed; the least number becomes -1."""
    if form.kind == FLOAT:
        with np.errstate(invalid="ignore"):  # a NaN that signals
            return np.frombuffer(data, f"<f{form.width}").astype(np.float64)
    if form.width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float64) - 128.0) / 128.0
    if form.width == 3:
        filled = np.zeros((len(data) // 3, 4), np.uint8)
        filled[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return filled.reshape(-1).view("<i4") / 2.0**31
    return np.frombuffer(data, f"<i{form.width}") / 2.0 ** (8 * form.width - 1)
