"""Draws recipes/pictures/pipeline.svg: how a recipe or a model becomes a proven bundle, with what is on the shelves.

PYTHONPATH=tests:tests/golden python tests/golden/make_pipeline_picture.py
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from dlkit.datasets import DATASETS
from dlkit.networks import NETWORKS
from dlkit.schemes import SCHEMES
from dlkit.targets import TARGETS

PICTURE = Path(__file__).parents[2] / "recipes" / "pictures" / "pipeline.svg"
WIDTH, HEIGHT = 960, 360
STYLE = """
    .ground { fill: #ffffff; stroke: #d0d7de; }
    .step { fill: #ddf4ff; stroke: #0969da; }
    .thing { fill: #f6f8fa; stroke: #57606a; }
    .shelf { fill: #fff8c5; stroke: #9a6700; }
    .kept { fill: #dafbe1; stroke: #1a7f37; }
    .refused { fill: #ffebe9; stroke: #cf222e; }
    text { fill: #1f2328; font-family: system-ui, "DejaVu Sans", sans-serif; text-anchor: middle; }
    .name { font-size: 15px; font-weight: 600; }
    .note { font-size: 11.5px; }
    .way { fill: none; stroke: #57606a; stroke-width: 1.6; marker-end: url(#tip); }
    .given { fill: none; stroke: #9a6700; stroke-width: 1.3; stroke-dasharray: 4 3; marker-end: url(#given); }
    #tip path { fill: #57606a; }
    #given path { fill: #9a6700; }
    @media (prefers-color-scheme: dark) {
      .ground { fill: #0d1117; stroke: #3d444d; }
      .step { fill: #0c2d6b; stroke: #58a6ff; }
      .thing { fill: #21262d; stroke: #9198a1; }
      .shelf { fill: #3b2e00; stroke: #d29922; }
      .kept { fill: #033a16; stroke: #3fb950; }
      .refused { fill: #67060c; stroke: #f85149; }
      text { fill: #f0f6fc; }
      .way { stroke: #9198a1; }
      .given { stroke: #d29922; }
      #tip path { fill: #9198a1; }
      #given path { fill: #d29922; }
    }
"""


PROOF = (
    "beside the float model, on",
    "held-out data; the scheme",
    "kept; run on the device or",
    "what stands for it here",
)


def box(kind: str, x: int, y: int, width: int, height: int, name: str, *notes: str) -> list[str]:
    """A rounded box around (x, y) with its name and lines below."""
    lines = [f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>']
    top = y + height / 2 - 8 * len(notes) + 5
    lines.append(f'<text class="name" x="{x + width / 2:g}" y="{top:g}">{escape(name)}</text>')
    for number, note in enumerate(notes, 1):
        lines.append(f'<text class="note" x="{x + width / 2:g}" y="{top + 16 * number + 1:g}">{escape(note)}</text>')
    return lines


def way(path: str, kind: str = "way") -> str:
    """An arrow along a path."""
    return f'<path class="{kind}" d="{path}"/>'


def tip(name: str) -> str:
    """The head of an arrow."""
    return (
        f'<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L10 5L0 10z"/></marker>'
    )


def picture() -> str:
    """The whole of it as SVG."""
    parts = [
        *box("shelf", 40, 24, 130, 48, f"{len(NETWORKS)} networks", "plain Keras 3"),
        *box("shelf", 182, 24, 146, 48, f"{len(DATASETS)} kinds of data", "yours among them"),
        *box("shelf", 470, 24, 130, 48, f"{len(SCHEMES)} schemes", "a file's promise"),
        *box("shelf", 664, 24, 130, 48, f"{len(TARGETS)} targets", "facts of a device"),
        *box("thing", 24, 126, 120, 62, "recipe.toml", "everything", "that decides a run"),
        *box("step", 178, 126, 100, 62, "train", "resumable,", "bit for bit"),
        *box("thing", 24, 236, 254, 62, "a model of yours", ".keras  .h5  SavedModel  .tflite", "no code in it is run"),
        *box("step", 326, 176, 118, 62, "convert", "once, to a float", ".tflite file"),
        *box("step", 478, 176, 114, 62, "quantize", "samples of the", "training split"),
        *box("step", 626, 156, 168, 102, "prove", *PROOF),
        *box("kept", 832, 126, 104, 72, "bundle", "proves itself", "where it is used"),
        *box("refused", 832, 220, 104, 62, "refused", "exit code 3,", "nothing written"),
        way("M144 157H176"),
        way("M278 157H300Q310 157 310 167V197Q310 207 320 207H324"),
        way("M278 267H300Q310 267 310 257V217Q310 207 320 207H324"),
        way("M444 207H476"),
        way("M592 207H624"),
        way("M794 190H806Q814 190 814 182V170Q814 162 822 162H830"),
        way("M794 226H806Q814 226 814 234V243Q814 251 822 251H830"),
        way("M105 72V124", "given"),
        way("M228 72V124", "given"),
        way("M535 72V174", "given"),
        way("M729 72V154", "given"),
        '<text class="note" x="480" y="334">each converter in a process of its own; written in one piece; '
        "the recipe, versions and sha256 of every file are kept with it</text>",
    ]  # fmt: skip
    body = "\n  ".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'role="img">\n'
        "  <title>recipe or model → convert → quantize → prove → bundle, or refused</title>\n"
        f"  <style>{STYLE}  </style>\n  <defs>{tip('tip')}{tip('given')}</defs>\n"
        f'  <rect class="ground" x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="12"/>\n'
        f"  {body}\n</svg>\n"
    )


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
