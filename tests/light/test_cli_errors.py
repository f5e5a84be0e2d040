"""What goes wrong on the command line: one line, the right exit code, no traceback, nothing half-written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from as_files import npy

from dlkit.archive import contents_sha256
from dlkit.cli import COMMANDS

ROOT = Path(__file__).parents[2]
LONG = "x" * 300


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refused(dlkit: Callable) -> Callable[..., str]:
    """The one line that `dlkit ARGUMENTS` ends with, with exit code `code` and nothing on standard output."""

    def run(*arguments: str | Path, code: int = 1, stdin: bytes = b"") -> str:
        said = dlkit(*arguments, stdin=stdin)
        assert said.code == code, said
        assert said.out == ""
        *before, last = said.err.splitlines()
        assert last.startswith("error: ")
        assert all(line.endswith(" …") for line in before)  # steps, where a command has some
        return last.removeprefix("error: ")

    return run


# --- usage: exit code 2 ---


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predcit"], "no command 'predcit'; did you mean 'predict'? see dlkit --help"),
        (["zzz"], "no command 'zzz'; known: bench, build, check, compare, completion, doctor"),
        ([""], "no command ''; known: "),
        (["a\nb"], "no command 'a\\nb'; known: "),
        (["--quit"], "No such option '--quit'"),
        (["predict"], "Missing argument 'BUNDLE'; see dlkit predict --help"),
        (["predict", "b"], "name an image, WAV, .npy or .csv file, a folder, or -: dlkit predict b INPUT; see"),
        (
            ["predict", "b", "x", "--jsno"],
            "No such option '--jsno'. Did you mean '--json'? see dlkit predict",
        ),
        (["predict", "b", "x", "--top", "0"], "Invalid value for '--top': 0 is not in the range x>=1; see"),
        (["predict", "b", "x", "--top", "many"], "Invalid value for '--top': 'many' is not a valid integer"),
        (["predict", "b", "x", "--threads", "0"], "Invalid value for '--threads': 0 is not in the range x>=1"),
        (["bench"], "Missing argument 'BUNDLE...'"),
        (["list"], "Missing argument '{networks|datasets|schemes|targets|recipes}'"),
        (["list", "nets"], "'nets' is not one of 'networks', 'datasets', 'schemes', 'targets', 'recipes'; see"),
        (["completion", "csh"], "'csh' is not one of 'bash', 'zsh', 'fish'"),
        (["export", "cnn", "--set", "seed=1"], "--set changes a recipe; name a .toml file; see dlkit export --help"),
        (
            ["export", "x", "--quantize", "--scheme", "float32"],
            "--quantize means --scheme int8, but --scheme float32 is",
        ),
        (["export", "x", "--preprocessing", "caffe"], "--preprocessing is for a model from elsewhere"),
        (["export", "--preprocessing", "caffe"], "--preprocessing is for a model from elsewhere"),
        (
            ["run", "a", "--out", __file__],
            f"Invalid value for '--out': Directory '{__file__}' is a file; see dlkit run --help",
        ),
        (["run", "a", "b"], "Got unexpected extra argument (b); see dlkit run --help"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_usage(place: Path, refused, arguments: list[str], message: str) -> None:
    """What was typed, what is near, where to read on."""
    assert message in refused(*arguments, code=2)


def test_no_arguments_show_the_help(dlkit) -> None:
    """A new user types the name alone."""
    said = dlkit()
    assert said.code == 2
    assert "Usage: dlkit" in said.err
    assert all(command in said.err for command in COMMANDS)


# --- names: exit code 1 ---


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build", "vgg61"], "unknown network 'vgg61'; did you mean 'vgg16'?"),
        (["run", "recipes/digit.toml"], "there is no recipe recipes/digit.toml; did you mean 'digits.toml'"),
        (["train", "recipes"], "recipes is a folder, not a recipe; name a .toml file"),
        (["train", "README.md"], "README.md: not valid TOML: "),
        (["export", "--scheme", "int9"], "unknown scheme 'int9'; did you mean 'int8'?"),
        (["export", "--target", "cup"], "unknown target 'cup'; did you mean 'cpu'?"),
        (["export", "recipes/digit.toml"], "there is no recipe recipes/digit.toml; did you mean 'digits.toml'"),
        (["export", "no.keras", "--preprocessing", "unit"], "there is no file no.keras"),
        (["export", "README.keras"], "there is no file README.keras"),
        (["run", "recipes/digits.toml", "--set", "training.epoch=3"], "unknown key 'training.epoch'; did you mean"),
        (["run", "recipes/digits.toml", "--set", "network.name=resnet9"], "unknown network 'resnet9'; did you mean '"),
        (["run", "recipes/digits.toml", "--set", "export.scheme=int9"], "unknown scheme 'int9'; did you mean 'int8'?"),
        (["run", "recipes/digits.toml", "--set", "training"], "--set training: write it as --set KEY=VALUE"),
        (["run", LONG], f"cannot read {LONG}: File name too long"),
        (["run", "/dev/zero"], "cannot read /dev/zero: File too large"),
        (["predict", "no", "x"], "there is no bundle no; 'dlkit export' makes one"),
        (["predict", LONG, "x"], f"{LONG}/manifest.json: File name too long"),
        (["predict", "a\nb", "x"], "there is no bundle a\\nb;"),
        (["evaluate", "no"], "there is no bundle no"),
        (["bench", "no.tflite"], "no.tflite: cannot be read: No such file or directory"),
        (["bench", "recipes"], "recipes is not a bundle (no manifest.json)"),
        (["inspect", "no"], "there is no file no"),
        (["inspect", "recipes"], "recipes is a folder; name the .tflite file in it"),
        (["inspect", "README.md"], "README.md: is not a .tflite file"),
        (["inspect", "/dev/zero"], "/dev/zero: cannot be read: File too large"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)  # fmt: skip
def test_names(root: Path, monkeypatch: pytest.MonkeyPatch, refused, arguments: list[str], message: str) -> None:
    """Near misses are named; what is of another kind is called by its kind."""
    monkeypatch.chdir(root)
    assert message in refused(*arguments)


def test_nothing_to_export(place: Path, refused) -> None:
    """Says how to make something."""
    wanted = "there is no model in exported; make one: dlkit build vgg16, or dlkit train RECIPE"
    assert refused("export") == wanted
    assert refused("export", "digits") == "there is no model, recipe or .keras file 'digits'; there are none"
    assert list(place.iterdir()) == []


# --- inputs of predict ---


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.png", b"hello", "a.png: is not an image that can be read"),
        ("a.npy", npy(np.zeros((9, 9))), "a.npy: shape 9×9, but this model takes 8×8×1"),
        ("a.npy", npy(np.full((8, 8), np.nan)), "a.npy: 64 values are NaN or infinite, the first at [0, 0]"),
        ("a.npy", npy(np.full((8, 8), 200)), "a.npy: values from 200 to 200, but this model takes raw values from"),
        ("a.csv", b"1,2,3\n", "a.csv, line 1: 3 values; a sample has 64 (8×8×1)"),
        ("b\n.png", b"hello", "b\\n.png: is not an image that can be read"),
    ],
    ids=["text", "shape", "nan", "range", "csv", "newline"],
)  # fmt: skip
def test_inputs(place: Path, tiny_bundle: Path, refused, name: str, content: bytes, message: str) -> None:
    """One line each; JSON prints nothing before it."""
    (place / name).write_bytes(content)
    assert refused("predict", tiny_bundle, name).startswith(message)
    assert refused("predict", tiny_bundle, name, "--json").startswith(message)


def test_more_threads_than_there_can_be(tiny_bundle: Path, refused) -> None:
    """The runtime would end the process."""
    for command in (["predict", tiny_bundle, "--check"], ["bench", tiny_bundle]):
        assert refused(*command, "--threads", "100000") == "100000 threads; the runtime takes 1 to 256"


def test_labels_that_do_not_fit(bundle: Path, vouch: Callable, digit_png: bytes, place: Path, refused) -> None:
    """A bundle with fewer labels than outputs names no class by its number."""
    (bundle / "labels.txt").write_text("0\n1\n")
    vouch(bundle)
    (place / "data" / "1").mkdir(parents=True)
    (place / "data" / "1" / "a.png").write_bytes(digit_png)
    message = "the model's output has the shape (10,), but the bundle has 2 labels"
    assert refused("predict", bundle, "data/1/a.png") == message
    assert refused("evaluate", bundle, "--data", "data") == message


# --- evaluate ---


def test_evaluate_without_a_reference(bundle: Path, vouch: Callable, refused) -> None:
    """Missing, corrupt or of another split: each is told."""
    (bundle / "reference.json").write_text("{}")
    vouch(bundle)
    assert refused("evaluate", bundle).endswith(
        "reference.json: does not hold what the float model answered; export it again: dlkit export digits-tiny"
    )
    (bundle / "reference.json").unlink()
    vouch(bundle)
    assert "reference.json: is missing" in refused("evaluate", bundle)
    (bundle / "reference.json").write_text('{"fingerprint": "0", "classes": []}')
    vouch(bundle)
    assert "the test split of 'digits' is not the one this bundle was measured on" in refused("evaluate", bundle)


def test_evaluate_without_a_dataset(bundle: Path, vouch: Callable, refused) -> None:
    """A model without a recipe needs a folder."""
    vouch(bundle, recipe=None)
    assert "was made without a labelled data set; name a folder" in refused("evaluate", bundle)


def test_evaluate_on_folders_that_cannot_be_used(tiny_bundle: Path, place: Path, refused) -> None:
    """Missing, empty, with a class no one knows, with a class without images."""
    assert refused("evaluate", tiny_bundle, "--data", "no") == "--data no: there is no such folder"
    (place / "empty").mkdir()
    assert refused("evaluate", tiny_bundle, "--data", "empty").startswith(
        "--data empty: needs a folder of images for each"
    )
    (place / "d" / "2").mkdir(parents=True)
    assert refused("evaluate", tiny_bundle, "--data", "d").startswith("d/2: no images in this folder")
    (place / "d" / "2").rename(place / "d" / "two")
    assert refused("evaluate", tiny_bundle, "--data", "d").startswith("d/two: no class is called 'two'; known: 0, 1, 2")


# --- what is there is not replaced, and nothing is begun ---


@pytest.fixture
def model(place: Path) -> Path:
    """exported/digits, as far as anything but Keras can tell a trained model."""
    folder = place / "exported" / "digits"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "model.keras", "w") as archive:
        archive.writestr("config.json", "not looked into")
    facts = {
        "name": "digits", "network": "cnn", "trained": True, "labels": list("0123456789"), "recipe": None,
        "inputs": {"image": {
            "shape": [8, 8, 1], "image": [8, 8, 1], "raw_range": [0.0, 16.0], "color": "grey", "resize": "pad",
            "scale": [0.0625], "offset": [0.0],
        }},
        "contents": contents_sha256(folder / "model.keras"), "history": [],
    }  # fmt: skip
    (folder / "model.json").write_text(json.dumps(facts))
    return folder


def unheavy(command: str, *arguments: str | Path) -> tuple[int, str]:
    """Exit code and error line of a command that must not have come as far as loading Keras."""
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('heavy' if {'keras', 'tensorflow'} & set(sys.modules) else 'light'))\n"
        "from dlkit.cli import main\n"
        "main(sys.argv[1:], prog_name='dlkit')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, command, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "light\n", done
    return done.returncode, done.stderr


@pytest.mark.parametrize("command", ["run", "train", "build"])
def test_an_existing_model_is_not_replaced(model: Path, command: str) -> None:
    """Exit code 1 before any work."""
    before = (model / "model.keras").read_bytes()
    code, said = unheavy(command, ROOT / "recipes" / "digits.toml")
    assert (code, said) == (1, "error: exported/digits/model.keras exists already; add --force to replace it\n")
    assert (model / "model.keras").read_bytes() == before


@pytest.mark.parametrize("command", ["run", "export"])
def test_an_existing_bundle_is_not_replaced(model: Path, command: str) -> None:
    """Exit code 1 before any work."""
    (model / "cpu-int8").mkdir()
    arguments = ["export", "--quantize"] if command == "export" else ["run", ROOT / "recipes" / "digits.toml"]
    code, said = unheavy(*arguments)
    assert code == 1
    assert said.startswith("error: exported/digits/cpu-int8 exists already; ")
    assert said.endswith("--force to replace it\n" if command == "export" else "or another one with --out DIR\n")


@pytest.mark.parametrize("command", ["run", "train", "build"])
@pytest.mark.parametrize("out", ["file/below", "/proc/dlkit"])
def test_a_place_that_cannot_be_written(place: Path, command: str, out: str) -> None:
    """Told before any work, with what to type; nothing is left."""
    (place / "file").touch()
    code, said = unheavy(command, ROOT / "recipes" / "digits.toml", "--out", out)
    assert code == 1
    assert said.startswith(f"error: cannot write {out}/digits")
    assert said.endswith("; choose another place with --out DIR\n")
    assert [p.name for p in place.iterdir()] == ["file"]


def test_export_without_data_leaves_nothing(model: Path, refused) -> None:
    """What is needed and how much of it."""
    said = refused("export", "--quantize", "--quiet")
    assert said.startswith("digits has no data set to calibrate with and to prove the file on; name a folder of images")
    assert sorted(p.name for p in model.iterdir()) == ["model.json", "model.keras"]


def test_export_with_too_few_images(model: Path, place: Path, refused, digit_png: bytes) -> None:
    """Missing, empty, a file, nine images: each is told."""
    for name, message in [
        ("no", "no: there is no such file"),
        ("file", "file: is empty"),
    ]:
        (place / "file").touch()
        assert refused("export", "--quantize", "--data", name) == message
    (place / "photos").mkdir()
    assert refused("export", "--quantize", "--data", "photos").startswith("photos: no images in this folder")
    for number in range(9):
        (place / "photos" / f"{number}.png").write_bytes(digit_png + bytes([number]))
    assert refused("export", "--quantize", "--data", "photos").startswith(
        "--data: 1 different samples (and 8 copies) in images of photos/; at least 10 are needed"
    )
    (place / "photos" / "9.png").write_bytes(digit_png[:50])
    assert "9.png: the image is broken" in refused("export", "--quantize", "--data", "photos")


@pytest.mark.parametrize("facts", ["", "[]", "{}", "null", "[" * 100_000, '{"contents": 1}'])
def test_a_corrupt_model_is_told(model: Path, refused, facts: str) -> None:
    """Its facts are no JSON, or JSON of another kind, or of another file."""
    (model / "model.json").write_text(facts)
    assert refused("export", "digits").endswith("with --force")


def test_a_damaged_model_is_told(model: Path, refused) -> None:
    """A part of it is not what the archive's list of contents says."""
    path = model / "model.keras"
    path.write_bytes(path.read_bytes().replace(b"not looked into", b"not looked int0"))
    said = "exported/digits/model.keras is damaged (config.json); build or train it again with --force"
    assert refused("export", "digits") == said


