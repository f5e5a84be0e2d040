"""What a user sees of a spoiled file: exit code 1, one line on standard error that names it, and nothing written."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sounds import form, riff

DEEP = ".".join(["a"] * 20_000) + " = 1"


def bomb() -> bytes:
    """An .npz of half a megabyte that unpacks to half a gigabyte."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("image.npy", "w") as part:
        for _ in range(2**7):
            part.write(bytes(2**22))
    return held.getvalue()


def large_png() -> bytes:
    """A few bytes that say they are an image of 10^10 pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def npy(header: str) -> bytes:
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode() + bytes(16)


CASES: dict[str, tuple[tuple[str, ...], str, bytes]] = {
    "recipe": (("run", "{}", "--out", "{out}"), "r.toml", DEEP.encode()),
    "recipe of another name": (("train", "{}", "--out", "{out}"), "r.toml", b'name = "../x"'),
    "recipe with a NUL": (("train", "{}", "--out", "{out}"), "r.toml", b'name = "a\\u0000b"'),
    "recipe of a megabyte": (("build", "{}", "--out", "{out}"), "r.toml", b"#" * 2**20),
    "target": (("export", "x", "--target", "{}", "--out", "{out}"), "board.toml", DEEP.encode()),
    "target of another name": (("export", "x", "--target", "{}"), "board.toml", b'name = "../x"\nsource = ""'),
    "npz": (("predict", "{bundle}", "{}"), "a.npz", bomb()),
    "npy": (("predict", "{bundle}", "{}"), "a.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2**40,)}")),
    "npy of no numbers": (
        ("predict", "{bundle}", "{}"),
        "a.npy",
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (2,)}"),
    ),
    "png": (("predict", "{bundle}", "{}"), "a.png", large_png()),
    "wav": (("predict", "{bundle}", "{}"), "a.wav", riff(form(3, 64, 2), np.full(8, 1e308).tobytes())),
    "csv": (("predict", "{bundle}", "{}"), "a.csv", b"1e999," * 64),
    "folder": (("evaluate", "{bundle}", "-q", "--data", "{folder}/classes"), "classes/0/a.png", large_png()),
    "model.json": (("export", "{folder}"), "model.json", b"[" * 5000),
}


@pytest.mark.parametrize(("arguments", "name", "content"), CASES.values(), ids=CASES)
def test_one_line_and_nothing_written(
    arguments: tuple[str, ...], name: str, content: bytes, dlkit: Callable, tiny_bundle: Path, tmp_path: Path
) -> None:
    """However deep, large or odd it is."""
    file, out = tmp_path / "in" / name, tmp_path / "out"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    named = {"bundle": str(tiny_bundle), "out": str(out), "folder": str(tmp_path / "in")}
    said = dlkit(*(word.format(str(file), **named) for word in arguments))
    assert said.code == 1
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert len(said.err) < 2000
    assert not out.exists()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file]
