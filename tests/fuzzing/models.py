"""Spoiled models and bundles, by the thousand, for every command that opens one.

    PYTHONPATH=tests python -m fuzzing.models --count 10000 --seed 0 [--corpus FOLDER] [--only READER] [--keep FOLDER]

Each command runs in a process of its own, forked from one that has imported what commands need. It may answer (exit
code 0), refuse (1, or 3 where a device or a check says no), with one line on stderr and nothing else; anything else is
a fault: a traceback, a signal, too long, too much memory. What led to it is kept and told with its seed. The corpus is
a folder with bundles at any depth; without one it is the bundle that comes with dlkit.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import io
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from fuzzing.mutations import spoiled_bytes, spoiled_json, spoiled_zip
from fuzzing.tflite import spoiled_tflite

ROOT = Path(__file__).parents[2]
LONGEST_S = 60.0
"""For a command; an inference may take `INFERENCE_S`."""
INFERENCE_S = 5.0
MOST_MEMORY_BYTES = 3 * 2**30
"""Resident, of a command or of what it started, more than what it was forked from."""
Spoil = Callable[[Random, bytes], bytes]


@dataclasses.dataclass(frozen=True)
class Reader:
    """A command, and the file of a bundle that is spoiled before it runs.

    Attributes:
        arguments: of the command; BUNDLE, MODEL, SAMPLE, SAMPLES and OUT stand for paths.
        file: that is spoiled.
        spoil: how.
        suits: whether a bundle, told by its manifest, has to do with it.
        weight: how often it runs, beside others.
    """

    name: str
    arguments: tuple[str, ...]
    file: str
    spoil: Spoil
    suits: Callable[[dict], bool] = lambda manifest: manifest["model"] == "model.tflite"
    weight: float = 1.0


def _of(format_: str) -> Callable[[dict], bool]:
    return lambda manifest: manifest["model"] == format_


def _labelled(manifest: dict) -> bool:
    return manifest["model"] == "model.tflite" and "tiny" in manifest["name"]


def _streaming(manifest: dict) -> bool:
    return bool(manifest.get("streaming"))


def _any(manifest: dict) -> bool:
    return True


def _web(manifest: dict) -> bool:
    return manifest["target"] == "web"


READERS = (
    Reader("inspect", ("inspect", "MODEL"), "model.tflite", spoiled_tflite, weight=3),
    Reader("inspect --json", ("inspect", "BUNDLE", "--json"), "model.tflite", spoiled_tflite),
    Reader("inspect --arena", ("inspect", "MODEL", "--arena"), "model.tflite", spoiled_tflite, weight=0.15),
    Reader("check cpu", ("check", "MODEL", "--target", "cpu"), "model.tflite", spoiled_tflite),
    Reader("check cortex-m4", ("check", "MODEL", "--target", "cortex-m4"), "model.tflite", spoiled_tflite, weight=0.15),
    Reader("check gpu", ("check", "MODEL", "--target", "gpu"), "model.tflite", spoiled_tflite, weight=0.1),
    Reader("check web", ("check", "MODEL", "--target", "web"), "model.tflite", spoiled_tflite, weight=0.1),
    Reader("check edgetpu", ("check", "MODEL", "--target", "edgetpu"), "model.tflite", spoiled_tflite),
    Reader("check ethos-u55", ("check", "MODEL", "--target", "ethos-u55"), "model.tflite", spoiled_tflite, weight=0.15),
    Reader("predict", ("predict", "BUNDLE", "SAMPLE"), "model.tflite", spoiled_tflite, weight=3),
    Reader("predict --check", ("predict", "BUNDLE", "--check"), "model.tflite", spoiled_tflite),
    Reader("predict --stream", ("predict", "BUNDLE", "SAMPLE", "--stream"), "step.tflite", spoiled_tflite, _streaming),
    Reader("evaluate", ("evaluate", "BUNDLE", "-q"), "model.tflite", spoiled_tflite, _labelled, 0.3),
    Reader("bench", ("bench", "MODEL", "--runs", "2", "-q"), "model.tflite", spoiled_tflite, weight=0.3),
    Reader("bench --ops", ("bench", "MODEL", "--runs", "2", "-q", "--ops"), "model.tflite", spoiled_tflite, weight=0.2),
    Reader("manifest: predict", ("predict", "BUNDLE", "SAMPLE"), "manifest.json", spoiled_json, _any, 3),
    Reader("manifest: --check", ("predict", "BUNDLE", "--check"), "manifest.json", spoiled_json),
    Reader("manifest: --stream", ("predict", "BUNDLE", "SAMPLE", "--stream"), "manifest.json", spoiled_json,
           _streaming),
    Reader("manifest: evaluate", ("evaluate", "BUNDLE", "-q"), "manifest.json", spoiled_json, _labelled, 0.5),
    Reader("manifest: bench", ("bench", "BUNDLE", "--runs", "2", "-q"), "manifest.json", spoiled_json, weight=0.3),
    Reader("manifest: inspect", ("inspect", "BUNDLE"), "manifest.json", spoiled_json),
    Reader("manifest: check", ("check", "BUNDLE", "--target", "cpu"), "manifest.json", spoiled_json),
    Reader("manifest: serve", ("serve", "BUNDLE", "--port", "0"), "manifest.json", spoiled_json, _web, 0.5),
    Reader("reference: evaluate", ("evaluate", "BUNDLE", "-q"), "reference.json", spoiled_json, _labelled, 0.5),
    Reader("report", ("report", "BUNDLE", "--runs", "2", "-q"), "model.tflite", spoiled_tflite, weight=0.3),
    Reader("manifest: report", ("report", "BUNDLE", "--runs", "2", "-q"), "manifest.json", spoiled_json, weight=0.3),
    Reader("reference: report", ("report", "BUNDLE", "--runs", "2", "-q"), "reference.json", spoiled_json, weight=0.2),
    Reader("report.json: report", ("report", "BUNDLE", "--runs", "2", "-q"), "report.json", spoiled_json, weight=0.4),
    Reader("latency: report", ("report", "BUNDLE", "--runs", "2", "-q"), "latency.json", spoiled_json, weight=0.1),
    Reader("history: report", ("report", "BUNDLE", "--runs", "2", "-q"), "history.csv", spoiled_bytes, weight=0.3),
    Reader("samples: --check", ("predict", "BUNDLE", "--check"), "samples.npz", spoiled_zip, weight=2),
    Reader("labels: predict", ("predict", "BUNDLE", "SAMPLE"), "labels.txt", spoiled_bytes),
    Reader("onnx: predict", ("predict", "BUNDLE", "SAMPLE"), "model.onnx", spoiled_bytes, _of("model.onnx"), 0.3),
    Reader("onnx: check", ("check", "MODEL", "--target", "server"), "model.onnx", spoiled_bytes, _of("model.onnx"),
           0.2),
    Reader("onnx: bench", ("bench", "MODEL", "--runs", "2", "-q"), "model.onnx", spoiled_bytes, _of("model.onnx"), 0.1),
    Reader("saved model: predict", ("predict", "BUNDLE", "SAMPLE"), "saved_model/saved_model.pb", spoiled_bytes,
           _of("saved_model"), 0.05),
    Reader("saved model: check", ("check", "MODEL", "--target", "server"), "saved_model/variables/variables.index",
           spoiled_bytes, _of("saved_model"), 0.05),
    Reader("saved model: values", ("predict", "BUNDLE", "SAMPLE"),
           "saved_model/variables/variables.data-00000-of-00001", spoiled_bytes, _of("saved_model"), 0.05),
    Reader("export", ("export", "MODEL", "--out", "OUT", "--preprocessing", "unit", "--data", "SAMPLES", "-q"),
           "model.tflite", spoiled_tflite, lambda manifest: manifest["scheme"] == "float32", 0.05),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a command did.

    Attributes:
        code: its exit code; negative is the signal that ended it.
        said: on stderr.
        peak_bytes: largest resident memory of it, or of what it started, above what it was forked from.
        seconds: wall time.
    """

    code: int
    said: str
    peak_bytes: int
    seconds: float

    @property
    def fault(self) -> str:
        """What is wrong with it; "" if nothing is."""
        lines = [line for line in self.said.splitlines() if line.strip()]
        if self.seconds > LONGEST_S:
            return "did not end"
        if self.code < 0:
            return f"signal {signal.Signals(-self.code).name}"
        if any(line.startswith("Traceback") for line in lines):
            return f"traceback: {lines[-1][:150]}"
        if self.peak_bytes > MOST_MEMORY_BYTES:
            return f"{self.peak_bytes / 2**30:.1f} GiB of memory"
        if self.code not in (0, 1, 3):
            return f"exit code {self.code}: {lines[-1][:150] if lines else ''}"
        told = [line for line in lines if line.startswith("error:")]
        others = [line for line in lines if not line.startswith("error:")]
        if self.code and (len(told) != 1 or any("warning" in line.lower() for line in others)):
            return f"{len(lines)} lines: {' | '.join(lines)[:300]}"
        return ""


