"""What a page may load and run: only what lies beside it, and WebAssembly."""

from __future__ import annotations

import base64
import hashlib
import json

IMPORT_MAP = json.dumps(
    {"imports": {"@litertjs/core": "./litert/core.js", "@litertjs/wasm-utils": "./litert/wasm-utils.js"}},
    separators=(",", ":"),
)
"""Where the modules of LiteRT.js are, by the names under which they import one another. Browsers take it only inside
the page itself, so the policy names its sha256: no other script in the page's text runs."""
_DIGEST = base64.b64encode(hashlib.sha256(IMPORT_MAP.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        f"script-src 'self' 'wasm-unsafe-eval' 'sha256-{_DIGEST}'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)
