"""A bundle of any kind that is not as it was written is refused by everything that reads it, in one line."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from injected import ended_program, faults_of

from dlkit.bundle.loading import load_bundle
from dlkit.digest import sha256_of
from dlkit.errors import ModelFileError
from dlkit.filing import files_in

FOLDERS = ("web/index.html", "web/litert/core.js", "c/model.c", "triton/m/1/model.onnx", "step.tflite")
"""Files that bundles for a browser, a microcontroller, a server and of streams have, besides those of a processor."""
COMMANDS = (
    ("predict", "--check"), ("predict", "x.png"), ("evaluate",), ("bench",), ("serve", "--port", "0"), ("report",),
)  # fmt: skip
UNVOUCHED = ("manifest.json", "report.html", "latency.json")
"""What is in a bundle and not in its manifest: itself, and what was measured where it is looked at."""


@pytest.fixture
def whole(bundle: Path) -> Path:
    """A bundle with files in folders below, all in its manifest."""
    for name in FOLDERS:
        (bundle / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle / name).write_bytes(name.encode() * 3)
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["sha256"] |= {name: sha256_of(bundle / name) for name in FOLDERS}
    path.write_text(json.dumps(manifest))
    load_bundle(bundle)
    return bundle


def vouched(bundle: Path) -> list[Path]:
    return [path for path in files_in(bundle) if path.name not in UNVOUCHED]


def spoiled(path: Path, other: Path) -> Iterator[str]:
    """Do to a file one thing after another, and undo it."""
    content, beside = path.read_bytes(), path.with_name(f"{path.name}.beside")
    for place in {0, len(content) // 2, len(content) - 1}:
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        yield f"byte {place}"
    path.write_bytes(content[:-1])
    yield "a byte shorter"
    path.write_bytes(b"")
    yield "empty"
    path.write_bytes(content + b"\0")
    yield "a byte longer"
    path.write_bytes(other.read_bytes())
    yield "another's"
    path.unlink()
    yield "gone"
    path.mkdir()
    yield "a folder"
    path.rmdir()
    os.mkfifo(path)
    yield "a pipe"
    path.unlink()
    path.write_bytes(content)
    shutil.move(path, beside)
    path.symlink_to(beside)
    yield "a link to what it was"
    path.unlink()
    path.symlink_to("/dev/zero")
    yield "a link to a device"
    path.unlink()
    shutil.move(beside, path)


def test_whatever_is_done_to_a_file(whole: Path) -> None:
    """Each file of each kind, each byte position that is tried, each thing in its place; the error names the file."""
    count, files = 0, vouched(whole)
    for number, path in enumerate(files):
        name = path.relative_to(whole).as_posix()
        for done in spoiled(path, files[number - 1]):
            with pytest.raises(ModelFileError) as caught:
                load_bundle(whole)
            assert name in str(caught.value), (name, done)
            assert "export" in str(caught.value) or "cp -rL" in str(caught.value), (name, done)
            count += 1
    load_bundle(whole)
    assert count >= 11 * len(files)


def test_two_files_that_have_changed_places(whole: Path) -> None:
    """Each is a file of the bundle, but not that one."""
    one, two = whole / "web/index.html", whole / "c/model.c"
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)
    with pytest.raises(ModelFileError, match="is not the file that was exported"):
        load_bundle(whole)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_refuses_it(dlkit: Callable, whole: Path, digit_png: bytes, command: tuple[str, ...]) -> None:
    """One line that says which file it is and what to do."""
    (whole / "web/index.html").write_bytes(b"<script>")
    (image := whole.parent / "x.png").write_bytes(digit_png)
    name, *options = (str(image) if word == "x.png" else word for word in command)
    said = dlkit(name, whole, *options)
    assert said.code == 1
    last = said.err.splitlines()[-1]
    assert "web/index.html: is not the file that was exported (sha256 differs); export it again" in last
    assert said.out == ""


def test_its_own_runner_refuses_it(bundle: Path) -> None:
    """predict.py, where there is no dlkit."""
    (bundle / "report.txt").write_text("better")
    how = ended_program("python", bundle / "predict.py", "--check", cwd=bundle)
    assert faults_of(how, says="report.txt: is not the file that was exported") == []


def test_a_reference_that_nobody_vouches_for(dlkit: Callable, bundle: Path) -> None:
    """What the float model answered is believed only if the manifest says so."""
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["sha256"]["reference.json"]
    path.write_text(json.dumps(manifest))
    said = dlkit("evaluate", bundle)
    assert said.code == 1
    assert "reference.json: is missing" in said.err


def test_a_bundle_that_is_replaced_while_it_is_read(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read again: all of it is the new one."""
    from dlkit.bundle import loading

    new = Path(shutil.copytree(bundle, bundle.parent / "new"))
    (new / "labels.txt").write_text("".join(f"new {i}\n" for i in range(10)))
    manifest = json.loads((new / "manifest.json").read_text())
    manifest["sha256"]["labels.txt"] = sha256_of(new / "labels.txt")
    (new / "manifest.json").write_text(json.dumps(manifest))
    check, left = loading.check_files, [new]

    def replaced(folder: Path, sha256: dict[str, str]) -> None:
        if left:
            shutil.rmtree(bundle)
            left.pop().rename(bundle)
        check(folder, sha256)

    monkeypatch.setattr(loading, "check_files", replaced)
    assert load_bundle(bundle).labels[0] == "new 0"


def test_a_bundle_that_is_replaced_before_its_model_is_read(bundle: Path, vouch: Callable) -> None:
    """Labels of the one and the model of the other are not mixed; the same one anew is no other."""
    loaded = load_bundle(bundle)
    same = Path(shutil.copytree(bundle, bundle.parent / "same"))
    shutil.rmtree(bundle)
    same.rename(bundle)
    assert loaded.check()[0] > 0
    vouch(bundle, name="other")
    with pytest.raises(ModelFileError, match="was replaced by another bundle while it was read; run it again"):
        loaded.session()
