"""The samples that travel in the bundle, each with what the float model and the exported file make of it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.bundle.loading import Bundle
from dlkit.metrics import mean_squared_error
from dlkit.pages.charts import Line, line_chart
from dlkit.pages.html import Child, Html, element, joined
from dlkit.pages.parts import Section, bar, name
from dlkit.pages.pictures import made_picture, raw_picture, values_picture
from dlkit.pages.reading import Facts

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_SAMPLES = 12
MOST_OUTPUTS = 6


@dataclasses.dataclass(frozen=True)
class Shown:
    """One sample of a bundle.

    Attributes:
        number: from 1 on.
        raw: input name → raw values.
        exported, float: output name → what the file and the float model answer; the latter may not be known.
        label: place of the right class; None where that is not known.
        wanted: raw values that are to be given again or forecast, where these are not the input's.
    """

    number: int
    raw: dict[str, NDArray[Any]]
    exported: dict[str, NDArray[np.float32]]
    float: dict[str, NDArray[np.float32]]
    label: int | None
    wanted: NDArray[Any] | None


def samples(facts: Facts) -> Section | None:
    """A card for each sample; None where nothing can be shown, and of generators, whose images are elsewhere."""
    bundle, shown = facts.bundle, _samples_of(facts)
    if not shown or bundle.task == "generation":
        return None
    if _is_forecast(bundle, shown[0]):
        cards, wide = [_forecast(bundle, sample) for sample in shown], True
    elif bundle.task == "reconstruction" and len(bundle.inputs) == 1:
        cards, wide = [_again(bundle, sample) for sample in shown], True
    else:
        cards, wide = [_answered(bundle, sample) for sample in shown], len(bundle.inputs) > 1
    hint = element("p", f"{len(shown)} held-out samples that travel in the bundle: dlkit predict --check holds the "
                   "exported file's answers against them.", class_="hint")  # fmt: skip
    gallery = element("ul", *(element("li", card) for card in cards), class_="gallery wide" if wide else "gallery")
    return Section("samples", "Samples", "Samples", joined(hint, gallery))


def _is_forecast(bundle: Bundle, sample: Shown) -> bool:
    """Whether what is answered continues what is given, as a forecaster's manifest says."""
    if bundle.task != "forecasting" or bundle.forecast is None or len(sample.raw) != 1:
        return False
    shapes = {values.shape for values in (*sample.exported.values(), *sample.float.values())}
    return shapes == {bundle.forecast.shape} and all(raw.ndim and raw.size for raw in sample.raw.values())


def _samples_of(facts: Facts) -> list[Shown]:
    """Those whose arrays belong together, in the manifest's names."""
    arrays, bundle = facts.arrays, facts.bundle
    raw = {key: arrays[f"raw {key}"] for key in bundle.inputs if f"raw {key}" in arrays}
    exported = {key: arrays[f"output {key}"] for key in bundle.manifest["outputs"] if f"output {key}" in arrays}
    counts = {len(values) if values.ndim else 0 for values in (*raw.values(), *exported.values())}
    if raw.keys() != bundle.inputs.keys() or not exported or len(counts) != 1:
        return []
    [count] = counts
    before = {key: arrays[f"float {key}"] for key in exported if _fits(arrays.get(f"float {key}"), exported[key])}
    labels, wanted = arrays.get("label"), arrays.get("wanted")
    labelled = labels is not None and labels.shape == (count,) and labels.dtype.kind in "iu"
    known = wanted is not None and wanted.ndim > 1 and len(wanted) == count
    return [
        Shown(
            place + 1,
            {key: values[place] for key, values in raw.items()},
            {key: _as_float32(values[place]) for key, values in exported.items()},
            {key: _as_float32(values[place]) for key, values in before.items()},
            int(labels[place]) if labels is not None and labelled else None,
            wanted[place] if wanted is not None and known else None,
        )
        for place in range(min(count, MOST_SAMPLES))
    ]


