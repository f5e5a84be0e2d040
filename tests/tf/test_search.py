"""An export that searches: it finds the best file within limits, tells its way, and goes on where it was stopped."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dlkit.bundle.loading import load_bundle
from dlkit.digest import sha256_of
from dlkit.errors import DataError, EndedBySystem, IllegalCombination, OutputError
from dlkit.leftovers import held
from dlkit.pipeline import searching, trials
from dlkit.pipeline.comparing import compare
from dlkit.pipeline.goals import Goals, best, misses
from dlkit.pipeline.searching import Found, search
from dlkit.pipeline.trail import TRAIL, Trail, trail_from

pytestmark = pytest.mark.tf

ROOT = Path(__file__).parents[2]
PLAIN = ("weights_int4", "int8", "float32")


@pytest.fixture
def place(models: Path, tmp_path: Path) -> Path:
    """A folder of models of its own that holds short/model.keras."""
    shutil.copytree(models / "short", tmp_path / "short", ignore=shutil.ignore_patterns("cpu-*"))
    return tmp_path


@pytest.fixture(scope="module")
def found(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """The smallest file of the short model that loses nothing."""
    place = tmp_path_factory.mktemp("found")
    shutil.copytree(models / "short", place / "short", ignore=shutil.ignore_patterns("cpu-*"))
    return search("short", Goals(max_drop=0.0), out=place)


def within(trail: Trail) -> list:
    return [each for each in trail.tried if each.measured and not misses(trail.goals, each.measured)]


def without_seconds(trail: Trail) -> list:
    return [dataclasses.replace(each, seconds=0.0) for each in trail.tried]


def hidden(place: Path) -> list[str]:
    return [path.name for path in (place / "short").iterdir() if path.name.startswith(".")]


def test_the_best_file_within_the_limits_is_written(found: Found) -> None:
    """That which the rule says, of all that were tried, as a bundle that proves itself."""
    assert found.bundle is not None
    assert found.report is not None
    chosen = best(within(found.trail), lambda each: each.measured, "size")
    assert chosen.candidate == found.trail.chosen
    assert found.bundle.folder.name == "cpu-best"
    assert found.bundle.manifest["scheme"] == chosen.candidate.scheme
    _, gap, allowed = found.bundle.check()
    assert gap <= allowed
    assert found.report.bytes == found.bundle.model.stat().st_size == chosen.measured.bytes
    assert found.report.gates == chosen.measured.gates
    assert found.report.gzip_bytes == chosen.measured.gzip_bytes


def test_the_trail_is_part_of_the_bundle(found: Found) -> None:
    """Vouched for like its other files, and the same that the search gave."""
    assert found.bundle is not None
    folder = found.bundle.folder
    assert found.bundle.manifest["sha256"][TRAIL] == sha256_of(folder / TRAIL)
    assert trail_from((folder / TRAIL).read_bytes()) == found.trail


def test_every_scheme_is_tried_before_others_are(found: Found) -> None:
    """Each as it is; then what may be better; and nothing is decided by the test split."""
    names = [each.candidate.scheme for each in found.trail.tried[:7]]
    assert names == ["weights_int4", "int8", "int16x8", "dynamic_int8", "weights_int8", "float16", "float32"] or set(
        names
    ) == {"weights_int4", "int8", "int16x8", "dynamic_int8", "weights_int8", "float16", "float32"}
    splits = {gate.split for each in found.trail.tried if each.measured for gate in each.measured.gates}
    assert splits == {"validation"}


def test_a_search_is_no_worse_than_any_single_scheme(found: Found) -> None:
    """Of those that lose no more, none is smaller by more than what counts as equal."""
    assert found.report is not None
    for each in within(found.trail):
        assert found.report.bytes <= each.measured.bytes * 1.01


def test_nothing_is_left_of_a_search_that_is_done(found: Found) -> None:
    """What was kept for going on goes away."""
    assert found.bundle is not None
    assert [p.name for p in found.bundle.folder.parent.iterdir() if p.name.startswith(".")] == []


@pytest.mark.slow
def test_several_at_once_come_to_the_same_as_one_after_the_other(place: Path) -> None:
    """The trail is the same, in the same order."""
    some = {"schemes": ["int8", "weights_int8"], "out": place, "force": True}
    one, three = (search("short", Goals(max_drop=0.01), jobs=jobs, **some) for jobs in (1, 3))
    assert without_seconds(one.trail) == without_seconds(three.trail)
    assert one.bundle.manifest["sha256"]["model.tflite"] == three.bundle.manifest["sha256"]["model.tflite"]


def test_goals_out_of_reach_write_nothing(place: Path) -> None:
    """There is a trail and no bundle."""
    found = search("short", Goals(max_drop=0.01, max_bytes=100), schemes=[*PLAIN, "int8_pruned"], out=place)
    assert found.bundle is None
    assert found.trail.chosen is None
    assert len(found.trail.tried) >= len(PLAIN)
    assert "int8_pruned" not in {each.candidate.scheme for each in found.trail.tried}  # it would be as large
    assert hidden(place) == []
    assert not (place / "short" / "cpu-best").exists()


@pytest.mark.slow
def test_the_fastest_is_timed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone and in turns; with a limit that nothing is within, each candidate says by how much."""
    monkeypatch.setattr(searching, "timed_in_turns", functools.partial(searching.timed_in_turns, rounds=1))
    found = search("short", Goals(prefer="latency"), schemes=["int8", "float32"], out=place)
    times = {each.candidate.scheme: each.measured.latency_ms for each in found.trail.tried if each.measured}
    assert all(ms > 0 for ms in times.values())
    assert found.trail.chosen is not None
    found = search("short", Goals(max_latency_ms=1e-6), schemes=["float32"], out=place, force=True)
    assert found.bundle is None
    [tried] = found.trail.tried
    assert [miss.limit for miss in misses(found.trail.goals, tried.measured)] == ["latency"]


