"""Writes the table of searches into its help page: what one found beside the best file of a single scheme.

    PYTHONPATH=tests:tests/tf python tests/golden/make_search_table.py [OUT]

Models are trained in OUT, or taken from there. The single schemes are those that the search tried as they are, each
with every way to choose ranges. Both are chosen by the validation split; of what was found the test split is looked at,
once.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from dlkit.pipeline import train
from dlkit.pipeline.goals import Goals, Prefer, best
from dlkit.pipeline.searching import search
from dlkit.pipeline.trail import Trail, Tried, verdict
from dlkit.quantities import size
from dlkit.recipe import read_recipe
from dlkit.schemes import SCHEMES
from dlkit.trained import is_whole, load_trained

ROOT = Path(__file__).parents[2]
SEARCHES: tuple[tuple[str, float, Prefer, tuple[str, ...]], ...] = (
    ("digits-tiny", 0.005, "size", ()),
    ("digits-gru", 0.005, "size", ()),
    ("vowels-lstm", 0.005, "gzip", ()),
    ("patterns-ds-cnn", 0.003, "size", ("int8", "int8_qat")),
)
"""Recipe, largest drop, what is preferred, the schemes to try; () are all."""


def row(name: str, max_drop: float, prefer: Prefer, schemes: tuple[str, ...], out: Path) -> str:
    """Of one search."""
    recipe = read_recipe(ROOT / "recipes" / f"{name}.toml")
    trained = load_trained(out / name) if is_whole(out / name) else train(recipe, out).trained
    begun = time.monotonic()
    found = search(trained, Goals(max_drop=max_drop, prefer=prefer), schemes, out=out, force=True)
    seconds = time.monotonic() - begun
    assert found.report is not None
    test, trail = found.report.test, found.trail
    chosen = next(tried for tried in trail.tried if tried.candidate == trail.chosen)
    plain = _single(trail)
    within = [tried for tried in plain if verdict(trail.goals, tried) == "within the limits"]
    # Where none is within the limits, the one that loses least.
    single = best(within or plain, lambda tried: tried.measured, prefer if within else "quality")  # type: ignore[arg-type, return-value]
    figures = " | ".join(f"{tried.name}, {_size(tried, prefer)}, {_drop(tried)}" for tried in (single, chosen))
    on_test = f"{test.exported:.4f} ({test.float:.4f})" if test else "-"
    asked = (
        f"{max_drop:g}" + (", by gzip" if prefer == "gzip" else "") + (f", {' or '.join(schemes)}" if schemes else "")
    )
    return f"| {name} | {asked} | {figures} | {on_test} | {len(trail.tried)}, {seconds:.0f} s |"


def _single(trail: Trail) -> list[Tried]:
    """Files of one scheme throughout, not fitted again."""
    return [
        tried
        for tried in trail.tried
        if not (tried.candidate.keep_float or tried.candidate.keep_int8 or SCHEMES[tried.candidate.scheme].preparation)
        and tried.measured is not None
    ]


def _size(tried: Tried, prefer: Prefer) -> str:
    assert tried.measured is not None
    return size(tried.measured.gzip_bytes if prefer == "gzip" else tried.measured.bytes)


def _drop(tried: Tried) -> str:
    assert tried.measured is not None
    return f"{tried.measured.drop:.4f}"


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary)
        rows = []
        for search_for in SEARCHES:
            rows.append(row(*search_for, out))
            print(rows[-1], flush=True)
    page = ROOT / "dlkit" / "help" / "smaller-files.md"
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition("<!-- searches -->\n")
    head, _, after = rest.partition("<!-- end of searches -->")
    kept = "\n".join(head.splitlines()[:2])
    page.write_text(f"{before}<!-- searches -->\n{kept}\n" + "\n".join(rows) + f"\n<!-- end of searches -->{after}")


if __name__ == "__main__":
    main()
