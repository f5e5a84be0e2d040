"""Writes the tables of schemes into their help page: every family by its error, every recipe by its accuracy.

    PYTHONPATH=tests:tests/tf python tests/golden/make_scheme_table.py [families] [servers] [recipes] [RECIPE ...]

Families are measured small and with random weights, on what calibrated them; recipes as a user runs
them, on the test split. With names of recipes only their rows are made anew.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
from shelf import Converted, converted, decibels, inputs_for, lively, made_for_servers

from dlkit.conversion.keras_file import write_keras
from dlkit.conversion.named_ends import input_names
from dlkit.errors import DlkitError, IllegalCombination, ModelFileError
from dlkit.networks import NETWORKS
from dlkit.pipeline import export_schemes, run
from dlkit.pipeline.evaluating import evaluate
from dlkit.recipe import read_recipe
from dlkit.runtime.arrays import write_npz
from dlkit.runtime.inspection import inspect_model
from dlkit.runtime.served import open_model
from dlkit.schemes import SCHEMES
from dlkit.verify import judged

FAMILIES = (
    "vgg16", "alexnet", "resnet50", "resnext50_32x4d", "inception_v1", "inception_v2", "inception_v4",
    "inception_resnet_v1", "xception", "densenet40", "mobilenet_v2", "simple_rnn", "lstm", "gru",
    "bidirectional_lstm", "convolutional_autoencoder", "variational_autoencoder", "dcgan_generator",
    "dcgan_discriminator",
)  # fmt: skip
ROOT = Path(__file__).parents[2]
COLUMNS = ("float32", "float16", "dynamic_int8", "int8", "int16x8", "weights_int8", "weights_int4")
FOR_SERVERS = ("saved_model", "saved_model_float16", "saved_model_bfloat16", "onnx")


def error_of(files: Converted, scheme: str) -> str:
    """The largest gap of a float file in units of the largest output; decibels of a quantized one."""
    try:
        content = files.file(scheme).read_bytes()
    except IllegalCombination as error:
        return f"→ {str(error).rpartition('--scheme ')[2]}"
    batch = {files.name: files.inputs}
    try:
        original, exported = judged(files.float32.read_bytes(), batch), judged(content, batch)
    except ModelFileError:
        return "refused"
    if SCHEMES[scheme].gap is not None:
        gap = np.abs(exported.outputs["output"] - files.reference).max() / np.abs(files.reference).max()
        return f"{gap:.0e}"
    if scheme == "weights_int4" and "int4" not in inspect_model(content, scheme).constants:
        return "→ weights_int8"
    return f"{decibels(original, exported):.0f}"


def families() -> list[str]:
    """Rows: network, error by each scheme."""
    rows = []
    for name in FAMILIES:
        with tempfile.TemporaryDirectory() as folder:
            network = NETWORKS[name]
            files = converted(network, lively(network, **network.small), Path(folder))
            rows.append(f"| {name} | " + " | ".join(error_of(files, scheme) for scheme in COLUMNS) + " |")
            print(rows[-1], flush=True)
    return rows


def served() -> list[str]:
    """Rows: network, the largest gap of each scheme for servers in units of the largest output."""
    rows = []
    for name in FAMILIES:
        keras.backend.clear_session()
        with tempfile.TemporaryDirectory() as folder:
            network = NETWORKS[name]
            model = lively(network, **network.small)
            inputs = inputs_for(network, model.input_shape[1:])
            write_npz(Path(folder) / "inputs.npz", {input_names(model)[0]: inputs})
            write_keras(model, Path(folder) / "model.keras")
            gaps = []
            for scheme in FOR_SERVERS:
                (place := Path(folder) / scheme).mkdir()
                made, reference = made_for_servers(Path(folder), scheme, place)
                gap = np.abs(open_model(made).run(inputs) - reference).max() / np.abs(reference).max()
                gaps.append(f"{gap:.0e}")
        rows.append(f"| {name} | " + " | ".join(gaps) + " |")
        print(rows[-1], flush=True)
    return rows


def recipes(wanted: list[str]) -> list[str]:
    """Rows: recipe, what its files are worth and their size by each scheme. Prints what a run took, too."""
    rows = []
    for path in sorted((ROOT / "recipes").glob("*.toml")):
        if wanted and path.stem not in wanted:
            continue
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            result, bundle, report = run(read_recipe(path), Path(folder))
            seconds = time.perf_counter() - start
            others = [scheme for scheme in COLUMNS if scheme != report.scheme]
            found = dict(zip(others, export_schemes(result.trained, others, out=Path(folder)), strict=True))
            found[report.scheme] = bundle, report
            cells = [worth_of(found[scheme]) for scheme in COLUMNS]
            weights = keras.models.load_model(result.trained.model).count_params()
            rows.append(f"| {path.stem} | " + " | ".join(cells) + " |")
            given = "" if result.test.given is None else f", given {result.test.given:.2f} dB"
            print(rows[-1])
            print(f"  {weights:,} parameters, {result.test.value:.4f} float{given}, run in {seconds:.0f} s", flush=True)
    return rows


def worth_of(result: object) -> str:
    """The metric on the test split and size; what is to be used instead of an impossible scheme; why it was refused."""
    if isinstance(result, IllegalCombination):
        return f"→ {str(result).rpartition('--scheme ')[2]}"
    if isinstance(result, DlkitError):
        fell = re.search(r"fell from ([\d.]+) to ([\d.]+)", str(result))
        return f"refused: {fell[2]} for {fell[1]} on validation" if fell else "refused"
    assert isinstance(result, tuple)
    bundle, report = result
    if not report.tests:
        generated = evaluate(bundle)
        print(f"  {report.scheme}: {generated.besides}", flush=True)
        return f"{generated.exported:.2f}, {report.bytes / 1000:.1f} kB"
    worth = f"{report.test.exported:.2f} dB" if report.test.metric == "psnr_db" else f"{report.test.exported:.4f}"
    return f"{worth}, {report.bytes / 1000:.1f} kB"


TABLES = {"families": (families, COLUMNS), "servers": (served, FOR_SERVERS), "recipes": (recipes, COLUMNS)}


def main(wanted: list[str]) -> None:
    """The tables named, or all, between their marks."""
    page = ROOT / "dlkit" / "help" / "schemes.md"
    names = [word for word in wanted if word not in TABLES]
    for mark in [word for word in wanted if word in TABLES] or (["recipes"] if names else TABLES):
        make, columns = TABLES[mark]
        rows = make(names) if mark == "recipes" else make()
        pattern = rf"<!-- schemes of {mark} -->.*<!-- end of {mark} -->"
        text = page.read_text(encoding="utf-8")
        [before] = re.findall(pattern, text, re.S)
        kept = before.splitlines()[3:-1] if names else []
        by_name = {row.split(" | ")[0]: row for row in (*kept, *rows)}
        head = "| | " + " | ".join(columns) + " |\n| --- |" + " --- |" * len(columns) + "\n"
        table = f"<!-- schemes of {mark} -->\n{head}" + "\n".join(by_name.values()) + f"\n<!-- end of {mark} -->"
        page.write_text(text.replace(before, table), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
