"""The commands as a user types them, each in a process of its own."""

from __future__ import annotations

import filecmp
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from short import TRAINED_FILES

pytestmark = pytest.mark.tf

ROOT = Path(__file__).parents[2]
SHORT = """
name = "short"
network = { name = "cnn", options = { width = 8 } }
data = { name = "digits", resize = "pad" }
augmentation = { shift = 0.06, rotation = 0.02, zoom = 0.05 }
training = { epochs = 6, learning_rate = 0.01 }
export = { max_drop = 0.05 }
"""


def dlkit(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """`dlkit ARGUMENTS` in `cwd`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "dlkit", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with short.toml in which `dlkit run` was done once."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "short.toml").write_text(SHORT)
    done = dlkit("run", "short.toml", cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "said.txt").write_text(done.stdout)
    (folder / "noise.txt").write_text(done.stderr)
    return folder


def test_run_prints_the_report_and_the_next_commands(place: Path) -> None:
    """Quality of both models, agreement, size, and what to type next."""
    said = (place / "said.txt").read_text()
    for part in ("accuracy ", " float, ", " exported", "agreement", "largest gap", "of the float file"):
        assert part in said
    assert "next:\n  dlkit predict exported/short/cpu-int8 IMAGE\n" in said


def test_run_prints_nothing_of_the_frameworks(place: Path) -> None:
    """Piped, standard error holds one line a step and no word of TensorFlow's."""
    lines = (place / "noise.txt").read_text().splitlines()
    assert lines
    assert all(line.endswith(" …") for line in lines)


def test_next_commands_work_as_printed(place: Path) -> None:
    """What is ready to paste can be pasted."""
    commands = [line.split() for line in (place / "said.txt").read_text().partition("next:\n")[2].splitlines()]
    assert len(commands) == 5
    for command in commands:
        if "IMAGE" not in command:
            done = dlkit(*(word for word in command[1:] if word != "--open"), cwd=place)
            assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_same_recipe_and_seed_same_bytes(place: Path) -> None:
    """Two runs in two processes give the same model and the same bundle, to the byte."""
    done = dlkit("run", "short.toml", "--out", "again", "--quiet", cwd=place)
    assert done.returncode == 0, done.stderr
    assert filecmp.cmp(place / "exported/short/model.keras", place / "again/short/model.keras", shallow=False)
    first, second = place / "exported/short/cpu-int8", place / "again/short/cpu-int8"
    assert sorted(path.name for path in first.iterdir()) == sorted(path.name for path in second.iterdir())
    names = ["manifest.json", *json.loads((first / "manifest.json").read_text())["sha256"]]
    assert filecmp.cmpfiles(first, second, names, shallow=False) == (names, [], [])


@pytest.mark.slow
def test_quiet_run_prints_no_progress_and_no_advice(place: Path) -> None:
    """Only the results are left."""
    done = dlkit("export", "short", "--scheme", "float32", "--quiet", cwd=place)
    assert done.stderr == ""
    assert "next:" not in done.stdout
    assert "wrote exported/short/cpu-float32" in done.stdout


def test_run_again_needs_force_and_says_so_at_once(place: Path) -> None:
    """Nothing is trained before the refusal."""
    done = dlkit("run", "short.toml", cwd=place)
    assert done.returncode == 1
    assert done.stderr == (
        "error: exported/short/cpu-int8 exists already; prove it with 'dlkit predict exported/short/cpu-int8 --check', "
        "or make it again with --force, or another one with --out DIR\n"
    )


def test_evaluate_as_json(place: Path) -> None:
    """The promised keys, with numbers."""
    done = dlkit("evaluate", "exported/short/cpu-int8", "--json", cwd=place)
    result = json.loads(done.stdout)
    assert result["metric"] == "accuracy"
    assert result["samples"] == 360
    assert all(0.75 < result[key] <= 1 for key in ("float", "exported", "agreement"))


def test_build_then_export_without_data_says_what_it_needs(place: Path) -> None:
    """`dlkit build NETWORK && dlkit export --quantize`: the model built last, and what is missing."""
    done = dlkit("build", "resnet8", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "parameters     78,666" in done.stdout
    assert "multiply-adds  12,501,632" in done.stdout
    done = dlkit("export", "--quantize", cwd=place)
    assert done.returncode == 1
    assert done.stderr.endswith(
        "error: resnet8 has no data set to calibrate with and to prove the file on; name a folder of images "
        "(about 100; any size, they are fitted to 32×32×3): add --data FOLDER\n"
    )
    assert not (place / "exported/resnet8/cpu-int8").exists()


@pytest.mark.slow
def test_train_then_export_by_recipe(place: Path) -> None:
    """`export RECIPE` takes the model that this recipe trained, and no other; --set is stored in the bundle."""
    done = dlkit("train", "short.toml", "--set", "training.epochs=2", "--out", "two", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "next:\n  dlkit export --quantize --out two\n" in done.stdout
    done = dlkit("export", "short.toml", "--out", "two", "--quiet", cwd=place)
    assert done.returncode == 1
    assert "was made with other values of training.epochs; train it again with --force" in done.stderr
    same = ["--set", "training.epochs=2", "--set", "export.max_drop=1"]
    done = dlkit("export", "short.toml", *same, "--out", "two", "--quiet", cwd=place)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((place / "two/short/cpu-int8/manifest.json").read_text())
    assert manifest["recipe"]["training"]["epochs"] == 2


@pytest.mark.parametrize(
    ("step", "epochs"),
    [
        ("Converting", 1),
        *(pytest.param(*at, marks=pytest.mark.slow) for at in [("Training", 500), ("Quantizing", 1), ("Proving", 1)]),
    ],
)
def test_interrupting_a_run_leaves_no_bundle_and_no_traceback(
    place: Path, tmp_path: Path, step: str, epochs: int
) -> None:
    """Ctrl-C as soon as a step begins: exit code 130, one word, nothing half-written."""
    out, temporary = tmp_path / "out", tmp_path / "temporary"
    temporary.mkdir()
    options = ["--out", str(out), "--set", f"training.epochs={epochs}", "--set", "export.max_drop=1.0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "dlkit", "run", "short.toml", *options],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert any(line.startswith(step) for line in process.stderr)
    process.send_signal(signal.SIGINT)
    said, err = process.communicate(timeout=60)
    assert (process.returncode, err.splitlines()[-1]) == (130, "error: stopped")
    assert (said == "") == (step == "Training")  # of the training it tells before it exports
    assert "Traceback" not in err
    files = sorted(path.name for path in out.rglob("*.*"))
    assert files == ([] if step == "Training" else TRAINED_FILES)
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
def test_build_then_train_as_printed(place: Path) -> None:
    """A model that was only built is replaced unasked, a trained one is not; --set and --out are repeated."""
    arguments = ["short.toml", "--out", "built and trained", "--set", "training.epochs=1"]
    done = dlkit("build", *arguments, cwd=place)
    command = "dlkit train short.toml --out 'built and trained' --set training.epochs=1"
    assert done.stdout.endswith(f"next:\n  {command}\n")
    assert dlkit("train", *arguments, cwd=place).returncode == 0
    again = dlkit("train", *arguments, cwd=place)
    assert again.returncode == 1
    assert "exists already; add --force" in again.stderr


def test_build_with_options_of_the_network(place: Path) -> None:
    """--set changes classes and input; the labels follow."""
    done = dlkit("build", "resnet8", "--set", "classes=4", "--set", "input_shape=[16, 16, 1]", "-q", cwd=place)
    assert "resnet8: input 16×16×1, output 4\n" in done.stdout
    assert json.loads((place / "exported/resnet8/model.json").read_text())["labels"] == ["0", "1", "2", "3"]


@pytest.mark.slow
def test_build_shows_stages_layers_or_json(place: Path) -> None:
    """A row for each stage, unless every layer is asked for; in JSON the same numbers."""
    done = dlkit("build", "resnet8", "--out", "shown", cwd=place)
    head, *rows = done.stdout.partition("\n\n")[0].splitlines()
    assert head.split() == ["stage", "output", "parameters", "multiply-adds", "layers"]
    assert [row.split()[0] for row in rows] == ["stage1", "stage2", "stage3", "predictions"]
    done = dlkit("build", "resnet8", "--out", "shown", "--layers", cwd=place)
    assert any(row.split()[:2] == ["stage1_conv1", "Conv2D"] for row in done.stdout.splitlines())
    done = dlkit("build", "resnet8", "--out", "shown", "--json", cwd=place)
    said = json.loads(done.stdout)
    assert [stage["name"] for stage in said["stages"]] == ["stage1", "stage2", "stage3", "predictions"]
    assert (said["parameters"], said["trainable"], said["multiply_adds"]) == (78_666, 78_186, 12_501_632)
    assert said["weight_bytes"] == {"float32": 4 * 78_666, "int8": 78_666}
    assert said["peak_activation_bytes"]["float32"] == 4 * 3 * 32 * 32 * 16
    assert (place / said["model"]).is_file()


def test_a_model_that_does_not_fit(tmp_path: Path) -> None:
    """Where files may not grow so large, as on a full disk: one line, and nothing half-written."""
    command = f"ulimit -f 200; exec '{sys.executable}' -m dlkit build cnn --quiet"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "error: cannot write exported/cnn: a file may have at most 204.8 kB here (ulimit -f); "
        "choose another place with --out DIR\n"
    )
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
