"""CPU time of starting dlkit: every --help, every list, beside importing click alone.

    python tests/benchmarks/start_up.py [RUNS]

Each command runs in a fresh interpreter, in turn with `python -c "import click"`; the table shows
the median of user and system milliseconds, and the median of the ratio pair by pair.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

from dlkit.cli import COMMANDS
from dlkit.cli.list import KINDS

BASE = ["-c", "import click"]


def cpu_ms(arguments: list[str]) -> float:
    """User and system time of `python ARGUMENTS`, in milliseconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1e3 * (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def main() -> None:
    """Print the table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    commands = [["--help"], *([name, "--help"] for name in COMMANDS), *(["list", kind] for kind in KINDS)]
    print(f"{'command':<24}{'CPU ms':>8}{'× click':>9}")
    for command in commands:
        pairs = [(cpu_ms(["-m", "dlkit", *command]), cpu_ms(BASE)) for _ in range(runs)]
        median = statistics.median(ours for ours, _ in pairs)
        ratio = statistics.median(ours / base for ours, base in pairs)
        print(f"{'dlkit ' + ' '.join(command):<24}{median:>8.0f}{ratio:>9.2f}")


if __name__ == "__main__":
    main()
