"""Writes dlkit/help/benchmarks.md, what `python tests/benchmarks` measured, from tests/benchmarks/results.json.

    python tests/golden/make_speed_page.py

The results are made anew by `python tests/benchmarks --json tests/benchmarks/results.json`.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "benchmarks"))

from results import Results, read_results  # noqa: E402
from speed_tables import latency_table, losses, table_of  # noqa: E402

RESULTS = ROOT / "tests" / "benchmarks" / "results.json"
PAGE = ROOT / "dlkit" / "help" / "benchmarks.md"
HEAD = """# Benchmarks, beside the stock tools

What dlkit takes beside the tools that it stands on or competes with, and where it loses.

```sh
python tests/benchmarks                                  # all of it: hours
python tests/benchmarks --only latency --subject resnet50 --json mine.json
python tests/benchmarks --quick                          # whether all of it works: minutes
```
"""
HOW = """In a clone of the repository, with dlkit's test packages installed. Each thing is done by dlkit and by other
tools in turn (A B B A), commands in processes of their own. A ratio is dlkit's value by the other's of the same round:
the median of the rounds, and in brackets between what the true median lies (at 95 %; of fewer than 6 rounds the least
and the largest). Below 1 dlkit takes less. Beside it the least of each. Time is told by the clock and as what the
processors worked, which other programs on the machine change less. All values: tests/benchmarks/results.json."""
PARTS = {
    "start-up": (
        "Start-up",
        """From the shell to the answer, in a fresh interpreter. The plain script of a prediction is numpy, Pillow and
        LiteRT alone; dlkit also holds the bundle's files against their sha256, and prints a label.""",
    ),
    "build": (
        "Build",
        """`dlkit build` and a script that has keras.applications build the same network and saves it. `beyond the
        import` is without what `import keras` alone took in the same round.""",
    ),
    "train": (
        "Training",
        """The same network, samples, optimizer and epochs. The script fits, measures the test split and saves; dlkit
        also keeps a checkpoint each epoch, so that a stopped training goes on, and writes the history and the confusion
        matrix.""",
    ),
    "export": (
        "Export to int8",
        """With 100 calibration samples. dlkit also proves the file on 25 others and writes the bundle; the script for
        the TensorFlow converter proves nothing. Memory: the most that all processes held at once.""",
    ),
    "variants": (
        "All variants",
        """float32, float16, dynamic_int8, int8 and int16x8 by one command, all of them proven; the TensorFlow converter
        runs once for each.""",
    ),
    "latency": (
        "Latency",
        """One inference on one thread, networks at full size with random weights: the least milliseconds of dlkit's
        file, and ratios of the processors' time to the TensorFlow converter's file in the same LiteRT, and to ONNX
        Runtime and OpenVINO with the float32 model and with the one that ONNX Runtime's static quantization made int8
        (it leaves recurrent layers float).""",
    ),
    "forking": ("Processes", "An export whose children are forked from one that has imported TensorFlow; and all new."),
    "threads": ("A second thread", "dlkit's file on two threads and on one."),
    "folder": ("A folder of images", "A training that reads its images from files, and one that holds them in memory."),
}
WHY = (
    """A plain script imports less: what dlkit adds to click, or to three imports, are its commands and its checks.""",
    """LiteRT has no fast kernel of an int8 LSTM in one operation, which is the smallest file. `--unroll` writes its
    steps out, in a larger one; the column `dlkit --unroll` tells what is lost without.""",
    """In AlexNet and Inception v1 int8 LiteRT's RSQRT, of the response normalisation, takes 92 % and 94 % of the time
    (`dlkit bench --ops`): it has no fast kernel of 8 bits. `dynamic_int8` leaves it in float: 4 ms in place of 53. In
    Xception RELU takes 44 %, where it stands alone, and in Inception v4 AVERAGE_POOL_2D 35 %.""",
    """int16x8 has reference kernels alone: choose it for accuracy, or for a device that has more.""",
    """ONNX Runtime and OpenVINO have kernels of their own: no other file makes those of LiteRT faster.""",
)


def page(results: Results) -> str:
    """The page, whole."""
    facts = results.machine
    packages = ", ".join(f"{name} {version}" for name, version in results.versions.items() if name != "dlkit")
    on = f"{facts['cores']} cores of {facts['cpu']} ({', '.join(facts['instructions'])}), {facts['memory_gb']:.0f} GB"
    measured = f"Measured on {results.date}: {on}, {facts['system']}, while other programs ran. {packages}."
    parts = [HEAD, _filled(HOW), "", _filled(measured)]
    for part, (title, about) in PARTS.items():
        if found := results.of(part):
            table = latency_table(found) if part == "latency" else table_of(found)
            parts += [f"\n## {title}\n", _filled(about), "", table]
    parts += ["\n## Where dlkit loses\n", "Ratios above 1 beyond the noise, by the processors' time or by memory:\n"]
    parts += [f"- {line}" for line in losses(results)]
    parts += ["\nWhat is known of them:\n", *(f"- {_filled(why, 2)}" for why in WHY)]
    return "\n".join(parts) + "\n"


def _filled(text: str, indent: int = 0) -> str:
    """One paragraph of lines of at most 120 characters."""
    words = " ".join(text.split())
    return textwrap.fill(words, 120 - indent, subsequent_indent=" " * indent, break_on_hyphens=False)


def main() -> None:
    PAGE.write_text(page(read_results(RESULTS)), encoding="utf-8")


if __name__ == "__main__":
    main()