def test_a_layer_that_spoils_4_bits_gets_8(place: Path) -> None:
    """A kernel with one weight 50 times as large as the others loses all of these in 4 bits."""
    import keras

    path = place / "spoilt.keras"
    model = keras.models.load_model(place / "short" / "model.keras", compile=False)
    layer = next(each for each in model.layers if isinstance(each, keras.layers.Conv2D))
    kernel, *rest = layer.get_weights()
    kernel[:, :, :, :] *= 0.2
    kernel[0, 0, 0, :] = 30 * np.abs(kernel).max()
    layer.set_weights([kernel, *rest])
    model.save(path)
    from dlkit.datasets import DATASETS

    test = DATASETS["digits"].load().train
    data = {"samples": test.samples[:400].astype(np.float32) * (255 / 16)}
    named = {next(iter(load_inputs(path))): data["samples"]}
    found = search(
        path, Goals(max_drop=0.03), ["weights_int4", "float32"], data=named, preprocessing="unit", out=place / "out"
    )
    grown = [each for each in found.trail.tried if each.candidate.keep_int8]
    assert grown
    assert found.trail.chosen is not None
    assert found.report is not None
    if found.trail.chosen.scheme == "weights_int4":
        assert found.report.kept_int8 == found.trail.chosen.keep_int8
        assert "in 8 bits" in (found.bundle.folder / "report.txt").read_text()


def load_inputs(path: Path) -> dict:
    from dlkit.conversion.describing import described

    return described(path, ()).inputs


def test_without_a_recipe_nothing_is_fitted_again(place: Path) -> None:
    """The trail says why; the other candidates are tried."""
    shutil.copyfile(place / "short" / "model.keras", place / "mine.keras")
    samples = np.random.default_rng(0).integers(0, 256, (40, *load_shape(place / "mine.keras"))).astype(np.float32)
    found = search(
        place / "mine.keras",
        Goals(prefer="gzip"),
        ["int8", "int8_pruned"],
        data=samples,
        preprocessing="unit",
        out=place,
    )
    told = {each.candidate.scheme: each.why_not for each in found.trail.tried}
    assert "by the recipe it was trained with" in told["int8_pruned"]
    assert found.trail.chosen is not None
    assert found.trail.chosen.scheme == "int8"


def load_shape(path: Path) -> tuple[int, ...]:
    [shape] = load_inputs(path).values()
    return tuple(shape)


