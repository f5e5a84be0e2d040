"""Writes the table of anomaly detectors into its help page: recipes/digits-anomaly.toml, each digit the normal one.

    python tests/golden/make_anomaly_table.py

Areas under the ROC curve on the test split, of the float model and of the int8 file; what the file's threshold does.
"""

from __future__ import annotations

import re
import statistics
import tempfile
import time
from pathlib import Path

from dlkit.pipeline import run
from dlkit.recipe import read_recipe

ROOT = Path(__file__).parents[2]
HEAD = "| normal | float, validation | float | int8 | false alarms | found |\n| --- | --- | --- | --- | --- | --- |"


def measured(digit: int) -> tuple[float, ...]:
    """One detector: areas of the float model on validation and test and of the file on test, false alarms, found."""
    recipe = read_recipe(ROOT / "recipes" / "digits-anomaly.toml", [f"anomaly.normal={digit}"])
    with tempfile.TemporaryDirectory() as folder:
        result, _, report = run(recipe, Path(folder))
    assert report.test is not None
    assert report.detection is not None
    found = report.detection
    return result.validation.value, result.test.value, report.test.exported, found.false_alarms, found.found


def main() -> None:
    """A row for each digit and one of means, between the marks."""
    rows, lines = [], []
    for digit in range(10):
        start = time.perf_counter()
        rows.append(measured(digit))
        lines.append(f"| {digit} | " + " | ".join(f"{value:.4f}" for value in rows[-1]) + " |")
        print(lines[-1], f" {time.perf_counter() - start:.0f} s", flush=True)
    means = [statistics.mean(column) for column in zip(*rows, strict=True)]
    lines.append("| mean | " + " | ".join(f"{value:.4f}" for value in means) + " |")
    print(lines[-1])
    page = ROOT / "dlkit" / "help" / "anomaly.md"
    table = "\n".join([HEAD, *lines])
    begin, end = "<!-- anomalies -->", "<!-- end of anomalies -->"
    text = page.read_text(encoding="utf-8")
    page.write_text(re.sub(f"{begin}.*{end}", f"{begin}\n{table}\n{end}", text, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    main()
