"""The web target in a real browser: a digit that is drawn, samples, pictures and numbers, by mouse and by keyboard."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import FOUR, TOOLS, draw, shown

from dlkit.bundle.loading import load_bundle
from dlkit.devices import RUNTIMES
from dlkit.devices.checking import check_bundle
from dlkit.devices.reference import reference_answers
from dlkit.errors import ConversionError, EndedBySystem, ExtraMissing
from dlkit.leftovers import sweep
from dlkit.progress import ignore
from dlkit.targets import TARGETS
from dlkit.web.chromium import VARIABLE, find_chromium
from dlkit.web.packages import CORE, litert_js
from dlkit.web.running import run_in_browser

ROOT = Path(__file__).parents[2]
TINY = ROOT / "exported" / "digits-tiny" / "cpu-int8" / "model.tflite"
WEB = TARGETS["web"]
PASSED = "() => document.getElementById('checked').textContent.startsWith('Passed')"


@pytest.fixture(scope="session")
def made(dlkit, root: Path, browser_tools: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of recipes/digits-tiny.toml for the web, trained in some 15 seconds."""
    out = tmp_path_factory.mktemp("web")
    said = dlkit(
        "run", root / "recipes" / "digits-tiny.toml", "--set", "export.target=web",
        "--set", "export.scheme=int8_float_io", "--out", out, "--quiet",
    )  # fmt: skip
    assert said.code == 0, said.err
    return out / "digits-tiny" / "web-int8_float_io"


class _Plain(http.server.SimpleHTTPRequestHandler):
    """Files as they are, without a word."""

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


def answer(window: Any, but: str = "None yet.") -> str:
    """What the page answers, once that is another answer."""
    window.wait_for_function("but => document.getElementById('answer').textContent !== but", arg=but, timeout=30_000)
    return str(window.locator("#answer").inner_text())


@pytest.mark.tf
def test_a_bundle_proven_in_the_browser(made: Path) -> None:
    """Its report has the proof, its folder the page, and its own check runs in Chromium."""
    proof = json.loads((made / "report.json").read_text())["device"]
    assert "LiteRT.js 2.5.3" in proof["verdict"]["how"]
    assert proof["samples"] == 16
    assert proof["steps"] <= 1
    assert {"index.html", "app.js", "model.tflite", "model.json", "samples.bin", "litert"} <= {
        path.name for path in (made / "web").iterdir()
    }
    count, gap, allowed = check_bundle(load_bundle(made))
    assert count == 10
    assert gap <= allowed


@pytest.mark.tf
@pytest.mark.parametrize("backend", ["wasm", "webgpu"])
def test_a_digit_that_is_drawn(page: Any, made: Path, backend: str) -> None:
    """Two strokes of the mouse are a 4, on the processor and by WebGPU."""
    with shown(page, made / "web"):
        if backend == "webgpu":
            page.select_option("#backend", "webgpu")
        page.wait_for_function(PASSED)
        draw(page, *FOUR)
        page.wait_for_function("() => document.querySelector('#latency').textContent.includes('ms')")
        page.wait_for_function("() => document.querySelector('#answer').textContent.startsWith('4, ')")
        assert page.locator("#bars li").count() == 10
        assert page.locator("#backend").input_value() == backend
        assert not page.locator("#message").is_visible()


@pytest.mark.tf
def test_from_any_server(page: Any, made: Path) -> None:
    """Python's own server sends none of the headers of `dlkit serve`, and the page needs none."""
    plain = functools.partial(_Plain, directory=str(made / "web"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), plain) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.wait_for_function(PASSED)
        server.shutdown()