def test_what_has_no_metric_has_nothing_to_drop(place: Path) -> None:
    """A model of one output that is no class, without right answers: --max-drop would mean nothing."""
    import keras

    x = keras.Input((6,), name="x")
    keras.Model(x, keras.layers.Dense(1, name="y")(keras.layers.Dense(8, "relu")(x)), name="one").save(
        place / "one.keras"
    )
    samples = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    how = {"data": samples, "preprocessing": "none", "out": place}
    with pytest.raises(DataError, match=r"--max-drop: there are no right answers"):
        search(place / "one.keras", Goals(max_drop=0.1), ["float32"], **how)
    assert search(place / "one.keras", Goals(), ["float32"], resume=True, **how).bundle is not None


def test_servers_have_no_files_to_search(place: Path) -> None:
    """Told before any work."""
    with pytest.raises(IllegalCombination, match="are for servers"):
        search("short", Goals(max_drop=0.1), target="server", out=place)


class Stop(Exception):
    """What stops a search in a test."""


class StopsAtThe:
    """Progress that stops the search when so many files of a step are done."""

    def __init__(self, count: int) -> None:
        self.count = count

    def step(self, label: str):
        import contextlib

        @contextlib.contextmanager
        def block():
            def advance(done: int, total: int) -> None:
                if label.startswith("Trying") and done == self.count:
                    raise Stop

            yield advance

        return block()


def kept(place: Path) -> list[Path]:
    """What was finished; what is still being written stands in a hidden folder."""
    return sorted((place / "short").glob(".search-*/[!.]*/tried.json"))


@pytest.mark.slow
def test_a_stopped_search_goes_on(place: Path) -> None:
    """What was finished is not tried again; what is damaged is; the result is the same."""
    some = {"schemes": PLAIN, "out": place, "jobs": 1}
    with pytest.raises(Stop):
        search("short", Goals(max_drop=0.01), progress=StopsAtThe(2), **some)
    assert 2 <= len(kept(place)) <= 3
    first, second, *_ = kept(place)
    seconds = json.loads(first.read_text())["tried"]["seconds"]
    second.write_text(second.read_text()[:50])
    with pytest.raises(OutputError, match=r"search that was stopped.*add --resume.*add --force"):
        search("short", Goals(max_drop=0.01), **some)
    resumed = search("short", Goals(max_drop=0.01), resume=True, **some)
    assert seconds in [each.seconds for each in resumed.trail.tried]
    assert hidden(place) == []
    anew = search("short", Goals(max_drop=0.01), force=True, **some)
    assert without_seconds(anew.trail) == without_seconds(resumed.trail)


