"""All benchmarks, beside the stock tools on this machine, by one command.

    python tests/benchmarks [--only PART]... [--json FILE [--keep]] [--quick]

Each subject of each part (the scripts beside this file, which run alone too) is measured by a process of its own with
a time limit: what hangs or crashes is told, and the others go on. What is compared runs in turn, A B B A, and ratios
are of pairs. Prints tables in Markdown, and at the end what dlkit loses. With --json all raw values are written, after
each subject; with --keep what FILE holds of other subjects stays.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import build_beside_keras
import export_beside_stock
import export_by_forking
import latency_beside_stock
import latency_by_threads
import start_up
import train_beside_keras
import train_on_a_folder
import variants_beside_stock
from pairing import Failed
from parts import Part
from processes import PYTHON, ROOT, end_as_by_ctrl_c, used_by
from results import Measurement, Results, new_results, read_results, write_results
from speed_tables import latency_table, losses, table_of

PARTS = {
    module.PART.name: module.PART
    for module in (
        start_up,
        build_beside_keras,
        train_beside_keras,
        export_beside_stock,
        variants_beside_stock,
        latency_beside_stock,
        export_by_forking,
        latency_by_threads,
        train_on_a_folder,
    )
}


def measured(part: Part, subject: str, rounds: int) -> list[Measurement]:
    """By a process of its own. Raises Failed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "results.json"
        words = [str(part.script), subject, "--rounds", str(rounds), "--json", str(file)]
        used_by([*PYTHON, *words], ROOT, part.limit_s)
        return list(read_results(file).measurements)


def results_to_begin_with(file: Path | None, keep: bool) -> Results:
    """Those of the file, if they are to be kept and were made on a machine like this one, with the same versions."""
    fresh = new_results()
    if not (keep and file and file.exists()):
        return fresh
    before = read_results(file)
    if (before.machine, before.versions) != (fresh.machine, fresh.versions):
        raise SystemExit(f"{file} is of another machine or other versions; leave out --keep, or name another file")
    return Results(fresh.date, fresh.machine, fresh.versions, before.measurements)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(
        prog="python tests/benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; may be repeated")
    parser.add_argument("--subject", action="append", help="of the parts only this; may be repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    parser.add_argument("--keep", action="store_true", help="keep what FILE holds of other subjects")
    parser.add_argument("--rounds", type=int, metavar="N", help="of every subject  [default: as many as its part does]")
    parser.add_argument("--quick", action="store_true", help="few subjects, one round: whether all works")
    given = parser.parse_args()
    end_as_by_ctrl_c()
    results = results_to_begin_with(given.json, given.keep)
    for part in (PARTS[name] for name in given.only or PARTS):
        subjects = part.quick if given.quick else part.subjects
        for subject in [name for name in given.subject or subjects if name in subjects or given.subject]:
            print(f"{part.name}: {subject} …", file=sys.stderr, flush=True)
            rounds = given.rounds or (1 if given.quick else part.rounds)
            try:
                results = results.with_these(measured(part, subject, rounds))
            except Failed as error:
                print(f"{part.name}: {subject} {error}", file=sys.stderr, flush=True)
                continue
            if given.json:
                write_results(given.json, results)
    for part in PARTS.values():
        if found := results.of(part.name):
            print(f"\n## {part.name}\n\n{(latency_table if part is latency_beside_stock.PART else table_of)(found)}")
    lost = losses(results)
    print("\n## Where dlkit loses\n\n" + ("\n".join(f"- {line}" for line in lost) or "Nowhere."))


if __name__ == "__main__":
    main()
