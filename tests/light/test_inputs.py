"""What a user names on the command line → samples."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from as_files import encoded, npy
from PIL import Image

from dlkit.errors import DataError
from dlkit.runtime.inputs import IMAGES, Sample, read_inputs
from dlkit.runtime.preprocessing import preprocessing_for

SHAPE = (2, 3, 1)
GREY = preprocessing_for("none", SHAPE, SHAPE, (0.0, 16.0), "stretch")
ONE = np.arange(6).reshape(SHAPE)
CSV = b"0,1,2,3,4,5\n"


@pytest.fixture
def put(tmp_path: Path):
    """Write a file and give its name."""

    def write(name: str, content: bytes) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return str(path)

    return write


def read(*names: str | Path) -> list[Sample]:
    return list(read_inputs([str(n) for n in names], GREY))


def refused(*names: str | Path) -> str:
    with pytest.raises(DataError) as caught:
        read(*names)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def image(value: int = 255, format: str = "PNG") -> bytes:
    return encoded(Image.new("L", (3, 2), value), format)


# --- what can be read ---


def test_an_image(put) -> None:
    """One sample, named like its file, its pixels spread over the raw range."""
    name = put("a.png", image())
    [sample] = read(name)
    assert sample.name == name
    np.testing.assert_array_equal(sample.raw, np.full(SHAPE, 16.0))


@pytest.mark.parametrize("name", ["a.PNG", "a.jpg", "a", "a.dat"])
def test_an_image_by_any_name(put, name: str) -> None:
    """The content decides what kind of image it is."""
    [sample] = read(put(name, image(format="JPEG")))
    assert sample.raw.min() > 15.5


@pytest.mark.parametrize("array", [ONE, ONE[..., 0], np.asfortranarray(ONE), ONE.astype(">f8")])
def test_one_sample_of_an_array(put, array: np.ndarray) -> None:
    """With or without its channel, in any memory order and number format."""
    [sample] = read(put("a.npy", npy(array)))
    np.testing.assert_array_equal(sample.raw, ONE)


def test_a_batch_of_an_array(put) -> None:
    """A sample a row, named by its number."""
    name = put("a.npy", npy(np.stack([ONE, ONE + 1])))
    samples = read(name)
    assert [s.name for s in samples] == [f"{name}[0]", f"{name}[1]"]
    np.testing.assert_array_equal(samples[1].raw, ONE + 1)


@pytest.mark.parametrize(
    "content",
    [
        CSV,
        b"0;1;2;3;4;5",
        b"0\t1\t2\t3\t4\t5",
        b"\xef\xbb\xbf" + CSV,
        b"\n" + CSV.replace(b"\n", b"\r\n"),
        b" 0, 1,2,3,4,5e0",
    ],
)
def test_a_table(put, content: bytes) -> None:
    """Commas, semicolons or tabs; a spreadsheet's mark and line ends, and empty lines, are no trouble."""
    [sample] = read(put("a.csv", content))
    np.testing.assert_array_equal(sample.raw, ONE)


def test_a_table_of_several_lines(put) -> None:
    """A sample a line."""
    assert [s.name[-3:] for s in read(put("a.csv", CSV * 3))] == ["[0]", "[1]", "[2]"]


def test_a_folder(put, tmp_path: Path) -> None:
    """Its images and those below, sorted; other files are no images."""
    names = [put("d/b.png", image()), put("d/c/a.jpg", image(format="JPEG"))]
    put("d/notes.txt", b"hello")
    assert [s.name for s in read(tmp_path / "d")] == names


def test_several_names_in_order(put) -> None:
    """As they were given."""
    names = [put("b.png", image()), put("a.png", image())]
    assert [s.name for s in read(*names)] == names


@pytest.mark.parametrize(
    ("content", "count"), [(image(), 1), (npy(ONE), 1), (npy(np.stack([ONE] * 2)), 2), (CSV * 2, 2)]
)
def test_standard_input(monkeypatch: pytest.MonkeyPatch, content: bytes, count: int) -> None:
    """An image, an array or a table, told apart by its content."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    samples = read("-")
    assert len(samples) == count
    assert samples[0].name.startswith("standard input")


# --- what cannot ---


def test_nothing_there(tmp_path: Path) -> None:
    """The name is said."""
    assert refused(tmp_path / "a.png") == f"{tmp_path}/a.png: there is no such file"


def test_an_empty_folder(put, tmp_path: Path) -> None:
    """Or one without images: what was looked for is said."""
    put("notes.txt", b"hello")
    assert refused(tmp_path).startswith(f"{tmp_path}: no images in this folder (looked for .bmp, .gif")


def test_a_loop_of_links_ends(put, tmp_path: Path) -> None:
    """A folder that holds itself is walked once."""
    name = put("d/a.png", image())
    (tmp_path / "d" / "d").symlink_to(tmp_path / "d")
    (tmp_path / "d" / "e.png").symlink_to(tmp_path / "d")
    assert [str(p) for p in IMAGES.inside(tmp_path / "d")] == [name]


@pytest.mark.parametrize(("end", "message"), [("b.png", "Too many levels"), ("nowhere", "there is no such file")])
def test_a_link_that_leads_nowhere_is_told(put, tmp_path: Path, end: str, message: str) -> None:
    """An image that cannot be read is not left out in silence."""
    put("d/a.png", image())
    (tmp_path / "d" / "b.png").symlink_to(tmp_path / "d" / end)
    assert refused(tmp_path / "d").startswith(f"{tmp_path}/d/b.png: ")
    assert message in refused(tmp_path / "d")


def test_a_folder_that_cannot_be_looked_into() -> None:
    """The system's reason, not "no images"."""
    with pytest.raises(DataError, match="no/such: cannot be read: No such file or directory"):
        IMAGES.inside(Path("no/such"))