@pytest.mark.slow
def test_a_network_that_was_fitted_again_is_kept_too(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By gzip a pruned network is smaller; a search that goes on does not train it again, nor to prove it."""

    class Pruned(StopsAtThe):
        def step(self, label: str):
            return super().step(label if "int8_pruned" in label else "")

    some = {"schemes": ["int8", "int8_pruned"], "calibration": "minmax", "out": place, "jobs": 1}
    goals = Goals(max_drop=0.05, prefer="gzip")
    with pytest.raises(Stop):
        search("short", goals, progress=Pruned(1), **some)

    def trains(*given, **how):
        raise AssertionError("it was trained before")

    monkeypatch.setattr("dlkit.pipeline.preparing.compress_model", trains)
    found = search("short", goals, resume=True, **some)
    sizes = {each.candidate.scheme: each.measured.gzip_bytes for each in found.trail.tried if each.measured}
    assert sizes["int8_pruned"] < 0.9 * sizes["int8"]
    assert found.report is not None
    if found.trail.chosen is not None and found.trail.chosen.scheme == "int8_pruned":
        assert found.report.compression is not None
        assert found.report.compression.steps == ("pruned",)


def test_what_another_model_has_kept_is_not_taken(place: Path) -> None:
    """Its weights are others, and so is the name of its folder."""
    old = place / "short" / ".search-0123456789abcdef"
    old.mkdir()
    (old / "anything").write_text("old")
    found = search("short", Goals(max_drop=0.01), schemes=["float32"], out=place, resume=True)
    assert found.bundle is not None
    assert not old.exists()


@pytest.mark.slow
def test_a_search_that_still_runs_is_left_alone(place: Path) -> None:
    """Neither joined nor removed; that of another model is not in the way."""
    with pytest.raises(Stop):
        search("short", Goals(max_drop=0.01), ["float32", "float16"], out=place, progress=StopsAtThe(1))
    [kept] = place.glob("short/.search-*")
    other = kept.with_name(".search-0123456789abcdef")
    other.mkdir()
    with held(kept), held(other):
        for how in ({"resume": True}, {"force": True}):
            with pytest.raises(OutputError, match=r"is of a search that still runs; wait until it is over"):
                search("short", Goals(max_drop=0.01), ["float32"], out=place, **how)
        assert kept.exists()
    with held(other):
        assert search("short", Goals(max_drop=0.01), ["float32"], out=place, resume=True).bundle is not None
        assert other.exists()


def command(place: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "dlkit", "export", "short", "--out", str(place), "--max-drop", "0.01", *words]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_in_the_middle_and_taken_up_again(place: Path, number: signal.Signals) -> None:
    """kill -9 too leaves what was finished, whole, and nothing else that a later run would take for whole."""
    words = [word for name in PLAIN for word in ("--scheme", name)]
    process = subprocess.Popen(
        command(place, *words, "--jobs", "1"),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not kept(place) and process.poll() is None:
        pass
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    assert "Traceback" not in err
    before = {path: json.loads(path.read_text())["tried"]["seconds"] for path in kept(place)}
    assert 1 <= len(before) < len(PLAIN) + 3
    assert not (place / "short" / "cpu-best").exists()
    done = subprocess.run(command(place, *words, "--resume"), env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    bundle = load_bundle(place / "short" / "cpu-best")
    taken = [each["seconds"] for each in json.loads((bundle.folder / TRAIL).read_text())["tried"]]
    assert set(before.values()) <= set(taken)
    assert hidden(place) == []


def ended_by_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, the process that makes a float32 file is."""
    real = trials.labelled_file

    def killed(plan, converted, scheme, progress):
        if scheme.name == "float32":
            raise EndedBySystem.at("quantize")
        return real(plan, converted, scheme, progress)

    monkeypatch.setattr(trials, "labelled_file", killed)


def test_a_killed_process_chooses_no_other_file(place: Path) -> None:
    """What is best hangs on every candidate: the search ends, and goes on where it was."""
    how = {"schemes": ["float32", "int8"], "out": place, "jobs": 1}
    with pytest.MonkeyPatch.context() as patch:
        ended_by_the_system(patch)
        with pytest.raises(EndedBySystem, match=r"^float32: quantize crashed .*; then go on: add --resume --jobs 1$"):
            search("short", Goals(max_drop=0.01), **how)
    assert len(kept(place)) == 1
    found = search("short", Goals(max_drop=0.01), **how, resume=True)
    assert found.trail.chosen is not None
    assert {each.candidate.scheme for each in within(found.trail)} == {"int8", "float32"}


def test_a_killed_process_costs_a_comparison_its_line(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which says so."""
    ended_by_the_system(monkeypatch)
    lines = {each.scheme: each for each in compare("short", ["float32", "int8"], out=place).variants}
    assert lines["float32"].why_not.startswith("quantize crashed (SIGKILL): the system ended it")
    assert lines["int8"].measured is not None


def test_the_command_prints_the_trail(place: Path, dlkit) -> None:
    """A line for each candidate, then the report of the best and where it is."""
    said = dlkit(
        "export", "short", "--out", place, "--max-drop", "0.01", "--scheme", "float32", "--scheme", "float16", "-q"
    )
    assert said.code == 0, said.err
    head, *rows = said.out.splitlines()
    assert head.split() == ["candidate", "size", "gzip", "accuracy", "drop", "verdict"]
    assert [row.split()[0] for row in rows[:2]] == ["float16", "float32"]
    assert rows[0].endswith("best")
    assert rows[1].endswith("within the limits")
    assert f"wrote {place}/short/cpu-best" in said.out
    again = dlkit("export", "short", "--out", place, "--max-drop", "0.01", "-q")
    assert (again.code, again.err) == (1, f"error: {place}/short/cpu-best exists already; add --force to replace it\n")


def test_the_command_says_what_stands_in_the_way(place: Path, dlkit) -> None:
    """Exit code 3 and one line with the nearest file; nothing is written."""
    said = dlkit("export", "short", "--out", place, "--max-size", "2kB", "--scheme", "float16", "-q")
    assert said.code == 3
    assert said.err.startswith("error: no file is within the limits, and nothing was written: float16 (")
    assert said.err.endswith("too large\n")
    assert not (place / "short" / "cpu-best").exists()
