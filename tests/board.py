"""A device of one's own, as a file of facts."""

from __future__ import annotations

from pathlib import Path

BOARD = """
name = "my-board"
summary = "a board of one's own"
runtime = "litert"
schemes = ["int8"]
source = "its data sheet"
"""


def write_board(folder: Path, **facts: object) -> Path:
    """board.toml in `folder`, with facts put in place of those above."""
    table = dict(line.split(" = ", 1) for line in BOARD.strip().splitlines())
    for key, value in facts.items():
        table[key] = f'"{value}"' if isinstance(value, str) else str(value).replace("'", '"')
    path = folder / "board.toml"
    path.write_text("".join(f"{key} = {value}\n" for key, value in table.items()), encoding="utf-8")
    return path
