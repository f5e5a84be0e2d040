"""Writes the tables of help pages that say what the code says: the keys of recipes, the public names.

PYTHONPATH=tests python tests/golden/make_help_tables.py
"""

from __future__ import annotations

import re
from pathlib import Path

from help_tables import TABLES

HELP = Path(__file__).parents[2] / "dlkit" / "help"


def main() -> None:
    """Each between its marks."""
    for page, (mark, make) in TABLES.items():
        path = HELP / f"{page}.md"
        begin, end, table = f"<!-- {mark} -->", f"<!-- end of {mark} -->", make()
        source = path.read_text(encoding="utf-8")
        new = re.sub(f"{begin}.*{end}", lambda _: f"{begin}\n{table}\n{end}", source, flags=re.S)  # noqa: B023
        path.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