def _as_float32(values: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what is too large is infinite, and told as no number
        return values.astype(np.float32)


def _fits(found: NDArray[Any] | None, other: NDArray[Any]) -> bool:
    return found is not None and found.shape == other.shape


# --- classes, scores, other outputs ---


def _answered(bundle: Bundle, sample: Shown) -> Html:
    labels = bundle.labels
    right = name(labels[sample.label]) if sample.label is not None and 0 <= sample.label < len(labels) else None
    told = f"sample {sample.number}" + (f", of class {right}" if right else "")
    heads = [joined(element("p", name(key), class_="hint") if len(sample.raw) > 1 else None,
                    raw_picture(raw, bundle.inputs[key], told)) for key, raw in sample.raw.items()]  # fmt: skip
    parts: list[Child] = [element("div", *heads, class_="only")]
    if right:
        parts.append(element("p", "Class ", element("strong", right)))
    elif sample.label is not None and not labels:
        parts.append(element("p", f"Class {sample.label}"))
    for place, key in enumerate(list(sample.exported)[:MOST_OUTPUTS]):
        exported, before = sample.exported[key], sample.float.get(key)
        if len(sample.exported) > 1:
            parts.append(element("p", name(key), class_="hint"))
        if place == 0 and labels and exported.shape == (len(labels),):
            parts += [_class("exported", exported, labels, sample.label)]
            parts += [_class("float", before, labels, sample.label)] if before is not None else []
        else:
            parts += [_numbers("exported", exported)]
            parts += [_numbers("float", before)] if before is not None else []
    return joined(*parts)


def _class(which: str, outputs: NDArray[np.float32], labels: tuple[str, ...], label: int | None) -> Html:
    """The class that is put first, how high it is, and whether it is right."""
    if not np.isfinite(outputs).all():
        return element("p", f"{which}: no numbers", class_="no")
    first = int(outputs.argmax())
    mark: Child = None
    if label is not None:
        mark = element("span", " ✓", class_="ok") if first == label else element("span", " ✗ wrong", class_="no")
    value = float(outputs[first])
    told = element("span", element("b", name(labels[first]), mark), " ", element("span", which, class_="soft"))
    parts = [told, element("span", f"{value:.4f}")]
    if 0 <= value <= 1:
        parts.append(bar(value, "float" if which == "float" else ""))
    return element("div", *parts, class_="answer")


def _numbers(which: str, outputs: NDArray[np.float32]) -> Html:
    if outputs.size == 1:
        return element("div", element("span", which, class_="soft"), element("b", f"{float(outputs.ravel()[0]):.4f}"),
                       class_="answer")  # fmt: skip
    return joined(element("p", which, class_="hint"), values_picture(outputs.astype(np.float64), f"{which} output"))


# --- auto-encoders ---


def _again(bundle: Bundle, sample: Shown) -> Html:
    [(key, raw)] = sample.raw.items()
    inputs, exported = bundle.inputs[key], next(iter(sample.exported.values()))
    pictures = [("given", raw_picture(raw, inputs, f"sample {sample.number} as it is given"))]
    if sample.wanted is not None:
        pictures.append(("wanted", raw_picture(sample.wanted, inputs, f"sample {sample.number} without noise")))
    pictures.append(("exported", made_picture(exported, inputs, f"what the exported file makes of {sample.number}")))
    for before in sample.float.values():
        pictures.append(("float", made_picture(before, inputs, f"what the float model makes of {sample.number}")))
    aim = sample.wanted if sample.wanted is not None else raw
    prepared = inputs.apply(aim[np.newaxis])[0]
    answers = [("exported", exported), *(("float", before) for before in sample.float.values())]
    errors = {which: _error(bundle, prepared, made) for which, made in answers}
    figures = [
        element("figure", picture, element("figcaption", told, element("br") if told in errors else None,
                                           errors.get(told)))
        for told, picture in pictures
    ]  # fmt: skip
    heading = element("p", f"Class {sample.label}") if sample.label is not None and bundle.detector else None
    return joined(element("div", *figures, class_="thumbs"), heading)


def _error(bundle: Bundle, wanted: NDArray[np.float32], made: NDArray[np.float32]) -> Child:
    """How far off it is; of a detector, what follows from that."""
    if wanted.shape != made.shape:
        return None
    error = mean_squared_error(wanted, made)
    verdict: Child = None
    if bundle.detector is not None:
        verdict = element("strong", "anomaly " if error > bundle.detector.threshold else "normal ")
    return joined(verdict, f"error {error:.4f}")


# --- forecasts ---


def _forecast(bundle: Bundle, sample: Shown) -> Html:
    """What was given, what came after it, and what was forecast, of the first feature."""
    assert bundle.forecast is not None
    [raw] = sample.raw.values()
    given = _first_feature(raw)
    start = len(given)
    lines = [Line("given", given)]
    if sample.wanted is not None:
        lines.append(Line("what came", [given[-1], *_first_feature(sample.wanted)], first=start - 1, dashed=True))
    for which, outputs in (("exported", sample.exported), ("float", sample.float)):
        for values in outputs.values():
            found = _first_feature(bundle.forecast.raw_of(values))
            lines.append(Line(which, [given[-1], *found], first=start - 1, dashed=which == "float"))
    several = raw.ndim > 1 and raw.shape[-1] > 1
    note = element("p", f"the first of {raw.shape[-1]} features", class_="hint") if several else None
    return joined(line_chart(f"sample {sample.number}", lines, "step"), note)


def _first_feature(values: NDArray[Any]) -> list[float]:
    series = values.reshape(len(values), -1)[:, 0] if values.ndim > 1 else np.atleast_1d(values)
    return [float(value) for value in series]
