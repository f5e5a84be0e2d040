"""Kills dlkit at many moments and looks at what is left: `python tests/faults/kills.py COMMAND --kills N --seed S`.

A run is a process forked from this one, which has imported the frameworks; it leads a group of its own. It is killed
by SIGKILL: with its group, alone, or only one of its children, at a moment of its time or just before one of its own
operations on files (counted by an audit hook, so that the moments between two renames are met as often as all others).
After each kill are checked: no process is left 10 s later; what is in the output folder is the old or the new, whole;
the same command runs again, comes to what an uninterrupted run does, and leaves nothing else in the output folder and
in the temporary one but what was the user's before, and what a process holds that is alive.
"""

from __future__ import annotations

import argparse
import atexit
import collections
import contextlib
import dataclasses
import hashlib
import importlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

IMPORTING = False
"""Whether fork servers import the frameworks, as they do in a run that is not forked; it takes most of an export."""
TOKEN = "DLKIT_KILLS"
"""A variable of the environment of whatever a run starts."""
ORPHANS_MAY_LIVE_S = 10.0
CHANGES = {
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.remove",
    "os.truncate",
    "os.chmod",
    "shutil.rmtree",
    "ctypes.dlopen",
}
"""Audit events of what changes files; ctypes is used for the rename that exchanges two names."""
RECIPE = """
name = "tiny"
seed = {seed}
network = {{ name = "cnn", options = {{ width = 4 }} }}
data = {{ name = "digits" }}
augmentation = {{ shift = 0.06 }}
training = {{ epochs = 4, batch_size = 128, learning_rate = 0.01, checkpoint_s = 0.0 }}
export = {{ scheme = "int8", max_drop = 0.9, calibration_samples = 100 }}
"""


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A command and where it starts.

    Attributes:
        arguments: of dlkit.
        before: arguments of the runs that make what is there before; the recipe is then one of another seed.
        after_kill: what is added to go on, such as --resume.
        model, bundles, pictures: what the command writes in the folder of the model.
    """

    arguments: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    after_kill: tuple[str, ...] = ()
    model: bool = False
    bundles: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()


NEW, OLD = "new.toml", "old.toml"
TRAINED = ("train", NEW)
TRAINED_OLD = ("train", OLD)
SCENARIOS: dict[str, tuple[Scenario, ...]] = {
    "build": (
        Scenario(("build", NEW), model=True),
        Scenario(("build", NEW, "--force"), (TRAINED_OLD,), model=True),
    ),
    "train": (
        Scenario(TRAINED, after_kill=("--resume",), model=True),
        Scenario((*TRAINED, "--force"), (TRAINED_OLD,), model=True),
        Scenario((*TRAINED, "--resume", "--plot"), after_kill=(), model=True, pictures=("training.png",)),
    ),
    "export": (
        Scenario(("export", "tiny"), (TRAINED,), bundles=("cpu-int8",)),
        Scenario(("export", "tiny", "--force"), (TRAINED_OLD, ("export", "tiny"), (*TRAINED, "--force")),
                 bundles=("cpu-int8",)),
        Scenario(("export", "tiny", "--scheme", "float16", "--scheme", "int16x8", "--force"), (TRAINED,),
                 bundles=("cpu-float16", "cpu-int16x8")),
    ),
    "export-devices": (
        Scenario(("export", "tiny", "--target", "cortex-m4"), (TRAINED,), bundles=("cortex-m4-int8",)),
        Scenario(("export", "tiny", "--target", "web"), (TRAINED,), bundles=("web-int8_float_io",)),
        Scenario(("export", "tiny", "--target", "ethos-u55"), (TRAINED,), bundles=("ethos-u55-int8",)),
    ),
    "search": (
        Scenario(("export", "tiny", "--max-drop", "0.5", "--scheme", "int8", "--scheme", "dynamic_int8"), (TRAINED,),
                 after_kill=("--resume",), bundles=("cpu-best",)),
    ),
    "compare": (
        Scenario(("compare", "tiny", "--scheme", "int8", "--plot"), (TRAINED,),
                 pictures=("pareto.png",)),
    ),
    "sensitivity": (
        Scenario(("sensitivity", "tiny", "--plot"), (TRAINED,), pictures=("sensitivity.png",)),
    ),
    "run": (
        Scenario(("run", NEW), after_kill=("--resume",), model=True, bundles=("cpu-int8",)),
        Scenario(("run", NEW, "--force"), (("run", OLD),), model=True, bundles=("cpu-int8",)),
    ),
}  # fmt: skip


class Wrong(Exception):
    """An invariant that does not hold."""


@dataclasses.dataclass
class Place:
    """Where runs of a scenario take place: recipes, the output folder, the temporary folder, what they print."""

    root: Path

    @property
    def out(self) -> Path:
        return self.root / "out"

    @property
    def temporary(self) -> Path:
        return self.root / "temporary"

    @property
    def model(self) -> Path:
        return self.out / "tiny"

    def make(self) -> None:
        for folder in (self.out, self.temporary):
            folder.mkdir(parents=True)
        for name, seed in ((NEW, 0), (OLD, 1)):
            (self.root / name).write_text(RECIPE.format(seed=seed))


@dataclasses.dataclass
class Run:
    """A process that runs dlkit, and what it prints."""

    pid: int
    output: Path
    token: str
    code: int | None = None

    def poll(self) -> int | None:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def wait(self, limit_s: float = 600.0) -> int:
        end = time.monotonic() + limit_s
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise Wrong(f"it did not end in {limit_s:.0f} s: {self.said()}")
            time.sleep(0.01)
        return code

    def kill(self, number: int, *, group: bool) -> None:
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(number, signal.SIGKILL)

    def said(self) -> str:
        return self.output.read_text(errors="replace").strip()[-600:]


class ForkedServer:
    """The fork server of a run, as `subprocess.Popen` would start it, but with the frameworks imported already."""

    def __init__(self, command: list[str], pass_fds: list[int], env: dict[str, str], **how: Any) -> None:
        parent, self.code = os.getpid(), None
        self.pid = os.fork()
        if self.pid:
            return
        try:
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            [control] = pass_fds
            nothing = os.open(os.devnull, os.O_RDWR)
            for number in range(3):
                os.dup2(nothing, number)
            os.closerange(3, control)
            os.closerange(control + 1, 4096)  # as exec closes them
            os.environ.clear()
            os.environ.update(env)
            from dlkit import children
            from dlkit.conversion import fork_server

            children.end_with_parent(parent)
            fork_server.main(socket.socket(fileno=control))
        finally:
            os._exit(0)

    def poll(self) -> int | None:
        return self._waited(os.WNOHANG)

    def wait(self) -> int | None:
        return self._waited(0)

    def _waited(self, how: int) -> int | None:
        if self.code is None:
            pid, status = os.waitpid(self.pid, how)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def popen(command: list[str], **how: Any) -> Any:
    """In place of `subprocess.Popen` where the fork server is started."""
    return (ForkedServer if "dlkit.conversion.fork_server" in command else subprocess.Popen)(command, **how)


def start(place: Place, arguments: tuple[str, ...], hook: Callable[[str, tuple[Any, ...]], None] | None = None) -> Run:
    """Fork a run of dlkit in the place. `hook` is an audit hook of the main process."""
    token = os.urandom(8).hex()
    output = place.root / "printed.txt"
    pid = os.fork()
    if pid:
        return Run(pid, output, token)
    code = 1
    try:
        os.setsid()
        os.chdir(place.root)
        os.environ |= {TOKEN: token, "TMPDIR": str(place.temporary)}
        tempfile.tempdir = None
        printed = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for number in (1, 2):
            os.dup2(printed, number)
        from dlkit.cli import main
        from dlkit.conversion import starting

        if not IMPORTING:
            starting.subprocess = types.SimpleNamespace(**{**vars(subprocess), "Popen": popen})  # type: ignore[assignment]
        sys.argv = ["dlkit", *arguments, "--out", "out"]
        if hook is not None:
            sys.addaudithook(hook)
        try:
            main(prog_name="dlkit")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else end.code is not None
        atexit._run_exitfuncs()
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def children_of(run: Run) -> list[int]:
    """Processes of its session, or with its token in their environment; zombies and itself left out."""
    mark, found = f"{TOKEN}={run.token}".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, _, _, session, *_ = (folder / "stat").read_text().rpartition(")")[2].split()
            is_of = int(session) == run.pid or mark in (folder / "environ").read_bytes()
            if is_of and state != "Z" and int(folder.name) != run.pid:
                found.append(int(folder.name))
    return found


class Counting:
    """An audit hook that counts changes below the place, and calls `at` before that of a number."""

    def __init__(self, place: Place, at: int = -1, then: Callable[[], None] = lambda: None):
        self.folders = (f"{place.root}/", "out")
        self.count, self.at, self.then = 0, at, then
        self.process: int | None = None

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        self.process = self.process or os.getpid()
        if os.getpid() != self.process:
            return
        is_change = event in CHANGES
        if event == "open":
            mode, flags = arguments[1], arguments[2]
            is_change = (
                bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) if mode is None else mode not in ("r", "rb")
            )
        if not is_change:
            return
        if event != "ctypes.dlopen":
            path = arguments[0]
            if isinstance(path, int) or not os.fsdecode(path or "").startswith(self.folders):
                return
        self.count += 1
        if self.count == self.at:
            self.then()


def digest(path: Path) -> str:
    """Of a file, or of all files in a folder."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    told = [(p.relative_to(path).as_posix(), hashlib.sha256(p.read_bytes()).hexdigest()) for p in files]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


