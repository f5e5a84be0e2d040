"""LiteRT.js: the npm package whose WebAssembly runs .tflite files in a browser. Found, never installed for the user."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from dlkit.errors import ExtraMissing
from dlkit.filing import read_file

CORE, UTILITIES = "@litertjs/core", "@litertjs/wasm-utils"
VERSION = "2.5.3"
"""That dlkit was measured with; its modules and builds are called as in this one."""
MISSING = (
    f"running a file in a browser needs LiteRT.js {VERSION}: npm install {CORE}@{VERSION} "
    "(looked for in node_modules here and above, and in NODE_PATH)"
)
LARGEST_BYTES = 2**26
FILES = {
    "litert/core.js": (CORE, "dist/index.js"),
    "litert/wasm-utils.js": (UTILITIES, "dist/bundle.js"),
    "litert/wasm/litert_wasm_internal.js": (CORE, "wasm/litert_wasm_internal.js"),
    "litert/wasm/litert_wasm_internal.wasm": (CORE, "wasm/litert_wasm_internal.wasm"),
    # Of browsers without relaxed SIMD; a browser loads one of the two.
    "litert/wasm/litert_wasm_compat_internal.js": (CORE, "wasm/litert_wasm_compat_internal.js"),
    "litert/wasm/litert_wasm_compat_internal.wasm": (CORE, "wasm/litert_wasm_compat_internal.wasm"),
}
"""Path beside a page → npm package and path in it."""


def litert_js() -> dict[str, bytes]:
    """The files of LiteRT.js that a page needs, by their paths beside it, with their licence.

    Raises ExtraMissing, with the npm line, if they are not there in that version.
    """
    for folder in _node_modules():
        if _version(folder) == VERSION:
            break
    else:
        raise ExtraMissing(MISSING)
    try:
        files = {path: read_file(folder / package / inside, LARGEST_BYTES) for path, (package, inside) in FILES.items()}
    except OSError as error:
        raise ExtraMissing(f"{folder / CORE} is not whole ({error.strerror}): npm install {CORE}@{VERSION}") from None
    # The packages' own source maps are left out, and a browser asked for them would complain.
    return files | {"litert/LICENSE.txt": read_file(Path(__file__).parent / "LICENSE-litert.txt", LARGEST_BYTES)}


def _node_modules() -> Iterator[Path]:
    """Where Node.js would look: node_modules here and above, then NODE_PATH."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        yield folder / "node_modules"
    for place in filter(None, os.environ.get("NODE_PATH", "").split(os.pathsep)):
        yield Path(place)


def _version(folder: Path) -> str:
    try:
        return str(json.loads(read_file(folder / CORE / "package.json", LARGEST_BYTES))["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
