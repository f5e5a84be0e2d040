"""The standard metadata inside a .tflite file, read back by slot number, and the file around it."""

from __future__ import annotations

import json
import shutil
import struct
import zipfile
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from edited import edited

from dlkit.conversion.making import append_files
from dlkit.conversion.metadata import add_metadata, normalization
from dlkit.errors import ConversionError
from dlkit.runtime.inspection import inspect_file
from dlkit.runtime.litert import Session
from dlkit.runtime.preprocessing import Preprocessing, preprocessing_for
from dlkit.runtime.tensor_names import tensor_names

LABELS = tuple("0123456789")
UNIT = preprocessing_for("unit", (8, 8, 1), (8, 8, 1), (0.0, 16.0), "pad")


@pytest.fixture
def plain(tiny_bundle: Path, tmp_path: Path) -> Path:
    """The tiny bundle's file without the archive behind it."""
    path = tmp_path / "plain.tflite"
    path.write_bytes(edited((tiny_bundle / "model.tflite").read_bytes(), lambda model: None))
    return path


@pytest.fixture
def described(plain: Path, tmp_path: Path) -> Path:
    """The same with metadata and then labels."""
    path = Path(shutil.copy(plain, tmp_path / "described.tflite"))
    add_metadata(path, "tiny", "a tiny network", {"image": UNIT}, LABELS)
    append_files(path, {"labels.txt": "\n".join(LABELS).encode()})
    return path


class Table:
    """A table of a flatbuffer, read without its schema."""

    def __init__(self, content: bytes, place: int) -> None:
        self.content, self.place = content, place

    def at(self, slot: int) -> int:
        """Where slot number `slot` is; 0 if it is not there."""
        vtable = self.place - struct.unpack_from("<i", self.content, self.place)[0]
        if 4 + 2 * slot >= struct.unpack_from("<H", self.content, vtable)[0]:
            return 0
        offset = struct.unpack_from("<H", self.content, vtable + 4 + 2 * slot)[0]
        return self.place + offset if offset else 0

    def _follow(self, slot: int) -> int:
        return self.at(slot) + struct.unpack_from("<I", self.content, self.at(slot))[0]

    def table(self, slot: int) -> Table:
        return Table(self.content, self._follow(slot))

    def tables(self, slot: int) -> list[Table]:
        vector = self._follow(slot)
        count = struct.unpack_from("<I", self.content, vector)[0]
        places = range(vector + 4, vector + 4 + 4 * count, 4)
        return [Table(self.content, p + struct.unpack_from("<I", self.content, p)[0]) for p in places]

    def text(self, slot: int) -> str:
        place = self._follow(slot)
        return self.content[place + 4 : place + 4 + struct.unpack_from("<I", self.content, place)[0]].decode()

    def floats(self, slot: int) -> list[float]:
        place = self._follow(slot)
        return list(
            struct.unpack_from(f"<{struct.unpack_from('<I', self.content, place)[0]}f", self.content, place + 4)
        )

    def byte(self, slot: int) -> int:
        return self.content[self.at(slot)] if self.at(slot) else 0


def entries(path: Path) -> dict[bytes, bytes]:
    """The entries of the model's metadata."""
    model = schema.Model.GetRootAs(path.read_bytes(), 0)
    found = [model.Metadata(i) for i in range(model.MetadataLength())]
    assert len({entry.Name() for entry in found}) == len(found)
    return {entry.Name(): model.Buffers(entry.Buffer()).DataAsNumpy().tobytes() for entry in found}


def root(path: Path) -> Table:
    """The ModelMetadata in a file."""
    content = entries(path)[b"TFLITE_METADATA"]
    assert content[4:8] == b"M001"
    return Table(content, struct.unpack_from("<I", content)[0])


def test_the_model_is_named_and_described(described: Path) -> None:
    """Slots 0, 1 and 7 of ModelMetadata."""
    model = root(described)
    assert (model.text(0), model.text(1), model.text(7)) == ("tiny", "a tiny network", "1.0.0")