UNLISTED = {"manifest.json", "report.html", "latency.json"}
"""Of the files of a bundle."""
MODEL_FILES = ("model.keras", "model.json", "history.csv", "confusion.csv")


def model_state(folder: Path) -> dict[str, str]:
    """What is there of the files of a model."""
    return {name: digest(folder / name) for name in MODEL_FILES if (folder / name).exists()}


def in_child(work: Callable[[], None]) -> str:
    """Run `work` in a fork of this process; what it raised, or ""."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if not pid:
        with os.fdopen(write_end, "w") as pipe:
            try:
                work()
            except BaseException as error:
                pipe.write(f"{type(error).__name__}: {error}")
                pipe.flush()
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    return said


def check_bundle(folder: Path) -> None:
    """Raise unless all sums are right and the model answers as the bundle says."""
    from dlkit.bundle.loading import load_bundle
    from dlkit.digest import sha256_of

    sums = json.loads((folder / "manifest.json").read_text())["sha256"]
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    if files - UNLISTED != set(sums) or any(sha256_of(folder / name) != value for name, value in sums.items()):
        raise Wrong(f"{folder}: files or sums are not those of the manifest")
    if (folder / "model.tflite").exists() and not folder.name.startswith("ethos"):
        _, gap, allowed = load_bundle(folder).check()
        if not gap <= allowed:
            raise Wrong(f"{folder}: {gap} > {allowed}")


def check_checkpoints(folder: Path) -> None:
    """Raise unless all are whole."""
    from dlkit.training.checkpoints import _read

    for path in folder.glob("epoch-*"):
        if _read(path) is None:
            raise Wrong(f"{path} is not whole")


@dataclasses.dataclass(frozen=True)
class Reference:
    """What an uninterrupted run comes from and to.

    Attributes:
        start: a folder with the place as it is before.
        old, new: `model_state` before and after.
        old_bundles, new_models: bundle → digest of the old one; sha256 of the model of the new one.
        seconds, changes: how long it takes, and how many operations on files.
        shown: names in the folder of the model after it.
    """

    start: Path
    old: dict[str, str]
    new: dict[str, str]
    old_bundles: dict[str, str]
    new_models: dict[str, str]
    seconds: float
    changes: int
    shown: list[str]


def reference_of(scenario: Scenario, work: Path) -> Reference:
    """Run it to its end."""
    place = Place(work / "place")
    place.make()
    for arguments in scenario.before:
        run = start(place, (*arguments, "-q"))
        if run.wait():
            raise Wrong(f"{arguments}: {run.said()}")
    kept = work / "start"
    shutil.copytree(place.root, kept)
    old, old_bundles = model_state(place.model), {}
    for name in scenario.bundles:
        if (place.model / name).exists():
            old_bundles[name] = digest(place.model / name)
    read_end, write_end = os.pipe()

    counting = Counting(place)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        before = counting.count
        counting(event, arguments)
        if counting.count > before:
            os.write(write_end, b".")

    began = time.monotonic()
    run = start(place, (*scenario.arguments, "-q"), hook)
    os.close(write_end)
    os.set_blocking(read_end, True)
    changes = 0
    while part := os.read(read_end, 65536):
        changes += len(part)
    os.close(read_end)
    if run.wait():
        raise Wrong(f"uninterrupted: {run.said()}")
    seconds = time.monotonic() - began
    if left := list(place.temporary.iterdir()):
        raise Wrong(f"an uninterrupted run leaves {left}")
    models = {name: digest(place.model / name / "model.tflite") for name in scenario.bundles}
    reference = Reference(
        kept, old, model_state(place.model), old_bundles, models, seconds, changes,
        sorted(path.name for path in place.model.iterdir()),
    )  # fmt: skip
    shutil.rmtree(place.root)
    return reference


DECOYS = (
    "temporary/dlkit-notes/a", "temporary/dlkit-0123456789abcdef/a", "temporary/__autograph_generated_fileown.py",
    "out/tiny/.dlkit-writing-0123456789abcdef/a", "out/tiny/.cpu-int8.writing-own/a",
    "out/tiny/.model.json.writing-own", "out/tiny/notes.txt",
)  # fmt: skip
"""A user's own files, some with names like ours."""
LIVING = """
import sys, time
from pathlib import Path
from dlkit.leftovers import workplace
with workplace(Path(sys.argv[1]), "dlkit-") as a, workplace(Path(sys.argv[2]), ".dlkit-writing-") as b:
    for folder in (a, b):
        (folder / "x").touch()
    print(a, b, sep="\\n", flush=True)
    time.sleep(3600)
"""