# --- pipes, signals, terminals ---


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`command` in bash, where `dlkit` is this one."""
    return subprocess.run(
        ["bash", "-c", f'dlkit() {{ "{sys.executable}" -m dlkit "$@"; }}; {command}'],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "command",
    ["list networks", "list networks --json", "--help", "predict exported/digits-tiny/cpu-int8 digits.csv", "doctor"],
)
def test_a_reader_that_stops_reading(tmp_path: Path, command: str) -> None:
    """`dlkit … | head -1` prints no traceback, however much there was to come."""
    (tmp_path / "digits.csv").write_text((",".join(["1"] * 64) + "\n") * 3000)
    command = command.replace("digits.csv", str(tmp_path / "digits.csv"))
    assert shell(f"dlkit {command} | head -1").stderr == ""


def test_a_full_disk() -> None:
    """The system's reason, in one line."""
    done = shell("dlkit list networks > /dev/full")
    assert done.returncode == 1
    assert done.stderr == "error: cannot write standard output: No space left on device; send it elsewhere\n"


def test_closed_descriptors() -> None:
    """Started by something that closed standard input or standard error."""
    done = shell("dlkit predict exported/digits-tiny/cpu-int8 - <&-")
    assert (done.returncode, done.stderr) == (1, "error: standard input: is closed\n")
    done = shell("dlkit predict exported/digits-tiny/cpu-int8 --check 2>&-")
    assert done.returncode == 0


def test_interrupting_ends_with_130(tiny_bundle: Path) -> None:
    """Ctrl-C while it waits for input: one line, no traceback."""
    process = subprocess.Popen(
        [sys.executable, "-m", "dlkit", "predict", str(tiny_bundle), "-"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write("0," * 2**17)  # more than a pipe holds: it has started and reads
    process.stdin.flush()
    time.sleep(0.2)  # and reads on
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err.strip()) == (130, "", "error: stopped")


def test_a_terminal_of_another_encoding(fresh: Callable, tiny_bundle: Path) -> None:
    """What it cannot show is printed as an escape; JSON stays JSON."""
    said = fresh("-m", "dlkit", "inspect", str(tiny_bundle), PYTHONIOENCODING="iso8859-2")
    assert said.code == 0
    program = "import sys; from dlkit.cli._output import print_json; print_json(['数', '\\udcff'])"
    said = fresh("-c", program, PYTHONIOENCODING="latin-1")
    assert json.loads(said.out) == ["数", "\udcff"]


def test_colour_is_for_terminals(dlkit) -> None:
    """Piped, there are no escape sequences."""
    assert "\x1b" not in dlkit("build", "vgg61").err
