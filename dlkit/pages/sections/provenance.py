"""How the bundle came about: its recipe in full, versions, checksums, and what makes it again."""

from __future__ import annotations

import shlex
from typing import Any

from dlkit.pages.html import Child, element, joined
from dlkit.pages.parts import Cell, Section, box, facts, name, table
from dlkit.pages.reading import Facts
from dlkit.pages.recipe_text import toml_of
from dlkit.report import Report

MOST_RECIPE = 20_000
"""Characters that are shown."""


def recipe(facts_: Facts) -> Section | None:
    """The recipe as a .toml file that can be run."""
    table_ = facts_.bundle.manifest.get("recipe")
    if not table_:
        return None
    text = toml_of(table_)
    if len(text) > MOST_RECIPE:
        text = f"{text[:MOST_RECIPE]}\n…"
    return Section(
        "recipe", "Recipe", "Recipe", box(element("pre", element("code", text)), "Recipe", tall=True), half=True
    )


def made(facts_: Facts) -> Section:
    """How the file was made, with which versions."""
    report, manifest = facts_.report, facts_.bundle.manifest
    pairs: list[tuple[str, Child]] = [("made by", report.quantizer)]
    if report.calibration_samples:
        pairs.append(("calibration", f"{report.calibration_samples:,} samples ({name(report.calibration_source)})"))
    else:
        pairs.append(("calibration", "none needed"))
    pairs += _compression(report)
    for called, layers in (("kept float", report.kept_float), ("in 8 bits", report.kept_int8)):
        if layers:
            pairs.append((called, ", ".join(map(name, layers))))
    if report.gzip_bytes:
        pairs.append(("by gzip", f"{report.gzip_bytes:,} bytes"))
    pairs += [(f"input {name(key)}", _end(end)) for key, end in manifest["inputs"].items()]
    pairs += [(f"output {name(key)}", _end(end)) for key, end in manifest["outputs"].items()]
    versions = manifest.get("versions")
    if isinstance(versions, dict):
        pairs += [(name(key), name(str(value))) for key, value in versions.items() if isinstance(value, str)]
    return Section("made", "How it was made", "Made with", facts(pairs), half=True)


def again(facts_: Facts) -> Section:
    """Commands, and the checksum of every file."""
    manifest = facts_.bundle.manifest
    commands = "\n".join(_commands(facts_))
    rows: list[list[Child | Cell]] = [
        [name(path), Cell(element("code", name(str(digest))))] for path, digest in manifest["sha256"].items()
    ]
    weights = manifest.get("weights_sha256")
    if isinstance(weights, str):
        rows.append(["weights of the float model", Cell(element("code", name(weights)))])
    body = joined(
        element("p", "The bundle proves itself where there is its folder; the rest makes it again.", class_="hint"),
        box(element("pre", element("code", commands)), "Commands"),
        element("h3", "Files"),
        table("sha256 of each file; dlkit refuses a bundle in which one differs. This page and latency.json are not "
              "among them: they hold times.", ("file", "sha256"), rows, label="Files", tall=len(rows) > 14),
    )  # fmt: skip
    return Section("again", "Check it, make it again", "Reproduce", body)


def _commands(facts_: Facts) -> list[str]:
    manifest = facts_.bundle.manifest
    folder = shlex.quote(_folder_of(facts_))
    lines = [f"dlkit predict {folder} --check", f"dlkit bench {folder}"]
    recipe_ = manifest.get("recipe")
    if not isinstance(recipe_, dict) or not recipe_:
        return lines
    file = shlex.quote(f"{manifest['name']}.toml")
    part = recipe_.get("export")
    asked = part if isinstance(part, dict) else {}
    made = "train" if manifest.get("trained") else "build"
    if made == "train" and (asked.get("scheme"), asked.get("target")) == (manifest["scheme"], manifest["target"]):
        return [*lines, "", "# with the recipe of this page in a file:", f"dlkit run {file}"]
    how = shlex.join(["--target", str(manifest["target"]), "--scheme", str(manifest["scheme"])])
    return [
        *lines,
        "",
        "# with the recipe of this page in a file:",
        f"dlkit {made} {file}",
        f"dlkit export {file} {how}",
    ]


def _folder_of(facts_: Facts) -> str:
    """Where dlkit puts such a bundle; no page tells the folders of a machine."""
    manifest = facts_.bundle.manifest
    return f"exported/{manifest['name']}/{facts_.folder}"


def _compression(report: Report) -> list[tuple[str, Child]]:
    found = report.compression
    if found is None:
        return []
    steps = ", ".join(name(step).replace("_", " ") for step in found.steps)
    return [("fitted again", f"{steps}; {found.epochs} epochs, {found.sparsity:.1%} of the weights are 0")]


def _end(end: Any) -> str:
    """Shape, number format and what it stands for."""
    if not isinstance(end, dict):
        return "–"
    shape = end.get("shape")
    sizes = "×".join(str(n) for n in shape if isinstance(n, int)) if isinstance(shape, list) else ""
    answers = end.get("answers")
    return name(f"{sizes} {end.get('dtype', '')}{f', {answers}' if isinstance(answers, str) else ''}")
