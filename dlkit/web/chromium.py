"""Chromium without a window: a browser of the user's, with a profile that goes with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from dlkit import children
from dlkit.errors import ExtraMissing

VARIABLE = "DLKIT_CHROMIUM"
PROGRAMS = ("chromium", "google-chrome", "google-chrome-stable", "chromium-browser", "chrome")
MISSING = (
    f"running a file in a browser needs Chromium or Chrome: apt-get install chromium, or set {VARIABLE} to the program"
)
QUIET = (
    "--headless", "--no-first-run", "--no-default-browser-check", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-quic", "--disable-dev-shm-usage",
    "--password-store=basic", "--use-mock-keychain",
)  # fmt: skip
"""No window, nothing asked of the network, and it stays until it is ended."""
SOFTWARE_GPU = (
    "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan",
    "--use-vulkan=swiftshader", "--ignore-gpu-blocklist",
)  # fmt: skip
"""WebGPU computed on the processor, for machines without a GPU."""
LONGEST_SOCKET_BYTES = 107
"""Of the name of a socket, on Linux."""
OWN_FOLDER = "/proc/self/cwd"
"""Where a process started, to the process itself."""


def find_chromium() -> str:
    """The program. Raises ExtraMissing if there is none."""
    if named := os.environ.get(VARIABLE):
        if found := shutil.which(named):
            return str(Path(found).absolute())  # it starts in a folder of its own
        raise ExtraMissing(f"{VARIABLE} names {named}, which is no program; {MISSING}")
    for program in PROGRAMS:
        if found := shutil.which(program):
            return str(Path(found).absolute())
    raise ExtraMissing(MISSING)


def arguments(*, webgpu: bool = False) -> list[str]:
    """Of its command line, but for profile and page.

    For the administrator it does not start with its sandbox; whoever else runs it keeps that.
    """
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    return [*QUIET, *as_root, *(SOFTWARE_GPU if webgpu else ["--disable-gpu"])]


@contextlib.contextmanager
def chromium(url: str, folder: Path, *, webgpu: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    """A browser that shows `url` as long as the block lasts; its profile and what it says (log.txt) are in `folder`."""
    program = find_chromium()
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            children.bound([program, *arguments(webgpu=webgpu), f"--user-data-dir={folder / 'profile'}", url]),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=folder,
            env=_environment(folder),
        )  # fmt: skip
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with its helpers
        process.wait()


def _environment(folder: Path) -> dict[str, str]:
    """Of the browser, which starts in `folder`: what it puts into the temporary folder, and leaves there, goes into it.

    Where the name of its socket there would be longer than the system allows, it would not start: `folder` then has
    a shorter name, on Linux.
    """
    socket = os.fsencode(folder / "org.chromium.Chromium.XXXXXX" / "SingletonSocket")
    if len(socket) <= LONGEST_SOCKET_BYTES:
        return {**os.environ, "TMPDIR": str(folder)}
    return {**os.environ, **({"TMPDIR": OWN_FOLDER} if Path(OWN_FOLDER).exists() else {})}
