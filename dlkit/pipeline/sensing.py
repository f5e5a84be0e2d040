"""How much each layer costs when it alone is quantized, and is worth when it alone stays float.

The samples are those that an export's gate decides on; the test split is not looked at. A layer is all operations
that carry its name. One without weights, such as a pooling, is a layer like others where the scheme quantizes what
flows through it; one that became no operation, or that was folded into another, is none.
"""

from __future__ import annotations

import dataclasses
import glob
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dlkit.calibration.observers import observer_of
from dlkit.calibration.samples import ExportSamples
from dlkit.conversion import starting
from dlkit.conversion.batches import Batch
from dlkit.conversion.keeping import kept_operations, left_to_quantize
from dlkit.conversion.layer_names import operations
from dlkit.conversion.making import Float, check_possible, check_settings, convert_model, measure_ranges
from dlkit.conversion.quantizer import can_quantize, left_as_they_are
from dlkit.conversion.variants import Asked, Tried, Variant, kept_by, try_variants
from dlkit.errors import ConversionError, DataError, IllegalCombination
from dlkit.layer_costs import Sensitivity
from dlkit.pipeline.advising import advised, layer_from, sorted_by_cost
from dlkit.pipeline.exporting import samples_for
from dlkit.pipeline.finding import Model, found_model
from dlkit.pipeline.judging import Judge, Measured, judge_of, some_of
from dlkit.pipeline.proving import FloatAnswers
from dlkit.progress import SILENT, Progress
from dlkit.runtime.arrays import write_npz
from dlkit.runtime.inspection import CONTROL_FLOW, inspect_file
from dlkit.schemes import SCHEMES, Scheme
from dlkit.trained import Trained
from dlkit.writing import temporary_folder

if TYPE_CHECKING:
    from dlkit.calibration.samples import Data
    from dlkit.runtime.rows import Rows

ENDS = "input and output"
"""What the row of a file's ends is called."""


def sensitivity(
    model: Model,
    scheme: str | None = None,
    *,
    data: Data | None = None,
    calibration: str | None = None,
    keep_float: Sequence[str] = (),
    preprocessing: str | Mapping[str, str] | None = None,
    custom: str | Sequence[str] = (),
    out: str | Path = "exported",
    progress: Progress = SILENT,
) -> Sensitivity:
    """Measure what each layer of a model costs when it is quantized. Nothing is exported.

    >>> found = dlkit.sensitivity("digits", "int8")    # doctest: +SKIP
    >>> found.layers[0].layer, found.advice             # doctest: +SKIP
    ('stage2_relu2', None)

    Args:
        model, data, preprocessing, custom, out, progress: see `export`.
        scheme: defaults to the recipe's, or to int8 where that quantizes nothing.
        calibration: how ranges are chosen; defaults to the recipe's, else to "minmax".
        keep_float: layers that are float throughout and are not measured; defaults to the recipe's.

    Returns:
        A row for each layer, the one that costs most first, by the task's metric and in decibels; what to keep float.

    Raises:
        IllegalCombination: the scheme quantizes nothing, or the network's layers cannot be quantized one at a time.
        DataError, ModelFileError, ConversionError, UnknownName: as `export` does.
    """
    starting.prepare()
    modules = (custom,) if isinstance(custom, str) else tuple(custom)
    with found_model(model, Path(out), preprocessing, modules, progress=progress) as trained:
        wanted = trained.recipe.export if trained.recipe else None
        chosen = _scheme(scheme, wanted.scheme if wanted else None)
        method = calibration or (wanted.calibration if wanted else "minmax")
        observer_of(method)
        keep = tuple(keep_float) or tuple(wanted.keep_float if wanted else ())
        with progress.step("Reading samples"):
            samples = samples_for(trained, chosen.needs_calibration, data)
            samples = dataclasses.replace(samples, gate=some_of(samples.gate)[0], test=None)
        with temporary_folder() as folder:
            inputs = _inputs(trained, samples.gate.raw)
            converted = convert_model(trained.model, inputs, folder, progress, trained.custom)
            answers = FloatAnswers(converted, inputs, samples.gate)
            return sensitivity_of(trained, samples, answers, chosen, method, keep, progress)


