"""The second half of the pipeline: a Keras model on disk → a proven bundle."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlkit.bundle.loading import Bundle
from dlkit.calibration.observers import observer_of
from dlkit.calibration.samples import ExportSamples, calibrated_with, samples_of_data, samples_of_recipe
from dlkit.conversion import starting
from dlkit.conversion.batches import count_of_samples, mapped_batch, write_rows
from dlkit.conversion.layer_names import layer_classes
from dlkit.devices import RUNTIMES, known_target
from dlkit.errors import (
    ConversionError,
    DataError,
    DlkitError,
    ExtraMissing,
    IllegalCombination,
    OutputError,
    TrainingError,
    UnknownName,
    VerificationRefused,
)
from dlkit.pipeline.bundling import exported
from dlkit.pipeline.decoding import decoder_of
from dlkit.pipeline.finding import Model, found_model
from dlkit.pipeline.plan import Plan
from dlkit.pipeline.preparing import Preparing
from dlkit.pipeline.serving import served
from dlkit.progress import SILENT, Progress
from dlkit.recipe import Recipe, opened
from dlkit.report import Report
from dlkit.runtime.rows import batches_of
from dlkit.schemes import SCHEMES, Scheme
from dlkit.targets import TARGETS, Target
from dlkit.trained import Trained
from dlkit.writing import check_temporaries, check_writable, refuse_existing, temporary_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dlkit.calibration.samples import Data
    from dlkit.runtime.preprocessing import Preprocessing

CALIBRATION_SAMPLES, SEED = 300, 0
"""What a recipe would say, for a model without one."""
SCHEMES_OWN = (
    IllegalCombination, ConversionError, VerificationRefused, UnknownName, ExtraMissing, TrainingError,
)  # fmt: skip
"""What one scheme may fail by when others do not."""
AT_ONCE = 256
"""Samples whose inputs are in memory together."""


def bundle_folder(out: Path, name: str, target: str, scheme: str) -> Path:
    """Where the bundle of a model is written."""
    return out / name / f"{target}-{scheme}"


def export(
    model: Model,
    scheme: str | None = None,
    target: str | None = None,
    *,
    data: Data | None = None,
    calibration: str | None = None,
    keep_float: Sequence[str] = (),
    preprocessing: str | Mapping[str, str] | None = None,
    custom: str | Sequence[str] = (),
    streaming: bool = False,
    unroll: bool = False,
    decoder: bool = False,
    out: str | Path = "exported",
    force: bool = False,
    progress: Progress = SILENT,
) -> tuple[Bundle, Report]:
    """Convert, quantize, prove and bundle a model as `out`/name/target-scheme/.

    >>> bundle, report = dlkit.export("mine.keras", "int8", preprocessing="unit", data="photos")  # doctest: +SKIP
    >>> report.gate.sqnr_db                                                                       # doctest: +SKIP
    34.2
    >>> bundle, report = dlkit.export(keras_model, preprocessing="none", data=arrays)             # doctest: +SKIP

    Args:
        model: what `train` or `load_trained` gave; the name of a model in `out`; the path of one from elsewhere
            (.keras, .h5, SavedModel folder, float .tflite); or a Keras 3 model, whose bundle is called like it.
        target: on its shelf, or the .toml file of one of your own; defaults to the recipe's, else to cpu.
        scheme: defaults to the recipe's on the target that it names, else to the best of the target (of a model
            without a recipe on cpu to float32).
        data: what to calibrate with, in place of the recipe's training split; for a model without a
            recipe, to prove it on too: a folder of images or WAV files, in folders of a class each or not; a .npy,
            .npz or .csv file; an array (N, ...) of raw values of any dtype, by name where there are several inputs;
            or samples (...) one by one (see `sources.read_samples`).
        calibration: how ranges are chosen from what is measured: "minmax", "percentile" or "mse";
            defaults to the recipe's, else to "minmax".
        keep_float: names of layers that are not quantized, or patterns of names; defaults to the recipe's.
        preprocessing: how the inputs of a model from elsewhere are prepared, for all alike or by name, see `adopt`.
        custom: modules with the layers and functions of your own that a Keras model is made of. Each is imported
            in the child processes that read and convert it. Code in a model's file is never run, even so.
        streaming: whether a recurrent network's bundle also has the file of one step, see `Bundle.stream`.
        unroll: whether the steps of LSTMs are written out in place of one operation for all: in int8 many times as fast
            on a processor, and a larger file; where the recipe says so it is done without.
        decoder: whether to export the decoder of a variational auto-encoder alone, as the model name-decoder; it is
            calibrated with noise and proven on other noise.
        out: folder that holds models and bundles.
        force: replace the bundle that is there.
        progress: told of each step; silent by default.

    Returns:
        The bundle as it lies on disk, and what was measured of it.

    Raises:
        VerificationRefused: the file broke its promise or lost too much; nothing was written.
        DataError: there is no data to calibrate with or prove on.
        ModelFileError: there is no such model, or it cannot be read.
        IllegalCombination, ConversionError, OutputError: as they say.
    """
    [result] = export_schemes(
        model,
        [scheme] if scheme else [],
        target,
        data=data,
        calibration=calibration,
        keep_float=keep_float,
        preprocessing=preprocessing,
        custom=custom,
        streaming=streaming,
        unroll=unroll,
        decoder=decoder,
        out=out,
        force=force,
        progress=progress,
    )
    if isinstance(result, DlkitError):
        raise result
    return result


def export_schemes(
    model: Model,
    schemes: Sequence[str] = (),
    target: str | None = None,
    *,
    data: Data | None = None,
    calibration: str | None = None,
    keep_float: Sequence[str] = (),
    preprocessing: str | Mapping[str, str] | None = None,
    custom: str | Sequence[str] = (),
    streaming: bool = False,
    unroll: bool = False,
    decoder: bool = False,
    out: str | Path = "exported",
    force: bool = False,
    progress: Progress = SILENT,
) -> list[tuple[Bundle, Report] | DlkitError]:
    """`export` for several schemes: converted once, calibrated once, a bundle for each.

    Args:
        schemes: the names; empty for the one that `export` would take. All others are those of `export`.

    Returns:
        For each scheme its bundle and report, or why it has none: a network may not be able to have a
        scheme, or lose too much by it, and the others are worth having nevertheless.

    Raises:
        As `export` does for what concerns all of them.
    """
    starting.prepare()
    modules = (custom,) if isinstance(custom, str) else tuple(custom)
    with found_model(model, Path(out), preprocessing, modules, progress=progress) as trained:
        if not decoder:
            return _exported_schemes(
                trained, schemes, target, data, calibration, keep_float, streaming, unroll, Path(out), force, progress
            )
        if data is not None:
            raise DataError("a decoder is calibrated with the noise that it makes images of; leave out data")
        wanted = schemes or [scheme_for(trained, target)]
        with decoder_of(trained) as (part, noise):
            return _exported_schemes(
                part, wanted, target, noise, calibration, keep_float, streaming, unroll, Path(out), force, progress
            )


def _exported_schemes(
    trained: Trained,
    schemes: Sequence[str],
    target: str | None,
    data: Data | ExportSamples | None,
    calibration: str | None,
    keep_float: Sequence[str],
    streaming: bool,
    unroll: bool,
    out: Path,
    force: bool,
    progress: Progress,
) -> list[tuple[Bundle, Report] | DlkitError]:
    device = target_of(trained, target, unroll)
    names = list(dict.fromkeys(schemes)) or [scheme_for(trained, target)]
    chosen = [SCHEMES[name] for name in names]
    for scheme in chosen:
        check_legal(scheme, device)
        if streaming and scheme.format != "tflite":
            raise IllegalCombination(f"{scheme.name} has no file of one step; leave out --streaming")
        check_name(trained, out / trained.name)
        refuse_existing(bundle_folder(out, trained.name, device.name, scheme.name), replace=force)
    check_writable(out / trained.name)
    check_temporaries()
    RUNTIMES[device.runtime].require_tools()
    with ready_to_export(trained, chosen, device, data, calibration, keep_float, streaming, progress) as ready:
        results: list[tuple[Bundle, Report] | DlkitError] = []
        for scheme in chosen:
            folder = bundle_folder(out, trained.name, device.name, scheme.name)
            try:
                if ready.preparing is not None and scheme.format == "tflite":
                    results.append(exported(ready.preparing.prepared(scheme), scheme, folder, force, progress))
                else:
                    results.append(served(ready.plan, scheme, ready.inputs, folder, ready.folder, force, progress))
            except SCHEMES_OWN as error:
                results.append(error)
    return results


@dataclasses.dataclass(frozen=True)
class Ready:
    """What the files of all schemes are made from.

    Attributes:
        inputs: held-out network inputs, the gate's samples and then those of the test split.
        preparing: the float models; None where no scheme is for devices.
        folder: for what is made on the way.
    """

    plan: Plan
    inputs: dict[str, NDArray[np.float32]]
    preparing: Preparing | None
    folder: Path


@contextlib.contextmanager
def ready_to_export(
    trained: Trained,
    schemes: Sequence[Scheme],
    target: Target,
    data: Data | ExportSamples | None,
    calibration: str | None,
    keep_float: Sequence[str],
    streaming: bool,
    progress: Progress,
) -> Iterator[Ready]:
    """Samples read, and the model converted to float, while the block runs. Raises as `export` does."""
    wanted = trained.recipe.export if trained.recipe else None
    method = calibration or (wanted.calibration if wanted else "minmax")
    observer_of(method)
    keep = tuple(keep_float) or tuple(wanted.keep_float if wanted else ())
    with progress.step("Reading samples"):
        calibrate = any(scheme.needs_calibration for scheme in schemes)
        samples = samples_for(trained, calibrate, data)
        warnings = samples.warnings(trained.inputs, len(trained.labels)) if calibrate else []
    with temporary_folder() as temporary:
        inputs = _held_out_inputs(trained, samples, temporary / "held-out.npz")
        plan = Plan(trained, samples, target, method, keep, tuple(warnings))
        for_devices = any(scheme.format == "tflite" for scheme in schemes)
        preparing = Preparing(plan, inputs, streaming, temporary, progress) if for_devices else None
        yield Ready(plan, inputs, preparing, temporary)


def target_of(trained: Trained, target: str | None, unroll: bool = False) -> Target:
    """The target that is meant: the one named, else the recipe's, else the processor.

    Args:
        unroll: whether it is to have no operation for a whole LSTM, whatever the recipe says.

    Raises:
        IllegalCombination: that is wanted of a model without an LSTM.
    """
    wanted = trained.recipe.export if trained.recipe else None
    device = known_target(target or (wanted.target if wanted else "cpu"))
    if not (unroll or (wanted and wanted.unroll)):
        return device
    if "LSTM" not in layer_classes(trained.model):
        raise IllegalCombination(f"{trained.name} has no LSTM to unroll; leave out --unroll (or export.unroll)")
    return dataclasses.replace(device, avoid=tuple(dict.fromkeys((*device.avoid, "fused_lstm"))))


def scheme_for(trained: Trained, named: str | None) -> str:
    """The scheme where none is named: the recipe's on the target that it names, else the best of the target `named`.

    A model without a recipe becomes a float32 file for the processor: nothing is lost that nobody asked for.
    """
    wanted = trained.recipe.export if trained.recipe else None
    if wanted is not None and named in (None, wanted.target):
        return wanted.scheme
    target = target_of(trained, named)
    return "float32" if wanted is None and target.name == "cpu" else target.schemes[0]


def check_legal(scheme: Scheme, target: Target) -> None:
    """Raise IllegalCombination, with what is near, if the target cannot run files of the scheme."""
    if scheme.name not in target.schemes:
        able = [other.name for other in TARGETS.values() if scheme.name in other.schemes]
        likely = [name for name in ("cpu", "server") if name in able] or able
        instead = f"; or give --target {likely[0]}" if able else ""
        raise IllegalCombination(
            f"{target.name} cannot run {scheme.name} files; it runs {', '.join(target.schemes)}: "
            f"--scheme {target.schemes[0]}{instead}"
        )


def check_name(trained: Trained, folder: Path) -> None:
    """Raise OutputError if a model from elsewhere would put its bundles beside a model of ours."""
    ours = folder / "model.keras"
    if not trained.network and ours.exists():
        raise OutputError(f"{folder} belongs to {ours}; rename {trained.model.name}, or choose another --out DIR")


def samples_for(trained: Trained, calibrate: bool, data: Data | ExportSamples | None) -> ExportSamples:
    """What calibrates a file of a model, proves it and tests it.

    Raises:
        DataError: there are none, or they are not what the model was trained on.
    """
    if isinstance(data, ExportSamples):
        return data
    if trained.recipe is not None:
        [name] = trained.inputs
        own = samples_of_recipe(trained.recipe, name)
        _check_labels(trained, trained.recipe)
        return own if data is None else calibrated_with(own, data, trained.inputs, trained.recipe)
    if data is not None:
        return samples_of_data(data, trained.inputs, trained.labels, CALIBRATION_SAMPLES, SEED)
    purpose = "to calibrate with and to prove the file on" if calibrate else "to prove the file on"
    raise DataError(f"{trained.name} has no data set {purpose}; name {_wanted(trained)}")


def _check_labels(trained: Trained, recipe: Recipe) -> None:
    """Raise DataError if the classes of the data are no longer called as when the model was trained."""
    labels = opened(recipe).labels
    if trained.labels and trained.labels != labels:
        first = next(pair for pair in zip(trained.labels, labels, strict=True) if pair[0] != pair[1])
        raise DataError(
            f"{trained.name}: was trained on a class {first[0]!r} where {recipe.data.name} now has {first[1]!r}; "
            "train it again with these data"
        )


def _wanted(trained: Trained) -> str:
    """What to give with --data for a model's inputs."""
    if len(trained.inputs) > 1:
        return f"a .npz archive with an array for each input, {', '.join(trained.inputs)}: add --data FILE"
    [preprocessing] = trained.inputs.values()
    if preprocessing.sound:
        return "a folder of WAV files (about 100; any rate and length): add --data FOLDER"
    shape = "×".join(str(n) for n in preprocessing.image or preprocessing.shape)
    if preprocessing.image is None:
        return f"a .npy or .csv file of about 100 samples of {shape} numbers: add --data FILE"
    return f"a folder of images (about 100; any size, they are fitted to {shape}): add --data FOLDER"


def _held_out_inputs(trained: Trained, samples: ExportSamples, file: Path) -> dict[str, NDArray[np.float32]]:
    """What the Keras model is to answer: the gate's samples and then those of the test split; they stay in `file`."""
    held_out = [samples.gate] + ([samples.test] if samples.test else [])

    def batches(name: str, inputs: Preprocessing) -> Iterator[NDArray[np.float32]]:
        for part in held_out:
            yield from (inputs.apply(batch) for batch in batches_of(part.raw[name], AT_ONCE))

    count = sum(count_of_samples(part.raw) for part in held_out)
    write_rows(file, {name: batches(name, inputs) for name, inputs in trained.inputs.items()}, count)
    return mapped_batch(file)