def test_the_input_says_how_pixels_become_numbers(described: Path) -> None:
    """Raw values 0…16 made 0…1 are pixels 0…255 divided by 255; a grey image."""
    [graph] = root(described).tables(3)
    [image] = graph.tables(2)
    [unit] = image.tables(4)
    assert image.text(0) == "image"
    assert (unit.byte(0), unit.table(1).floats(0), unit.table(1).floats(1)) == (1, [0.0], [255.0])
    content = image.table(3)
    assert (content.byte(0), content.table(1).byte(0)) == (2, 2)
    assert (image.table(5).floats(0), image.table(5).floats(1)) == ([1.0], [0.0])


def test_the_output_names_its_labels_and_the_archive_has_them(described: Path) -> None:
    """The associated file of the output's last axis."""
    [graph] = root(described).tables(3)
    [output] = graph.tables(3)
    [file] = output.tables(6)
    assert (file.text(0), file.byte(2)) == ("labels.txt", 2)
    with zipfile.ZipFile(described) as archive:
        assert archive.read(file.text(0)).decode().split() == list(LABELS)


def test_an_output_of_another_size_has_no_labels(plain: Path) -> None:
    """Nine labels are not those of ten classes."""
    add_metadata(plain, "tiny", "", {"image": UNIT}, LABELS[:9])
    [graph] = root(plain).tables(3)
    [output] = graph.tables(3)
    assert output.at(6) == 0


def test_the_runtime_and_the_inspection_see_the_same_model(plain: Path, described: Path) -> None:
    """Same answers, operations and constants; the converter's own entries are still there."""
    x = np.random.default_rng(0).random((3, 8, 8, 1), dtype=np.float32)
    assert np.array_equal(Session(plain).run(x), Session(described).run(x))
    before, after = inspect_file(plain).as_dict(), inspect_file(described).as_dict()
    assert {**before, "size": 0} == {**after, "size": 0}
    kept = {name: content for name, content in entries(plain).items() if name != b"TFLITE_METADATA"}
    assert entries(described).items() > kept.items()


def test_metadata_written_again_replaces_itself(described: Path, plain: Path) -> None:
    """One entry, the later one; the archive of labels is still read."""
    add_metadata(described, "other", "", {"image": UNIT}, LABELS)
    assert root(described).text(0) == "other"
    with zipfile.ZipFile(described) as archive:
        assert archive.testzip() is None
        assert len(archive.read("labels.txt").split()) == 10


def test_same_inputs_same_bytes(plain: Path, described: Path) -> None:
    """And nothing is left beside the file."""
    add_metadata(plain, "tiny", "a tiny network", {"image": UNIT}, LABELS)
    append_files(plain, {"labels.txt": "\n".join(LABELS).encode()})
    assert plain.read_bytes() == described.read_bytes()
    assert not list(plain.parent.glob("*.new"))


def test_constants_behind_the_flatbuffer_survive(plain: Path, tmp_path: Path) -> None:
    """They are found by an offset from the start of the file, as files of more than 2 GB have it."""
    x = np.random.default_rng(0).random((3, 8, 8, 1), dtype=np.float32)
    apart = tmp_path / "apart.tflite"
    apart.write_bytes(with_constants_behind(plain.read_bytes()))
    constants = inspect_file(plain).constants
    assert inspect_file(apart).constants == constants
    add_metadata(apart, "tiny", "", {"image": UNIT}, LABELS)
    assert inspect_file(apart).constants == constants
    assert np.array_equal(Session(apart).run(x), Session(plain).run(x))