@contextlib.contextmanager
def another_dlkit(place: Place) -> Iterator[list[Path]]:
    """A living process that uses a folder in each place; the folders."""
    process = subprocess.Popen(
        [sys.executable, "-c", LIVING, str(place.temporary), str(place.model)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield [Path(process.stdout.readline().strip()) for _ in range(2)]
    finally:
        process.kill()
        process.communicate()


def debris(place: Place, own: list[Path]) -> list[str]:
    """What lies about that is neither the user's nor of the other process."""
    decoys = {place.root / Path(*Path(d).parts[: 2 if d.startswith("temporary") else 3]) for d in DECOYS}
    found = [*place.temporary.iterdir(), *place.model.glob(".*")]
    kept = [p for p in found if p not in decoys and p not in own]
    return sorted(f"{p.parent.name}/{p.name}" for p in kept)


@dataclasses.dataclass
class Outcome:
    """Of one kill.

    Attributes:
        when: "time", "change" or "child"; whom: "group", "main" or "child".
        phase: before, during or after writing, by what was there after the kill.
        survivors_s: how long children lived after it.
        debris: how many pieces lay about before the next run.
    """

    when: str
    whom: str
    phase: str
    survivors_s: float
    debris: int
    wrong: str = ""
    code: int | None = None


def one(
    scenario: Scenario,
    reference: Reference,
    work: Path,
    dice: random.Random,
    moments: list[int],
    *,
    fresh: bool,
    again: bool,
) -> Outcome:
    """Kill one run and look. Raises Wrong.

    Args:
        moments: numbers of operations on files that are still to be met.
        fresh: begin with what was there before; else with what the kill before left.
        again: run it again afterwards, to its end.
    """
    place = Place(work / "place")
    if fresh:
        shutil.rmtree(place.root, ignore_errors=True)
        shutil.copytree(reference.start, place.root)
    else:
        scenario = dataclasses.replace(scenario, arguments=(*scenario.arguments, *scenario.after_kill))
    place.model.mkdir(exist_ok=True)
    for decoy in DECOYS:
        (place.root / decoy).parent.mkdir(parents=True, exist_ok=True)
        (place.root / decoy).write_text("own")
    with another_dlkit(place) as own:
        outcome = _killed(scenario, reference, place, dice, moments, own)
        if again or outcome.wrong:
            _run_again(scenario, reference, place, own)
    return outcome


def _killed(
    scenario: Scenario, reference: Reference, place: Place, dice: random.Random, moments: list[int], own: list[Path]
) -> Outcome:
    neighbours = set(place.model.glob(".dlkit-writing-*"))
    shared = set(Path("/dev/shm").iterdir())
    when = dice.choices(
        ("time", "change", "child"), (3, 5, 2 if scenario.arguments[0] not in ("build", "train") else 0)
    )[0]
    whom = "child" if when == "child" else dice.choice(("group", "main"))
    hook = None
    if when == "change":
        if not moments:
            moments += dice.sample(range(1, reference.changes + 1), reference.changes)
        hook = Counting(
            place, moments.pop(),
            lambda: os.killpg(0, signal.SIGKILL) if whom == "group" else os.kill(os.getpid(), signal.SIGKILL),
        )  # fmt: skip
    run = start(place, (*scenario.arguments, "-q"), hook)
    if when == "time":
        time.sleep(dice.uniform(0, reference.seconds))
        run.kill(run.pid, group=whom == "group")
    elif when == "child":
        time.sleep(dice.uniform(0, reference.seconds * 0.9))
        end, children = time.monotonic() + 5, []
        while not children and time.monotonic() < end and run.poll() is None:
            children = children_of(run)
            time.sleep(0.005)
        if children:
            run.kill(dice.choice(children), group=False)
    code = run.wait()
    began = time.monotonic()
    while (left := children_of(run)) and time.monotonic() < began + ORPHANS_MAY_LIVE_S:
        time.sleep(0.02)
    lived = time.monotonic() - began
    if left:
        names = [Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")[:150] for pid in left]
        for pid in left:
            run.kill(pid, group=False)
        raise Wrong(f"processes are left after {when}/{whom}: {names}")
    if when == "child" and code not in (0, -9):
        lines = [line for line in run.said().splitlines() if line.strip()]
        if code != 1 or "Traceback" in run.said() or not lines[-1].startswith("error: "):
            raise Wrong(f"child killed: code {code}, {run.said()}")
    if when == "child" and code < 0:
        raise Wrong(f"child killed: it crashed, {code}")
    if set(Path("/dev/shm").iterdir()) - shared:
        raise Wrong("/dev/shm is not as before")
    around = debris(place, own)
    phase = _check_output(scenario, reference, place, neighbours, f"{when}/{whom}", code)
    return Outcome(when, whom, phase, lived, len(around), code=code)


def _check_output(
    scenario: Scenario, reference: Reference, place: Place, neighbours: set[Path], how: str, code: int
) -> str:
    """Raise Wrong unless all that is there is old or new; when in its course the run was killed."""

    def read() -> None:
        from dlkit.trained import settle

        settle(place.model)
        for name in scenario.bundles:
            if (place.model / name).exists():
                check_bundle(place.model / name)
        check_checkpoints(place.model / "checkpoints")

    seen = set(place.model.glob(".dlkit-writing-*")) - neighbours
    if said := in_child(read):
        raise Wrong(f"{how}: {said}")
    states = []
    if scenario.model:
        state = model_state(place.model)
        if state not in (reference.old, reference.new):
            raise Wrong(f"{how}: the model is neither the old nor the new one: {sorted(state)}")
        states.append("new" if state == reference.new else "old")
    for name in scenario.bundles:
        bundle = place.model / name
        if not bundle.exists() or digest(bundle) == reference.old_bundles.get(name):
            if not bundle.exists() and name in reference.old_bundles:
                raise Wrong(f"{how}: neither the old nor the new {name} is there")
            states.append("old")
        elif digest(bundle / "model.tflite") == reference.new_models[name]:
            states.append("new")
        else:
            raise Wrong(f"{how}: {name} is neither the old nor the new one")
    for name in scenario.pictures:
        if (place.model / name).exists():
            from PIL import Image

            Image.open(place.model / name).load()
            states.append("new")
        else:
            states.append("old")
    if set(states) == {"new"}:
        return "after" if code else "ended"
    return "during" if seen or "new" in states else "before"


def _run_again(scenario: Scenario, reference: Reference, place: Place, own: list[Path]) -> None:
    """The same command; where it says that something is there, with what it says. Raises Wrong."""
    more: tuple[str, ...] = ()
    for _ in range(3):
        run = start(place, (*scenario.arguments, "-q", *more))
        code = run.wait()
        said = run.said()
        is_there = "add --force to replace it" in said or ("exists already" in said and "with --force" in said)
        if code == 1 and is_there and "--force" not in more:
            more = (*(m for m in more if m != "--resume"), "--force")
        elif code == 1 and "--resume" in said and "--resume" not in more:
            more = (*more, *scenario.after_kill)
        else:
            break
    if code or "Traceback" in said:
        raise Wrong(f"run again with {more}: {code}, {said}")
    if left := debris(place, own):
        raise Wrong(f"run again, it leaves {left}")
    for decoy in DECOYS if own else ():
        if not (place.root / decoy).exists() or (place.root / decoy).read_text() != "own":
            raise Wrong(f"the user's {decoy} is gone")
    for folder in own:
        if not (folder / "x").exists():
            raise Wrong(f"{folder} of a living process is gone")
    if scenario.model and model_state(place.model) != reference.new:
        raise Wrong("run again, the model is not the one of an uninterrupted run")
    for name, model in reference.new_models.items():
        if digest(place.model / name / "model.tflite") != model:
            raise Wrong(f"run again, {name} is not the one of an uninterrupted run")
        if said := in_child(lambda name=name: check_bundle(place.model / name)):  # type: ignore[misc]
            raise Wrong(f"run again: {said}")
    shown = sorted(
        path.name for path in place.model.iterdir() if not path.name.startswith(".") and path.name != "notes.txt"
    )
    if shown != [name for name in reference.shown if not name.startswith(".")]:
        raise Wrong(f"run again, there is {shown} in place of {reference.shown}")


def states(scenario: Scenario, reference: Reference, work: Path, dice: random.Random, again: int) -> list[str]:
    """What is wrong with what a kill would leave on disk before each operation on files of one run.

    Copies are taken as the run goes on: the locks in them are nobody's, as those of a killed process are.

    Args:
        again: from so many of them the command is run to its end.
    """
    place, copies = Place(work / "place"), work / "copies"
    shutil.rmtree(place.root, ignore_errors=True)
    shutil.copytree(reference.start, place.root)
    copies.mkdir()
    counting = Counting(place)
    copying: list[bool] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        before = counting.count
        if copying:
            return
        counting(event, arguments)
        if counting.count > before:
            copying.append(True)
            shutil.copytree(place.root, copies / str(counting.count), ignore=shutil.ignore_patterns("printed.txt"))
            copying.clear()

    run = start(place, (*scenario.arguments, "-q"), hook)
    if run.wait():
        raise Wrong(f"uninterrupted: {run.said()}")
    wrong, found = [], sorted(copies.iterdir(), key=lambda path: int(path.name))
    chosen = dice.sample(found, min(again, len(found)))
    for copy in found:
        shutil.rmtree(place.root)
        copy.rename(place.root)
        place.model.mkdir(exist_ok=True)
        try:
            _check_output(scenario, reference, place, set(), f"state {copy.name} of {len(found)}", -9)
            if copy in chosen:
                _run_again(scenario, reference, place, [])
        except Wrong as error:
            wrong.append(str(error))
            print(f"WRONG  {error}", flush=True)
    print(f"  {len(found)} states on disk, {len(chosen)} of them run again, {len(wrong)} wrong", flush=True)
    return wrong


def imports(command: str) -> None:
    """What a run would import first; it runs nothing."""
    from dlkit.frameworks import quieten

    quieten()
    for name in ("numpy", "tensorflow", "keras", "PIL.Image", "matplotlib", "matplotlib.figure", "dlkit.cli",
                 "matplotlib.backends.backend_agg", "dlkit.pipeline", "dlkit.pipeline.comparing", "dlkit.trained",
                 "dlkit.pipeline.searching", "dlkit.bundle.loading", "dlkit.training.loop"):  # fmt: skip
        importlib.import_module(name)
    importlib.import_module(f"dlkit.cli.{command}")
    from dlkit.conversion import worker

    worker.prepare()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=[*SCENARIOS])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", type=float, default=1.0, help="after how many of the kills it is run to its end")
    parser.add_argument("--states", type=int, help="look at all states on disk of a run, and run again from so many")
    parser.add_argument("--importing", action="store_true", help="fork servers import the frameworks anew")
    parser.add_argument("--scenario", type=int, help="only this one")
    given = parser.parse_args()
    global IMPORTING
    IMPORTING = given.importing or given.command == "run"  # what has trained cannot be forked
    imports({"export-devices": "export", "search": "export"}.get(given.command, given.command))
    scenarios = SCENARIOS[given.command]
    if given.scenario is not None:
        scenarios = scenarios[given.scenario : given.scenario + 1]
    dice, outcomes, wrong = random.Random(given.seed), [], []
    folder = tempfile.mkdtemp(prefix="kills-")  # a TemporaryDirectory would go with each forked run
    try:
        for number, scenario in enumerate(scenarios):
            work = Path(folder, str(number))
            work.mkdir()
            reference = reference_of(scenario, work)
            print(
                f"dlkit {' '.join(scenario.arguments)}: {reference.seconds:.1f} s, {reference.changes} changes",
                flush=True,
            )
            if given.states is not None:
                wrong += states(scenario, reference, work, dice, given.states)
                continue
            count = given.kills * (number + 1) // len(scenarios) - given.kills * number // len(scenarios)
            fresh, moments = True, list[int]()
            for left in reversed(range(count)):
                again = left == 0 or dice.random() < given.again
                try:
                    outcomes.append(one(scenario, reference, work, dice, moments, fresh=fresh, again=again))
                    fresh = again or outcomes[-1].phase in ("after", "ended")
                except Wrong as error:
                    fresh = True
                    wrong.append(str(error))
                    print(f"WRONG  {error}", flush=True)
    except KeyboardInterrupt:
        print("stopped")
    finally:
        shutil.rmtree(folder)
    if given.states is None:
        print(table(given.command, outcomes, wrong))
    return 1 if wrong else 0


def table(command: str, outcomes: list[Outcome], wrong: list[str]) -> str:
    """Counts by whom and when, and the largest figures."""
    lines = [f"{command}: {len(outcomes) + len(wrong)} kills, {len(wrong)} wrong"]
    for key, count in sorted(collections.Counter((o.whom, o.when) for o in outcomes).items()):
        lines.append(f"  {key[0]:<6} {'at a ' + key[1]:<12} {count:4}")
    phases = collections.Counter(o.phase for o in outcomes)
    lines.append(
        "  "
        + ", ".join(f"{phases[p]} {p} writing" for p in ("before", "during", "after"))
        + f", {phases['ended']} ended"
    )
    codes = collections.Counter(o.code for o in outcomes if o.whom == "child")
    lines.append(f"  exit codes where a child was killed: {dict(codes)}")
    lines.append(f"  children lived at most {max((o.survivors_s for o in outcomes), default=0):.2f} s longer")
    lines.append(f"  debris before the next run: {sum(o.debris for o in outcomes)} pieces, after it: 0")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
