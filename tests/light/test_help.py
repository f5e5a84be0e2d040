"""`dlkit help`: pages that are found, read well on a terminal and elsewhere, and lead on."""

from __future__ import annotations

import builtins
import os
import pty
import re
import select
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from help_tables import TABLES, between

import dlkit as package
from dlkit.cli import COMMANDS
from dlkit.cli.help import WIDEST
from dlkit.help import PAGES, cells_of
from dlkit.networks import NETWORKS
from dlkit.recipe import read_recipe

ROOT = Path(__file__).parents[2]
DOCUMENTS = {path.name: path for path in [ROOT / "README.md", *sorted((ROOT / "dlkit" / "help").glob("*.md"))]}
LINK = re.compile(r"(?:\]\(|<img src=\")([^()\s\"]*)[)\"]")


def on_a_terminal(*arguments: str, columns: int = 80, **environment: str) -> str:
    """What `dlkit ARGUMENTS` prints on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    given = {"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "50", "PYTHONPATH": str(ROOT)}
    kept = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
    command = [sys.executable, "-m", "dlkit", *arguments]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=kept | given | environment)
    os.close(theirs)
    said = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        said += piece
    os.close(ours)
    assert process.wait(60) == 0
    return said.decode().replace("\r\n", "\n")


def without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_what_is_in_it_and_what_to_type(name: str) -> None:
    """Title, a paragraph that fits beside the topic, then something to paste, then what comes of it."""
    page = PAGES[name]
    assert re.match(r"# [A-Z].*\n\n[A-Z]", page.source)
    assert 20 <= len(page.summary) <= 100
    assert page.summary.endswith(".")
    after = page.source.split("\n\n", 2)[2]
    assert after.startswith(("```sh\n", "```python\n"))
    assert page.source.endswith("\n")


def test_help_lists_every_page(dlkit: Callable) -> None:
    """A line each, in the order of their names."""
    lines = dlkit("help").out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == sorted(PAGES)
    assert all(page.summary in dlkit("help").out for page in PAGES.values())


def test_the_list_fits_a_terminal() -> None:
    """Folded to its width."""
    text = on_a_terminal("help", columns=60)
    assert max(map(len, text.splitlines())) <= 60
    assert all(re.search(rf"^{name}  ", text, re.M) for name in PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_plain_text_where_nobody_looks(dlkit: Callable, name: str) -> None:
    """All that it says, without colours, comments and pictures; links as what to type."""
    said = dlkit("help", name)
    assert said.code == 0
    assert said.out.startswith(PAGES[name].text)
    assert not re.search(r"\x1b|<!--|\]\([\w.#/-]*\)", said.out)
    blocks = re.findall(r"^```\w*\n.*?^```$", PAGES[name].source, re.M | re.S)
    assert re.findall(r"^```\w*\n.*?^```$", said.out, re.M | re.S)[: len(blocks)] == blocks


def test_a_page_is_formatted_on_a_terminal() -> None:
    """No marks of Markdown, prose as wide as the terminal, commands whole on their lines."""
    for columns in (60, 100, 300):
        text = on_a_terminal("help", "own-data", columns=columns)
        assert "\x1b[" in text
        lines = without_colours(text).splitlines()
        assert not [line for line in lines if line.startswith(("#", "```"))]
        prose = min(columns, WIDEST)  # tables take all there is
        long = [line for line in lines if len(line.rstrip()) > (prose if "  " not in line.strip() else columns)]
        commands = {line for kind, part in PAGES["own-data"].parts() if kind == "code" for line in part.splitlines()}
        assert {line.strip() for line in long} <= {line.strip() for line in commands}
        flat = "\n".join(line.strip() for line in lines)
        assert "dlkit run recipes/digits.toml --set name=arrays --set data.name=npz" in flat.replace("\n", " ")


def test_nothing_of_a_table_is_lost_on_a_terminal() -> None:
    """However narrow: each word of each cell is there, in parts where it is longer than a column."""
    tables = [part for kind, part in PAGES["schemes"].parts() if kind == "table"]
    words = {word for part in tables for row in cells_of(part) for cell in row for word in cell.split()}
    assert len(words) > 200
    for columns in (40, 80):
        text = without_colours(on_a_terminal("help", "schemes", columns=columns))
        assert not [word for word in words if word[:5] not in text]
        assert "float…" not in text


def test_no_color_is_honoured() -> None:
    """Nothing but bold and the like."""
    text = on_a_terminal("help", "lstm", NO_COLOR="1")
    assert "Recurrent networks" in text
    assert not re.search(r"\x1b\[(?:\d+;)*(?:3[0-7]|38|9[0-7])(?:;|m)", text)


def test_a_page_is_there_without_rich(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """As on a device with numpy, click and ai-edge-litert alone."""
    from dlkit.cli.help import _show

    real = builtins.__import__

    def without_rich(name: str, *rest: Any) -> Any:
        if name.startswith("rich"):
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_rich)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    _show(PAGES["arm"])
    assert capsys.readouterr().out == PAGES["arm"].text


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_is_the_same(dlkit: Callable, name: str) -> None:
    """`dlkit help COMMAND` is `dlkit COMMAND --help`, letter for letter; below a page of that name if there is one."""
    said, page = dlkit("help", name).out, PAGES[name].text if name in PAGES else ""
    assert said.startswith(page)
    assert said.removeprefix(page).removeprefix("\n## The command\n\n```\n").removesuffix("```\n") == dlkit(
        name, "--help"
    ).out  # fmt: skip


@pytest.mark.parametrize(
    ("word", "advice"),
    [
        ("lsmt", "did you mean 'lstm'?"),
        ("board", "it is spoken of in"),
        ("error", "did you mean 'errors'?"),
        ("exprot", "did you mean 'export'?"),
        ("qwxz", "see them all: dlkit help"),
    ],
)
def test_a_near_miss_is_named(dlkit: Callable, word: str, advice: str) -> None:
    """Or the pages that have the word, or where all are listed."""
    said = dlkit("help", word)
    assert said.code == 1
    assert said.err.startswith(f"error: no topic {word!r}; {advice}")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("page", TABLES)
def test_a_table_says_what_the_code_says(page: str) -> None:
    """Every key of a recipe with type, default and meaning; every public name. Made by tests/golden."""
    mark, make = TABLES[page]
    assert between(mark, PAGES[page].source) == make(), "run tests/golden/make_help_tables.py"


def test_every_error_is_on_its_page() -> None:
    """With the words of dlkit/errors.py."""
    told = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", between("errors", PAGES["errors"].source), re.M))
    from dlkit import errors

    known = dict(re.findall(r"^(?:│   )?[├└]── (\w+) +(.*)$", errors.__doc__ or "", re.M))
    assert told == known


def test_every_file_of_a_bundle_is_on_its_page(tiny_bundle: Path) -> None:
    """Those of the one that comes with dlkit."""
    assert not [path.name for path in tiny_bundle.iterdir() if f"`{path.name}`" not in PAGES["bundle"].source]


def test_every_extra_is_on_its_page() -> None:
    """Those of pyproject.toml."""
    told = re.findall(r"`([\w-]+)`(?=[^|]*\|.*\|$)", between("extras", PAGES["install"].source), re.M)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(told) == set(extras)


def test_the_recipe_of_the_page_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Complete, so that it may be pasted."""
    from pictures import write_pictures

    write_pictures(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    [text] = re.findall(r"```toml\n(.*?)```", PAGES["recipe"].source, re.S)
    (tmp_path / "mine.toml").write_text(text)
    assert read_recipe("mine.toml").network.name == "resnet8"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_python_of_the_documents_is_of_dlkit(name: str) -> None:
    """It compiles, and what it takes from dlkit is there."""
    for block in re.findall(r"```python\n(.*?)```", DOCUMENTS[name].read_text(encoding="utf-8"), re.S):
        compile(block, name, "exec")
        assert set(re.findall(r"(?<!from )\bdlkit\.(\w+)", block)) <= set(package.__all__)


def headings(path: Path) -> set[str]:
    """The anchors that a repository's page gives them."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    """To files that there are, to headings that they have; no picture and no page is elsewhere in the tree."""
    path = DOCUMENTS[name]
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    for address in LINK.findall(text):
        if address.startswith("https://"):
            continue
        file, _, anchor = address.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), address
        assert ROOT in target.parents, address
        assert not anchor or anchor in headings(target), address


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_of_the_repository_are_there(name: str) -> None:
    """Those that a text names by their path."""
    text = DOCUMENTS[name].read_text(encoding="utf-8")
    paths = set(re.findall(r"(?<![\w./-])((?:tests|recipes|dlkit|\.ci)/[\w./-]*[\w/])", text))
    mine = {"dlkit/networks/mine.py", "dlkit/networks/perceptron.py"}
    assert not {path for path in paths - mine if not (ROOT / path).exists()}


def test_the_prediction_of_the_readme_is_what_is_printed(
    dlkit: Callable, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the bundle and the picture that come with the repository."""
    monkeypatch.chdir(root)
    command, printed = re.findall(
        r"```sh\ndlkit (predict .*recipes/pictures/digit.png.*)\n```\n\n```\n(.*\n)```",
        DOCUMENTS["README.md"].read_text(),
    )[0]
    assert dlkit(*command.split()).out == printed


def test_the_readme_leads_to_every_page() -> None:
    """By a link each."""
    linked = {address.partition("#")[0] for address in LINK.findall(DOCUMENTS["README.md"].read_text())}
    assert {f"dlkit/help/{name}.md" for name in PAGES} <= linked


def rows(mark: str, source: str) -> list[str]:
    """The lines of the table at a mark."""
    return between(mark, source.replace("<!-- /targets -->", "<!-- end of targets -->")).splitlines()


@pytest.mark.parametrize(
    ("mark", "page", "whole"),
    [("some recipes", "schemes", "schemes of recipes"), ("some targets", "targets", "targets")],
)
def test_the_short_tables_are_rows_of_the_long_ones(mark: str, page: str, whole: str) -> None:
    """With the same heads, letter for letter."""
    source = PAGES[page].source.replace("<!-- end of recipes -->", "<!-- end of schemes of recipes -->")
    short, long = rows(mark, DOCUMENTS["README.md"].read_text()), rows(whole, source)
    assert short[:2] == long[:2]
    assert set(short) <= set(long)
    assert len(short) > 5


@pytest.mark.parametrize("name", ["README.md", "own-network.md"])
def test_the_number_of_networks_is_right(name: str) -> None:
    """Where it is said."""
    assert f"{len(NETWORKS)} networks" in " ".join(DOCUMENTS[name].read_text().split())


def test_the_picture_is_what_its_script_draws() -> None:
    """With as many entries as the shelves have."""
    sys.path.insert(0, str(ROOT / "tests" / "golden"))
    from make_pipeline_picture import PICTURE, picture

    assert PICTURE.read_text(encoding="utf-8") == picture(), "run tests/golden/make_pipeline_picture.py"


def test_pages_are_in_the_package(fresh: Callable) -> None:
    """They are read from where dlkit is installed, not from the folder one is in."""
    said = fresh("-m", "dlkit", "help", "lstm", cwd=Path("/"))
    assert said.out == PAGES["lstm"].text
    assert (Path(package.__file__).parent / "help" / "lstm.md").exists()
