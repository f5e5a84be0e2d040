"""Bundles on Arm processors, emulated: the same answers as here, with what a Raspberry Pi has installed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from as_files import npy
from emulated import CORES, emulated, need_emulated

from dlkit.digest import sha256_of
from dlkit.runtime.litert import Session

FRAMEWORKS = ("tensorflow", "keras", "PIL", "rich", "matplotlib")
OUTPUTS = """
import sys
from pathlib import Path
import numpy as np
from dlkit.digest import sha256_of
from dlkit.runtime.litert import Session

model, inputs, outputs = sys.argv[1:]
batch = np.load(inputs)
np.savez(outputs, **{name: Session(Path(model), 1, reference=name == "reference").run(batch) for name in
                     ("reference", "xnnpack")})
"""


def test_it_is_an_arm_without_frameworks() -> None:
    """What the others run on is no x86, and has none of what a device lacks."""
    program = f"import importlib.util as u, platform; print(platform.machine(), *map(u.find_spec, {FRAMEWORKS}))"
    assert emulated("cortex-a76", "-c", program) == (0, f"aarch64{' None' * len(FRAMEWORKS)}\n", "")


@pytest.mark.parametrize("core", CORES)
def test_a_bundles_own_runner(core: str, tiny_bundle: Path, tmp_path: Path) -> None:
    """Copied there alone, it proves itself with numpy and ai-edge-litert."""
    bundle = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    code, out, err = emulated(core, bundle / "predict.py", "--check", cwd=tmp_path, with_dlkit=False)
    assert (code, err) == (0, "")
    assert out == "check passed: 10 samples, largest gap 0, allowed 0.00977\n"


def test_check_emulated(tiny_bundle: Path, dlkit) -> None:
    """`dlkit predict --check --emulate` has the bundle's own runner say it, and adds where."""
    need_emulated("cortex-a53")
    said = dlkit("predict", tiny_bundle, "--check", "--emulate", "cortex-a53")
    assert (said.code, said.out.partition(" (")[0]) == (0, "check passed: 10 samples, largest gap 0, allowed 0.00977")
    assert "(emulated cortex-a53, as in a Raspberry Pi 3)" in said.out


def test_a_failed_check_emulated(tiny_bundle: Path, tmp_path: Path, vouch, dlkit) -> None:
    """It is exit code 3, with where it failed."""
    need_emulated("cortex-a76")
    bundle = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    with np.load(bundle / "samples.npz") as stored:
        samples = {name: stored[name].copy() for name in stored}
    for name in samples:
        if not name.startswith("raw "):
            samples[name] = samples[name] + 0.5
    np.savez(bundle / "samples.npz", **samples)
    vouch(bundle)
    said = dlkit("predict", bundle, "--check", "--emulate", "cortex-a76")
    assert said.code == 3
    assert said.err.splitlines()[-1].startswith("error: on the emulated cortex-a76: check FAILED: ")


def test_without_the_emulation(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dlkit) -> None:
    """The line that sets it up."""
    monkeypatch.setenv("DLKIT_DEVICE_TOOLS", str(tmp_path))
    said = dlkit("predict", tiny_bundle, "--check", "--emulate", "cortex-a53")
    assert said.code == 1
    assert said.err.rstrip().endswith("in a clone of dlkit on Debian 12 this sets it up: bash .ci/devices.d/cpu")


@pytest.mark.parametrize("more", [(), ("--check", "--json"), ("--check", "x.png")])
def test_emulate_is_of_a_check(tiny_bundle: Path, more: tuple[str, ...], dlkit) -> None:
    """Alone, for an emulated board has no more than a check needs."""
    said = dlkit("predict", tiny_bundle, "--emulate", "cortex-a53", *more)
    assert said.code == 2
    assert "--emulate goes with --check alone" in said.err


def test_a_microcontroller_is_no_such_board(tiny_bundle: Path, tmp_path: Path, dlkit) -> None:
    """What runs its bundle is named."""
    bundle = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    (bundle / "c" / "qemu").mkdir(parents=True)
    (bundle / "c" / "qemu" / "Makefile").write_text("")
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["sha256"]["c/qemu/Makefile"] = sha256_of(bundle / "c" / "qemu" / "Makefile")
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    said = dlkit("predict", bundle, "--check", "--emulate", "cortex-a53")
    assert said.code == 1
    assert f"run it on an emulated one: make -C {bundle}/c qemu" in said.err


def test_predict(tiny_bundle: Path, tmp_path: Path, digit: np.ndarray, dlkit) -> None:
    """`dlkit predict` checks the bundle and answers as it does here, letter for letter."""
    (tmp_path / "two.npy").write_bytes(npy(digit))
    arguments = ("predict", tiny_bundle, tmp_path / "two.npy", "--check", "--top", "3", "--threads", "2")
    code, out, err = emulated("cortex-a76", "-m", "dlkit", *arguments)
    assert (code, err, out) == (0, "", dlkit(*arguments).out)


def test_a_picture_without_pillow(tiny_bundle: Path, tmp_path: Path, digit_png: bytes) -> None:
    """It says what to install, in one line."""
    (tmp_path / "two.png").write_bytes(digit_png)
    code, out, err = emulated("cortex-a76", "-m", "dlkit", "predict", tiny_bundle, tmp_path / "two.png")
    assert (code, out) == (1, "")
    assert err == "error: reading and writing images needs Pillow: pip install Pillow\n"


@pytest.mark.parametrize("command", [["inspect"], ["check", "--target", "cpu", "--quiet"]], ids=["inspect", "check"])
def test_what_a_file_holds(command: list[str], tiny_bundle: Path, dlkit) -> None:
    """`dlkit inspect` and `dlkit check` print what they print here."""
    code, out, err = emulated("cortex-a76", "-m", "dlkit", *command, tiny_bundle)
    assert (code, err, out) == (0, "", dlkit(*command, tiny_bundle).out)


def test_bench_with_operations(tiny_bundle: Path) -> None:
    """`dlkit bench --ops` times the file and each of its kernels, all but the softmax XNNPACK's."""
    code, out, err = emulated(
        "cortex-a76", "-m", "dlkit", "bench", tiny_bundle, "--runs", "5", "--ops", "--json", "--quiet"
    )
    assert (code, err) == (0, "")
    [row] = json.loads(out)
    assert (row["backend"], row["runs"], row["median_ms"] > 0) == ("XNNPACK", 5, True)
    told = [(one["operation"], one["layers"]) for one in row["operations"]["operations"] if one["operation"]]
    assert told[0] == ("CONV_2D", ["conv1"])
    assert told[-1] == ("SOFTMAX", ["predictions"])


@pytest.mark.parametrize("core", CORES)
def test_the_same_integers(core: str, tiny_bundle: Path, tmp_path: Path) -> None:
    """By LiteRT's reference kernels an int8 file gives the same bits as on x86; by XNNPACK's at most a step more."""
    model, batch = tiny_bundle / "model.tflite", np.random.default_rng(0).random((64, 8, 8, 1), np.float32)
    np.save(tmp_path / "inputs.npy", batch)
    code, _, err = emulated(core, "-c", OUTPUTS, model, tmp_path / "inputs.npy", tmp_path / "outputs.npz")
    assert (code, err) == (0, "")
    there = np.load(tmp_path / "outputs.npz")
    reference = Session(model, 1, reference=True)
    np.testing.assert_array_equal(there["reference"], reference.run(batch))
    steps = np.abs(there["xnnpack"] - Session(model, 1).run(batch)).max() / reference.output.scale
    assert steps <= 1.0
