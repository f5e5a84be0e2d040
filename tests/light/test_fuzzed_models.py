"""Readers of models and bundles, given spoiled ones: an answer, or an error of ours in one line.

Some hundreds here; `python -m fuzzing.models` tries as many thousands as there is time for, with every command.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest
from fuzzing.models import Outcome, Reader, bundles_in, cases, ran, spoiled_bundle, vouch
from fuzzing.mutations import pickled, spoiled_bytes, spoiled_json, spoiled_npy, spoiled_zip, zip_of
from fuzzing.tflite import spoiled_tflite
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dlkit.bundle.loading import Bundle, load_bundle
from dlkit.errors import DataError, DlkitError, ModelFileError
from dlkit.pipeline.trail import trail_from
from dlkit.runtime.arrays import read_npy, read_npz
from dlkit.runtime.inspection import inspect_model
from dlkit.runtime.litert import Session
from dlkit.runtime.stored_weights import stored_weights
from dlkit.runtime.weight_statistics import statistics_of

BUNDLE = Path(__file__).parents[2] / "exported" / "digits-tiny" / "cpu-int8"


def some(count: int) -> Callable:
    """So many examples, always the same; one that fails is made simpler."""
    quiet = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(
        max_examples=count, derandomize=True, deadline=None, database=None, suppress_health_check=quiet,
        phases=(Phase.generate, Phase.shrink),
    )  # fmt: skip


chances = st.randoms(use_true_random=False)


@contextlib.contextmanager
def refused_in_a_line(*kinds: type[Exception]) -> Iterator[None]:
    """The block raises nothing, or one of these with something to read in a line."""
    told = "one line"
    try:
        yield
    except Exception as error:
        if not isinstance(error, kinds or DlkitError):
            raise
        told = str(error)
    assert told.strip()
    assert "\n" not in told


@pytest.fixture(scope="module")
def model() -> bytes:
    return (BUNDLE / "model.tflite").read_bytes()


@given(chances)
@some(150)
def test_a_spoiled_model_is_inspected_or_refused(model: bytes, chance: Random) -> None:
    """What `dlkit inspect` reads of it, weights and all."""
    spoiled = spoiled_tflite(chance, model)
    with refused_in_a_line():
        inspect_model(spoiled, "a.tflite").as_dict()
        statistics_of(stored_weights(spoiled, "a.tflite"))


@given(chances)
@some(60)
def test_a_spoiled_model_runs_or_is_refused(model: bytes, chance: Random) -> None:
    """In a process of its own, whose end is not this one's."""
    with refused_in_a_line():
        session = Session(spoiled_tflite(chance, model), 1)
        session.run_named({name: np.zeros((1, *end.shape[1:]), np.float32) for name, end in session.inputs.items()})


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(BUNDLE, tmp_path_factory.mktemp("fuzz") / "bundle"))


@given(chances)
@some(250)
def test_a_spoiled_manifest_is_read_or_refused(copy: Path, chance: Random) -> None:
    """And what is read can be asked for everything that it has."""
    content = spoiled_json(chance, (BUNDLE / "manifest.json").read_bytes())
    (copy / "manifest.json").write_bytes(content)
    with refused_in_a_line():
        bundle = load_bundle(copy)
        assert isinstance(bundle, Bundle)
        assert bundle.model.parent == copy
        assert all(isinstance(text, str) for text in (bundle.name, bundle.task, bundle.answers))
        bundle.own_inputs()


@given(chances)
@some(120)
def test_spoiled_samples_are_read_or_refused(copy: Path, chance: Random) -> None:
    """An archive that unpacks to more than it may, holds a pickle or lies of its arrays is refused."""
    shutil.copy(BUNDLE / "manifest.json", copy)
    (copy / "samples.npz").write_bytes(spoiled_zip(chance, (BUNDLE / "samples.npz").read_bytes()))
    vouch(copy)
    with refused_in_a_line():
        load_bundle(copy).own_inputs()


@given(chances)
@some(150)
def test_spoiled_arrays_are_read_or_refused(chance: Random) -> None:
    """As many numbers as there are bytes, or an error; never an object of Python's."""
    content = (BUNDLE / "samples.npz").read_bytes()
    [first, *_] = read_npz(content, "w").values()
    held = np.lib.format.header_data_from_array_1_0(first)
    plain = b"\x93NUMPY\1\0" + len(repr(held)).to_bytes(2, "little") + repr(held).encode() + first.tobytes()
    with refused_in_a_line(DataError), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_npy(spoiled_npy(chance, plain), "a.npy").dtype.kind in "uifb"


