"""Writing a bundle: everything into one folder that appears whole or not at all."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit import __version__
from dlkit.bundle.devices import device_lines
from dlkit.bundle.flatten import flattened_runner
from dlkit.bundle.loading import FORMAT, MODELS, STEP, Bundle, load_bundle
from dlkit.digest import sha256_of
from dlkit.filing import files_in
from dlkit.networks import NETWORKS, PIXELS
from dlkit.report import FORECASTS, TFLITE, Comparison, Compression, Detection, Report, keep_float_advice
from dlkit.runtime.arrays import write_npz
from dlkit.runtime.dtypes import TensorFormat
from dlkit.runtime.litert import Session
from dlkit.runtime.output_steps import steps_of
from dlkit.runtime.preprocessing import image_behind, preprocessing_for
from dlkit.runtime.scores import are_probabilities, gives_probabilities
from dlkit.runtime.served import open_here
from dlkit.runtime.streaming import Stream
from dlkit.schemes import SCHEMES
from dlkit.targets import Target
from dlkit.trained import Trained
from dlkit.writing import new_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSIONED = ("tensorflow", "keras", "ai-edge-litert", "litert-quantizer", "numpy")
STREAM_STEPS = 2
"""A difference between processors goes into the state and from there into the next step; times as much at its end."""
ONNX_TOOLS = ("tf2onnx", "onnx", "onnxruntime")
# Integer kernels of other processors differ from these by at most 2 steps (measured under emulated
# arm64), float kernels by less than 1e-6.
CHECK_STEPS, CHECK_FLOAT = 2.5, 1e-4
# A GPU adds in another order, and in these every sum is rounded to 11 or to 8 bits.
CHECK_SHORTER = {"float16": 1e-2, "bfloat16": 1e-1}
LAYERS_SHOWN = 5
Page = Callable[[Bundle, Path], None]
"""(the new bundle where it is being written, the folder that it will be) → writes what the manifest does not list."""
Finish = Callable[[Path, dict[str, Any]], tuple[Mapping[str, bytes], tuple[str, ...]]]
"""(the model in the new bundle, its manifest so far) → further files by path in the bundle, and notes on them."""


def nothing_more(model: Path, manifest: dict[str, Any]) -> tuple[Mapping[str, bytes], tuple[str, ...]]:
    """For a device that needs nothing beside the model."""
    return {}, ()


def no_page(bundle: Bundle, folder: Path) -> None:
    """For bundles that no one looks at."""


@dataclasses.dataclass(frozen=True)
class Reference:
    """What the float model said on a split, so that `dlkit evaluate` can compare without it.

    Attributes:
        split: name of the split.
        fingerprint: sha256 of its samples and labels.
        classes: (N,) the class the float model puts first; None of a reconstruction.
        psnr_db: of the float model's reconstruction; None of classes.
        auc: of a float model that detects anomalies; None of others.
        skill: of a float model that forecasts; None of others.
    """

    split: str
    fingerprint: str
    classes: NDArray[np.int64] | None
    psnr_db: float | None = None
    auc: float | None = None
    skill: float | None = None


def write_bundle(
    folder: Path,
    model: Path,
    trained: Trained,
    report: Report,
    samples: Mapping[str, NDArray[Any]],
    reference: Reference | None,
    *,
    weights_sha256: str,
    replace: bool,
    step: tuple[Path, dict[str, Any]] | None = None,
    besides: Mapping[str, bytes] = MappingProxyType({}),
    known: Mapping[str, NDArray[Any]] = MappingProxyType({}),
    device: Target | None = None,
    finish: Finish = nothing_more,
    page: Page = no_page,
) -> tuple[Bundle, Report]:
    """Write the bundle `folder` and read it back; its report has the notes of what was made beside the model.

    Args:
        model: the proven file or folder; it is copied.
        samples: input name → (N, ...), a few raw held-out samples for the bundle's own check.
        weights_sha256: of the float model's weights; unlike the date in its file, they say what was exported.
        step: the proven file of one step of a recurrent network, and its names; or None.
        besides: further files that the bundle is to hold, by their names.
        known: further arrays about the samples, by their names in samples.npz.
        device: the target, whose facts the manifest keeps.
        finish: makes what the device needs beside the model.
        page: writes what is no part of the bundle but lies beside it, once all else is there.

    Raises:
        OutputError: `folder` exists and `replace` is false, or cannot be written.
    """
    with new_folder(folder, replace=replace) as new:
        kept = new / MODELS[SCHEMES[report.scheme].format]
        (shutil.copytree if model.is_dir() else shutil.copyfile)(model, kept)
        session = Session(kept) if kept.suffix == ".tflite" else open_here(kept)
        outputs = session.run_named({name: inputs.apply(samples[name]) for name, inputs in trained.inputs.items()})
        raw = {f"raw {name}": _smallest(values) for name, values in samples.items()}
        arrays = raw | {f"output {name}": values for name, values in outputs.items()}
        streaming = None
        if step is not None:
            streaming, streamed = _with_step(new, step, trained, samples)
            arrays |= streamed
        write_npz(new / "samples.npz", {**arrays, **known}, compress=True)
        manifest = {
            "format": FORMAT,
            "model": kept.name,
            "name": trained.name,
            "target": report.target,
            "device": device.as_dict() if device else None,
            "scheme": report.scheme,
            "network": trained.network,
            **_task(trained, report, next(iter(session.outputs.values()))),
            "trained": trained.trained,
            "weights_sha256": weights_sha256,
            "inputs": {
                name: dataclasses.asdict(end) | {"preprocessing": trained.inputs[name].as_dict()}
                for name, end in session.inputs.items()
            },
            "outputs": _outputs(kept, session.outputs, outputs, report.scheme),
            "streaming": streaming,
            "recipe": trained.recipe.as_dict() if trained.recipe else None,
            "versions": _versions(report.scheme),
        }
        files, notes = finish(kept, manifest)
        report = dataclasses.replace(report, notes=report.notes + notes)
        _write_texts(new, trained, report, reference)
        _write_files(new, {**besides, **files})
        sums = {path.relative_to(new).as_posix(): sha256_of(path) for path in files_in(new)}
        _write_json(new / "manifest.json", manifest | {"sha256": sums})
        bundle = load_bundle(new)
        page(bundle, folder)
    return dataclasses.replace(bundle, folder=folder), report


def _with_step(
    new: Path, step: tuple[Path, dict[str, Any]], trained: Trained, samples: Mapping[str, NDArray[Any]]
) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    """Put the file of one step into the bundle `new`. Returns its entry for the manifest, and answers to samples."""
    file, described = step
    shutil.copyfile(file, new / STEP)
    session = Session(new / STEP)
    stream = Stream(session, described)
    [(name, inputs)] = trained.inputs.items()
    found = [stream.run(sequence) for sequence in inputs.apply(samples[name])]
    answers = {key: np.stack([each[key] for each in found]) for key in described["outputs"].values()}
    tolerance = {
        key: STREAM_STEPS * _tolerance(session.outputs[end], answers[key], "float32")
        for end, key in described["outputs"].items()
    }
    return described | {"tolerance": tolerance}, {f"streamed {key}": values for key, values in answers.items()}


def _write_files(new: Path, files: Mapping[str, bytes]) -> None:
    """Further files, by their paths in the bundle."""
    for name, content in files.items():
        place = new / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


def _write_texts(new: Path, trained: Trained, report: Report, reference: Reference | None) -> None:
    """Labels, the report for reading and for programs, the runner, and what the float model said."""
    (new / "labels.txt").write_text("".join(f"{label}\n" for label in trained.labels), encoding="utf-8")
    _write_json(new / "report.json", report.as_dict())
    (new / "report.txt").write_text(report_text(trained.name, report), encoding="utf-8")
    (new / "predict.py").write_text(flattened_runner(), encoding="utf-8")
    if reference is not None:
        table = dataclasses.asdict(reference)
        if reference.classes is not None:
            table["classes"] = reference.classes.tolist()
        (new / "reference.json").write_text(json.dumps(table) + "\n", encoding="utf-8")


def _task(trained: Trained, report: Report, output: TensorFormat) -> dict[str, Any]:
    """Entries of the manifest: what the model does, and how its output is to be read for that."""
    task = NETWORKS[trained.network].task if trained.network in NETWORKS else ""
    picture = _picture(output) if task == "generation" else None
    if trained.makes is not None:
        task, picture = "generation", trained.makes.as_dict()
    return {
        "task": task,
        "picture": picture,
        "conditions": trained.conditions,
        "forecast": _forecast(trained, task, output),
        "anomaly": dataclasses.asdict(report.detection) if report.detection else None,
    }


def _outputs(
    model: Path, ends: Mapping[str, TensorFormat], found: Mapping[str, NDArray[np.float32]], scheme: str
) -> dict[str, Any]:
    """Entry of the manifest: output name → its format, what its numbers are and how near to `found` they must be."""
    answers = _what_they_are(model, found)
    steps = steps_of(model.read_bytes()) if model.suffix == ".tflite" else {}
    limits = {
        name: _tolerance(end, found[name], scheme, steps.get(place, 0.0))
        for place, (name, end) in enumerate(ends.items())
    }
    return {
        name: dataclasses.asdict(end) | {"answers": answers[name], "tolerance": limits[name]}
        for name, end in ends.items()
    }


def report_text(name: str, report: Report) -> str:
    """The report to read: aligned lines, units on every number."""
    lines = [
        f"{name}, {report.scheme} for {report.target}",
        "",
        f"made by      {report.quantizer}",
        f"calibration  {report.calibration_samples} samples ({report.calibration_source})"
        if report.calibration_samples
        else "calibration  none needed",
        *_size_lines(report),
        *([_prepared(report.compression)] if report.compression else []),
        *([f"kept float   {', '.join(report.kept_float)}"] if report.kept_float else []),
        *([f"in 8 bits    {', '.join(report.kept_int8)}"] if report.kept_int8 else []),
        f"operations   {_counts(report.ops)}",
        f"{'tensors' if report.runtime == TFLITE else 'weights'}      {_counts(report.tensors)}",
        f"runtime      {_runtime(report)}",
    ]
    for comparison in (*report.gates, *report.tests):
        lines += ["", *_comparison_lines(comparison)]
    for comparison in report.streamed:
        lines += ["", "step by step, at the end of each sequence", *_comparison_lines(comparison)]
    if report.detection:
        lines += ["", *_detection_lines(report.detection)]
    if report.device:
        lines += ["", *device_lines(report.device)]
    if report.layers:
        lines += ["", *_layer_lines(report)]
    lines += [f"\nnote: {note}" for note in report.notes]
    lines += [f"\nwarning: {warning}" for warning in report.warnings]
    return "\n".join(lines) + "\n"


def _prepared(compression: Compression) -> str:
    """How the network was fitted again."""
    pattern = "" if compression.pattern == "unstructured" else f" in {compression.pattern}"
    told = {
        "pruned": f"pruned{pattern}",
        "clustered": f"clustered to {compression.clusters} weights a channel",
        "quantization_aware": "trained for 8-bit integers",
    }
    steps = ", ".join(told[step] for step in compression.steps)
    return f"fitted again {steps}; {compression.epochs} epochs, {compression.sparsity:.1%} of the weights are 0"


def _comparison_lines(comparison: Comparison) -> list[str]:
    output = f", output {comparison.output}" if comparison.output else ""
    lines = [f"on {comparison.samples} samples ({comparison.split}){output}"]
    if comparison.metric == "accuracy":
        lines.append(f"accuracy     {comparison.float:.4f} float, {comparison.exported:.4f} exported")
    elif comparison.metric == "auc":
        lines.append(
            f"area         {comparison.float:.4f} float, {comparison.exported:.4f} exported (under the ROC curve)"
        )
    elif comparison.metric == "skill":
        lines.append(
            f"skill        {comparison.float:.4f} float, {comparison.exported:.4f} exported (0: naive, 1: right)"
        )
        for key, (name, read) in FORECASTS.items():
            before, after = (getattr(comparison, f"{which}_{key}") for which in ("float", "exported"))
            if before is not None and after is not None:
                lines.append(f"{name:<12} {before:.4f} float, {after:.4f} exported ({read})")
        lines.append(f"mean square  {comparison.float_mse:.4g} float, {comparison.exported_mse:.4g} exported (error)")
    elif comparison.metric == "psnr_db":
        lines.append(f"PSNR         {comparison.float:.2f} dB float, {comparison.exported:.2f} dB exported")
        lines.append(f"mean square  {comparison.float_mse:.4g} float, {comparison.exported_mse:.4g} exported (error)")
    if comparison.float_top5 is not None:
        lines.append(f"top 5        {comparison.float_top5:.4f} float, {comparison.exported_top5:.4f} exported")
    if comparison.agreement is not None:
        lines.append(f"agreement    {comparison.agreement:.4f} of the samples have the same class first")
        if comparison.agreement != comparison.score_agreement:
            lines.append(f"             {comparison.score_agreement:.4f} by the scores before the softmax")
    lines.append(f"largest gap  {comparison.largest_gap:.4g} between two outputs")
    lines.append(f"scores       {comparison.sqnr_db:.1f} dB above their quantization noise")
    return lines


def _detection_lines(detection: Detection) -> list[str]:
    return [
        f"normal       {', '.join(detection.normal)}; by the error of what is given again",
        f"threshold    {detection.threshold:.5f}, the {1 - detection.wanted:.4g} quantile of the errors of "
        f"{detection.samples} normal samples (validation)",
        f"on test      {detection.false_alarms:.4f} of the normal samples are beyond it, {detection.found:.4f} of the "
        "others",
    ]


def _size_lines(report: Report) -> list[str]:
    lines = [f"size         {report.bytes:,} bytes{_beside_float(report.bytes, report.float_bytes)}"]
    if report.gzip_bytes:
        beside = _beside_float(report.gzip_bytes, report.float_gzip_bytes)
        lines.append(f"compressed   {report.gzip_bytes:,} bytes by gzip{beside}")
    return lines


def _beside_float(count: int, of_float: int) -> str:
    return f", {count / of_float:.2f} of the float file" if of_float else ""


def _runtime(report: Report) -> str:
    if report.runtime != TFLITE:
        return f"{report.runtime}, measured with {report.minimum_runtime}"
    if report.unknown_versions:
        at_least = f"{report.minimum_runtime} at the least; " if report.minimum_runtime else ""
        return f"TFLite {at_least}not known which has {', '.join(report.unknown_versions)}"
    return f"TFLite {report.minimum_runtime or 'of unknown version'} or later"


def _layer_lines(report: Report) -> list[str]:
    """The layers that lose most, and what to do about those that stand out."""
    shown = report.layers[:LAYERS_SHOWN]
    names, operations = (max(map(len, column)) for column in zip(*((e.layer, e.operation) for e in shown), strict=True))
    lines = ["layers that lose most (decibels above the noise, in what they read and in what they give)"]
    for error in shown:
        change = f"{error.before_db:6.1f} → {error.sqnr_db:.1f} dB"
        lines.append(f"{error.layer:<{names}}  {error.operation:<{operations}} {change}")
    if report.keep_float:
        lines.append(keep_float_advice(report.keep_float).removeprefix("; "))
    return lines


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _tolerance(end: TensorFormat, outputs: NDArray[np.float32], scheme: str, step: float = 0.0) -> float:
    """How far a processor may be from `outputs`, which this one computed.

    Args:
        step: of the integers that a float output is dequantized from; 0.0 where it is computed in floats.
    """
    if end.quantized or step:
        return CHECK_STEPS * (end.scale if end.quantized else step)
    computed_in = SCHEMES[scheme].activations
    return CHECK_SHORTER.get(computed_in, CHECK_FLOAT) * max(1.0, float(np.max(np.abs(outputs))))


def _what_they_are(model: Path, outputs: Mapping[str, NDArray[np.float32]]) -> dict[str, str]:
    """Output name → "probabilities" or "scores"; by the last operation of a .tflite file, elsewhere by the values."""
    if model.suffix == ".tflite":
        content = model.read_bytes()
        told = {name: gives_probabilities(content, place) for place, name in enumerate(outputs)}
    else:
        told = {name: are_probabilities(values) for name, values in outputs.items()}
    return {name: "probabilities" if good else "scores" for name, good in told.items()}


def _picture(output: TensorFormat) -> dict[str, Any] | None:
    """How a generator's output becomes pixels, as a table; all of them make images from -1 to 1."""
    shape = output.shape[1:]
    image = image_behind(shape)
    return preprocessing_for("signed", shape, image, PIXELS, "pad").as_dict() if image else None


def _forecast(trained: Trained, task: str, output: TensorFormat) -> dict[str, Any] | None:
    """From raw values to a forecaster's output, as a table: it gives the range of what it reads."""
    if task != "forecasting":
        return None
    [inputs] = trained.inputs.values()
    return inputs.of_shape(output.shape[1:]).as_dict()


def _versions(scheme: str) -> dict[str, str]:
    """Entry of the manifest: package → version."""
    return package_versions(ONNX_TOOLS if SCHEMES[scheme].format == "onnx" else ())


def package_versions(besides: Sequence[str] = ()) -> dict[str, str]:
    """Package → version, of those that decide what a file is."""
    names = (*VERSIONED, *besides)
    return {"dlkit": __version__} | {name: importlib.metadata.version(name) for name in names}


def _smallest(raw: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers from 0 to 255 as bytes, others as float32."""
    as_bytes = raw.astype(np.uint8)
    return as_bytes if np.array_equal(as_bytes, raw) else raw.astype(np.float32)


def _write_json(path: Path, table: dict[str, Any]) -> None:
    path.write_text(json.dumps(table, indent=1, allow_nan=False) + "\n", encoding="utf-8")