def test_a_device_without_end() -> None:
    """Is read up to a limit."""
    assert refused("/dev/zero") == "/dev/zero: cannot be read: File too large"


def test_a_file_used_as_a_folder(put) -> None:
    """The system's own word for it."""
    name = put("a.png", image())
    assert refused(f"{name}/b.png") == f"{name}/b.png: cannot be read: Not a directory"


@pytest.mark.parametrize("name", ["a.png", "a.npy", "a.csv", "a"])
def test_an_empty_file(put, name: str) -> None:
    """Whatever it is called."""
    assert refused(put(name, b"")).endswith(": is empty")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.png", b"hello", "is not an image that can be read"),
        ("a.png", image()[:-30], "the image is broken"),
        ("a.png", npy(ONE), "is not an image that can be read"),
        ("a.npy", b"hello", "is not a .npy array; save one with numpy.save"),
        ("a.npy", image(), "is not a .npy array; save one with numpy.save"),
        ("a.npy", b"PK\x03\x04", "is an archive of arrays (.npz), not one array; save one with numpy.save"),
        ("a.npy", npy(np.zeros((4, 4))), "shape 4×4, but this model takes 2×3×1"),
        ("a.npy", npy(np.zeros((0, 2, 3, 1))), "holds no samples"),
        ("a.npy", npy(np.full(SHAPE, np.nan)), "6 values are NaN or infinite"),
        ("a.npy", npy(np.stack([ONE, ONE + 99])), "[1]: values from 99 to 104"),
        ("a.npy", npy(np.full(SHAPE, "a")), "holds <U1, not numbers"),
        ("a.npy", npy(np.zeros(SHAPE, "f4,f4")), "not numbers"),
        ("a.npy", npy(ONE)[:-1], "its header says int64 of shape (2, 3, 1), but 47 bytes follow"),
        ("a.npy", npy(ONE) + b"x", "its header says int64 of shape (2, 3, 1), but 49 bytes follow"),
        ("a.csv", b"", "is empty"),
        ("a.csv", b"\n \n", "has no lines of numbers"),
        ("a.csv", b"a,b,c,d,e,f\n", "line 1: 'a,b,c,d,e,f' is not numbers separated by commas"),
        ("a.csv", CSV + b"1,2\n", "line 2: 2 values; a sample has 6 (2×3×1)"),
        ("a.csv", b"1,2,3,4,5,6,7", "line 1: 7 values; a sample has 6"),
        ("a.csv", b"0,1,2,3,4,", "line 1: '0,1,2,3,4,' is not numbers"),
        ("a.csv", b"0,1,2,3,4,1_0", "is not numbers separated by commas"),
        ("a.csv", b"0,1,2,3,4,1e400", "1 values are NaN or infinite, the first at [1, 2, 0]"),
        ("a.csv", b"0,1,2,3,4,nan", "1 values are NaN or infinite"),
        ("a.csv", b"0,1,2,3,4,17", "values from 0 to 17, but this model takes raw values from 0 to 16"),
        ("a.csv", image(), "is not numbers separated by commas"),
        ("a.csv", b"\xff\xfe" + CSV, "is not numbers separated by commas"),
        ("a.txt", b"hello", "is not an image that can be read"),
    ],
)
def test_content_that_is_not_what_it_is_called(put, name: str, content: bytes, message: str) -> None:
    """One line: which file, where in it, what was found."""
    path = put(name, content)
    said = refused(path)
    assert said.startswith(path)
    assert message in said


def test_a_pickle_is_not_opened(put, tmp_path: Path) -> None:
    """An array of objects would run code of the file's."""

    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "touched",)

    name = put("a.npy", npy(np.asarray([Evil()], dtype=object)))
    assert "holds object, not numbers" in refused(name)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("shape", ["(10000000000,)", "(2, 3, 10000000000)", "(-2, -3, 1)", "(9999999999999999999999,)"])
def test_a_header_that_claims_more_than_there_is(put, shape: str) -> None:
    """Nothing is allocated for it."""
    content = npy(np.zeros((1000, 1000, 1000), np.int8)[:1, :1, :1])
    header = f"{{'descr': '|i1', 'fortran_order': False, 'shape': {shape}, }}"
    content = content[:8] + (118).to_bytes(2, "little") + header.ljust(117).encode() + b"\n" + b"\0" * 6
    assert "its header says int8 of shape" in refused(put("a.npy", content))


def test_a_corrupt_header(put) -> None:
    """Any byte of it: an error of ours or samples, never an exception of the parser's."""
    whole = npy(np.stack([ONE, ONE]).astype(np.uint8))
    rng = np.random.default_rng(0)
    for _ in range(1000):
        content = np.frombuffer(whole, np.uint8).copy()
        content[rng.integers(0, 128, 2)] = rng.integers(0, 256, 2)
        with contextlib.suppress(DataError):
            assert {s.raw.shape for s in read(put("a.npy", content.tobytes()))} == {SHAPE}


def test_standard_input_that_is_closed_or_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is waited for."""
    monkeypatch.setattr(sys, "stdin", None)
    assert refused("-") == "standard input: is closed"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(CSV)))
    assert refused("-", "-") == "standard input: is empty"
