"""predict.py of a bundle: the modules `dlkit predict` itself runs on, in one file.

The runner is not a second implementation: the source of each module below is copied, without its
imports of the others. A test runs the result where there is no dlkit.
"""

from __future__ import annotations

import ast
from importlib.resources import files

# In the order in which they build on each other.
MODULES = (
    "errors",
    "filing",
    "digest",
    "extras",
    "noise",
    "runtime/dtypes",
    "runtime/litert",
    "runtime/arrays",
    "runtime/preprocessing",
    "runtime/inputs",
    "bundle/loading",
    "bundle/runner",
)

HEAD = '''#!/usr/bin/env python3
"""Run this bundle on a device: needs numpy and ai-edge-litert (and Pillow for images), not dlkit.

    python predict.py INPUT...   label images, .npy or .csv files, folders, or - for standard input
    python predict.py --check    prove that the model runs here as it did where it was made

Made by dlkit from its own modules; edit those, not this.
"""

from __future__ import annotations
'''


def flattened_runner() -> str:
    """The source of predict.py."""
    imports: dict[str, None] = {}
    bodies = []
    for name in MODULES:
        source = files("dlkit").joinpath(f"{name}.py").read_text(encoding="utf-8")
        own_imports, body = _without_imports(source)
        imports |= dict.fromkeys(own_imports)
        bodies.append(f"# --- {name} ---\n\n{body.strip()}\n")
    plain = sorted(line for line in imports if line.startswith("import "))
    named = sorted(line for line in imports if line.startswith("from "))
    return "\n".join([HEAD, *plain, *named, "", "", "\n\n".join(bodies)])


def _without_imports(source: str) -> tuple[list[str], str]:
    """(top-level imports of other packages, the module's text without docstring and imports)."""
    tree = ast.parse(source)
    imports: list[str] = []
    dropped: set[int] = set()
    for node in tree.body:
        is_docstring = node is tree.body[0] and isinstance(node, ast.Expr)
        is_import = isinstance(node, (ast.Import, ast.ImportFrom))
        # `if TYPE_CHECKING:` holds only imports; annotations are never evaluated.
        is_typing = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        if is_docstring or is_import or is_typing:
            dropped |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        if is_import and not _is_own(node):
            imports.append(ast.unparse(node))
    lines = [line for number, line in enumerate(source.splitlines(), start=1) if number not in dropped]
    return imports, "\n".join(lines)


def _is_own(node: ast.stmt) -> bool:
    """Imports from dlkit (they are in the file already), and those a runner does not need."""
    return isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in {"dlkit", "__future__"}
