"""The file of one step beside that of whole sequences, for recurrent networks on a stream; proven like the other."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.conversion.batches import read_batch
from dlkit.conversion.child import run_task
from dlkit.conversion.custom_code import as_argument
from dlkit.conversion.keeping import mixed
from dlkit.conversion.kinds import kind_of
from dlkit.conversion.making import Float, convert_model, make_file
from dlkit.errors import ConversionError, IllegalCombination, ModelFileError, VerificationRefused
from dlkit.pipeline.proving import MAX_DROP, FloatAnswers
from dlkit.pipeline.rebuilding import wanted_of
from dlkit.progress import Progress
from dlkit.report import Comparison
from dlkit.runtime.arrays import write_npz
from dlkit.runtime.inspection import inspect_file
from dlkit.schemes import Scheme
from dlkit.verify import Forecast, Judged, compare, failed_gates, is_one_score, refuse_broken

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dlkit.pipeline.plan import Plan
    from dlkit.runtime.rows import Rows

MOST_STEPS = 4096
"""That are looked at to choose the ranges of a step's file; of more samples the first ones are left to give them."""


@dataclasses.dataclass(frozen=True)
class Step:
    """A proven file of one step.

    Attributes:
        file: the .tflite file.
        described: for the manifest, see `stepwise.make_stepwise`.
        gates: its answers at the end of held-out sequences, against the whole model's.
    """

    file: Path
    described: dict[str, Any]
    gates: tuple[Comparison, ...]


class Streaming:
    """The network of one step, converted once, for the files of all schemes."""

    def __init__(self, plan: Plan, answers: FloatAnswers, folder: Path, progress: Progress) -> None:
        """Raises ConversionError where there are no single steps, IllegalCombination where there is no Keras model."""
        self._plan, self._answers, self._folder, self._progress = plan, answers, folder, progress
        if kind_of(plan.trained.model) not in ("keras", "h5"):
            raise IllegalCombination("--streaming takes a recurrent network apart, and needs the Keras model for that")
        folder.mkdir()
        step, facts = folder / "step.keras", folder / "facts.json"
        with progress.step("Taking one step of the network") as advance:
            run_task(
                "make_stepwise",
                advance,
                model=str(plan.trained.model),
                keras_file=str(step),
                facts=str(facts),
                custom=as_argument(plan.trained.custom),
            )
        self.described: dict[str, Any] = json.loads(facts.read_text(encoding="utf-8"))
        first = self._sequences(plan.samples.gate.raw)[:1, 0]
        rest = {name: np.zeros((1, *state["shape"]), np.float32) for name, state in self.described["states"].items()}
        self._converted: Float = convert_model(
            step, {self.described["input"]: first, **rest}, folder, progress, plan.trained.custom, plan.target.avoid
        )

    def made(self, scheme: Scheme) -> Step:
        """The file of a scheme.

        Raises:
            VerificationRefused: it broke its promise, or the answers at the end of sequences lost too much.
            IllegalCombination, ConversionError, UnknownName: as `make_file`.
        """
        plan, calibration = self._plan, {}
        if scheme.needs_calibration:
            sequences = self._sequences(plan.samples.calibration.raw)
            few = max(1, MOST_STEPS // sequences.shape[1])
            calibration = self._run(self._converted.file, sequences[:few], "calibration")[1]
        file = make_file(self._converted, scheme, calibration, self._progress, plan.method, plan.keep_float).file
        if scheme.quantizer != "none":
            refuse_broken(inspect_file(file), mixed(scheme) if plan.keep_float else scheme, plan.target)
        held_out = self._sequences(plan.samples.gate.raw)
        found, _ = self._run(file, held_out, "")
        wanted = self._answers.original.wanted(plan.samples.gate)
        labels = plan.samples.gate.labels if plan.trained.labels or is_one_score(wanted) else None
        gates = compare(plan.samples.gate.name, wanted, _as_judged(wanted), _as_judged(found), labels, self._forecast())
        max_drop = plan.trained.recipe.export.max_drop if plan.trained.recipe else MAX_DROP
        wrong = [text for comparison in gates for text in failed_gates(comparison, scheme, max_drop)]
        if wrong:
            raise VerificationRefused(
                f"the {scheme.name} file of one step was refused and no bundle was written: at the end of sequences "
                f"{'; '.join(wrong)}; use --scheme {_nearest(scheme)}, or leave out --streaming"
            )
        return Step(file, self.described, gates)

    def _forecast(self) -> Forecast | None:
        """What a forecaster is to give at the end of the gate's sequences; None of other networks."""
        wanted = wanted_of(self._plan.trained, self._plan.samples.gate)
        return wanted if isinstance(wanted, Forecast) else None

    def _sequences(self, raw: Mapping[str, Rows]) -> NDArray[np.float32]:
        [(name, inputs)] = self._plan.trained.inputs.items()
        return inputs.apply(raw[name])

    def _run(
        self, file: Path, sequences: NDArray[np.float32], kept: str
    ) -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.float32]]]:
        """The answers of a step's file to sequences, and, if `kept` names them, all that went into it."""
        given, outputs, seen = (self._folder / f"stream {what}.npz" for what in ("inputs", "outputs", "seen"))
        write_npz(given, {self.described["input"]: sequences})
        with self._progress.step(f"Running {len(sequences)} sequences step by step") as advance:
            try:
                run_task(
                    "run_stream",
                    advance,
                    tflite=str(file),
                    sequences=str(given),
                    facts=json.dumps(self.described),
                    outputs=str(outputs),
                    seen=str(seen) if kept else "",
                )
            except (ModelFileError, ConversionError) as error:
                raise VerificationRefused(
                    f"the file of one step was refused and no bundle was written: {error}"
                ) from None
        return read_batch(outputs), read_batch(seen) if kept else {}


def _nearest(scheme: Scheme) -> str:
    """Where states in few bits lose too much from step to step, they stay float."""
    return "dynamic_int8" if scheme.needs_calibration else scheme.instead


def _as_judged(outputs: dict[str, NDArray[np.float32]]) -> Judged:
    return Judged(outputs, outputs, frozenset())
