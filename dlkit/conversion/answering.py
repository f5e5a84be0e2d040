"""What a file that was just made answers, from a child process: on a bad one the runtime's native code may crash."""

from __future__ import annotations

from pathlib import Path

from dlkit.conversion.batches import Batch, mapped_batch, read_batch
from dlkit.conversion.child import run_task
from dlkit.errors import ConversionError, ModelFileError, VerificationRefused
from dlkit.progress import Advance
from dlkit.runtime.arrays import write_npz
from dlkit.verify import Judged, judged
from dlkit.writing import temporary_folder


def judged_export(tflite: Path, inputs: Batch, advance: Advance) -> Judged:
    """`verify.judged` of the file `tflite`. Raises VerificationRefused if the runtime refuses it or crashes on it."""
    with temporary_folder() as folder:
        paths = {name: str(folder / f"{name}.npz") for name in ("inputs", "outputs", "scores")}
        write_npz(paths["inputs"], inputs)
        try:
            run_task(
                "answer",
                advance,
                tflite=str(tflite),
                inputs=paths["inputs"],
                outputs=paths["outputs"],
                scores=paths["scores"],
            )
        except (ModelFileError, ConversionError) as error:
            raise VerificationRefused(f"the exported file was refused and no bundle was written: {error}") from None
        outputs = read_batch(paths["outputs"])
        scores = read_batch(paths["scores"])
    return Judged(outputs, outputs | scores, frozenset(scores))


def answer(tflite: str, inputs: str, outputs: str, scores: str, advance: Advance) -> None:
    """The child's side: `Judged` of the inputs in an archive, as two more; of scores those that are no outputs."""
    found = judged(Path(tflite).read_bytes(), mapped_batch(inputs), advance)
    write_npz(outputs, found.outputs)
    write_npz(scores, {name: found.scores[name] for name in sorted(found.end_in_softmax)})
