"""One scheme for servers: the model, the proof, the bundle."""

from __future__ import annotations

import dataclasses
import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.archive import gzip_bytes
from dlkit.bundle.loading import MODELS, Bundle
from dlkit.bundle.writing import Reference, write_bundle
from dlkit.calibration.samples import HeldOut
from dlkit.conversion.batches import count_of_samples, read_batch
from dlkit.conversion.child import run_task
from dlkit.conversion.custom_code import as_argument
from dlkit.conversion.kinds import kind_of
from dlkit.conversion.serving import raw_dtype
from dlkit.devices.proving import proven_on_device
from dlkit.errors import ConversionError, IllegalCombination, ModelFileError, VerificationRefused
from dlkit.extras import check_installed
from dlkit.filing import bytes_in
from dlkit.pages.writing import page_maker
from dlkit.pipeline.bundling import besides_of, few_samples, known_of_few
from dlkit.pipeline.detecting import detection_of
from dlkit.pipeline.finishing import finish_of
from dlkit.pipeline.plan import Plan
from dlkit.pipeline.proving import MAX_DROP, confusions_of, remember
from dlkit.pipeline.rebuilding import wanted_of
from dlkit.progress import Advance, Progress
from dlkit.report import Comparison, Report
from dlkit.runtime.arrays import write_npz
from dlkit.runtime.preprocessing import Preprocessing
from dlkit.schemes import Scheme
from dlkit.verify import Judged, compare, is_one_score, refuse_unless_near

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dlkit.runtime.rows import Rows

RAW_SAMPLES = 32
"""As many are given to the signature that prepares them itself."""
RUNTIMES = {"saved_model": ("TensorFlow", "tensorflow"), "onnx": ("ONNX Runtime", "onnxruntime")}
"""Format → what runs it, and the distribution whose version it is."""
TOOLS = {"saved_model": ("tensorflow",), "onnx": ("tf2onnx", "onnx", "onnxruntime")}
PREPARED_GAP = 1e-5
"""How far answers to raw values may be from those to prepared ones, in single precision; both add in the same order."""


def served(
    plan: Plan, scheme: Scheme, inputs: dict[str, NDArray[np.float32]], folder: Path, temporary: Path, force: bool,
    progress: Progress,
) -> tuple[Bundle, Report]:  # fmt: skip
    """Make the model of a scheme for servers, prove it and write its bundle to `folder`.

    Args:
        inputs: held-out network inputs, the gate's samples and then those of the test split.
        temporary: folder for what is made on the way.

    Raises:
        VerificationRefused: it broke its promise or lost too much; nothing was written.
        IllegalCombination, ConversionError, OutputError: as they say.
        ExtraMissing: a package that writes or runs the format is not installed.
    """
    trained = plan.trained
    if kind_of(trained.model) not in ("keras", "h5"):
        raise IllegalCombination(
            f"{scheme.name} is made of a Keras model, and {trained.model} is none; export the .keras file it was made "
            "from, or serve it as it is"
        )
    if plan.keep_float and scheme.quantizer == "cast":
        raise IllegalCombination(
            f"{scheme.name} computes in {scheme.activations} in every layer; leave out --keep-float, or use "
            f"--scheme {scheme.instead}"
        )
    for tool in TOOLS[scheme.format]:
        check_installed(tool)
    place = temporary / scheme.name
    place.mkdir()
    model, reference, facts = place / MODELS[scheme.format], place / "reference.npz", place / "facts.json"
    write_npz(place / "inputs.npz", inputs)
    described = {name: preprocessing.as_dict() for name, preprocessing in trained.inputs.items()}
    with progress.step(f"Converting to {scheme.name}") as advance:
        run_task(
            "serve",
            advance,
            model=str(trained.model),
            inputs=str(place / "inputs.npz"),
            scheme=scheme.name,
            preprocessing=json.dumps(described),
            served=str(model),
            reference=str(reference),
            facts=str(facts),
            custom=as_argument(trained.custom),
        )
    told = json.loads(facts.read_text(encoding="utf-8"))
    with progress.step("Proving it against the Keras model") as advance:
        outputs = _answers(model, inputs, plan, scheme, place, advance)
        wanted = read_batch(reference)
        report, remembered = _proven(plan, scheme, model, wanted, outputs, told)
    of_gate = {name: values[: count_of_samples(plan.samples.gate.raw)] for name, values in wanted.items()}
    few = few_samples(plan.samples.gate)
    identity = told["weights_sha256"]
    device = proven_on_device(model, inputs, plan.target, progress, outputs)
    return write_bundle(
        folder,
        model,
        trained,
        dataclasses.replace(report, device=device),
        few,
        remembered,
        weights_sha256=identity,
        replace=force,
        besides=besides_of(trained),
        known=known_of_few(plan.samples.gate, of_gate),
        device=plan.target,
        finish=finish_of(plan, scheme, few, progress),
        page=page_maker(progress),
    )


