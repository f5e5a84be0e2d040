"""Spoiled models and bundles for what reads them in Python alone, in this process: some hundred a second.

    PYTHONPATH=tests python -m fuzzing.model_readers --count 5000 --seed 0 [--corpus FOLDER]

Each reader may answer or raise an error of ours; anything else is a fault, and so is what takes 10 s, or 2 GiB.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from dlkit.bundle.loading import load_bundle
from dlkit.devices.checking import target_of_bundle
from dlkit.errors import DlkitError
from dlkit.runtime.inspection import inspect_file
from dlkit.runtime.scores import scores_of
from dlkit.runtime.stored_weights import stored_weights
from dlkit.runtime.tensor_names import tensor_names
from dlkit.runtime.weight_statistics import statistics_of
from fuzzing.models import ROOT, Spoil, bundles_in, vouch
from fuzzing.mutations import spoiled_bytes, spoiled_json, spoiled_zip
from fuzzing.tflite import spoiled_tflite

LONGEST_S = 10
MOST_MEMORY_BYTES = 2**31


def inspected(folder: Path) -> None:
    """A model, and all that is read of one that is whole."""
    file = folder / "model.tflite"
    inspect_file(file).as_dict()
    statistics_of(stored_weights(file.read_bytes(), str(file)))
    tensor_names(file)
    scores_of(file)


def loaded(folder: Path) -> None:
    """A bundle, its samples and its target."""
    bundle = load_bundle(folder)
    bundle.own_inputs()
    target_of_bundle(bundle)


READERS: dict[str, tuple[str, Spoil, Callable[[Path], None]]] = {
    "model.tflite": ("model.tflite", spoiled_tflite, inspected),
    "manifest.json": ("manifest.json", spoiled_json, loaded),
    "samples.npz": ("samples.npz", spoiled_zip, loaded),
    "labels.txt": ("labels.txt", spoiled_bytes, loaded),
}


def fault_of(name: str, bundle: Path, copy: Path, seed: str) -> tuple[str, str]:
    """What a reader did with a spoiled file of a copy of `bundle`: "answered", "refused" or "fault", and why that."""
    file, spoil, read = READERS[name]
    (copy / file).write_bytes(spoil(Random(seed), (bundle / file).read_bytes()))
    if file not in ("manifest.json", "model.tflite"):
        shutil.copy(bundle / "manifest.json", copy)
        vouch(copy)
    try:
        with _limited():
            read(copy)
    except DlkitError as error:
        text = str(error)
        return ("fault", f"not a line: {text[:80]!r}") if "\n" in text or not text.strip() else ("refused", "")
    except Exception as error:
        return "fault", f"{type(error).__name__}: {str(error)[:150]}"
    finally:
        shutil.copy(bundle / file, copy / file)
    return "answered", ""


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    def too_long(number: int, frame: object) -> None:
        raise TimeoutError(f"took {LONGEST_S} s")

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(LONGEST_S)
    try:
        yield
    finally:
        signal.alarm(0)


def main() -> int:
    """Try, and print a table. Returns 1 if there is a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="for each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corpus", type=Path, default=ROOT / "exported")
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY_BYTES, resource.RLIM_INFINITY))
    manifests = {bundle: json.loads((bundle / "manifest.json").read_text()) for bundle in bundles_in(given.corpus)}
    bundles = [bundle for bundle, manifest in manifests.items() if manifest["model"] == "model.tflite"]
    start, faults = time.monotonic(), 0
    print(f"{'reader':<16}{'tried':>10}{'answered':>10}{'refused':>10}{'fault':>10}")
    for name in READERS:
        counts: collections.Counter[str] = collections.Counter()
        with tempfile.TemporaryDirectory(prefix="fuzzmodel-") as folder:
            copies = {bundle: Path(folder) / str(number) for number, bundle in enumerate(bundles)}
            for bundle, copy in copies.items():
                shutil.copytree(bundle, copy)
            for number in range(given.count):
                bundle, seed = bundles[number % len(bundles)], f"{given.seed}-{number}"
                kind, why = fault_of(name, bundle, copies[bundle], seed)
                counts[kind] += 1
                if why:
                    print(f"{name} of {bundle.name}, seed {seed}: {why}", flush=True)
        faults += counts["fault"]
        print(
            f"{name:<16}{given.count:>10}{counts['answered']:>10}{counts['refused']:>10}{counts['fault']:>10}",
            flush=True,
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"largest resident memory {peak:.0f} MiB, in all {time.monotonic() - start:.0f} s")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
