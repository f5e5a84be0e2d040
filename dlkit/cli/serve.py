"""dlkit serve"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import click

from dlkit.cli._completing import bundles

PORT = 8000
LOOK_S = 0.25
"""Seconds after which it is looked whether a signal has come."""


@click.command(epilog="More: dlkit help browser")
@click.argument("bundle", type=click.Path(readable=False), metavar="BUNDLE", shell_complete=bundles)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, metavar="N", help="0 takes a free one."
)
@click.option("--open", "shown", is_flag=True, help="Open the page in this machine's browser.")
def command(bundle: str, port: int, shown: bool) -> None:
    """Show the web page of a BUNDLE, on this machine alone.

    Until Ctrl-C; the bundle is one of the target web. The model runs in the browser; nothing is sent anywhere. To
    show it to others, put the bundle's folder web/ on any web server.

    \b
    Example:
      dlkit serve exported/digits/web-int8_float_io
      dlkit serve exported/digits/web-int8_float_io --port 0 --open
    """
    from dlkit.web.serving import Server, content_of, serving, vouched_for

    folder, sha256 = _page_of(bundle)
    server = Server(vouched_for(content_of(folder), sha256), port)
    with contextlib.suppress(KeyboardInterrupt), serving(server) as url:  # Ctrl-C is how it is meant to end
        click.echo(f"{url}  (Ctrl-C ends it)")
        if shown:
            import webbrowser

            webbrowser.open(url)
        _wait()


def _page_of(bundle: str) -> tuple[Path, dict[str, str]]:
    """The folder of a bundle's page, and the sha256 of each file in it. Raises ModelFileError if it has none."""
    from dlkit.bundle.loading import load_bundle
    from dlkit.errors import ModelFileError

    loaded = load_bundle(bundle)
    folder = loaded.folder / "web"
    if "web/index.html" not in loaded.manifest["sha256"]:
        name, target = loaded.manifest["name"], loaded.manifest["target"]
        raise ModelFileError(f"{bundle} is for {target} and has no page; make one: dlkit export {name} --target web")
    return folder, {n.removeprefix("web/"): s for n, s in loaded.manifest["sha256"].items() if n.startswith("web/")}


def _wait() -> None:
    """Until a signal comes.

    In pieces: Python answers a signal between two steps of the main thread, and one that comes when that thread is
    about to wait, or to another thread, does not end the wait.
    """
    while True:
        time.sleep(LOOK_S)
