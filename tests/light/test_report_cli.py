"""`dlkit report`: the page of a bundle, or of several beside one another; no bundle is other for it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from pages import TIMED, Checked

from dlkit.bundle.loading import load_bundle
from dlkit.pages import latency
from dlkit.pages.comparison_page import letter


@pytest.fixture
def place(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vouch: Callable[..., None]) -> Path:
    """exported/ with three bundles of two models, one of which has no page yet."""
    for name, target, scheme in (("a", "cpu", "int8"), ("a", "gpu", "int8"), ("b", "cpu", "int8")):
        folder = tmp_path / "exported" / name / f"{target}-{scheme}"
        shutil.copytree(tiny_bundle, folder)
        vouch(folder, name=name)
    (tmp_path / "exported" / "b" / "cpu-int8" / "report.html").unlink()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every model had been timed, for tests of something else."""
    monkeypatch.setattr(latency, "measure_latencies", lambda *arguments, **options: TIMED)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_page_is_made_anew(dlkit: Callable, place: Path) -> None:
    """With times of now; all files that the manifest lists are as they were, and the bundle is believed."""
    bundle = place / "exported/b/cpu-int8"
    before = bytes_of(bundle)
    said = dlkit("report", "exported/b/cpu-int8", "--runs", "50")
    assert said.code == 0, said.err
    assert said.out == ("wrote exported/b/cpu-int8/report.html\n\nnext:\n  dlkit report exported/b/cpu-int8 --open\n")
    after = bytes_of(bundle)
    assert after.keys() - before.keys() == {"report.html"}
    assert {name for name in before if before[name] != after[name]} == {"latency.json"}
    [found] = json.loads(after["latency.json"])["measured"]
    assert len(found["times_ms"]) == found["timing"]["runs"] == 50
    assert found["timing"]["median_ms"] > 0
    assert "50 inferences" in Checked(after["report.html"]).text
    assert load_bundle(bundle).check()[0] == 10


@pytest.mark.usefixtures("timed")
def test_a_page_elsewhere(dlkit: Callable, place: Path) -> None:
    """Nothing in the bundle is touched, so that it may lie where nothing can be written."""
    before = bytes_of(place / "exported/b/cpu-int8")
    assert dlkit("report", "exported/b/cpu-int8", "--output", "new/page.html", "-q").out == "wrote new/page.html\n"
    assert Checked((place / "new/page.html").read_bytes()).headings[0] == 1
    assert bytes_of(place / "exported/b/cpu-int8") == before


def test_several_bundles_are_compared(dlkit: Callable, place: Path) -> None:
    """A folder stands for those in it and in its folders; links lead to pages that are there."""
    said = dlkit("report", "exported", "--runs", "20", "-q")
    assert said.out == "wrote exported/report.html\n"
    page = Checked((place / "exported/report.html").read_bytes())
    assert page.addresses == ["a/cpu-int8/report.html", "a/gpu-int8/report.html"]
    assert all((place / "exported" / address).is_file() for address in page.addresses)
    for name in ("a/cpu-int8", "b/cpu-int8", "3 bundles"):
        assert name in page.text
    assert "script" not in page.tags
    assert not (place / "exported/b/cpu-int8/report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (("exported/a",), "exported/a/report.html"),
        (("exported/a/cpu-int8", "exported/a/gpu-int8"), "exported/a/report.html"),
        (("exported/a/cpu-int8", "exported/b/cpu-int8"), "exported/report.html"),
        (("exported/a/cpu-int8", "exported/b", "exported/b/cpu-int8", "--output", "x.html"), "x.html"),
        (("exported/b",), "exported/b/cpu-int8/report.html"),
        (("exported/b/cpu-int8", "exported/b/"), "exported/b/cpu-int8/report.html"),
    ],
    ids=str,
)
@pytest.mark.usefixtures("timed")
def test_where_a_page_is_written(dlkit: Callable, place: Path, arguments: tuple[str, ...], file: str) -> None:
    """In the bundle, or in the folder that all of several have in common; each bundle counts once."""
    assert dlkit("report", *arguments, "--runs", "1", "-q").out == f"wrote {file}\n"
    assert (place / file).is_file()


@pytest.mark.usefixtures("timed")
def test_the_best_are_marked(dlkit: Callable, place: Path, vouch: Callable[..., None]) -> None:
    """The smallest and the one that is right most often, in words too."""
    smaller = place / "exported/a/gpu-int8"
    report = json.loads((smaller / "report.json").read_text())
    report["bytes"] = 5000
    report["tests"][0]["exported"] = 0.5
    (smaller / "report.json").write_text(json.dumps(report))
    vouch(smaller, name="a", target="gpu")
    dlkit("report", "exported/a", "-q", "--runs", "1")
    text = Checked((place / "exported/a/report.html").read_bytes()).text
    assert "★ 5.0 kB" in text
    assert "★ 0.9944" in text
    assert "★ 0.5000" not in text


