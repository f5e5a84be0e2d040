"""The C source of a bundle: what is in it, whatever things are called, and what is said where it has none."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from c_programs import STRICT, make_qemu, need, run_here, write_sources
from one_operation import End, model_of, options

from dlkit.bundle.loading import load_bundle
from dlkit.errors import ModelFileError
from dlkit.finishing import FINISHES, Finishing
from dlkit.finishing._c_source.boards import BOARDS
from dlkit.finishing._c_source.program import program_of
from dlkit.finishing._c_text import identifier
from dlkit.progress import ignore
from dlkit.schemes import SCHEMES
from dlkit.targets import TARGETS

HOSTILE = ('", system("true"), "', "a\\", "*/ int x; /*", "??/", "line\nbreak", "é\0½", "%s%n", "\u202e", "")
"""Labels that would end a string, a comment or a line, if they were not escaped."""


def finishing(bundle: Path, **changes: object) -> Finishing:
    """What the step is given of a bundle."""
    opened = load_bundle(bundle)
    with np.load(bundle / "samples.npz") as stored:
        samples = {name: stored[f"raw {name}"] for name in opened.inputs}
    given = {
        "file": bundle / "model.tflite", "name": "digits-tiny", "scheme": SCHEMES["int8"], "target": TARGETS["cpu"],
        "task": "classification", "labels": opened.labels, "inputs": opened.inputs, "samples": samples,
    }  # fmt: skip
    return Finishing(**(given | changes))  # type: ignore[arg-type]


def test_what_is_made(tiny_bundle: Path, tmp_path: Path) -> None:
    """Six files, one of them a self-test with the bundle's own samples, which passes."""
    need("cc", "make")
    made = FINISHES["c_source"].make(finishing(tiny_bundle))
    assert sorted(made.files) == [
        f"c/{name}" for name in ("Makefile", "kernels.c", "kernels.h", "model.c", "model.h", "self_test.c")
    ]
    (tmp_path / "c").mkdir()
    for name, content in made.files.items():
        (tmp_path / name).write_bytes(content)
    done = subprocess.run(["make", "-C", tmp_path / "c", "check"], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")
    assert "PASS: 8 samples, every number as expected" in done.stdout
    assert "with 960 bytes of static memory" in made.notes[0]


@pytest.fixture
def for_a_board(tiny_bundle: Path, tmp_path: Path) -> Path:
    """The folder c/ of a bundle for a Cortex-M4."""
    return written(tiny_bundle, tmp_path, "cortex-m4")


def written(bundle: Path, folder: Path, target: str) -> Path:
    for name, content in FINISHES["c_source"].make(finishing(bundle, target=TARGETS[target])).files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder / "c"


@pytest.mark.parametrize("target", [name for name, target in TARGETS.items() if target.processor])
def test_make_qemu(tiny_bundle: Path, tmp_path: Path, target: str) -> None:
    """The self-test of every microcontroller on the shelf, on an emulated board, by one command."""
    need("make", "arm-none-eabi-gcc", "qemu-system-arm")
    done = make_qemu(written(tiny_bundle, tmp_path, target), "qemu")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{BOARDS[target].about}:\nPASS: 8 samples, every number as expected\n"


def test_make_qemu_of_a_wrong_answer(for_a_board: Path) -> None:
    """It fails, and says where."""
    need("make", "arm-none-eabi-gcc", "qemu-system-arm")
    content = (for_a_board / "model.c").read_text()
    (for_a_board / "model.c").write_text(content.replace("    1207,", "    9207,"))
    done = make_qemu(for_a_board, "qemu")
    assert done.returncode != 0
    assert "FAIL: " in done.stdout
    assert "FAIL: not what was exported, on the emulated cortex-m4" in done.stderr


@pytest.mark.parametrize(
    ("there", "message"),
    [
        (
            ("make", "sh", "dirname"),
            "there is no arm-none-eabi-gcc with its C library: apt-get install gcc-arm-none-eabi",
        ),
        (("make", "sh", "arm-none-eabi-gcc"), "there is no qemu-system-arm: apt-get install qemu-system-arm"),
    ],
)
def test_make_qemu_without_its_tools(for_a_board: Path, tmp_path: Path, there: tuple[str, ...], message: str) -> None:
    """It names the packages."""
    need("make", "arm-none-eabi-gcc")
    (tmp_path / "bin").mkdir()
    for name in there:
        if (found := shutil.which(name)) is not None:
            (tmp_path / "bin" / name).symlink_to(found)
    done = make_qemu(for_a_board, "qemu", PATH=str(tmp_path / "bin"))
    assert done.returncode != 0
    assert message in done.stderr


def test_make_qemu_where_there_is_no_board(tiny_bundle: Path, tmp_path: Path) -> None:
    """A target whose processor nothing emulates has no such folder, and says so."""
    need("make")
    done = make_qemu(written(tiny_bundle, tmp_path, "cpu"), "qemu")
    assert done.returncode != 0
    assert "there is no folder qemu/" in done.stderr


def test_the_same_bytes_again(tiny_bundle: Path) -> None:
    """Nothing in it depends on when or where it is made."""
    make = FINISHES["c_source"].make
    assert make(finishing(tiny_bundle)).files == make(finishing(tiny_bundle)).files


def test_a_wrong_answer_fails(tiny_bundle: Path, tmp_path: Path) -> None:
    """A self-test whose weights are others says so, with the exit code 1."""
    need("gcc")
    write_sources(tiny_bundle / "model.tflite", tmp_path)
    content = (tmp_path / "model.c").read_text()
    assert "static const int32_t bias_6[10] = {\n    1207," in content
    (tmp_path / "model.c").write_text(content.replace("    1207,", "    9207,"))
    with pytest.raises(AssertionError, match=r"FAIL: .* numbers of 20 samples are other than expected"):
        run_here(tmp_path)


@pytest.mark.parametrize("name", ["digits", "8×8 */", 'a"b', "int", "\n#error", "¿", "_Bool", "x" * 300])
def test_names_that_are_no_c(tiny_bundle: Path, tmp_path: Path, name: str) -> None:
    """Whatever a model and its classes are called, it compiles without a warning, and labels come out as they were."""
    labels = (*HOSTILE, "last")
    write_sources(tiny_bundle / "model.tflite", tmp_path, name=name, labels=labels, count=1)
    assert run_here(tmp_path) == "PASS: 1 samples, every number as expected"
    prefix = identifier(name)
    (tmp_path / "labels.c").write_text(
        f'#include <stdio.h>\n#include <string.h>\n#include "model.h"\nint main(void) {{\n'
        f"    for (int i = 0; i < {prefix.upper()}_CLASSES; i++)\n"
        f"        fwrite({prefix}_class_names[i], 1, strlen({prefix}_class_names[i]) + 1, stdout);\n    return 0;\n}}\n"
    )
    sources = [str(tmp_path / file) for file in ("labels.c", "model.c", "kernels.c")]
    subprocess.run(["gcc", *STRICT, *sources, "-o", str(tmp_path / "labels")], check=True, timeout=100)
    told = subprocess.run([tmp_path / "labels"], capture_output=True, check=True, timeout=10).stdout
    assert told.decode() == "".join(f"{label.partition(chr(0))[0]}\0" for label in labels)


def test_a_network_that_has_none(tiny_bundle: Path, tmp_path: Path) -> None:
    """No file, and a note that says which operations are in the way and what runs it instead."""
    file = tmp_path / "model.tflite"
    file.write_bytes(model_of("L2_NORMALIZATION", [End((1, 8), 0.1)], [End((1, 8), 1 / 128)], options("L2Norm")))
    made = FINISHES["c_source"].make(finishing(tiny_bundle, file=file))
    assert not made.files
    assert made.notes == (
        "there is no folder c/: its C source would need what there is no kernel for: L2_NORMALIZATION; an interpreter "
        "has to run the file",
    )


def test_memory_is_shared(tiny_bundle: Path) -> None:
    """What is never needed at the same time lies in the same place: of the largest two next to each other."""
    file = tiny_bundle / "model.tflite"
    program = program_of(file.read_bytes(), file.name, ignore)
    between = [step.operation.result.size for step in program.steps if not step.renames][:-1]
    together = max(a + b for a, b in itertools.pairwise(between))
    assert program.memory.arena_bytes == together < sum(between)


@pytest.mark.parametrize("bits", [b"", b"no model at all", b"\x1c\0\0\0TFL3" + bytes(40)])
def test_no_model(bits: bytes) -> None:
    """It is an error that names the file."""
    with pytest.raises(ModelFileError, match=r"m\.tflite"):
        program_of(bits, "m.tflite", ignore)
