"""What a zip archive, such as a .keras file, says it holds, and whether it does."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from pathlib import Path


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
            return parts.testzip() or ""
    except (OSError, ValueError, NotImplementedError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        return str(error)
