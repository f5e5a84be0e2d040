"""Where pages are written: beside the files of a bundle, which do not know of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dlkit.bundle.loading import Bundle
from dlkit.devices.checking import target_of_bundle
from dlkit.errors import OutputError
from dlkit.pages import latency
from dlkit.pages.latency import Latencies, measure_latencies
from dlkit.pages.page import MARK
from dlkit.pages.reading import facts_of
from dlkit.pages.report_page import report_page
from dlkit.progress import Progress
from dlkit.writing import explained, write_bytes

NAME = "report.html"
RUNS, LONGEST_S = 1000, 0.15
"""What an export takes for it: as many inferences as there is time for."""
HEAD_BYTES = 2**12


def page_maker(progress: Progress) -> Callable[[Bundle, Path], None]:
    """What writes the page of a new bundle, before the bundle is in its place; see `bundle.writing.Page`."""

    def write(bundle: Bundle, folder: Path) -> None:
        with progress.step("Writing its page"):
            write_page(bundle, latencies_at_once(bundle), shown=folder)

    return write


def latencies_at_once(bundle: Bundle) -> Latencies:
    """What can be measured in a moment: not what first has to load TensorFlow, or a program for a GPU."""
    if bundle.model.is_dir() or is_for_gpu(bundle):
        return Latencies((), "an export does not wait for it; dlkit report measures it")
    return measure_latencies(bundle, RUNS, LONGEST_S)


def write_page(bundle: Bundle, latencies: Latencies, shown: Path | None = None) -> Path:
    """Write report.html and latency.json into the bundle's folder.

    Args:
        shown: the folder that the page speaks of, where it is not yet the bundle's.

    Raises:
        ModelFileError: the bundle's report or samples are not what they should be.
        OutputError: a file cannot be written.
    """
    refuse_listed(bundle)
    content = page_of(bundle, latencies, shown)
    write_bytes(bundle.folder / latency.NAME, latency.as_json(latencies), "--output FILE")
    write_bytes(bundle.folder / NAME, content, "--output FILE")
    return bundle.folder / NAME


def page_of(bundle: Bundle, latencies: Latencies, shown: Path | None = None) -> bytes:
    """The content of the page of a bundle. Raises ModelFileError as `write_page` does."""
    return report_page(facts_of(bundle, latencies, shown.name if shown else ""))


def refuse_listed(bundle: Bundle) -> None:
    """Raise OutputError if the bundle's manifest vouches for a page: a new one would make it another bundle."""
    for name in (latency.NAME, NAME):
        if name in bundle.manifest["sha256"]:
            raise OutputError(f"{bundle.folder}: its manifest vouches for {name}; write the page with --output FILE")


def refuse_foreign(file: Path) -> None:
    """Raise OutputError if there is a file that is no page of ours: a user's own is not written over."""
    with explained(file, "--output FILE"):
        if not file.exists():
            return
        if file.is_dir():
            raise OutputError(f"{file} is a folder; name the file in it with --output FILE")
        with file.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    if MARK not in head:
        raise OutputError(f"{file} is no page of dlkit and is not replaced; choose another place with --output FILE")


def is_for_gpu(bundle: Bundle) -> bool:
    """Whether the bundle's target is this machine's GPU."""
    return target_of_bundle(bundle).runtime == "litert_gpu"