@pytest.mark.tf
@pytest.mark.slow
@pytest.mark.parametrize("scheme", WEB.schemes)
def test_every_scheme(made: Path, dlkit, scheme: str) -> None:
    """What the target lists runs in the browser and agrees, else no bundle would be written."""
    out = made.parent.parent
    said = dlkit("export", "digits-tiny", "--target", "web", "--scheme", scheme, "--out", out, "--force", "--quiet")
    assert said.code == 0, said.err
    proof = json.loads((out / "digits-tiny" / f"web-{scheme}" / "report.json").read_text())["device"]
    assert proof["samples"] == 16
    assert proof["largest_gap"] <= (1.001 / 256 if "int8_float_io" in scheme else 1e-5)


@pytest.mark.tf
def test_the_samples(page: Any, made: Path) -> None:
    """Each is answered with what the bundle expects of it."""
    labels = load_bundle(made).labels
    expected = np.load(made / "samples.npz")["output output"].argmax(axis=-1)
    with shown(page, made / "web"):
        for row, place in enumerate(expected):
            page.get_by_role("button", name=f"Sample {row + 1}", exact=True).click()
            page.wait_for_function(
                "label => document.querySelector('#answer').textContent.startsWith(label + ', ')", arg=labels[place]
            )


@pytest.mark.tf
def test_by_keyboard_alone(page: Any, made: Path) -> None:
    """Tab reaches everything in the order of the page; arrow keys draw, Enter takes a sample."""
    with shown(page, made / "web"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "stage"
        for key in ["ArrowUp"] * 7 + [" "] + ["ArrowDown"] * 14 + [" "]:
            page.keyboard.press(key)
        page.wait_for_function("() => document.querySelector('#answer').textContent.startsWith('1, ')")
        reached = []
        for _ in range(16):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.id || document.activeElement.ariaLabel"))
        assert reached[:3] == ["file", "clear", "Sample 1"]
        assert reached[12:14] == ["backend", "check"]
        page.keyboard.press("Enter")


@pytest.mark.tf
def test_a_picture_as_the_command_line_reads_it(page: Any, made: Path, digit_png: bytes, tmp_path: Path, dlkit) -> None:
    """The same class with the same probability as `dlkit predict`."""
    path = tmp_path / "two.png"
    path.write_bytes(digit_png)
    told = json.loads(dlkit("predict", made, path, "--json").out)[0]
    with shown(page, made / "web"):
        page.set_input_files("#file", path)
        assert answer(page) == f"{told['labels'][0]}, {100 * told['probabilities'][0]:.1f} %"


@pytest.mark.tf
def test_a_file_that_is_no_picture(page: Any, made: Path, tmp_path: Path) -> None:
    """It is said in the page, and the page goes on."""
    path = tmp_path / "<b>notes.png"
    path.write_text("no picture")
    with shown(page, made / "web"):
        page.set_input_files("#file", path)
        page.wait_for_selector("#message:visible")
        assert page.locator("#message").inner_text() == "<b>notes.png is not a picture that this browser can read."
        page.get_by_role("button", name="Sample 1", exact=True).click()
        answer(page)
        page.wait_for_selector("#message", state="hidden")


@pytest.mark.tf
def test_names_are_only_text(page: Any, made: Path, tmp_path: Path) -> None:
    """A model and labels that are called like HTML stay what they are called."""
    site = shutil.copytree(made / "web", tmp_path / "web")
    facts = json.loads((site / "model.json").read_text())
    facts["name"] = nasty = "<img src=x onerror=alert(1)>"
    facts["labels"] = [f"<b>{label}</b>" for label in facts["labels"]]
    (site / "model.json").write_text(json.dumps(facts))
    with shown(page, site):
        assert page.locator("h1").inner_text() == nasty
        page.get_by_role("button", name="Sample 1", exact=True).click()
        assert answer(page).startswith("<b>")
        assert page.locator("main b, header img").count() == 0


@pytest.mark.tf
def test_a_model_that_is_not_the_bundles(page: Any, made: Path, tmp_path: Path) -> None:
    """The page checks itself when it loads: what computes something else is not used, and it says so."""
    site = shutil.copytree(made / "web", tmp_path / "web")
    numbers = np.fromfile(site / "samples.bin", "<f4")
    numbers[-1] += 0.5
    numbers.tofile(site / "samples.bin")
    from dlkit.web.serving import Server, content_of, serving

    with serving(Server(content_of(site))) as url:
        page.goto(url)
        page.wait_for_selector("#message:visible")
        assert "it computes something else (gap 0.5" in page.locator("#message").inner_text()
        assert page.locator("#checked").inner_text().startswith("Failed: 10 samples")


@pytest.mark.tf
def test_a_backend_that_computes_something_else(page: Any, made: Path) -> None:
    """WebGPU is held against the samples before it is used; where it fails, the page stays with WebAssembly."""
    with shown(page, made / "web"):
        page.evaluate("""async () => {
          const { Model } = await import("./engine.js");
          const load = Model.load;
          Model.load = async (content, backend, folder) => {
            const model = await load.call(Model, content, backend, folder);
            const run = model.run.bind(model);
            model.run = async (values) => Object.fromEntries(
              Object.entries(await run(values)).map(([name, numbers]) => [name, numbers.map((n) => n + 0.5)]));
            return model;
          };
        }""")
        page.select_option("#backend", "webgpu")
        page.wait_for_selector("#message:visible")
        assert "WebGPU cannot run this model here: it computes something else" in page.locator("#message").inner_text()
        assert page.locator("#backend").input_value() == "wasm"
        draw(page, *FOUR)
        page.wait_for_function("() => document.querySelector('#answer').textContent.startsWith('4, ')")


@pytest.mark.tf
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(page: Any, made: Path, scheme: str) -> None:
    """axe finds nothing against the page, in light and in dark, before and after an answer, on a phone's width."""
    program = TOOLS / "axe-core" / "axe.min.js"
    if not program.is_file():
        pytest.skip("ACCESSIBILITY NOT CHECKED: bash .ci/devices installs axe-core")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 360, "height": 700})
    with shown(page, made / "web"):
        for _ in range(2):
            page.evaluate(program.read_text())
            found = page.evaluate("axe.run()")["violations"]
            assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []
            page.get_by_role("button", name="Sample 1", exact=True).click()
            answer(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.tf
@pytest.mark.parametrize("backend", ["wasm", "webgpu"])
def test_outputs_agree_with_the_reference(made: Path, backend: str) -> None:
    """int8 within a step of LiteRT's reference kernels, on the processor and by WebGPU."""
    x = {"image": np.random.default_rng(0).random((16, 8, 8, 1), np.float32)}
    [wanted] = reference_answers(made / "model.tflite", x, ignore).values()
    [found] = run_in_browser(made / "model.tflite", x, backend).values()
    assert np.abs(found - wanted).max() <= 1.001 / 256


@pytest.mark.usefixtures("browser_tools")
def test_integers_in_and_out() -> None:
    """They are refused with the scheme to name, and without a browser."""
    verdict = RUNTIMES["litert_js"].examine(TINY, WEB, ignore)
    assert len(verdict.blocks) == 2
    assert "is int8, but LiteRT.js takes float32 and int32; export with --scheme int8_float_io" in verdict.blocks[0]


@pytest.mark.usefixtures("browser_tools")
def test_litert_js_refuses_what_it_cannot_run() -> None:
    """Its own words come back, from a browser that is ended."""
    with pytest.raises(ConversionError, match=r"LiteRT\.js \(wasm\) cannot run the file; it said: .*"):
        run_in_browser(TINY, {"image": np.zeros((1, 8, 8, 1), np.float32)})


@pytest.mark.usefixtures("browser_tools")
def test_a_limit_of_time() -> None:
    """A browser that does not answer in time is stopped."""
    with pytest.raises(ConversionError, match="no result after 0 s; Chromium was stopped"):
        run_in_browser(TINY, {"image": np.zeros((1, 8, 8, 1), np.float32)}, time_limit_s=0.0)


@pytest.mark.usefixtures("browser_tools")
@pytest.mark.parametrize(
    ("does", "kind", "told"),
    [
        ("echo no display", ConversionError, "Chromium ended early; it said: no display"),
        ("kill -9 $$", EndedBySystem, r"Chromium crashed \(SIGKILL\)"),
    ],
)
def test_a_browser_that_ends_early(
    does: str, kind: type[Exception], told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What it said last is told; that it was killed says nothing of the file."""
    program = tmp_path / "chromium"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    monkeypatch.setenv(VARIABLE, str(program))
    with pytest.raises(kind, match=told):
        run_in_browser(TINY, {"image": np.zeros((1, 8, 8, 1), np.float32)})


# Shows a page, says where its profile is, and waits to be killed.
SHOWING = """
import time
from dlkit.web.chromium import chromium
from dlkit.writing import temporary_folder
with temporary_folder() as folder, chromium("about:blank", folder) as browser:
    while not (folder / "profile" / "SingletonLock").is_symlink():
        assert browser.poll() is None
        time.sleep(0.05)
    print(folder, flush=True)
    time.sleep(60)
"""


def processes_of(folder: str) -> list[str]:
    """Numbers of those with the name of a folder in their command lines."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if folder.encode() in path.read_bytes():
                found.append(path.parent.name)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="the system has no such step")
@pytest.mark.usefixtures("browser_tools")
def test_a_browser_does_not_outlive_a_killed_dlkit(tmp_path: Path) -> None:
    """Nor its helpers; what it put into the temporary folder is in ours, which the next dlkit removes."""
    process = subprocess.Popen(
        [sys.executable, "-c", SHOWING],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": "/tmp"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    folder = process.stdout.readline().strip()
    assert len(processes_of(folder)) > 1
    assert list(Path(folder).glob("org.chromium.*"))
    process.kill()
    process.communicate()
    end = time.monotonic() + 10
    while processes_of(folder) and time.monotonic() < end:
        time.sleep(0.05)
    assert processes_of(folder) == []
    sweep(Path("/tmp"), "dlkit-")
    assert not Path(folder).exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the system has no such name for a folder")
@pytest.mark.usefixtures("browser_tools")
@pytest.mark.parametrize("length", [1, 100])
def test_nothing_of_the_browser_is_left_in_the_temporary_folder(
    length: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither where the name of its socket there would be longer than the system allows."""
    place = tmp_path / ("x" * length)
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with pytest.raises(ConversionError, match="cannot run the file"):
        run_in_browser(TINY, {"image": np.zeros((1, 8, 8, 1), np.float32)})
    assert list(place.iterdir()) == []


def test_a_browser_named_by_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It starts in a folder of its own, where that path would lead elsewhere."""
    (tmp_path / "browser").write_text("")
    (tmp_path / "browser").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "./browser")
    assert find_chromium() == str(tmp_path / "browser")


def test_no_chromium(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to type is said."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ExtraMissing, match=f"apt-get install chromium, or set {VARIABLE}"):
        run_in_browser(TINY, {})
    monkeypatch.setenv(VARIABLE, "/none")
    with pytest.raises(ExtraMissing, match="names /none, which is no program"):
        run_in_browser(TINY, {})


def test_no_litert_js(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What to type is said; another version is as good as none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NODE_PATH", str(tmp_path / "other"))
    (tmp_path / "other" / CORE).mkdir(parents=True)
    (tmp_path / "other" / CORE / "package.json").write_text('{"version": "1.0.0"}')
    with pytest.raises(ExtraMissing, match=r"npm install @litertjs/core@2\.5\.3"):
        litert_js()
    (tmp_path / "other" / CORE / "package.json").write_text('{"version": "2.5.3"}')
    with pytest.raises(ExtraMissing, match="is not whole"):
        litert_js()
