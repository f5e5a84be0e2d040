"""Files on LiteRT's GPU accelerator: what is read of them, what runs, and what becomes one line of a message."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from gpu_forms import FORMS, transposed, with_itself
from one_file import File

from dlkit.conversion.plain_transposes import make_plain
from dlkit.devices import RUNTIMES
from dlkit.devices._gpu_forms import obstacles
from dlkit.devices._gpu_runs import GpuRun, run_on_gpu
from dlkit.errors import ConversionError, DataError, ExtraMissing, ModelFileError
from dlkit.progress import ignore
from dlkit.runtime.adapters import adapter_in, found_adapter
from dlkit.runtime.litert import Session, formats_of
from dlkit.runtime.one_operation import file_of_one
from dlkit.targets import TARGETS

TINY = Path(__file__).parents[2] / "exported" / "digits-tiny" / "cpu-int8" / "model.tflite"
GPU, RUNTIME = TARGETS["gpu"], RUNTIMES["litert_gpu"]
ALONE = (
    "BUCKETIZE", "FAKE_QUANT", "L2_NORMALIZATION", "LOG_SOFTMAX", "MATRIX_DIAG", "RANK", "SQUEEZE", "ZEROS_LIKE",
)  # fmt: skip
"""Of the operations that it lacks, those that LiteRT's kernels take alone, so that the accelerator is asked."""


@pytest.fixture(scope="module")
def gpu() -> str:
    """A GPU, of whatever kind."""
    name = found_adapter()
    if not name:
        pytest.skip("GPU NOT TRIED: there is no Vulkan adapter; bash .ci/devices.d/gpu")
    return name


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without one: the loader finds no driver where it is told to look."""
    monkeypatch.setenv("VK_DRIVER_FILES", "/nonexistent")


@pytest.fixture
def relu(tmp_path: Path) -> Path:
    path = tmp_path / "relu.tflite"
    path.write_bytes(file_of_one("RELU"))
    return path


def written(folder: Path, content: bytes) -> Path:
    path = folder / "model.tflite"
    path.write_bytes(content)
    return path


def one_sample(file: Path) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {name: rng.standard_normal(end.shape).astype(np.float32) for name, end in formats_of(file)[0].items()}


def test_a_file_that_runs(gpu: str, relu: Path) -> None:
    """It is compiled, run and compared; the verdict says on what."""
    verdict = RUNTIME.examine(relu, GPU, ignore)
    assert verdict.fits
    assert [(p.operation, p.count, p.place) for p in verdict.placements] == [("RELU", 1, "GPU")]
    assert gpu in verdict.how
    assert verdict.figures[0].value == 0.0


def test_answers(gpu: str, relu: Path) -> None:
    """Each sample by itself, under the names that LiteRT gives."""
    samples = np.array([[-1, 0, 2, -3], [4, -5, 6, 7]], np.float32)
    assert RUNTIME.answers is not None
    answers = RUNTIME.answers(relu, {"0": samples}, GPU, ignore)
    assert answers.keys() == {"1"}
    np.testing.assert_array_equal(answers["1"], np.maximum(samples, 0))


def test_an_integer_file(gpu: str) -> None:
    """Integers go in and out as in LiteRT; this small one is also computed exactly."""
    inputs = {"image": np.random.default_rng(0).random((4, *Session(TINY).input.shape[1:]), dtype=np.float32)}
    assert RUNTIME.answers is not None
    np.testing.assert_allclose(
        RUNTIME.answers(TINY, inputs, GPU, ignore)["output"], Session(TINY, reference=True).run_named(inputs)["output"],
        atol=1.001 * Session(TINY).output.scale,
    )  # fmt: skip


@pytest.mark.parametrize("operation", GPU.lacks)
def test_a_lacking_operation_is_named(operation: str, tmp_path: Path) -> None:
    """From its file alone, with the tensor that it writes."""
    verdict = RUNTIME.examine(written(tmp_path, file_of_one(operation)), GPU, ignore)
    assert verdict.blocks[0].startswith(f"1 {operation} (1): gpu does not have it")
    assert verdict.placements[0].place == ""


@pytest.mark.parametrize("operation", ALONE)
def test_the_accelerator_itself_lacks_it(gpu: str, operation: str, tmp_path: Path) -> None:
    """What the target's file says is what the accelerator says when it is asked."""
    assert operation in GPU.lacks
    run = run_on_gpu(file := written(tmp_path, file_of_one(operation)), one_sample(file), ignore)
    assert run.refused == {operation: "Operation is not supported."}


