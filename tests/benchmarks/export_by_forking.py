"""An export whose children are forked, beside one whose children are all new.

    python tests/benchmarks/export_by_forking.py [RECIPE] [--rounds N]

Three schemes of a model that the recipe (digits-tiny) trains first, in turn.
"""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from pairing import in_turn
from parts import Part
from processes import DLKIT, PYTHON, ROOT, used_by
from results import Measurement, measurement_of

EXPORT = """
import sys
from dlkit import export_schemes
from dlkit.conversion import starting
starting.FORKS = sys.argv[1] == "forked"
export_schemes({name!r}, ["float32", "dynamic_int8", "int8"], out=sys.argv[2], force=True)
"""


def measure(subject: str, rounds: int) -> list[Measurement]:
    """One recipe."""
    with tempfile.TemporaryDirectory() as models:
        recipe = ROOT / "recipes" / f"{subject}.toml"
        used_by([*DLKIT, "train", str(recipe), "--out", models, "--quiet"], ROOT)
        commands = {way: [*PYTHON, "-c", EXPORT.format(name=subject), way, models] for way in ("forked", "new")}
        run = {way: functools.partial(used_by, command, ROOT, memory=True) for way, command in commands.items()}
        return [measurement_of("forking", f"{subject}, three schemes", *in_turn(run, rounds), ours="forked")]


PART = Part("forking", Path(__file__), ("digits-tiny",), measure, rounds=8, quick=("digits-tiny",))

if __name__ == "__main__":
    PART.main(__doc__)
