"""predict.py of a bundle: the modules `dlkit predict` itself runs on, in one file.

The runner is not a second implementation: the source of each module below is copied, without its
imports of the others. A test runs the result where there is no dlkit.
"""

from __future__ import annotations

import ast
import functools
from importlib.resources import files
from typing import TypeGuard

# In the order in which they build on each other.
MODULES = (
    "errors",
    "filing",
    "digest",
    "extras",
    "noise",
    "metrics",
    "runtime/dtypes",
    "runtime/named_ends",
    "runtime/limits",
    "runtime/forked",
    "runtime/local",
    "runtime/litert",
    "runtime/streaming",
    "runtime/saved_model",
    "runtime/served",
    "runtime/arrays",
    "runtime/front_end",
    "runtime/wav",
    "runtime/resampling",
    "runtime/spectra",
    "runtime/preprocessing",
    "runtime/inputs",
    "runtime/pictures",
    "runtime/conditions",
    "bundle/loading",
    "bundle/answers",
    "bundle/making",
    "bundle/runner",
)

HEAD = '''#!/usr/bin/env python3
"""Run this bundle on a device: needs numpy and ai-edge-litert (and Pillow for images), not dlkit; a model
for servers needs tensorflow or onnxruntime in place of ai-edge-litert.

    python predict.py INPUT...   label images, WAV, .npy, .npz or .csv files, folders, or - for standard input
    python predict.py            of a generator: a picture of what it makes of noise
    python predict.py --check    prove that the model runs here as it did where it was made

Made by dlkit from its own modules; edit those, not this.
"""

from __future__ import annotations
'''


@functools.cache
def flattened_runner() -> str:
    """The source of predict.py."""
    imports: set[str] = set()
    for_types: set[str] = set()
    bodies = []
    for name in MODULES:
        source = files("dlkit").joinpath(f"{name}.py").read_text(encoding="utf-8")
        tree = ast.parse(source)
        imports |= _foreign(tree.body)
        for_types |= {line for node in tree.body if _is_for_types(node) for line in _foreign(node.body)}
        bodies.append(f"# --- {name} ---\n\n{_body(source, tree)}\n")
    plain = sorted(line for line in imports if line.startswith("import "))
    named = sorted(imports.difference(plain))
    guarded = ["", "if TYPE_CHECKING:", *(f"    {line}" for line in sorted(for_types))]
    return "\n".join([HEAD, *plain, *named, *guarded, "", "", "\n\n".join(bodies)])


def _foreign(nodes: list[ast.stmt]) -> set[str]:
    """The imports among `nodes` but for those of dlkit, whose text is in the file already."""
    own = {"dlkit", "__future__"}
    return {
        ast.unparse(node)
        for node in nodes
        if isinstance(node, ast.Import)
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] not in own)
    }


def _is_for_types(node: ast.stmt) -> TypeGuard[ast.If]:
    """`if TYPE_CHECKING:`"""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _body(source: str, tree: ast.Module) -> str:
    """The module's text without its docstring and its imports."""
    dropped: set[int] = set()
    for node in tree.body:
        is_docstring = node is tree.body[0] and isinstance(node, ast.Expr)
        if is_docstring or isinstance(node, (ast.Import, ast.ImportFrom)) or _is_for_types(node):
            dropped |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = [line for number, line in enumerate(source.splitlines(), start=1) if number not in dropped]
    return "\n".join(lines).strip()