def _answers(
    model: Path, inputs: dict[str, NDArray[np.float32]], plan: Plan, scheme: Scheme, place: Path, advance: Advance
) -> dict[str, NDArray[np.float32]]:
    """What the made model answers, in a child process. Raises VerificationRefused if the runtime refuses it."""
    raw = {name: _as_sent(plan.trained.inputs[name], values) for name, values in plan.samples.gate.raw.items()}
    write_npz(place / "raw.npz", raw)
    write_npz(place / "prepared.npz", {name: plan.trained.inputs[name].apply(values) for name, values in raw.items()})
    tolerance = PREPARED_GAP if scheme.weights == "float32" else 2.0**-6
    try:
        run_task(
            "answer_served",
            advance,
            served=str(model),
            inputs=str(place / "inputs.npz"),
            raw=str(place / "raw.npz"),
            prepared=str(place / "prepared.npz"),
            outputs=str(place / "outputs.npz"),
            tolerance=str(tolerance),
        )
    except (ModelFileError, ConversionError) as error:
        raise VerificationRefused(f"the exported model was refused and no bundle was written: {error}") from None
    return read_batch(place / "outputs.npz")


def _as_sent(preprocessing: Preprocessing, raw: Rows) -> NDArray[np.float32]:
    """A few raw values as a server gets them: bytes have no fractions."""
    few = preprocessing.raw_batch(raw[:RAW_SAMPLES])
    return np.round(few) if raw_dtype(preprocessing) == "uint8" else few


def _proven(
    plan: Plan,
    scheme: Scheme,
    model: Path,
    reference: dict[str, NDArray[np.float32]],
    outputs: dict[str, NDArray[np.float32]],
    told: dict[str, Any],
) -> tuple[Report, Reference | None]:
    """The report of a model that passed, and what the Keras model said on the test split."""
    trained, samples = plan.trained, plan.samples
    count = count_of_samples(samples.gate.raw)
    if not all(np.isfinite(values).all() for values in outputs.values()):
        raise VerificationRefused(
            f"the {scheme.name} model was refused and no bundle was written: it answers with NaN or infinity, numbers "
            f"beyond what {scheme.activations} holds; use --scheme {scheme.instead}"
        )

    def compared(held_out: HeldOut, rows: slice) -> tuple[Comparison, ...]:
        wanted = {name: values[rows] for name, values in reference.items()}
        found = {name: values[rows] for name, values in outputs.items()}
        labels = held_out.labels if trained.labels or is_one_score(wanted) else None
        return compare(
            held_out.name, wanted, _as_judged(wanted), _as_judged(found), labels, wanted_of(trained, held_out)
        )

    gates = compared(samples.gate, slice(None, count))
    max_drop = trained.recipe.export.max_drop if trained.recipe else MAX_DROP
    refuse_unless_near(told["tensors"], scheme, gates, max_drop)
    tests: tuple[Comparison, ...] = ()
    remembered = None
    if samples.test is not None:
        tests = compared(samples.test, slice(count, None))
        remembered = remember(samples.test, next(iter(reference.values()))[count:], tests[0])
    first = next(iter(outputs.values()))

    def wanted_of_split(held_out: HeldOut) -> dict[str, NDArray[np.float32]]:
        rows = slice(None, count) if held_out is samples.gate else slice(count, None)
        return {name: values[rows] for name, values in reference.items()}

    runtime, distribution = RUNTIMES[scheme.format]
    return Report(
        scheme=scheme.name,
        target=plan.target.name,
        quantizer=", ".join(f"{tool} {version(tool)}" for tool in TOOLS[scheme.format][:1]),
        gates=gates,
        tests=tests,
        calibration_samples=0,
        calibration_source="",
        bytes=bytes_in(model),
        float_bytes=0,
        ops=told["ops"],
        tensors=told["tensors"],
        warnings=tuple(told["notes"]),
        minimum_runtime=version(distribution),
        runtime=runtime,
        detection=detection_of(trained, samples.gate, first[:count], samples.test, first[count:]),
        confusions=confusions_of(trained, wanted_of_split, samples, {"gate": first[:count], "test": first[count:]}),
        gzip_bytes=0 if model.is_dir() else gzip_bytes(model),
    ), remembered


def _as_judged(outputs: dict[str, NDArray[np.float32]]) -> Judged:
    """Nothing tells the scores before a softmax from outside, so outputs stand for them."""
    return Judged(outputs, outputs, frozenset())
