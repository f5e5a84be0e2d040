"""Faults of the environment around the commands that take long: a table of what was done and what came of it.

    python tests/faults/environment.py --list
    python tests/faults/environment.py disk --sizes 0,16,64,256,1024
    python tests/faults/environment.py limits paths clock together

Needs root (small file systems are mounted, in a world of the script's own) and the packages of training and export.
A fault is well taken where the command succeeds nevertheless, or ends with exit code 1 and one line; what was there
before is as it was, and nothing half-written and no temporary folder is left. The script's exit code is 1 if one is
not.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from injected import ROOT, Ended, ended, faults_of, left_in, limited, tree

RECIPE = str(ROOT / "recipes" / "digits-tiny.toml")
SHORT = ("--set", "training.epochs=3", "--set", "export.max_drop=1")
COMMANDS = {
    "build": ("build", "cnn", "--plot"),
    "train": ("train", RECIPE, "--plot", *SHORT, "--set", "name=short"),
    "export": ("export", "digits-tiny", "--quantize", "--force"),
    "several": ("export", "digits-tiny", "--scheme", "float32", "--scheme", "int8", "--scheme", "int16x8", "--force"),
    "served": ("export", "digits-tiny", "--target", "server", "--scheme", "saved_model", "--scheme", "onnx"),
    "microcontroller": ("export", "digits-tiny", "--target", "cortex-m4"),
    "compare": ("compare", "digits-tiny", "--scheme", "float32", "--scheme", "int8", "--plot"),
    "sensitivity": ("sensitivity", "digits-tiny"),
}
ROLES = ("out", "tmp", "both")
UNTOUCHED = ("digits-tiny/model.keras", "digits-tiny/model.json", "digits-tiny/cpu-int8/manifest.json")
"""What a command that fails leaves as it was."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One fault.

    Attributes:
        kind, name: what is done, and to what.
        run: does it, and returns how the command ended and what is wrong with that.
    """

    kind: str
    name: str
    run: Callable[[], tuple[Ended, list[str]]]


class World:
    """Folders to work in, with a trained model and its bundle to copy from."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.base = place / "base"
        place.mkdir(parents=True, exist_ok=True)
        if not self.base.exists():
            how = ended("run", RECIPE, "--out", str(self.base), "-q", *SHORT, cwd=place)
            if how.code:
                sys.exit(how.err)

    def disk(self, name: str) -> Path:
        """A new small file system."""
        disk = self.place / name
        disk.mkdir(exist_ok=True)
        subprocess.run(["umount", "-q", disk], check=False)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", disk], check=True)
        return disk

    def folder(self, name: str) -> Path:
        """A new empty folder."""
        shutil.rmtree(self.place / name, ignore_errors=True)
        (self.place / name).mkdir()
        return self.place / name


def fill(disk: Path, free_bytes: int) -> None:
    """Leave so much room on a disk."""
    state = os.statvfs(disk)
    taken = state.f_bavail * state.f_frsize - free_bytes
    with (disk / "filler").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(taken, 1))


def judged(how: Ended, out: Path, tmp: Path, before: dict[str, str], says: str = "") -> list[str]:
    """What is wrong with how a command took its fault."""
    wrong = faults_of(how, codes=(0, 1), says=says)
    after = tree(out)
    if how.code:
        wrong += [f"changed {name}" for name in before if name in after and after[name] != before[name]]
        wrong += [f"half-written {name}" for name in after if name not in before and _is_half(out, name)]
    wrong += [f"lost {name}" for name in before if name not in after]
    return wrong + left_in(out, tmp)


def _is_half(out: Path, name: str) -> bool:
    """Whether a new file is none that a command leaves when it is stopped: a whole bundle, a checkpoint."""
    bundle = (out / name).parent
    return not ((bundle / "manifest.json").exists() or "checkpoints" in name or (out / name / "manifest.json").exists())


def disk_cases(world: World, commands: list[str], sizes: list[int]) -> Iterator[Case]:
    """A disk with so much room left, as the folder of models, as that of temporary files, and as both."""
    for command in commands:
        for role in ROLES:
            for kib in sizes:

                def run(command: str = command, role: str = role, kib: int = kib) -> tuple[Ended, list[str]]:
                    out, tmp = world.disk("out"), world.disk("tmp")
                    shutil.copytree(world.base / "digits-tiny", out / "digits-tiny")
                    for disk in {"out": [out], "tmp": [tmp], "both": [out, tmp]}[role]:
                        fill(disk, kib * 1024)
                    before = tree(out)
                    how = ended(
                        *COMMANDS[command], "--out", out, "-q", cwd=world.place, environment={"TMPDIR": str(tmp)}
                    )
                    return how, judged(how, out, tmp, before, says=r"full|no room|memory")

                yield Case("disk", f"{command}, {kib} KiB left on {role}", run)


def _in_folder(
    world: World, words: tuple[str, ...], before: Callable[[], None] | None = None, **environment: str
) -> tuple[Ended, list[str]]:
    out, tmp = world.folder("plain-out"), world.folder("plain-tmp")
    shutil.copytree(world.base / "digits-tiny", out / "digits-tiny")
    state = tree(out)
    how = ended(
        *words, "--out", out, "-q", cwd=world.place, before=before, environment={"TMPDIR": str(tmp), **environment}
    )
    return how, judged(how, out, tmp, state)