def sensitivity_of(
    trained: Trained,
    samples: ExportSamples,
    answers: FloatAnswers,
    scheme: Scheme,
    method: str = "minmax",
    keep_float: Sequence[str] = (),
    progress: Progress = SILENT,
    ranges: Path | None = None,
) -> Sensitivity:
    """`sensitivity` of a model that is converted already.

    Args:
        answers: of the converted model, to the samples of the gate at least.
        ranges: file that `quantizer.calibrate` wrote; they are measured if there is none.

    Raises:
        IllegalCombination, DataError, ConversionError, UnknownName: see `sensitivity`.
    """
    converted = answers.converted
    check_separable(converted, scheme, method, keep_float)
    with temporary_folder() as folder:
        if scheme.needs_calibration and ranges is None:
            ranges = folder / "ranges.json"
            write_npz(folder / "calibration.npz", _inputs(trained, samples.calibration.raw))
            measure_ranges(converted, folder / "calibration.npz", method, ranges, progress)
        judge = judge_of(trained, samples.gate, answers, scheme)
        asked = Asked(converted, scheme, ranges if scheme.needs_calibration else None, judge.inputs)
        return _Layers(asked, judge, tuple(keep_float)).measured(trained.name, progress)


def check_separable(converted: Float, scheme: Scheme, method: str, keep_float: Sequence[str]) -> None:
    """Raise IllegalCombination unless layers of the network can be quantized by the scheme one at a time."""
    names, file = converted.layer_names, converted.file
    ops = left_to_quantize(file, keep_float, names) if keep_float else set(inspect_file(file).ops)
    check_possible(ops, scheme)
    if loops := CONTROL_FLOW & set(inspect_file(file).ops):
        raise IllegalCombination(
            f"this network holds {', '.join(sorted(loops))}, and what a loop repeats is quantized as a whole; its "
            "layers cannot be told apart: dlkit export measures the file as it is"
        )
    if not can_quantize(ops, scheme):
        which = ", ".join(sorted(left_as_they_are(ops, scheme)))
        raise IllegalCombination(
            f"only the TensorFlow converter makes this network {scheme.name} (for {which}), and it quantizes all "
            "layers or none; use --scheme dynamic_int8, or --keep-float for the layers that need it"
        )
    check_settings(ops, scheme, method, keep_float)


def _scheme(name: str | None, of_recipe: str | None) -> Scheme:
    """The one to measure. Raises UnknownName, and IllegalCombination for one that quantizes nothing."""
    if name is None:
        own = SCHEMES[of_recipe or "int8"]
        return own if _quantizes(own) else SCHEMES["int8"]
    scheme = SCHEMES[name]
    if not _quantizes(scheme):
        why = (
            "fits the network again before it quantizes it, and that is not measured here"
            if scheme.preparation
            else "quantizes no layer of a file for devices"
        )
        raise IllegalCombination(f"{name} {why}; use --scheme int8")
    return scheme


def _quantizes(scheme: Scheme) -> bool:
    """Whether it does that, and nothing else."""
    return scheme.format == "tflite" and scheme.quantizer != "none" and not scheme.preparation


def _inputs(trained: Trained, raw: Mapping[str, Rows]) -> Batch:
    return {name: of_input.apply(np.asarray(raw[name])) for name, of_input in trained.inputs.items()}