def bundles_in(corpus: Path) -> list[Path]:
    """Folders with a manifest, at any depth."""
    return sorted(path.parent for path in corpus.rglob("manifest.json"))


def spoiled_bundle(reader: Reader, bundle: Path, chance: Random, folder: Path) -> tuple[Path, list[str]]:
    """A copy of `bundle` in `folder` in which the reader's file is spoiled; and the reader's command line."""
    copy = folder / "bundle"
    shutil.copytree(bundle, copy)
    file = copy / reader.file
    file.write_bytes(reader.spoil(chance, file.read_bytes()))
    if reader.file != "manifest.json" and chance.randrange(10):
        vouch(copy)
    manifest = json.loads((bundle / "manifest.json").read_text())
    sample = _samples(bundle, folder, "sample", 1)
    model = copy / (reader.file if reader.file.startswith("step") else manifest["model"])
    places = {"BUNDLE": copy, "MODEL": model, "SAMPLE": sample, "OUT": folder / "out"}
    if "SAMPLES" in reader.arguments:
        places["SAMPLES"] = _samples(bundle, folder, "samples", 10)
    return copy, [str(places.get(word, word)) for word in reader.arguments]


def vouch(folder: Path) -> None:
    """Say in a bundle's manifest that its files are as they ought to be: a stranger would."""
    from dlkit.digest import sha256_of

    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["sha256"] = {name: sha256_of(folder / name) for name in manifest["sha256"] if (folder / name).is_file()}
    path.write_text(json.dumps(manifest))


