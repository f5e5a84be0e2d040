"""dlkit inspect"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dlkit.cli._output import json_option, print_json, print_table, print_text
from dlkit.errors import printable
from dlkit.filing import bytes_in
from dlkit.quantities import size, times

if TYPE_CHECKING:
    from dlkit.bundle.loading import Bundle
    from dlkit.runtime.dtypes import TensorFormat
    from dlkit.runtime.weight_statistics import WeightStatistics


@click.command(epilog="More: dlkit help bundle · schemes")
@click.argument("file", type=click.Path(readable=False), metavar="FILE")
@click.option(
    "--arena",
    is_flag=True,
    help="Ask TensorFlow Lite Micro for the memory that a microcontroller needs beside the file: dlkit[micro].",
)
@json_option
def command(file: str, arena: bool, as_json: bool) -> None:
    """Show what is in a .tflite FILE, or in a bundle's.

    Operations, number formats, inputs, outputs, weights, the earliest runtime that has all of it. Weights are
    listed where they look pruned or clustered: a tenth or more of them 0, or few different ones in an output
    channel; --json has all of them.

    \b
    Example:
      dlkit inspect exported/digits-tiny/cpu-int8
      dlkit inspect model.tflite --arena
    """
    from dlkit.archive import gzip_bytes
    from dlkit.bundle.loading import load_bundle
    from dlkit.errors import ModelFileError
    from dlkit.runtime.inspection import inspect_file
    from dlkit.runtime.stored_weights import stored_weights
    from dlkit.runtime.weight_statistics import statistics_of

    path = Path(file)
    if (path / "manifest.json").is_file():
        path = path / "model.tflite"
        if not path.exists() and (bundle := load_bundle(path.parent)).model != path:
            if arena:
                raise ModelFileError(f"{bundle.model}: is for servers; --arena is of .tflite files")
            _describe_served(bundle, as_json)
            return
    inspection = inspect_file(path)
    compressed, weights = gzip_bytes(path), statistics_of(stored_weights(path.read_bytes(), str(path)))
    arena_bytes = _arena(path) if arena else None
    if as_json:
        added = {"gzip_bytes": compressed, "weights": [dataclasses.asdict(each) for each in weights]}
        print_json(inspection.as_dict() | added | ({"arena_bytes": arena_bytes} if arena else {}))
        return
    in_gzip = f" ({size(compressed)} in gzip)" if compressed else ""
    print_text(
        f"{printable(file)}: {size(inspection.size)}{in_gzip}, {inspection.parameters:,} constants, "
        f"written by {printable(inspection.description)}"
    )
    if arena_bytes is not None:
        print_text(f"needs an arena of {arena_bytes:,} bytes in TensorFlow Lite Micro (64-bit; less on 32 bits)")
    or_later = "at the least" if inspection.unknown_versions else "or later"
    print_text(f"needs a TFLite runtime of {printable(inspection.minimum_runtime) or 'unknown version'} {or_later}")
    if inspection.unknown_versions:
        print_text(f"(not known which has {printable(', '.join(inspection.unknown_versions))})")
    if inspection.stated_runtime not in ("", inspection.minimum_runtime):
        print_text(f"(the file states {inspection.stated_runtime}, which lacks operations in its number formats)")
    if inspection.resized:
        print_text(f"not static: the shape of {printable(inspection.resized[0])} is only known at run time")
    click.echo()
    print_table(("operation", "count"), [(name, str(n)) for name, n in inspection.ops.items()], right=(1,))
    click.echo()
    print_table(("tensors of", "count"), [(name, str(n)) for name, n in inspection.tensors.items()], right=(1,))
    click.echo()
    if noteworthy := [each for each in weights if each.noteworthy]:
        head = ("weights", "shape", "dtype", "zeros", "2:4", "different in a channel")
        print_table(head, [_weights(each) for each in noteworthy], right=(3, 5))
        click.echo()
    ends = [("input", t) for t in inspection.inputs] + [("output", t) for t in inspection.outputs]
    print_table(("", "name", "shape", "dtype", "real value"), [_end(kind, tensor) for kind, tensor in ends])


def _describe_served(bundle: Bundle, as_json: bool) -> None:
    """A model for servers, by its manifest and what its export counted: the file itself is not opened."""
    import json

    report = json.loads((bundle.folder / "report.json").read_text(encoding="utf-8"))
    kind = "ONNX file" if bundle.model.is_file() else "SavedModel"
    ends = [
        (which, name, [None, *end["shape"][1:]], end["dtype"])
        for which in ("inputs", "outputs")
        for name, end in bundle.manifest[which].items()
    ]
    if as_json:
        described: dict[str, list[dict[str, Any]]] = {"inputs": [], "outputs": []}
        for which, name, shape, dtype in ends:
            described[which].append({"name": name, "shape": shape, "dtype": dtype})
        counted = {key: report[key] for key in ("ops", "tensors")}
        print_json({"kind": kind, "size": bytes_in(bundle.model), "runtime": report["runtime"], **counted, **described})
        return
    print_text(f"{printable(str(bundle.model))}: {kind}, {size(bytes_in(bundle.model))}, run by {report['runtime']}")
    print_text("(counted when it was exported; for any number N of samples at a time)\n")
    print_table(("operation", "count"), [(name, f"{n:,}") for name, n in report["ops"].items()], right=(1,))
    click.echo()
    print_table(("weights of", "count"), [(name, f"{n:,}") for name, n in report["tensors"].items()], right=(1,))
    click.echo()
    rows = [(which[:-1], name, "×".join(["N", *map(str, shape[1:])]), dtype) for which, name, shape, dtype in ends]
    print_table(("", "name", "shape", "dtype"), rows)


def _arena(path: Path) -> int:
    from dlkit.conversion.arena import arena_bytes

    return arena_bytes(path)


def _weights(found: WeightStatistics) -> tuple[str, ...]:
    pattern = {True: "yes", False: "no", None: ""}[found.two_of_four]
    return (
        found.tensor, times(found.shape), found.dtype, f"{found.sparsity:.1%}", pattern, str(found.values_per_channel)
    )  # fmt: skip


def _end(kind: str, tensor: TensorFormat) -> tuple[str, ...]:
    sign = "+" if tensor.zero_point < 0 else "−"
    real = f"{tensor.scale:.8g} × (stored {sign} {abs(tensor.zero_point)})" if tensor.quantized else "as stored"
    return kind, tensor.name, times(tensor.shape), tensor.dtype, real
