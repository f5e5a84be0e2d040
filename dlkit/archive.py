"""What a zip archive, such as a .keras file, says it holds, and whether it does; how small gzip makes a file."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from pathlib import Path

LARGEST_TO_COMPRESS = 2**26
"""Bytes. At level 9 zlib takes 48 MB of 8-bit weights a second, but 2.3 MB where half of them are 0."""
MOST_TIMES = 100
"""Its size that an honest archive of more than 64 MiB unpacks to."""
CHUNK_BYTES = 2**20
_GZIP_FORMAT = 31
"""zlib's number for a gzip header with a window of 32 KiB."""


def contents_sha256(archive: Path) -> str:
    """sha256 of what a zip archive says it holds: name, size and CRC-32 of each part; "" if it is no archive.

    A .keras file of 553 MB takes half a second to hash, its list of contents a millisecond. What is
    on the list may still be damaged: see `damaged_part`.
    """
    try:
        with zipfile.ZipFile(archive) as parts:
            listed = [(part.filename, part.file_size, part.CRC) for part in parts.infolist()]
    except (OSError, ValueError, zipfile.BadZipFile):
        return ""
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def damaged_part(archive: Path) -> str:
    """The first part of a zip archive that is not what its list of contents says; "" if all are."""
    try:
        with zipfile.ZipFile(archive) as parts:
            size, packed = sum(part.file_size for part in parts.infolist()), archive.stat().st_size
            if size > max(LARGEST_TO_COMPRESS, MOST_TIMES * packed):
                return f"it unpacks to {size:,} bytes"
            return parts.testzip() or ""
    except (OSError, ValueError, NotImplementedError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        return str(error)


def gzip_bytes(file: Path) -> int:
    """The size of a file compressed by gzip at level 9, without a name and a time; 0 for one of more than 64 MiB."""
    if file.stat().st_size > LARGEST_TO_COMPRESS:
        return 0
    compressor = zlib.compressobj(9, zlib.DEFLATED, _GZIP_FORMAT)
    with file.open("rb") as content:
        count = sum(len(compressor.compress(chunk)) for chunk in iter(lambda: content.read(CHUNK_BYTES), b""))
    return count + len(compressor.flush())