def _samples(bundle: Path, folder: Path, name: str, count: int) -> Path:
    """Some of the bundle's own samples, as a .npz file; of one input as .npy."""
    import numpy as np

    with np.load(bundle / "samples.npz") as arrays:
        raw = {key.removeprefix("raw "): arrays[key][:count] for key in arrays.files if key.startswith("raw ")}
    file = folder / f"{name}{'.npy' if len(raw) == 1 else '.npz'}"
    if len(raw) == 1:
        np.save(file, next(iter(raw.values())))
    else:
        np.savez(file, **raw)
    return file


def ran(arguments: list[str], folder: Path) -> Outcome:
    """`dlkit` with `arguments`, in a process forked for it."""
    said = folder / "stderr.txt"
    start, inherited = time.monotonic(), _own_bytes()
    child = os.fork()
    if not child:
        _be_the_command(arguments, folder, said)
    try:
        code, usage = _waited(child, start + LONGEST_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
    text = said.read_text(encoding="utf-8", errors="replace") if said.exists() else ""
    return Outcome(code, text, max(0, usage.ru_maxrss * 1024 - inherited), time.monotonic() - start)


def _own_bytes() -> int:
    """Resident of this process, without files; a child that is forked from it begins with as much."""
    _, resident, shared, *_ = map(int, Path("/proc/self/statm").read_text().split())
    return (resident - shared) * resource.getpagesize()


def _waited(child: int, deadline: float) -> tuple[int, resource.struct_rusage]:
    pause = 0.002
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), usage
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            deadline = float("inf")
        time.sleep(pause)
        pause = min(2 * pause, 0.1)