def with_constants_behind(content: bytes) -> bytes:
    """The file with every constant of 64 bytes or more moved behind the flatbuffer."""
    moved: list[tuple[Any, bytes]] = []

    def take_out(model: Any) -> None:
        used_by_metadata = {entry.buffer for entry in model.metadata}
        for number, buffer in enumerate(model.buffers):
            if buffer.data is not None and len(buffer.data) >= 64 and number not in used_by_metadata:
                moved.append((buffer, bytes(bytearray(buffer.data))))
                buffer.data, buffer.offset, buffer.size = None, 2, len(moved[-1][1])

    def put_behind(model: Any) -> None:
        take_out(model)
        place = -(-length // 64) * 64
        for buffer, data in moved[len(moved) // 2 :]:
            buffer.offset = place
            place = -(-(place + len(data)) // 64) * 64

    length = len(edited(content, take_out))
    whole = bytearray(edited(content, put_behind))
    for buffer, data in moved[len(moved) // 2 :]:
        whole += bytes(buffer.offset - len(whole)) + data
    assert len(moved) >= 4
    return bytes(whole)


def test_a_newer_schema_is_refused(plain: Path) -> None:
    """What is not known cannot be copied."""
    builder = flatbuffers.Builder(0)
    text = builder.CreateString("new")
    builder.StartObject(11)
    builder.PrependUOffsetTRelativeSlot(2, text, 0)
    builder.PrependUOffsetTRelativeSlot(10, text, 0)
    builder.Finish(builder.EndObject(), b"TFL3")
    from dlkit.conversion.grafting import graft

    plain.write_bytes(builder.Output())
    with pytest.raises(ConversionError, match="11 parts, of a schema newer"):
        graft(plain, "x", b"y")


def test_an_input_that_is_not_there_is_told(plain: Path) -> None:
    """With the names that are."""
    with pytest.raises(ConversionError, match=r"has no input 'picture'; it has image"):
        add_metadata(plain, "tiny", "", {"picture": UNIT}, LABELS)


def test_an_input_goes_by_its_signature_or_by_its_tensor(plain: Path) -> None:
    """The better name first."""
    [(names, shape)], [(_, answer)] = tensor_names(plain)
    assert names == ("image", "serving_default_image:0")
    assert (shape, answer) == ((1, 8, 8, 1), (1, 10))
    add_metadata(plain, "tiny", "", {names[1]: UNIT}, LABELS)
    [graph] = root(plain).tables(3)
    assert graph.tables(2)[0].at(4)


@pytest.mark.parametrize("mode", ["unit", "signed", "lite", "torch", "caffe", "none"])
@pytest.mark.parametrize("raw_range", [(0.0, 255.0), (0.0, 1.0), (-1.0, 1.0)])
def test_normalized_pixels_are_the_networks_input(mode: str, raw_range: tuple[float, float]) -> None:
    """(pixel − mean) / deviation is what preprocessing makes of the pixel's raw value."""
    preprocessing = preprocessing_for(mode, (2, 2, 3), (2, 2, 3), raw_range, "crop")
    pixels = np.arange(12, dtype=np.float64).reshape(1, 2, 2, 3) * 23
    mean, deviation = normalization(preprocessing)
    raw = pixels / 255 * (raw_range[1] - raw_range[0]) + raw_range[0]
    ordered = pixels[..., ::-1] if preprocessing.color == "bgr" else pixels
    assert np.allclose((ordered - mean) / deviation, preprocessing.apply(raw), rtol=1e-4, atol=1e-4)


def test_bgr_is_no_colour_space_of_the_form(plain: Path) -> None:
    """It is left unknown: RGB would be a lie."""
    caffe = preprocessing_for("caffe", (8, 8, 3), (8, 8, 3), (0.0, 255.0), "crop")
    add_metadata(plain, "tiny", "", {"image": caffe}, LABELS)
    [graph] = root(plain).tables(3)
    [image] = graph.tables(2)
    assert (image.table(3).byte(0), image.table(3).table(1).byte(0)) == (2, 0)
    assert image.text(1).startswith("BGR image")


def test_rows_of_an_image_are_features(plain: Path) -> None:
    """A sequence is no image to a reader, and its normalization is of raw values."""
    rows = Preprocessing((8, 8), (8, 8, 1), (0.0, 16.0), "grey", "pad", (1 / 16,), (0.0,))
    add_metadata(plain, "tiny", "", {"image": rows}, LABELS)
    [graph] = root(plain).tables(3)
    [image] = graph.tables(2)
    assert image.table(3).byte(0) == 1
    assert image.tables(4)[0].table(1).floats(1) == [16.0]
    assert image.text(1) == "values from 0 to 16"


def test_the_archive_of_the_tiny_bundle_survives(tiny_bundle: Path, tmp_path: Path) -> None:
    """Metadata in front moves what is behind."""
    path = Path(shutil.copy(tiny_bundle / "model.tflite", tmp_path / "m.tflite"))
    add_metadata(path, "tiny", "", {"image": UNIT}, LABELS)
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("dlkit.json"))["labels"] == list(LABELS)