TRAIL = {
    "goals": {"max_drop": 0.01},
    "tried": [],
    "chosen": {"scheme": "int8", "keep_float": [], "keep_int8": []},
    "notes": ["a note"],
}


@given(chances)
@some(100)
def test_a_spoiled_trail_is_read_or_refused(chance: Random) -> None:
    """By the errors that it promises."""
    with refused_in_a_line(ValueError, KeyError, TypeError, RecursionError, AttributeError):
        trail_from(spoiled_json(chance, json.dumps(TRAIL).encode()))


@pytest.mark.parametrize("seed", range(2))
def test_commands_end_in_order(seed: int, tmp_path: Path) -> None:
    """A dozen of them, as the long run has them: no traceback, one line, exit code 0, 1 or 3."""
    slow = ("bench", "web", "gpu", "ethos", "arena", "cortex", "export", "evaluate")
    faults = []
    for number, reader, bundle in cases(BUNDLE, 12, seed, ""):
        if any(word in reader.name for word in slow):
            continue
        folder = tmp_path / str(number)
        folder.mkdir()
        _, arguments = spoiled_bundle(reader, bundle, Random(f"{seed}-{number}"), folder)
        if fault := ran(arguments, folder).fault:
            faults.append((reader.name, number, fault))
    assert not faults


def test_a_fault_is_seen() -> None:
    """The measure of the long run itself: what it must not take for good."""
    bad = [
        Outcome(1, "Traceback (most recent call last):\nValueError: no\n", 0, 1.0),
        Outcome(-11, "", 0, 1.0),
        Outcome(1, "error: one\nerror: two\n", 0, 1.0),
        Outcome(1, "", 0, 1.0),
        Outcome(1, "error: one\nRuntimeWarning: divide by zero\n", 0, 1.0),
        Outcome(0, "", 4 * 2**30, 1.0),
        Outcome(1, "error: late\n", 0, 100.0),
        Outcome(2, "error: usage\n", 0, 1.0),
    ]
    assert all(outcome.fault for outcome in bad)
    assert not Outcome(1, "Timing it …\nerror: x.tflite: is not a .tflite file\n", 2**20, 0.1).fault


def test_a_command_is_run_as_it_is(tmp_path: Path) -> None:
    """Whole, it answers; without its model, it says so."""
    outcome = ran(["inspect", str(BUNDLE / "model.tflite")], tmp_path)
    assert (outcome.code, outcome.said, outcome.fault) == (0, "", "")
    outcome = ran(["inspect", str(tmp_path / "no.tflite")], tmp_path)
    assert (outcome.code, outcome.fault) == (1, "")
    assert "there is no file" in outcome.said


def test_memory_is_the_commands_own(tmp_path: Path) -> None:
    """Not that of the process that it is forked from, which may be large."""
    held = np.ones(3 * 2**26)  # 1.5 GiB
    assert ran(["inspect", str(BUNDLE / "model.tflite")], tmp_path).peak_bytes < 2**30 < held.nbytes


def test_the_corpus_is_the_bundle_that_comes_along() -> None:
    """And each reader that suits it is tried."""
    assert bundles_in(BUNDLE) == [BUNDLE]
    seen = {reader.name for _, reader, _ in cases(BUNDLE, 1000, 0, "")}
    assert {"inspect", "predict", "manifest: predict", "samples: --check", "labels: predict"} <= seen
    assert isinstance(next(cases(BUNDLE, 1, 0, ""))[1], Reader)


@pytest.mark.parametrize("seed", range(4))
def test_no_pickle_is_run(seed: int) -> None:
    """One in the samples is told as what it is not, an array of numbers; this one would end the test run."""
    array = pickled(Random(seed), "", b"")
    assert b"a pickle was run" in array
    for content, read in ((array, read_npy), (zip_of([("raw image.npy", array)]), read_npz)):
        with pytest.raises(DataError):
            read(content, "a")


def test_bytes_that_say_nothing(tmp_path: Path) -> None:
    """Labels of any bytes are text, or refused."""
    folder = Path(shutil.copytree(BUNDLE, tmp_path / "bundle"))
    for seed in range(40):
        (folder / "labels.txt").write_bytes(spoiled_bytes(Random(seed), (BUNDLE / "labels.txt").read_bytes()))
        vouch(folder)
        with refused_in_a_line(ModelFileError):
            assert all(isinstance(label, str) for label in load_bundle(folder).labels)