@pytest.mark.parametrize("operation", ["ABS", "CEIL", "ELU", "GELU", "HARD_SWISH", "LOGISTIC", "ROUND", "TANH"])
def test_an_operation_that_it_has(gpu: str, operation: str, tmp_path: Path) -> None:
    """Nothing is in its way, and it computes what LiteRT does."""
    verdict = RUNTIME.examine(written(tmp_path, file_of_one(operation)), GPU, ignore)
    assert verdict.blocks == ()
    assert verdict.figures[0].value < 1e-6


@pytest.fixture
def not_a_number(tmp_path: Path) -> Path:
    """A file that adds NaN to one of four numbers."""
    file = File().tensor("x", (1, 4)).tensor("c", (1, 4), values=[0, np.nan, 0, 0]).tensor("y", (1, 4))
    file.operation("ADD", ["x", "c"], ["y"], {"options": "AddOptions"})
    return written(tmp_path, file.content(["x"], ["y"]))


def test_nan_on_both_sides_is_refused(gpu: str, not_a_number: Path, dlkit) -> None:
    """In one line; nothing can be said of how far they are from each other."""
    said = dlkit("check", not_a_number, "--target", "gpu")
    assert said.code == 3
    assert "y holds NaN or infinity on a random input, by what the file computes; nothing can be" in said.err
    [told] = json.loads(dlkit("check", not_a_number, "--target", "gpu", "--json").out)
    assert told["figures"] == []