@pytest.mark.usefixtures("timed")
def test_the_page_is_opened(dlkit: Callable, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the browser, if there is one."""
    opened: list[str] = []
    monkeypatch.setattr(click, "launch", lambda url: opened.append(url) or len(opened) - 1)
    for number in range(2):
        said = dlkit("report", "exported/a/cpu-int8", "--open", "--runs", "1", "-q")
        assert said.out == "wrote exported/a/cpu-int8/report.html\n"
        assert said.err == ("", "there is no browser here; open the file with one\n")[number]
    assert opened == [(place / "exported/a/cpu-int8/report.html").as_uri()] * 2


# --- what goes wrong ---


def refused(dlkit: Callable, *arguments: str | Path) -> str:
    said = dlkit("report", *arguments, "-q")
    assert (said.code, said.out) == (1, "")
    [line] = said.err.splitlines()
    return str(line).removeprefix("error: ")


def test_a_bundle_that_is_none(dlkit: Callable, place: Path) -> None:
    """As for every other command."""
    assert refused(dlkit, "no") == "there is no bundle no; 'dlkit export' makes one"
    (place / "empty").mkdir()
    assert refused(dlkit, "empty") == "empty is not a bundle (no manifest.json); 'dlkit export' makes one"
    (place / "exported/a/cpu-int8/labels.txt").write_text("x")
    wanted = "exported/a/cpu-int8/labels.txt: is not the file that was exported (sha256 differs); export it again"
    assert refused(dlkit, "exported/a/cpu-int8") == refused(dlkit, "exported") == wanted


@pytest.mark.skipif(os.getuid() == 0, reason="nothing is forbidden to root")
@pytest.mark.usefixtures("timed")
def test_a_bundle_where_nothing_can_be_written(dlkit: Callable, place: Path) -> None:
    """The line says what to do, and nothing is left."""
    bundle = place / "exported/b/cpu-int8"
    before = bytes_of(bundle)
    bundle.chmod(0o555)
    try:
        line = refused(dlkit, "exported/b/cpu-int8")
    finally:
        bundle.chmod(0o755)
    assert line.endswith("Permission denied; choose another place with --output FILE")
    assert bytes_of(bundle) == before


def test_a_folder_in_the_way(dlkit: Callable, place: Path) -> None:
    """Of the page."""
    (place / "exported/b/cpu-int8/report.html").mkdir()
    assert refused(dlkit, "exported/b/cpu-int8") == (
        "exported/b/cpu-int8/report.html is a folder; name the file in it with --output FILE"
    )


def test_a_users_own_file_is_not_replaced(dlkit: Callable, place: Path) -> None:
    """Only what dlkit made."""
    (place / "exported/report.html").write_text("<p>mine")
    assert refused(dlkit, "exported") == (
        "exported/report.html is no page of dlkit and is not replaced; choose another place with --output FILE"
    )
    assert (place / "exported/report.html").read_text() == "<p>mine"


def test_a_page_that_the_manifest_vouches_for(dlkit: Callable, place: Path) -> None:
    """Another page in its place would make another bundle, which is refused."""
    bundle = place / "exported/a/cpu-int8"
    manifest = json.loads((bundle / "manifest.json").read_text())
    from dlkit.digest import sha256_of

    manifest["sha256"]["report.html"] = sha256_of(bundle / "report.html")
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    assert refused(dlkit, "exported/a/cpu-int8") == (
        "exported/a/cpu-int8: its manifest vouches for report.html; write the page with --output FILE"
    )
    assert load_bundle(bundle)


@pytest.mark.parametrize("content", [b"", b"\0" * 1000, b"<script>"])
@pytest.mark.parametrize("name", ["report.html", "latency.json"])
def test_what_the_manifest_does_not_list_cannot_spoil_a_bundle(bundle: Path, name: str, content: bytes) -> None:
    """Changed or gone, the bundle is believed and proves itself."""
    (bundle / name).write_bytes(content)
    assert load_bundle(bundle).check()[0] == 10
    (bundle / name).unlink()
    assert load_bundle(bundle).check()[0] == 10


def test_no_framework_is_needed(fresh: Callable, bundle: Path) -> None:
    """numpy, click and ai-edge-litert draw a page."""
    program = (
        "import sys\nfor name in ('tensorflow', 'keras', 'tf_keras', 'PIL', 'rich', 'matplotlib', 'h5py'):\n"
        "    sys.modules[name] = None\nfrom dlkit.cli import main\nmain(['report', sys.argv[1], '-q', '--runs', '5'])"
    )
    said = fresh("-c", program, bundle)
    assert said.code == 0, said.err
    assert said.out == f"wrote {bundle}/report.html\n"


def test_letters_for_any_number_of_bundles() -> None:
    """Then numbers."""
    assert [letter(place) for place in (0, 25, 26)] == ["A", "Z", "27"]
