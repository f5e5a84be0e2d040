"""The page of a bundle, whatever kind it is of: whole, safe, and with all that is known."""

from __future__ import annotations

import dataclasses
import json
import math
import random
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import KINDS, TIMED, Checked, bare, changed, classifier, detector, forecaster, of_many_classes, on_a_device
from test_making import NOISE, SIGNED, StandIn

from dlkit.bundle import loading
from dlkit.bundle.loading import load_bundle
from dlkit.errors import DlkitError, ModelFileError
from dlkit.pages.charts import Line, Point, histogram, line_chart, scatter, short, sparkline
from dlkit.pages.html import element, escaped
from dlkit.pages.latency import Latencies, told_ms
from dlkit.pages.layer_sizes import sizes_of
from dlkit.pages.page import POLICY
from dlkit.pages.png import png
from dlkit.pages.reading import Facts, facts_of, report_of
from dlkit.pages.recipe_text import toml_of
from dlkit.pages.report_page import report_page
from dlkit.reading import parse_toml
from dlkit.recipe import find_recipes, read_recipe, recipe_from

ROOT = Path(__file__).parents[2]
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>&amp;\u202e\0\ud800'


# --- every kind ---


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_whole_and_loads_nothing(kind: Callable[[], Facts]) -> None:
    """What opens closes, links lead to parts of the page, headings come in order, ids are there once."""
    content = report_page(kind())
    page = Checked(content)
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(page.headings, page.headings[1:], strict=False))
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert "script" not in page.tags
    assert b"http://" not in content
    assert b"https://" not in content
    assert b"url(" not in content
    assert escaped(POLICY).encode() in content
    assert not re.search(r"\b(nan|inf|None|True|False)\b", page.text)
    assert "of the float file" in page.text or kind().report.float_bytes == 0


def sections(facts: Facts) -> set[str]:
    return {name for name in Checked(report_page(facts)).ids if not name.endswith("-title")}


def test_a_classifiers_page_tells_everything() -> None:
    """The verdict, the classes of its samples, matrices, layers, times, operations, training, recipe, checksums."""
    facts = classifier()
    page = Checked(report_page(facts))
    assert sections(facts) == {
        "quality", "samples", "confusion", "layers", "latency", "operations", "device", "made", "training", "recipe",
        "again",
    }  # fmt: skip
    report = facts.report
    assert f"{report.tests[0].float:.4f} float → {report.tests[0].exported:.4f} exported" in page.text
    assert f"on {report.tests[0].samples} samples (test)" in page.text
    assert page.tags["img"] == 10
    for digest in facts.bundle.manifest["sha256"].values():
        assert digest in page.text
    for error in report.layers:
        assert f"{error.sqnr_db:.1f} dB" in page.text
    for operation in report.ops:
        assert operation in page.text
    assert "dlkit run digits-tiny.toml" in page.text
    assert "a CPU" in page.text
    assert told_ms(TIMED.measured[0].quantiles_ms()[0][1]) in page.text


def test_what_is_not_known_has_no_section() -> None:
    """A model from elsewhere without labels, history, recipe and times."""
    facts = dataclasses.replace(bare(), latencies=Latencies(()))
    assert sections(facts) == {"quality", "samples", "layers", "operations", "device", "made", "again"}
    assert "Learning" not in Checked(report_page(facts)).text


def test_confusion_counts_are_those_of_the_report() -> None:
    """Every class's samples are in its row, the right ones on the diagonal."""
    facts = classifier()
    [_, found] = facts.report.confusions
    assert found.split == "test"
    test = facts.report.tests[0]
    assert sum(n for _, _, n in found.exported) == test.samples
    assert sum(n for right, taken, n in found.exported if right == taken) / test.samples == test.exported
    assert sum(n for right, taken, n in found.float if right == taken) / test.samples == test.float


def test_of_many_classes_the_mistakes_are_listed() -> None:
    """Not a matrix of a million numbers."""
    content = report_page(of_many_classes())
    assert len(content) < 200_000
    assert "kinds of mistake" in Checked(content).text
    assert "No mistakes." in Checked(content).text


def test_an_anomaly_is_told() -> None:
    """By the error of each sample, and by the threshold."""
    text = Checked(report_page(detector())).text
    assert "anomaly error" in text
    assert "0.97" in text
    assert "Anomalies found" in text