def _be_the_command(arguments: list[str], folder: Path, said: Path) -> None:
    """In the child: never returns."""
    code = 255
    try:
        os.setpgid(0, 0)
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 0)
        os.dup2(nowhere, 1)
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        sys.stdout, sys.stderr = (
            io.TextIOWrapper(io.BufferedWriter(io.FileIO(number, "w")), "utf-8") for number in (1, 2)
        )
        os.chdir(folder)
        resource.setrlimit(resource.RLIMIT_DATA, (8 * 2**30, resource.RLIM_INFINITY))
        _short()
        from dlkit.cli import main

        main(arguments, prog_name="dlkit")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else bool(end.code)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _short() -> None:
    """Inferences that never end are stopped after seconds, and a server serves no longer than it takes to start."""
    import threading

    import dlkit.cli.serve
    import dlkit.runtime.apart
    import dlkit.runtime.forked
    import dlkit.runtime.limits

    dlkit.runtime.forked.LONGEST_INFERENCE_S = dlkit.runtime.limits.LONGEST_INFERENCE_S = INFERENCE_S
    dlkit.runtime.apart.TIME_LIMIT_S = LONGEST_S / 2
    dlkit.cli.serve._wait = lambda: threading.Event().wait(0.01)


def cases(corpus: Path, count: int, seed: int, only: str) -> Iterator[tuple[int, Reader, Path]]:
    """Numbers, readers and bundles in turn; of a seed always the same."""
    bundles = bundles_in(corpus)
    manifests = {bundle: json.loads((bundle / "manifest.json").read_text()) for bundle in bundles}
    fitting = {
        reader: [b for b in bundles if reader.suits(manifests[b]) and (b / reader.file).is_file()]
        for reader in READERS
        if only in reader.name
    }
    readers = [reader for reader, found in fitting.items() if found]
    chance = Random(seed)
    for number in range(count):
        [reader] = chance.choices(readers, [reader.weight for reader in readers])
        yield number, reader, chance.choice(fitting[reader])


def tried(reader: Reader, bundle: Path, seed: str, keep: Path | None = None) -> Outcome:
    """One spoiled copy of a bundle, given to a command; what leads to a fault is kept in `keep`."""
    with tempfile.TemporaryDirectory(prefix="fuzzmodel-") as temporary:
        folder = Path(temporary)
        copy, arguments = spoiled_bundle(reader, bundle, Random(seed), folder)
        outcome = ran(arguments, folder)
        if outcome.fault and keep:
            kept = keep / f"{reader.name.replace(' ', '_').replace(':', '')}-{seed}"
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(copy, kept, symlinks=True)
            (kept / "FAULT.txt").write_text(f"{arguments}\n{outcome.fault}\n{outcome.said}", encoding="utf-8")
        return outcome


def main() -> int:
    """Try, and print a table. Returns 1 if there is a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corpus", type=Path, default=ROOT / "exported")
    parser.add_argument("--only", default="", help="readers whose name holds this")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after so long")
    given = parser.parse_args()
    import ai_edge_litert.interpreter
    import ai_edge_litert.schema_py_generated  # noqa: F401

    import dlkit.bundle.answers
    import dlkit.cli.predict
    import dlkit.devices.checking
    import dlkit.pipeline.evaluating  # noqa: F401  what commands import, once for all

    table: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    peak, longest, start = 0, 0.0, time.monotonic()
    for number, reader, bundle in cases(given.corpus, given.count, given.seed, given.only):
        if time.monotonic() - start > given.seconds:
            break
        seed = f"{given.seed}-{number}"
        outcome = tried(reader, bundle, seed, given.keep)
        peak, longest = max(peak, outcome.peak_bytes), max(longest, outcome.seconds)
        kind = "fault" if outcome.fault else {0: "answered", 1: "refused", 3: "exit 3"}[outcome.code]
        table[reader.name].update((kind, "tried"))
        if outcome.fault:
            print(f"{reader.name} {bundle.name} seed {seed}: {outcome.fault}", flush=True)
    columns = ("tried", "answered", "refused", "exit 3", "fault")
    print(f"{'reader':<24}" + "".join(f"{column:>10}" for column in columns))
    for name, counts in [*sorted(table.items()), ("all", sum(table.values(), collections.Counter()))]:
        print(f"{name:<24}" + "".join(f"{counts[column]:>10}" for column in columns))
    print(f"largest resident memory {peak / 2**20:.0f} MiB, longest {longest:.1f} s, in all "
          f"{time.monotonic() - start:.0f} s")  # fmt: skip
    return 1 if any(counts["fault"] for counts in table.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
