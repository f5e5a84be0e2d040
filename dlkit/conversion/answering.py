"""What a file that was just made answers, from a child process: on a bad one the runtime's native code may crash."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dlkit.conversion.child import run_task
from dlkit.errors import ConversionError, ModelFileError, VerificationRefused
from dlkit.progress import Advance
from dlkit.verify import Judged, judged
from dlkit.writing import temporary_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray


def judged_export(tflite: Path, inputs: NDArray[np.float32], advance: Advance) -> Judged:
    """`verify.judged` of the file `tflite`. Raises VerificationRefused if the runtime refuses it or crashes on it."""
    with temporary_folder() as folder:
        answers = folder / "answers.npz"
        np.save(folder / "inputs.npy", inputs)
        try:
            run_task("answer", advance, tflite=str(tflite), inputs=str(folder / "inputs.npy"), answers=str(answers))
        except (ModelFileError, ConversionError) as error:
            raise VerificationRefused(f"the exported file was refused and no bundle was written: {error}") from None
        with np.load(answers) as found:
            return Judged(found["outputs"], found["scores"], bool(found["ends_in_softmax"]))


def answer(tflite: str, inputs: str, answers: str, advance: Advance) -> None:
    """The child's side: `Judged` of the inputs in a .npy file, as an .npz file."""
    found = judged(Path(tflite).read_bytes(), np.load(inputs), advance)
    np.savez(answers, outputs=found.outputs, scores=found.scores, ends_in_softmax=found.ends_in_softmax)