def limit_cases(world: World, commands: list[str], sizes: list[int]) -> Iterator[Case]:
    """Few descriptors, small files, little memory."""
    limits = [("NOFILE", 24), ("NOFILE", 64), ("FSIZE", 10_000), ("FSIZE", 150_000), ("FSIZE", 1_000_000)]
    limits += [("AS", megabytes * 2**20) for megabytes in (300, 700, 1200, 2000)]
    for command in commands:
        for name, value in limits:

            def run(command: str = command, name: str = name, value: int = value) -> tuple[Ended, list[str]]:
                return _in_folder(world, COMMANDS[command], limited(**{name: value}))

            yield Case("limits", f"{command}, RLIMIT_{name} {value:,}", run)


def path_cases(world: World, commands: list[str], sizes: list[int]) -> Iterator[Case]:
    """Models in folders of odd names, and temporary files too."""
    names = {
        "spaces and quotes": "a b'c\"d", "a newline": "a\nb", "decomposed": unicodedata.normalize("NFD", "größe"),
        "emoji": "🐈‍⬛", "percent": "%s{0}%20#", "no Unicode": os.fsdecode(b"caf\xe9"), "255 bytes": "x" * 255,
        "a dash": "-rf", "a pattern": "*?[x]$HOME",
    }  # fmt: skip
    for command in commands:
        for what, name in names.items():

            def run(command: str = command, name: str = name) -> tuple[Ended, list[str]]:
                place = world.folder("odd")
                out, tmp = place / name / "out", place / name / "tmp"
                tmp.mkdir(parents=True)
                shutil.copytree(world.base / "digits-tiny", out / "digits-tiny")
                before = tree(out)
                words = [*COMMANDS[command], f"--out={out}", "-q"]
                how = ended(*words, cwd=place, environment={"TMPDIR": str(tmp)})
                return how, judged(how, out, tmp, before)

            yield Case("paths", f"{command}, in a folder with {what}", run)


def clock_cases(world: World, commands: list[str], sizes: list[int]) -> Iterator[Case]:
    """A clock that is wrong, goes back or runs; needs libfaketime (apt-get install faketime)."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    for command in commands if found else ():
        for time in ("1970-01-02 00:00:00", "2106-02-07 06:28:20", "-10y", "+80y", "+0 i-3.0", "+0 x1000"):

            def run(command: str = command, time: str = time) -> tuple[Ended, list[str]]:
                # The monotonic clock too: libfaketime 0.9.10 leaves it alone only where nothing sleeps.
                faked = {"LD_PRELOAD": str(found[0]), "FAKETIME": time}
                return _in_folder(world, COMMANDS[command], None, **faked)

            yield Case("clock", f"{command}, at {time}", run)


def together_cases(world: World, commands: list[str], sizes: list[int]) -> Iterator[Case]:
    """The same command twice at once, with what it has to replace: one wins, and what is there is whole."""
    for command in commands:

        def run(command: str = command) -> tuple[Ended, list[str]]:
            out, tmp = world.folder("two-out"), world.folder("two-tmp")
            shutil.copytree(world.base / "digits-tiny", out / "digits-tiny")
            words = [sys.executable, "-P", "-m", "dlkit", *COMMANDS[command], "--out", str(out), "-q"]
            variables = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp)}
            with subprocess.Popen(words, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as other:  # fmt: skip  # noqa: E501
                how = ended(*COMMANDS[command], "--out", out, "-q", cwd=world.place, environment={"TMPDIR": str(tmp)})
                _, said = other.communicate()
            wrong = [*faults_of(how, codes=(0, 1)), *faults_of(Ended(other.returncode, "", said, 0), codes=(0, 1))]
            wrong += [] if 0 in (how.code, other.returncode) else ["neither wins"]
            for manifest in out.glob("*/*/manifest.json"):
                check = ended("predict", manifest.parent, "--check", cwd=world.place)
                wrong += [] if check.code == 0 else [f"{manifest.parent.name} is broken: {check.line}"]
            return how, wrong + left_in(out, tmp)

        yield Case("together", f"{command}, twice at once", run)


KINDS = {
    "disk": disk_cases, "limits": limit_cases, "paths": path_cases, "clock": clock_cases, "together": together_cases,
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"{', '.join(KINDS)}; all without")
    parser.add_argument("--commands", default=",".join(COMMANDS), help="a list of them, separated by commas")
    parser.add_argument("--sizes", default="0,8,32,100,200,400,1000,4000", help="KiB that are left on a disk")
    parser.add_argument("--place", type=Path, default=Path("/tmp/dlkit-faults"))
    parser.add_argument("--list", action="store_true", help="say what would be done")
    arguments = parser.parse_args()
    if not arguments.list and "DLKIT_OWN_MOUNTS" not in os.environ:
        os.environ["DLKIT_OWN_MOUNTS"] = "1"
        os.execvp("unshare", ["unshare", "-m", sys.executable, *sys.argv])
    world = World(arguments.place) if not arguments.list else None
    sizes, commands = [int(size) for size in arguments.sizes.split(",")], arguments.commands.split(",")
    counts: dict[str, list[int]] = {}
    for kind in arguments.kinds or KINDS:
        for case in KINDS[kind](world, commands, sizes):  # type: ignore[arg-type]
            if arguments.list:
                print(f"{case.kind:<9} {case.name}")
                continue
            how, wrong = case.run()
            done, bad = counts.setdefault(kind, [0, 0])
            counts[kind] = [done + 1, bad + bool(wrong)]
            code = "–" if how.code is None else how.code
            print(
                f"{case.kind:<9} {case.name!r:<60} exit {code} {how.seconds:6.1f} s  {how.line[:160] if code else ''}"
            )
            for each in wrong:
                print(f"{'':<10}WRONG: {each}")
            if wrong:
                print(how.err[-1000:])
            sys.stdout.flush()
    for kind, (done, bad) in counts.items():
        print(f"{kind}: {done} faults, {done - bad} well taken")
    return 1 if any(bad for _, bad in counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
