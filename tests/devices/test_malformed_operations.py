"""Operations without what they must have, or with the options of another: a device's reader answers or refuses."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

import pytest
from one_file import File

from dlkit.devices import RUNTIMES, litert_gpu
from dlkit.errors import ModelFileError
from dlkit.progress import ignore
from dlkit.targets import TARGETS

OPERATIONS = (
    "ADD_N", "AVERAGE_POOL_2D", "BATCH_MATMUL", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEQUANTIZE",
    "FULLY_CONNECTED", "GATHER", "MAX_POOL_2D", "MEAN", "MIRROR_PAD", "PACK", "PAD", "PRELU", "SOFTMAX", "SPLIT",
    "STRIDED_SLICE", "SUB", "SUM", "TRANSPOSE_CONV",
)  # fmt: skip
"""Of which a reader looks into inputs, shapes or options."""
SHAPES = ((), (1, 4), (1, 4, 4, 2))
OPTIONS = (None, {"options": "AddOptions"}, {"options": "TransposeConvOptions"})


def file_of(name: str, inputs: int, outputs: int, shape: tuple[int, ...], constant: bool, options: int) -> bytes:
    """An 8-bit file of one operation.

    Args:
        inputs, outputs: how many it has.
        constant: whether its inputs but the first are constants, as axes are.
        options: which of `OPTIONS`.
    """
    file = File()
    for number in range(max(1, inputs)):
        if constant and number:
            file.tensor(f"x{number}", shape, "int32", values=[0] * 4)
        else:
            file.tensor(f"x{number}", shape, "int8", scale=0.1)
    file.tensor("y", shape, "int8", scale=0.1)
    file.operation(name, [f"x{number}" for number in range(inputs)], ["y"][:outputs], OPTIONS[options])
    return file.content(["x0"], ["y"])


@pytest.fixture(autouse=True)
def nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU is not asked: that is a process for each file, and not what is tried here."""
    monkeypatch.setattr(litert_gpu, "_run_once", lambda *args: None)


@pytest.mark.parametrize("target", ["edgetpu", "gpu"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_it_is_answered_or_refused(name: str, target: str, tmp_path: Path) -> None:
    examine, path = RUNTIMES[TARGETS[target].runtime].examine, tmp_path / "model.tflite"
    for form in itertools.product(range(5), range(2), SHAPES, (False, True), range(len(OPTIONS))):
        path.write_bytes(file_of(name, *form))
        with contextlib.suppress(ModelFileError):
            examine(path, TARGETS[target], ignore)
