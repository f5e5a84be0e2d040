"""Writes the table of networks × targets into its help page, from runs of every cell on this machine.

PYTHONPATH=tests:tests/tf python tests/golden/make_target_table.py
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import keras
from target_matrix import NETWORKS_TRIED, Cell, Files, tried

from dlkit.errors import ExtraMissing
from dlkit.targets import TARGETS

PAGE = Path(__file__).parents[2] / "dlkit" / "help" / "targets.md"


def told(cell: Cell) -> str:
    """A cell in a few words."""
    if cell.refused:
        return f"{cell.scheme}: no ({_short(cell.refused)})"
    if not cell.run:
        return f"{cell.scheme}: proven"
    if cell.steps is not None:
        return f"{cell.scheme}: {'exact' if cell.steps < 0.01 else _steps(round(cell.steps))}"
    return f"{cell.scheme}: {cell.gap:.0e}" if cell.gap else f"{cell.scheme}: exact"


def _steps(count: int) -> str:
    return f"{count} step" if count == 1 else f"{count} steps"


def _short(reason: str) -> str:
    return re.split(r"[;(]", reason)[0].strip()[:60]


def rows() -> list[str]:
    """A row for each target."""
    table: dict[str, list[str]] = {name: [] for name in TARGETS}
    for network in NETWORKS_TRIED:
        keras.backend.clear_session()
        with tempfile.TemporaryDirectory() as folder:
            files = Files(network, Path(folder))
            for target, cells in table.items():
                try:
                    cells.append(told(tried(files, target)))
                except ExtraMissing as error:
                    cells.append(f"not measured ({error})")
                print(f"{network} on {target}: {cells[-1]}", flush=True)
    return [f"| {name} | {' | '.join(cells)} |" for name, cells in table.items()]


def main() -> None:
    """Put the table between its marks."""
    head = f"| target | {' | '.join(NETWORKS_TRIED.values())} |"
    lines = [head, "| --- " * (len(NETWORKS_TRIED) + 1) + "|", *rows()]
    text, marks = PAGE.read_text(encoding="utf-8"), ("<!-- targets -->", "<!-- /targets -->")
    before, rest = text.split(marks[0])
    PAGE.write_text(f"{before}{marks[0]}\n" + "\n".join(lines) + f"\n{marks[1]}{rest.split(marks[1])[1]}", "utf-8")


if __name__ == "__main__":
    main()
