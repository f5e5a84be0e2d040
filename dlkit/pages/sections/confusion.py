"""What a classifier takes for what: the float model beside the exported file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dlkit.pages.html import Child, Html, element, joined
from dlkit.pages.parts import Cell, Section, box, name, table
from dlkit.pages.reading import Facts
from dlkit.report import Confusion

MOST_CLASSES, MOST_PAIRS = 24, 20
"""Of a matrix that can be read; of more classes the commonest mistakes are listed."""
Counts = Mapping[tuple[int, int], int]


def confusion(facts: Facts) -> Section | None:
    """Matrices of the last split, which is the test split where there is one."""
    labels = facts.bundle.labels
    if not facts.report.confusions or not labels:
        return None
    parts = []
    for found in reversed(facts.report.confusions):
        both = [("float", _counts(found.float, labels)), ("exported", _counts(found.exported, labels))]
        samples = sum(both[1][1].values())
        parts.append(element("h3", f"{name(found.split)}, {samples:,} samples"))
        if len(labels) > MOST_CLASSES:
            parts.append(_mistakes(found, labels))
        else:
            parts.append(element("div", *(_matrix(which, c, labels, found.split) for which, c in both), class_="pair"))
    hint = element("p", "A row is the right class, a column what it was taken for. Mistakes are bold and underlined.",
                   class_="hint") if len(labels) <= MOST_CLASSES else None  # fmt: skip
    return Section("confusion", "What is taken for what", "Confusion", joined(hint, *parts))


def _counts(pairs: Sequence[tuple[int, int, int]], labels: Sequence[str]) -> Counts:
    return {(right, taken): n for right, taken, n in pairs if max(right, taken) < len(labels)}


def _matrix(which: str, counts: Counts, labels: Sequence[str], split: str) -> Html:
    wrong = sum(n for (right, taken), n in counts.items() if right != taken)
    columns = [element("td")] + [element("th", name(label), scope="col") for label in labels]
    rows = []
    for right, label in enumerate(labels):
        total = sum(counts.get((right, taken), 0) for taken in range(len(labels)))
        cells = [_cell(counts.get((right, taken), 0), total, right == taken) for taken in range(len(labels))]
        rows.append(element("tr", element("th", name(label), scope="row"), *cells))
    caption = element("caption", element("strong", which), f": {wrong:,} mistake{'' if wrong == 1 else 's'}")
    whole = element("table", caption, element("thead", element("tr", *columns)), element("tbody", *rows),
                    class_="matrix")  # fmt: skip
    return box(whole, f"Confusion matrix, {which}, {split}")


def _cell(count: int, total: int, right: bool) -> Html:
    if not count:
        return element("td", "0", class_="zero")
    level = min(4, 1 + int(4 * count / total)) if right else min(4, 1 + int(12 * count / total))
    return element("td", f"{count:,}", class_=f"r{level}" if right else f"w{level} wrong")


def _mistakes(found: Confusion, labels: Sequence[str]) -> Html:
    old, new = _counts(found.float, labels), _counts(found.exported, labels)
    pairs = {pair for pair in (*old, *new) if pair[0] != pair[1]}
    if not pairs:
        return element("p", "No mistakes.")
    ordered = sorted(pairs, key=lambda pair: (-new.get(pair, 0), -old.get(pair, 0), pair))[:MOST_PAIRS]
    rows: list[list[Child | Cell]] = [
        [name(labels[r]), name(labels[t]), f"{old.get((r, t), 0):,}", f"{new.get((r, t), 0):,}"] for r, t in ordered
    ]
    caption = f"the commonest of {len(pairs):,} kinds of mistake"
    head = ("right", "taken for", "float", "exported")
    return table(caption, head, rows, numbers=(2, 3), label=f"Mistakes, {found.split}")