class _Layers:
    """The layers of a network, and what is made and measured of them."""

    def __init__(self, asked: Asked, judge: Judge, keep_float: tuple[str, ...]) -> None:
        self._asked, self._judge, self._keep = asked, judge, keep_float
        self._made = operations(asked.converted.file, asked.converted.layer_names)
        self._all = frozenset(range(len(self._made)))
        self._base = self._numbers(keep_float) if keep_float else frozenset()
        first = (made.layers[0] for n, made in enumerate(self._made) if made.layers and n not in self._base)
        self._own = {layer: kept_by(self._made, [layer]) - self._base for layer in dict.fromkeys(first)}

    def measured(self, model: str, progress: Progress) -> Sensitivity:
        """All of them, and what is worth keeping float."""
        scheme = self._asked.scheme
        with progress.step(f"Quantizing all layers to {scheme.name}"):
            whole, ends = self._whole()
        with progress.step("Quantizing and keeping one layer at a time") as advance:
            variants = [variant for own in self._own.values() for variant in self._both(own)]
            tried = try_variants(self._asked, variants, self._judge, advance)
        pairs = dict(zip(self._own, zip(tried[::2], tried[1::2], strict=True), strict=True))
        touched = {layer: pair for layer, pair in pairs.items() if pair[0].quantized or pair[0].problem}
        layers = sorted_by_cost(
            [layer_from(layer, self._operations(layer), *pair, whole) for layer, pair in touched.items()]
        )
        with progress.step("Trying which layers are worth keeping float"):
            advice, reason = advised(whole, ends[1] if ends else None, layers, self._sets)
        before = whole.measured
        assert before is not None  # `_whole` raised otherwise
        return Sensitivity(
            model=model,
            scheme=scheme.name,
            split=self._judge.gate.name,
            samples=len(next(iter(self._judge.wanted.values()))),
            metric=before.metric,
            float_metric=before.original,
            all_metric=before.value,
            all_sqnr_db=before.sqnr_db,
            float_bytes=self._asked.converted.file.stat().st_size,
            all_bytes=whole.bytes,
            layers=layers,
            ends=layer_from(ENDS, (), *ends, whole) if ends else None,
            unaffected=tuple(layer for layer in pairs if layer not in touched),
            kept_float=self._keep,
            advice=advice,
            reason=reason,
        )

    def _whole(self) -> tuple[Tried[Measured], tuple[Tried[Measured], Tried[Measured]] | None]:
        """The file with all layers quantized; and with its ends quantized alone and float alone, if they are not float.

        Raises:
            ConversionError: it could not be made or run.
            DataError: the samples do not tell signal from noise.
        """
        variants = [Variant(self._base)]
        if self._asked.scheme.io != "float32":
            variants += [Variant(self._all), Variant(self._base, float_ends=True)]
        whole, *ends = try_variants(self._asked, variants, self._judge)
        if whole.measured is None:
            raise ConversionError(f"the {self._asked.scheme.name} file with all layers quantized: {whole.problem}")
        if not whole.measured.is_sound:
            raise DataError(
                "no loss can be measured: the samples do not move the model's output, or its answers are no numbers"
            )
        return whole, (ends[0], ends[1]) if ends else None

    def _both(self, own: frozenset[int]) -> tuple[Variant, Variant]:
        """A layer's operations quantized alone, and kept float alone."""
        return Variant(self._all - own, float_ends=True), Variant(self._base | own)

    def _operations(self, layer: str) -> tuple[str, ...]:
        return tuple(self._made[number].name for number in sorted(self._own[layer]))

    def _sets(self, sets: Sequence[tuple[str, ...]]) -> list[Tried[Measured]]:
        """Files in which these layers are float, as `--keep-float` of their names makes them."""
        patterns = [(*self._keep, *(glob.escape(name) for name in names)) for names in sets]
        return try_variants(self._asked, [Variant(self._numbers(keep)) for keep in patterns], self._judge)

    def _numbers(self, keep: Sequence[str]) -> frozenset[int]:
        """Of the operations that stay float by these patterns. Raises UnknownName."""
        converted = self._asked.converted
        scopes = {operation.scope for operation in kept_operations(converted.file, keep, converted.layer_names)}
        return frozenset(number for number, made in enumerate(self._made) if made.scope in scopes)
