"""What `dlkit inspect` reads from a .tflite file, whole, cut short or corrupt."""

from __future__ import annotations

import collections
import contextlib
import json
import time
from pathlib import Path

import numpy as np
import pytest

from dlkit.errors import ModelFileError
from dlkit.runtime.inspection import Inspection, inspect_file, inspect_model


@pytest.fixture(scope="module")
def content(tiny_bundle: Path) -> bytes:
    return (tiny_bundle / "model.tflite").read_bytes()


def archive_start(content: bytes) -> int:
    """Where the model ends and the appended archive of labels begins."""
    return content.index(b"PK\x03\x04")


def test_counts_of_operations(content: bytes) -> None:
    """Two convolutions with pooling, a hidden layer and a classifier."""
    assert inspect_model(content, "w").ops == {
        "CONV_2D": 2,
        "FULLY_CONNECTED": 2,
        "MAX_POOL_2D": 2,
        "RESHAPE": 1,
        "SOFTMAX": 1,
    }


def test_counts_of_tensors_are_the_runtimes(tiny_bundle: Path, content: bytes) -> None:
    """The same tensors as the interpreter has, by type."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(tiny_bundle / "model.tflite"))
    details = interpreter.get_tensor_details()
    assert inspect_model(content, "w").tensors == collections.Counter(np.dtype(d["dtype"]).name for d in details)


def test_parameters_are_the_networks(content: bytes) -> None:
    """Weights and biases of the layers, and the two numbers of the reshape."""
    width, classes = 12, 10
    conv = (9 * 1 + 1) * width + (9 * width + 1) * 2 * width
    dense = (2 * 2 * 2 * width + 1) * 2 * width + (2 * width + 1) * classes
    assert inspect_model(content, "w").parameters == conv + dense + 2


def test_ends(content: bytes, tiny_bundle: Path) -> None:
    """Input and output as the manifest has them."""
    inspection = inspect_model(content, "w")
    manifest = json.loads((tiny_bundle / "manifest.json").read_text())
    for kind in ("inputs", "outputs"):
        [found], [told] = json.loads(json.dumps(inspection.as_dict()))[kind], manifest[kind].values()
        assert found.items() <= told.items()


def test_the_rest(content: bytes) -> None:
    """Size with the appended archive, one graph, the runtime it needs."""
    inspection = inspect_model(content, "w")
    assert (inspection.size, inspection.subgraphs) == (len(content), 1)
    assert inspection.description
    assert inspection.minimum_runtime.count(".") == 2


def test_every_truncation_is_told(content: bytes) -> None:
    """Wherever the file was cut, it is an error; where only the archive of labels was, what is left is the model."""
    whole = inspect_model(content, "w")
    started = time.process_time()
    for length in sorted({*range(0, len(content), len(content) // 200), *range(16)}):
        if length < archive_start(content) - 16:  # the model's end is padding
            with pytest.raises(ModelFileError, match="w: "):
                inspect_model(content[:length], "w")
        else:
            with contextlib.suppress(ModelFileError):
                assert inspect_model(content[:length], "w").ops == whole.ops
    assert time.process_time() - started < 10


def test_flipped_bytes_are_an_inspection_or_an_error(content: bytes) -> None:
    """2,000 files with one to four wrong bytes: never another exception, never slow."""
    rng = np.random.default_rng(0)
    whole = np.frombuffer(content, np.uint8)
    for _ in range(2000):
        spoiled = whole.copy()
        places = rng.integers(0, len(content), rng.integers(1, 5))
        spoiled[places] = rng.integers(0, 256, len(places))
        started = time.process_time()
        with contextlib.suppress(ModelFileError):
            inspection = inspect_model(spoiled.tobytes(), "w")
            assert isinstance(inspection, Inspection)
            json.dumps(inspection.as_dict())
        assert time.process_time() - started < 1


@pytest.mark.slow
def test_every_word_of_the_head_may_be_anything(content: bytes) -> None:
    """Each 32-bit word of the structure set to 0, to the largest and to the smallest number."""
    for place in range(8, 6000, 4):
        for word in (b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\x00\x00\x00\x80"):
            with contextlib.suppress(ModelFileError):
                inspect_model(content[:place] + word + content[place + 4 :], "w")


def nested_file(count: int) -> bytes:
    """A file of `count` subgraphs that are all one and the same, with `count` operators that are one, and so on."""
    import flatbuffers

    builder = flatbuffers.Builder(0)

    def vector(offset: int, length: int) -> int:
        builder.StartVector(4, length, 4)
        for _ in range(length):
            builder.PrependUOffsetTRelative(offset)
        return int(builder.EndVector())

    def table(**fields: tuple[int, int]) -> int:
        builder.StartObject(8)
        for slot, offset in fields.values():
            builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
        return int(builder.EndObject())

    builder.StartVector(4, count, 4)
    for _ in range(count):
        builder.PrependInt32(-1)
    inputs = builder.EndVector()
    operator = table(inputs=(1, inputs))
    graph = table(operators=(3, vector(operator, count)))
    code = table()
    model = table(codes=(1, vector(code, 1)), graphs=(2, vector(graph, count)))
    builder.Finish(model, b"TFL3")
    return bytes(builder.Output())


def test_vectors_that_overlap_cannot_take_long() -> None:
    """36 kB that speak of 27 thousand million entries."""
    started = time.process_time()
    with pytest.raises(ModelFileError, match="cut short or corrupt"):
        inspect_model(nested_file(3000), "w")
    assert time.process_time() - started < 2


def test_a_small_file_of_that_kind_is_read() -> None:
    """It is the number of entries that is refused, not the file's make."""
    inspection = inspect_model(nested_file(2), "w")
    assert (inspection.subgraphs, inspection.ops) == (2, {"ADD": 4})


@pytest.mark.parametrize("spoiled", [b"", b"hello", b"\0" * 100, b"\x1c\0\0\0TFL3", b"TFL3TFL3TFL3"])
def test_what_is_no_model(spoiled: bytes) -> None:
    """One line that says so."""
    with pytest.raises(ModelFileError, match=r"^w: (is not a .tflite file|the .tflite file is cut short)"):
        inspect_model(spoiled, "w")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "there is no file .*nothing"),
        ("", r"is a folder; name the .tflite file in it"),
        ("/dev/zero", "/dev/zero: cannot be read: File too large"),
    ],
)
def test_what_cannot_be_opened(tmp_path: Path, name: str, message: str) -> None:
    """Missing, a folder, a device without end."""
    with pytest.raises(ModelFileError, match=message):
        inspect_file(tmp_path / name)
