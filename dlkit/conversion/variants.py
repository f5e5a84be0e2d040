"""Many files of one network that differ in what stays float: each made, asked and forgotten, some in a child process.

Nothing is converted again: a variant is the float file quantized with another recipe, which takes milliseconds.
The files are what an export with the same layers kept float would make.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Generic, TypeVar

from dlkit.calibration.ranges import Ranges
from dlkit.conversion.batches import Batch, mapped_batch, read_batch
from dlkit.conversion.child import run_task
from dlkit.conversion.layer_names import Operation, operations
from dlkit.conversion.making import Float
from dlkit.conversion.quantizer import has_small_kernels_alone, known_ranges, write_quantized
from dlkit.errors import ConversionError, EndedBySystem
from dlkit.progress import Advance, further, ignore
from dlkit.runtime.arrays import write_npz
from dlkit.runtime.inspection import inspect_file
from dlkit.schemes import SCHEMES, Scheme
from dlkit.verify import Judged, judged
from dlkit.writing import temporary_folder

T = TypeVar("T")

BATCH = 8
"""Variants of one child: as many as are made again at most where one of them crashes it."""
MOST_BYTES = 2**29
"""Of the float files that are quantized at a time."""


@dataclasses.dataclass(frozen=True)
class Variant:
    """What stays float in a file.

    Attributes:
        kept: numbers of operations of the float file, in the order of `layer_names.operations`.
        float_ends: whether its inputs and outputs do, whatever the scheme says.
    """

    kept: frozenset[int]
    float_ends: bool = False


@dataclasses.dataclass(frozen=True)
class Tried(Generic[T]):
    """What came of a variant.

    Attributes:
        bytes: of its file; 0 if there is none.
        quantized: whether anything in it is other than in the float file.
        measured: of its answers; None if there are none.
        problem: why there are none; "" if there are.
    """

    bytes: int
    quantized: bool
    measured: T | None
    problem: str = ""


@dataclasses.dataclass(frozen=True)
class Asked:
    """A float file, and what its variants are asked.

    Attributes:
        ranges: file that `quantizer.calibrate` wrote; None where the scheme needs none.
        inputs: of the network.
    """

    converted: Float
    scheme: Scheme
    ranges: Path | None
    inputs: Batch


def try_variants(
    asked: Asked, variants: Sequence[Variant], judge: Callable[[Judged], T], advance: Advance = ignore
) -> list[Tried[T]]:
    """Make every variant and judge its answers; as many at a time as there are processors.

    A variant that the quantizer or the runtime refuses, or that crashes them, costs the others nothing.

    Args:
        judge: called in threads, one variant each.

    Raises:
        DlkitError: what a child raises on purpose about all of them.
    """
    float_bytes = asked.converted.file.stat().st_size
    workers = max(1, min(os.cpu_count() or 1, MOST_BYTES // float_bytes, len(variants)))
    count = max(1, min(BATCH, -(-len(variants) // workers)))
    batches = [variants[i : i + count] for i in range(0, len(variants), count)]
    share = _Shares(len(variants), advance)
    with temporary_folder() as folder:
        write_npz(folder / "inputs.npz", asked.inputs)
        with ThreadPoolExecutor(workers) as pool:
            waiting: list[Future[list[Tried[T]]]] = []
            try:
                for number, batch in enumerate(batches):
                    place = folder / str(number)
                    waiting.append(pool.submit(_tried, asked, batch, judge, place, share.of(number)))
                return [tried for future in waiting for tried in future.result()]
            except BaseException:
                share.stop()
                pool.shutdown(wait=False, cancel_futures=True)
                raise


class _Shares:
    """What several batches say of how far they are, told as one."""

    def __init__(self, total: int, advance: Advance) -> None:
        self._total, self._advance, self._lock = total, advance, threading.Lock()
        self._done: collections.Counter[int] = collections.Counter()
        self._stopped = False

    def of(self, number: int) -> Advance:
        """The advance of one batch. It raises InterruptedError after `stop`, which ends the child."""

        def advance(done: int, _: int) -> None:
            with self._lock:
                if self._stopped:
                    raise InterruptedError
                self._done[number] = done
                self._advance(sum(self._done.values()), self._total)

        return advance

    def stop(self) -> None:
        self._stopped = True


def _tried(
    asked: Asked, variants: Sequence[Variant], judge: Callable[[Judged], T], folder: Path, advance: Advance
) -> list[Tried[T]]:
    """A batch, in a child; in another one what follows a variant that crashed it."""
    folder.mkdir()
    found: list[Tried[T]] = []
    while len(found) < len(variants):
        first = len(found)
        problem = ""
        try:
            _run(asked, variants[first:], folder, further(advance, first, len(variants)))
        except (ConversionError, EndedBySystem) as error:
            problem = str(error)
        for number in range(len(variants) - first):
            told = folder / f"{number}.json"
            if not told.exists():
                found.append(Tried(0, False, None, problem or "the child process said nothing of it"))
                break
            found.append(_read(told, judge))
    return found


def _run(asked: Asked, variants: Sequence[Variant], folder: Path, advance: Advance) -> None:
    for left in folder.iterdir():
        left.unlink()
    request = {
        "scheme": asked.scheme.name,
        "layers": asked.converted.layer_names,
        "variants": [{"kept": sorted(variant.kept), "float_ends": variant.float_ends} for variant in variants],
    }
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    run_task(
        "variants",
        advance,
        float_tflite=str(asked.converted.file),
        ranges=str(asked.ranges or ""),
        inputs=str(folder.parent / "inputs.npz"),
        request=str(folder / "request.json"),
        results=str(folder),
    )


def _read(told: Path, judge: Callable[[Judged], T]) -> Tried[T]:
    """What the child left of one variant; its arrays go."""
    result = json.loads(told.read_text(encoding="utf-8"))
    if result["problem"]:
        return Tried(result["bytes"], result["quantized"], None, result["problem"])
    outputs, scores = (told.with_name(f"{told.stem}-{kind}.npz") for kind in ("outputs", "scores"))
    plain, gained = read_batch(outputs), read_batch(scores)
    for path in (outputs, scores):
        path.unlink()
    measured = judge(Judged(plain, plain | gained, frozenset(gained)))
    return Tried(result["bytes"], result["quantized"], measured)


def make_and_ask(float_tflite: str, ranges: str, inputs: str, request: str, results: str, advance: Advance) -> None:
    """The child's side: for each variant number.json, and number-outputs.npz and number-scores.npz if it answers."""
    source, folder = Path(float_tflite), Path(results)
    asked = json.loads(Path(request).read_text(encoding="utf-8"))
    scheme, made, variants = SCHEMES[asked["scheme"]], operations(source, asked["layers"]), asked["variants"]
    known, batch, plain = known_ranges(source, scheme, ranges), mapped_batch(inputs), inspect_file(source).constants
    file = folder / "variant.tflite"
    small = _takes_small_kernels(source, scheme, known, file)
    for number, variant in enumerate(variants):

        def still(done: int, total: int, number: int = number) -> None:
            advance(number, len(variants))

        of_ends = dataclasses.replace(scheme, io="float32") if variant["float_ends"] else scheme
        result = {"bytes": 0, "quantized": False, "problem": ""}
        try:
            write_quantized(source, of_ends, known, _kept(made, variant["kept"]), file, small_kernels=small)
            result["bytes"], inspection = file.stat().st_size, inspect_file(file)
            result["quantized"] = "QUANTIZE" in inspection.ops or inspection.constants != plain
            found = judged(file.read_bytes(), batch, still, threads=1)
            write_npz(folder / f"{number}-outputs.npz", found.outputs)
            write_npz(folder / f"{number}-scores.npz", {name: found.scores[name] for name in found.end_in_softmax})
        except Exception as error:  # whatever quantizer and runtime raise is told of this variant alone
            result["problem"] = str(error) or type(error).__name__
        (folder / f"{number}.json").write_text(json.dumps(result), encoding="utf-8")
        advance(number + 1, len(variants))


def _takes_small_kernels(source: Path, scheme: Scheme, known: Ranges | None, file: Path) -> bool:
    """Whether an export by the scheme does, which a file of fewer layers would not tell."""
    if scheme.quantizer != "dynamic":
        return False
    write_quantized(source, scheme, known, [], file)
    return has_small_kernels_alone(file, scheme)


def _kept(made: Sequence[Operation], numbers: Sequence[int]) -> list[Operation]:
    return [made[number] for number in numbers]


def kept_by(made: Sequence[Operation], layers: Iterable[str]) -> frozenset[int]:
    """Numbers of the operations that stay float where these layers do."""
    kept = set(layers)
    return frozenset(number for number, operation in enumerate(made) if kept.intersection(operation.layers))