def test_a_forecast_is_drawn_beside_what_came() -> None:
    """In raw values."""
    text = Checked(report_page(forecaster())).text
    for part in ("given", "what came", "exported", "float", "the first of 2 features"):
        assert part in text


def test_a_device_that_is_too_small_is_no_good_news() -> None:
    """The verdict says so, and why."""
    text = Checked(report_page(on_a_device())).text
    for part in ("Does not fit", "flash 300,000 bytes, but board has 200,000", "the NPU lacks SOFTMAX", "watch out",
                 "step.tflite", "150%", "more files", "not of the device", "14.35"):  # fmt: skip
        assert part in text


@pytest.fixture
def generator(bundle: Path, vouch: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Path:
    (bundle / "labels.txt").write_text("")
    vouch(bundle, task="generation", picture=SIGNED, inputs={"noise": {"preprocessing": NOISE}})
    monkeypatch.setattr(loading, "open_model", lambda model, threads: StandIn((4,)))
    return bundle


def test_a_generators_page_shows_what_it_makes(generator: Path) -> None:
    """A grid of images of noise."""
    page = Checked(report_page(facts_of(load_bundle(generator), TIMED)))
    assert page.tags["img"] == 40
    assert "40 images that the exported file makes of noise" in page.text


def test_a_generator_that_is_told_a_class_shows_each(generator: Path, vouch: Callable[..., None]) -> None:
    """In a column of its own."""
    manifest = json.loads((generator / "manifest.json").read_text())
    vouch(generator, conditions=["cat", "dog", "owl"], inputs=manifest["inputs"])
    page = Checked(report_page(facts_of(load_bundle(generator), TIMED)))
    assert page.tags["img"] == 39
    assert "A column for each class, cat, dog, owl" in page.text


# --- strangers' bundles ---


def hostile(value: Any, depth: int = 0) -> Any:
    """The same with markup in place of every text."""
    if isinstance(value, str):
        return f"{value}{HOSTILE}"
    if isinstance(value, dict):
        return {f"{key}{HOSTILE}" if depth else key: hostile(each, depth + 1) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(hostile(each, depth + 1) for each in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value)(**{f.name: hostile(getattr(value, f.name), depth) for f in dataclasses.fields(value)})
    return value


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_of_a_bundle_becomes_markup(kind: Callable[[], Facts]) -> None:
    """Labels, names, notes, keys, versions, whatever a stranger wrote."""
    facts = kind()
    manifest = {key: hostile(facts.bundle.manifest[key], 1) for key in ("name", "scheme", "target", "recipe", "device",
                                                                        "versions", "sha256", "network")}  # fmt: skip
    report = {f.name: hostile(getattr(facts.report, f.name), 1) for f in dataclasses.fields(facts.report)}
    report["gates"] = tuple(dataclasses.replace(g, metric=h.metric) for g, h in
                            zip(report["gates"], facts.report.gates, strict=True))  # fmt: skip
    labels = {"labels": tuple(hostile(list(facts.bundle.labels)))}
    spoiled = changed(facts, labels, report, manifest)
    latencies = dataclasses.replace(hostile(facts.latencies), problem=HOSTILE)
    spoiled = dataclasses.replace(spoiled, latencies=latencies, history={f"{HOSTILE}loss": [1.0, 2.0]})
    page = Checked(report_page(spoiled))
    plain = Checked(report_page(facts))
    assert "script" not in page.tags
    assert page.tags.get("img") == plain.tags.get("img")
    assert "<script>alert(1)" in page.text
    assert "\u202e" not in page.text
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"gates": []}', "[" * 100_000, "\xff", '{"scheme": 1}'])
def test_a_report_that_is_none(bundle: Path, vouch: Callable[..., None], text: str) -> None:
    """A line of ours, never another exception."""
    (bundle / "report.json").write_bytes(text.encode("latin-1"))
    vouch(bundle)
    with pytest.raises(ModelFileError, match=r"report\.json"):
        report_of(load_bundle(bundle))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", '"0.9"', "null", "true", "[]"])
def test_a_report_with_what_is_no_number(bundle: Path, vouch: Callable[..., None], number: str) -> None:
    """A page has numbers or no page is made."""
    text = (bundle / "report.json").read_text()
    (bundle / "report.json").write_text(re.sub(r'"float": [0-9.]+', f'"float": {number}', text, count=1))
    vouch(bundle)
    with pytest.raises(ModelFileError, match="export the bundle again"):
        report_of(load_bundle(bundle))


def test_a_report_of_a_later_dlkit(bundle: Path, vouch: Callable[..., None]) -> None:
    """What this one does not know is left out."""
    table = json.loads((bundle / "report.json").read_text())
    table["beauty"] = 1
    table["gates"][0]["beauty"] = {"x": [1]}
    (bundle / "report.json").write_text(json.dumps(table))
    vouch(bundle)
    assert report_of(load_bundle(bundle)).gates == classifier().report.gates


def test_a_bundle_of_an_earlier_dlkit(bundle: Path, vouch: Callable[..., None]) -> None:
    """Without history, float answers, classes, counts: a page without these."""
    table = json.loads((bundle / "report.json").read_text())
    del table["confusions"]
    for layer in table["layers"]:
        del layer["place"]
    (bundle / "report.json").write_text(json.dumps(table))
    (bundle / "history.csv").unlink()
    vouch(bundle)
    assert {"confusion", "training"}.isdisjoint(sections(facts_of(load_bundle(bundle), TIMED)))


@pytest.mark.parametrize("text", ["a", "epoch,loss\n1,x\n", "epoch,loss\n1,2,3\n", "epoch,loss\n1\n", "\xff\xfe"])
def test_a_history_that_is_none(bundle: Path, vouch: Callable[..., None], text: str) -> None:
    """A table of numbers, or a line of ours, or no chart."""
    (bundle / "history.csv").write_bytes(text.encode("latin-1"))
    vouch(bundle)
    try:
        assert sections(facts_of(load_bundle(bundle), TIMED))
    except ModelFileError as error:
        assert "history.csv" in str(error)  # noqa: PT017


VALUES = [None, 0, -1, 1e308, -1e308, 10**18, 10**30, True, "", "x" * 10_000, "<b>", [], {}, [[]], {"a": {}}, 1.5]


def mutated(value: Any, random_: random.Random) -> Any:
    """One value somewhere in a tree is another."""
    if isinstance(value, dict) and value and random_.random() < 0.9:
        key = random_.choice(list(value))
        return {**value, key: mutated(value[key], random_)}
    if isinstance(value, list) and value and random_.random() < 0.9:
        place = random_.randrange(len(value))
        return [*value[:place], mutated(value[place], random_), *value[place + 1 :]]
    return random_.choice(VALUES)


@pytest.mark.parametrize("seed", range(5))
def test_mutated_files_give_a_page_or_a_line(bundle: Path, vouch: Callable[..., None], seed: int) -> None:
    """Anything in the place of anything, in the report and in the manifest; 20 of each seed."""
    random_ = random.Random(seed)
    report = json.loads((bundle / "report.json").read_text())
    manifest = json.loads((bundle / "manifest.json").read_text())
    del manifest["sha256"]
    for number in range(20):
        (bundle / "report.json").write_text(json.dumps(mutated(report, random_) if number % 2 else report))
        other = mutated(manifest, random_)
        vouch(bundle, **(other if isinstance(other, dict) and not number % 2 else manifest))
        try:
            content = report_page(facts_of(load_bundle(bundle), TIMED))
        except DlkitError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert len(content) < 2_000_000
            assert "b" not in Checked(content).tags or b"<b></b>" not in content


def test_samples_of_other_shapes_are_not_shown(bundle: Path) -> None:
    """Labels of other lengths, float answers of other shapes, answers that are none."""
    facts = classifier()
    for name, values in (
        ("label", np.zeros(3, np.int64)), ("label", np.full(10, 10**12)), ("label", np.full(10, -5)),
        ("float output", np.zeros((2, 3), np.float32)), ("output output", np.zeros((10, 3), np.float32)),
        ("output output", np.full((10, 10), np.nan, np.float32)), ("raw image", np.zeros((10, 3), np.float32)),
        ("raw image", np.zeros((), np.float32)), ("raw image", np.full((10, 8, 8, 1), np.inf)),
        ("wanted", np.zeros(10)), ("raw image", np.zeros((10, 0, 0, 1))),
    ):  # fmt: skip
        Checked(report_page(dataclasses.replace(facts, arrays=facts.arrays | {name: values})))


# --- parts ---


def test_a_text_is_text() -> None:
    """In an element and in an attribute; what is long is not cut silently, and what is not shown is replaced."""
    assert element("p", "a<b", title='"x"') == '<p title="&quot;x&quot;">a&lt;b</p>'
    assert element("p", element("b", "x"), None, ["y", "<"]) == "<p><b>x</b>y&lt;</p>"
    assert escaped("a\u202eb\x00c\ud800") == "a�b�c�"
    assert element("p", "x" + element("b")) == "<p>x&lt;b&gt;&lt;/b&gt;</p>"  # two texts added are a text


@pytest.mark.parametrize("shape", [(3, 5), (4, 4, 1), (2, 3, 3)])
def test_pixels_are_in_the_png(shape: tuple[int, ...]) -> None:
    """As Pillow reads them."""
    import io

    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    with Image.open(io.BytesIO(png(pixels))) as image:
        np.testing.assert_array_equal(np.asarray(image), np.squeeze(pixels))
    kind, length = png(pixels)[12:16], struct.unpack(">I", png(pixels)[8:12])[0]
    assert (kind, length) == (b"IHDR", 13)
    assert zlib.crc32(png(pixels)[12:29]) == struct.unpack(">I", png(pixels)[29:33])[0]


@pytest.mark.parametrize("values", [[], [math.nan], [1.0], [1.0, math.nan, 2.0], [1e308, -1e308], [0.0] * 5,
                                    [float(n) for n in range(5000)], [math.inf, 1.0]])  # fmt: skip
def test_any_numbers_can_be_drawn(values: list[float]) -> None:
    """Every coordinate is a number, and long lines have not many points."""
    drawn = [
        line_chart("title", [Line("a", values)], "x"), sparkline("s", [Line("a", values, dashed=True)]),
        histogram("h", values, "ms", [("median", 1.0)]),
        scatter("s", [Point("p", value, value, "A", True) for value in values[:9]], "kB", "accuracy"),
    ]  # fmt: skip
    for chart in drawn:
        assert not re.search(r"(nan|inf)", re.sub(r"<(title|desc)>.*?</\1>", "", chart))
        assert len(chart) < 600_000


def test_marks_do_not_cover_one_another() -> None:
    """Points in one place are drawn beside it."""
    chart = scatter("s", [Point(f"p{n}", 10.0, 0.5 + n * 1e-6, str(n), False) for n in range(5)], "kB", "accuracy")
    places = {tuple(map(float, found)) for found in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', chart)}
    assert len(places) == 5
    assert min(math.dist(a, b) for a in places for b in places if a != b) >= 18


@pytest.mark.parametrize("name", find_recipes(ROOT / "recipes"))
def test_the_recipe_of_a_page_reads_back(name: str) -> None:
    """What is shown is what was run."""
    recipe = read_recipe(ROOT / "recipes" / name)
    table = json.loads(json.dumps(recipe.as_dict()))  # as it is in a manifest
    assert recipe_from(parse_toml(toml_of(table), name), name) == recipe


def test_the_sizes_of_layers_are_those_of_the_file(tiny_bundle: Path) -> None:
    """Weights and biases of each, and nothing is lost."""
    found = sizes_of(tiny_bundle / "model.tflite", ["conv1", "pool1", "conv2", "pool2", "flatten", "hidden"])
    sizes = {each.layer: each.bytes for each in found.layers}
    assert sizes["conv1"] == 9 * 12 + 4 * 12
    assert sum(sizes.values()) + found.rest == (tiny_bundle / "model.tflite").stat().st_size


@pytest.mark.parametrize(("ms", "text"), [(0.0031, "3.10 µs"), (0.5, "0.500 ms"), (12.61, "12.6 ms"), (2500, "2.50 s")])
def test_times_are_told_with_three_digits(ms: float, text: str) -> None:
    """In the unit that people would take."""
    assert told_ms(ms) == text


def test_a_time_of_a_clock_that_went_back_is_told() -> None:
    """As what it is; there is nothing to refuse for it."""
    assert told_ms(-3000.0).startswith("-3")


def test_numbers_are_short() -> None:
    """And what is none is a dash."""
    assert [short(n) for n in (0.5, 1234567.0, 0.000123456, math.nan)] == ["0.5", "1,234,567", "0.0001235", "–"]
