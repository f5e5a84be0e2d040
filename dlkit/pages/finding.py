"""Which bundles are meant, and where a page of several belongs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dlkit.bundle.loading import Bundle, load_bundle


def bundles_of(places: Sequence[Path]) -> list[Bundle]:
    """The bundles at `places`, each once; a folder that is none stands for those in it and in its folders.

    Raises ModelFileError if there is no bundle, or one is not as it was written.
    """
    found: dict[Path, Bundle] = {}
    for place in places:
        for folder in _folders(place):
            found.setdefault(folder.resolve(), load_bundle(folder))
    return list(found.values())


def common_folder(bundles: Sequence[Bundle]) -> Path:
    """The folder that holds all of them, but no bundle's own; this one where only the root of all folders does."""
    shared = Path(os.path.commonpath([bundle.folder.resolve().parent for bundle in bundles]))
    if shared == Path(shared.anchor):
        return Path()
    here = Path.cwd()
    return shared.relative_to(here) if shared.is_relative_to(here) else shared


def _folders(place: Path) -> list[Path]:
    """A bundle itself, or those below it; hidden folders are unfinished ones."""
    if (place / "manifest.json").is_file() or not place.is_dir():
        return [place]
    found = [manifest.parent for pattern in ("*", "*/*") for manifest in place.glob(f"{pattern}/manifest.json")]
    return sorted(f for f in found if not any(p.startswith(".") for p in f.relative_to(place).parts)) or [place]
