"""A part of the benchmarks: a script of its own, and something that the one command runs, subject by subject."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path

from processes import end_as_by_ctrl_c
from results import Measurement, new_results, write_results
from speed_tables import table_of


@dataclasses.dataclass(frozen=True)
class Part:
    """What one script measures.

    Attributes:
        name: as typed after --only.
        script: its file.
        subjects: what it can do one at a time; all of them unless some are named.
        measure: a subject and the number of rounds → what was found.
        rounds: as many as it does unless told otherwise.
        quick: the subjects that --quick takes, in one round.
        limit_s: after which a subject is given up.
    """

    name: str
    script: Path
    subjects: tuple[str, ...]
    measure: Callable[[str, int], list[Measurement]]
    rounds: int
    quick: tuple[str, ...]
    limit_s: float = 1800

    def main(self, about: str | None) -> None:
        """The script alone: measure the subjects named, print the table."""
        parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=f"of {', '.join(self.subjects)}")
        parser.add_argument("--rounds", type=int, default=self.rounds, help="[default: %(default)s]")
        parser.add_argument("--json", type=Path, help="write the results to this file too")
        given = parser.parse_args()
        end_as_by_ctrl_c()
        found: list[Measurement] = []
        for subject in given.subjects or self.subjects:
            found += self.measure(subject, given.rounds)
        if given.json:
            write_results(given.json, new_results().with_these(found))
        print(table_of(found))
