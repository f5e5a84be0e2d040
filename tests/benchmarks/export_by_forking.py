"""An export whose children are forked, beside one whose children are all new.

    python tests/benchmarks/export_by_forking.py [ROUNDS]

Three schemes of digits-tiny, by turns (8 rounds unless said otherwise), of the model that the recipe trains.
Prints the median of the seconds by the clock and of the processor, and of the paired ratios.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXPORT = """
import sys
from dlkit import export_schemes
from dlkit.conversion import starting
starting.FORKS = sys.argv[1] == "forked"
export_schemes("digits-tiny", ["float32", "dynamic_int8", "int8"], out=sys.argv[2], force=True)
"""


def seconds(how: str, models: str) -> tuple[float, float]:
    """By the clock, and of the processor with all children."""
    before, start = os.times(), time.perf_counter()
    subprocess.run([sys.executable, "-c", EXPORT, how, models], check=True, cwd=ROOT)
    clock, after = time.perf_counter() - start, os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return clock, used


def main(rounds: int) -> None:
    """Measure by turns."""
    with tempfile.TemporaryDirectory() as models:
        recipe = ROOT / "recipes" / "digits-tiny.toml"
        command = [sys.executable, "-m", "dlkit", "train", str(recipe), "--out", models, "--quiet"]
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        pairs = [[seconds(how, models) for how in ("forked", "new")] for _ in range(rounds)]
    for number, what in enumerate(("clock", "processor")):
        forked, new = ([pair[side][number] for pair in pairs] for side in (0, 1))
        ratio = statistics.median(a / b for a, b in zip(forked, new, strict=True))
        print(f"{what:<10}{statistics.median(forked):6.1f} s forked {statistics.median(new):6.1f} s new   {ratio:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8)