@pytest.mark.parametrize("found", [np.nan, np.inf])
def test_nan_on_one_side_is_refused(found: float, relu: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gap that is no number is not told as one."""
    outputs = {next(iter(formats_of(relu)[1])): np.full((1, 4), found, np.float32)}
    monkeypatch.setattr("dlkit.devices._gpu_runs.run_on_gpu", lambda *args: GpuRun(outputs, "a GPU"))
    verdict = RUNTIME.examine(relu, GPU, ignore)
    assert verdict.figures == ()
    [block] = verdict.blocks
    assert "holds NaN or infinity on a random input, on the GPU; nothing can be compared" in block


def test_a_gap_that_is_no_number_is_refused(relu: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever made it so, here a step of the output."""
    outputs = {next(iter(formats_of(relu)[1])): np.zeros((1, 4), np.float32)}
    monkeypatch.setattr("dlkit.devices._gpu_runs.run_on_gpu", lambda *args: GpuRun(outputs, "a GPU"))
    monkeypatch.setattr("dlkit.runtime.output_steps.steps_of", lambda content: {0: np.nan})
    assert not RUNTIME.examine(relu, GPU, ignore).fits


@pytest.mark.parametrize("what", FORMS)
def test_a_form_that_does_not_run(what: str, tmp_path: Path) -> None:
    """It is told from the file, with the operation, its tensor and the reason."""
    make, block = FORMS[what]
    verdict = RUNTIME.examine(written(tmp_path, make()), GPU, ignore)
    assert any(told.startswith(block) for told in verdict.blocks), verdict.blocks


@pytest.mark.parametrize("what", FORMS)
def test_the_accelerator_itself_does_not_run_it(gpu: str, what: str, tmp_path: Path) -> None:
    """It refuses the file, crashes on it, or computes something else."""
    file = written(tmp_path, FORMS[what][0]())
    run = run_on_gpu(file, inputs := one_sample(file), ignore)
    if run.outputs is None:
        assert run.failure
        return
    wanted = Session(file).run_named(inputs)
    assert max(float(np.abs(run.outputs[name] - wanted[name]).max()) for name in wanted) > 0.1


@pytest.mark.parametrize(("size", "activation"), [(7, 0), (8, 1), (7, 1), (7, 3)])
def test_a_transposed_convolution_made_plain(gpu: str, size: int, activation: int, tmp_path: Path) -> None:
    """The same numbers on the processor, and now also on the GPU."""
    file = written(tmp_path, transposed(size, activation))
    inputs, blocked = one_sample(file), obstacles(file.read_bytes(), GPU)
    wanted = Session(file).run_named(inputs)["y"]
    make_plain(file)
    assert blocked
    np.testing.assert_allclose(Session(file).run_named(inputs)["y"], wanted, atol=1e-5)
    assert RUNTIME.examine(file, GPU, ignore).blocks == ()


def test_a_file_without_one_is_left_as_it_is(relu: Path) -> None:
    """To the byte."""
    before = relu.read_bytes()
    make_plain(relu)
    assert relu.read_bytes() == before


def test_a_crash(gpu: str, tmp_path: Path) -> None:
    """One line, with what native code said last; this process lives on."""
    file = written(tmp_path, with_itself())
    run = run_on_gpu(file, one_sample(file), ignore)
    assert "Check failed" in run.failure
    assert "\n" not in run.failure


def test_a_file_that_takes_too_long(gpu: str, relu: Path) -> None:
    """It is stopped, and that is said."""
    assert run_on_gpu(relu, one_sample(relu), ignore, time_limit_s=0.01).failure.startswith("no result after 0 s")


def test_answers_that_cannot_be_had(gpu: str, tmp_path: Path) -> None:
    """One line that names the operation."""
    file = written(tmp_path, file_of_one("LOG_SOFTMAX"))
    assert RUNTIME.answers is not None
    with pytest.raises(ConversionError, match=r"does not run it: LOG_SOFTMAX: Operation is not supported"):
        RUNTIME.answers(file, one_sample(file), GPU, ignore)


def test_other_inputs(gpu: str, relu: Path) -> None:
    """They are named as on the processor."""
    assert RUNTIME.answers is not None
    with pytest.raises(DataError, match="inputs called x, but the model takes 0"):
        RUNTIME.answers(relu, {"x": np.zeros((1, 4), np.float32)}, GPU, ignore)


def test_no_model(tmp_path: Path) -> None:
    """It never reaches native code."""
    with pytest.raises(ModelFileError, match=r"is not a \.tflite file"):
        RUNTIME.examine(written(tmp_path, b"no model"), GPU, ignore)


@pytest.mark.usefixtures("no_gpu")
def test_a_check_without_a_gpu(relu: Path, dlkit) -> None:
    """What can be read is read; that nothing was run is said, with what to install."""
    said = dlkit("check", relu, "--target", "gpu")
    assert said.code == 0
    assert "examined     its operations were read, nothing was run" in said.out
    assert "not run: no GPU with a Vulkan driver is found here" in said.out
    assert "apt install libvulkan1 chromium-common" in said.out


@pytest.mark.usefixtures("no_gpu")
def test_no_proof_without_a_gpu(relu: Path) -> None:
    """An export is no reading: it needs one."""
    assert RUNTIME.answers is not None
    with pytest.raises(ExtraMissing, match="export VK_DRIVER_FILES="):
        RUNTIME.answers(relu, one_sample(relu), GPU, ignore)


@pytest.mark.usefixtures("no_gpu")
def test_times_without_a_gpu(relu: Path, dlkit) -> None:
    """They are not those of the processor."""
    said = dlkit("bench", relu, "--gpu", "--quiet")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "no GPU with a Vulkan driver" in said.err


@pytest.mark.usefixtures("no_gpu")
def test_doctor_without_a_gpu(dlkit) -> None:
    """It says so, and ends well."""
    devices = {d["kind"]: d["found"] for d in json.loads(dlkit("doctor", "--json").out)["devices"]}
    assert devices["Vulkan"].startswith("no adapter")


def test_doctor(gpu: str, dlkit) -> None:
    """The adapter by its name."""
    devices = {d["kind"]: d["found"] for d in json.loads(dlkit("doctor", "--json").out)["devices"]}
    assert devices["Vulkan"] == gpu


def test_times(gpu: str, relu: Path, dlkit) -> None:
    """Of the GPU, which is named."""
    said = dlkit("bench", relu, "--gpu", "--runs", "3", "--quiet")
    assert said.code == 0
    assert said.out.endswith(f"{relu} ran on {gpu}\n")
    [row] = json.loads(dlkit("bench", relu, "--gpu", "--runs", "3", "--json").out)
    assert (row["gpu"], row["runs"]) == (gpu, 3)
    assert row["median_ms"] > 0


def test_times_of_the_processor(relu: Path, dlkit) -> None:
    """Without the option nothing is said of a GPU."""
    assert "ran on" not in dlkit("bench", relu, "--runs", "3", "--quiet").out


def test_a_driver_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no adapter, and is not waited for."""
    os.mkfifo(tmp_path / "driver.json")  # opening it to read waits for a writer
    monkeypatch.setenv("VK_DRIVER_FILES", str(tmp_path / "driver.json"))
    assert found_adapter(time_limit_s=1.0) == ""


def test_what_the_accelerator_says_of_its_adapter() -> None:
    """A line of its log, of a real one and of one in software."""
    line = (
        "I0000 00:00:1 2 environment.cc:532] Selected adapter: {}, arch={}, vendor=x, backend=Vulkan, adapterType={}\n"
    )
    assert adapter_in(line.format("SwiftShader Device (Subzero)", "swiftshader", "CPU / Software")) == (
        "SwiftShader Device (Subzero) (Vulkan, CPU / Software)"
    )
    assert adapter_in("ERROR: No adapters found") == ""
