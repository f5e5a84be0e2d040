"""Write operations.json anew: the operations in the files of every network, small.

    PYTHONPATH=tests:tests/tf python tests/golden/make_operations.py [NETWORK...]

Look at the difference before you commit it: it is what every device will have to run.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from shelf import converted, golden_operations, lively

from dlkit.networks import NETWORKS

OUT = Path(__file__).with_name("operations.json")


def main(names: list[str]) -> None:
    """Convert the networks named, or all that are not written down yet."""
    table = {name: ops for name, ops in golden_operations().items() if name in NETWORKS} if OUT.exists() else {}
    for name in names or [name for name in NETWORKS if name not in table]:
        network = NETWORKS[name]
        with tempfile.TemporaryDirectory() as folder:
            table[name] = converted(network, lively(network, **network.small), Path(folder)).operations
        print(name, table[name])
    lines = [f"{json.dumps(name)}: {json.dumps(table[name])}" for name in sorted(table)]
    OUT.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
