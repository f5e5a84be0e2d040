"""Bundles of every kind for tests of pages: the one that comes with dlkit, with what other kinds have in its place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from dlkit.bundle.loading import Detector, load_bundle
from dlkit.pages.comparison_page import Compared
from dlkit.pages.latency import Latencies, Latency
from dlkit.pages.reading import Facts, facts_of
from dlkit.report import Comparison, Confusion, Detection, DeviceProof
from dlkit.runtime.clock import Timing
from dlkit.runtime.preprocessing import ANY_NUMBER, preprocessing_for
from dlkit.verdict import Budget, Figure, Placement, Verdict

TINY = Path(__file__).parents[1] / "exported" / "digits-tiny" / "cpu-int8"
RNG = np.random.default_rng(0)
TIMING = Timing(1, 200, 1.2, 0.05, 0.002, 0.003, 0.004, 51_000_000, "XNNPACK")
TIMES = tuple(float(t) for t in 0.002 + RNG.gamma(2.0, 0.001, 200))
TIMED = Latencies((Latency("model.tflite", TIMING, TIMES, "a CPU", "Linux", 2, "ai-edge-litert 2.3.0", "2026-01-01"),))
VOID = {"br", "hr", "img", "meta"}


def classifier() -> Facts:
    """As it is."""
    return facts_of(load_bundle(TINY), TIMED)


def changed(facts: Facts, bundle: dict[str, Any], report: dict[str, Any], manifest: dict[str, Any]) -> Facts:
    """The same with other attributes."""
    new = dataclasses.replace(facts.bundle, manifest=facts.bundle.manifest | manifest, **bundle)
    return dataclasses.replace(facts, bundle=new, report=dataclasses.replace(facts.report, **report))


def measured(split: str, metric: str, **besides: Any) -> Comparison:
    known = {"agreement": None, "score_agreement": None} | besides
    return Comparison(split, 100, metric, 0.9, 0.89, largest_output=1.0, largest_gap=0.02, sqnr_db=33.0, **known)


def bare() -> Facts:
    """A model from elsewhere: no labels, no history, nothing known of its samples but what it answers."""
    facts = classifier()
    arrays = {name: values for name, values in facts.arrays.items() if name.startswith(("raw ", "output "))}
    gates = (measured("held-out images of photos/", "agreement", agreement=0.99, score_agreement=1.0),)
    report = {"gates": gates, "tests": (), "confusions": (), "layers": ()}
    manifest = {"network": "", "task": "", "recipe": None, "device": None}
    return dataclasses.replace(changed(facts, {"labels": ()}, report, manifest), history={}, arrays=arrays)


def detector() -> Facts:
    """An auto-encoder that detects anomalies."""
    facts = classifier()
    raw = facts.arrays["raw image"]
    again = (raw / 16.0).astype(np.float32)
    arrays = facts.arrays | {"output output": again * 0.9, "float output": again * 0.91}
    gates = (measured("validation", "auc", float_mse=0.01, exported_mse=0.02),)
    detection = Detection(("0",), 0.05, 0.002, 18, 0.06, 0.97)
    report = {"gates": gates, "tests": gates, "confusions": (), "detection": detection}
    bundle = {"labels": (), "detector": Detector(("0",), 0.002)}
    return dataclasses.replace(changed(facts, bundle, report, {"task": "reconstruction"}), arrays=arrays)


def denoiser() -> Facts:
    """An auto-encoder that takes noise away."""
    facts = detector()
    gates = (measured("validation", "psnr_db", float_mse=0.01, exported_mse=0.02),)
    arrays = facts.arrays | {"wanted": facts.arrays["raw image"]}
    new = changed(facts, {"detector": None}, {"gates": gates, "tests": (), "detection": None}, {})
    return dataclasses.replace(new, arrays=arrays)


def forecaster() -> Facts:
    """Twelve steps after 48, of two features."""
    facts = classifier()
    statistics = ((1.0, 5.0), (0.5, 2.0))
    inputs = preprocessing_for("standard", (48, 2), None, ANY_NUMBER, "crop", statistics)
    series = np.sin(np.arange(60) / 5)[None, :, None] * np.array([1.0, 10.0]) + RNG.normal(0, 0.01, (3, 60, 2))
    after = inputs.of_shape((12, 2)).apply(series[:, 48:])
    arrays = {
        "raw image": series[:, :48].astype(np.float32), "output output": after + 0.1, "float output": after + 0.05,
        "wanted": series[:, 48:],
    }  # fmt: skip
    gates = (measured("validation", "skill", float_mase=0.7, exported_mase=0.71, float_mse=0.1, exported_mse=0.1),)
    report = {"gates": gates, "tests": gates, "confusions": ()}
    bundle = {"labels": (), "inputs": {"image": inputs}, "forecast": inputs.of_shape((12, 2))}
    return dataclasses.replace(changed(facts, bundle, report, {"task": "forecasting"}), arrays=arrays)


def several() -> Facts:
    """Two inputs, one of sounds and one of few numbers, and two outputs."""
    facts = classifier()
    rows = preprocessing_for("none", (20, 12), None, (-10.0, 10.0), "crop")
    few = preprocessing_for("none", (3,), None, (0.0, 1.0), "crop")
    line = preprocessing_for("none", (40,), None, (0.0, 1.0), "crop")
    arrays = {
        "raw rows": RNG.normal(size=(3, 20, 12)), "raw few": RNG.random((3, 3)), "raw line": RNG.random((3, 40)),
        "output kind": RNG.random((3, 4)).astype(np.float32), "output amount": RNG.random((3, 1)).astype(np.float32),
        "float kind": RNG.random((3, 4)).astype(np.float32), "label": np.array([0, 1, 2]),
    }  # fmt: skip
    ends = {"shape": [1, 4], "dtype": "int8", "answers": "scores", "tolerance": 0.1}
    manifest = {"outputs": {"kind": ends, "amount": ends}, "inputs": {"rows": {}, "few": {}, "line": {}}, "task": ""}
    gates = tuple(measured("held-out", "sqnr_db", output=name) for name in ("kind", "amount"))
    bundle = {"labels": (), "inputs": {"rows": rows, "few": few, "line": line}}
    new = changed(facts, bundle, {"gates": gates, "tests": (), "confusions": ()}, manifest)
    return dataclasses.replace(new, arrays=arrays)


def server() -> Facts:
    """For ONNX Runtime: no layers, no sizes of them, and not timed."""
    facts = classifier()
    report = {"layers": (), "runtime": "ONNX Runtime", "minimum_runtime": "1.20", "float_bytes": 0, "gzip_bytes": 0}
    new = changed(facts, {}, report, {"target": "server", "scheme": "onnx"})
    return dataclasses.replace(new, sizes=None, latencies=Latencies((), "onnxruntime is not installed"))


def on_a_device() -> Facts:
    """A verdict of which everything is known, and a file of one step beside the model."""
    facts = classifier()
    verdict = Verdict(
        "board", "compiled by vela 5.2.0",
        (Placement("CONV_2D", 2, "NPU"), Placement("SOFTMAX", 1, "CPU", "not there")),
        (Budget("flash", 300_000, 200_000), Budget("RAM", 10_000), Budget("arena", 10, 0)),
        (Figure("inferences", 120.5, "1/s"), Figure("cycles", 12_000)), ("the NPU lacks SOFTMAX",), ("a note",),
        ({"layer": "conv1", "cycles": 1200, "share": "14.354373598205703"},
         {"layer": "<i>", "cycles": None, "share": 0.5}),
    )  # fmt: skip
    proof = DeviceProof(verdict, 20, 0.001, 0.01, 0.3)
    report = {"device": proof, "warnings": ("watch out",), "notes": ("more files",), "kept_float": ("conv1",)}
    report |= {"streamed": (measured("validation", "accuracy"),), "keep_float": ("conv1",)}
    timed = Latencies((*TIMED.measured, dataclasses.replace(TIMED.measured[0], file="step.tflite")))
    return dataclasses.replace(changed(facts, {}, report, {"target": "board"}), latencies=timed)


def of_many_classes() -> Facts:
    """A thousand, of which a matrix could not be read."""
    facts = classifier()
    labels = tuple(f"class {number}" for number in range(1000))
    pairs = tuple((n, (n + n % 3) % 1000, 1 + n % 5) for n in range(1000))
    confusions = (Confusion("test", pairs, pairs[::-1]), Confusion("validation", ((0, 0, 5),), ((0, 0, 5),)))
    return changed(facts, {"labels": labels}, {"confusions": confusions}, {})


KINDS: tuple[Callable[[], Facts], ...] = (
    classifier, bare, detector, denoiser, forecaster, several, server, on_a_device, of_many_classes,
)  # fmt: skip


class Checked(HTMLParser):
    """A page that is read strictly: what opens closes, in order.

    Attributes:
        text: of the body, without the style.
        headings: levels, in order.
        ids, links, addresses: of elements; of anchors inside the page; of whatever else is loaded or led to.
        tags: how many of each.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.headings, self.ids = "", list[int](), list[str]()
        self.links, self.addresses, self.tags = list[str](), list[str](), dict[str, int]()
        self._open: list[str] = []
        self.feed(content.decode("utf-8"))
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        assert len(told) == len(attrs)
        assert not any(name.startswith("on") for name in told)
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.ids += [told["id"] or ""] if "id" in told else []
        for name in ("href", "src", "action", "data", "srcset"):
            if address := told.get(name):
                (self.links if address.startswith("#") else self.addresses).append(address)
        assert tag != "img" or told.get("alt")
        if tag in {"h1", "h2", "h3", "h4"}:
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += data


def with_links() -> list[Compared]:
    """Bundles side by side: some that can be held against one another, some that cannot, one without a page."""
    found = [Compared(f.bundle, f.report, f.latencies, ("a b", "report.html")) for f in (kind() for kind in KINDS)]
    smaller = dataclasses.replace(classifier().report, bytes=5000)
    return [*found, Compared(classifier().bundle, smaller, Latencies((), "no time"), ())]
