"""The page of a bundle: plain HTML, CSS and JavaScript without a build step."""

from __future__ import annotations

from importlib.resources import files as resources

from dlkit.web.policy import CONTENT_SECURITY_POLICY, IMPORT_MAP

SUFFIXES = (".html", ".css", ".js", ".svg")


def files() -> dict[str, bytes]:
    """Path → content of all that belongs to the page but LiteRT.js, the model and what is said of it."""
    found = {
        path.name: path.read_bytes() for path in resources("dlkit.web.page").iterdir() if path.name.endswith(SUFFIXES)
    }
    whole = found["index.html"].decode().replace("@POLICY@", CONTENT_SECURITY_POLICY)
    found["index.html"] = whole.replace("@IMPORT_MAP@", IMPORT_MAP).encode()
    return dict(sorted(found.items()))
