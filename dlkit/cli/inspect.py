"""dlkit inspect"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlkit.cli._output import json_option, print_json, print_table
from dlkit.errors import printable
from dlkit.quantities import size, times

if TYPE_CHECKING:
    from dlkit.runtime.dtypes import TensorFormat


@click.command()
@click.argument("file", type=click.Path(), metavar="FILE")
@json_option
def command(file: str, as_json: bool) -> None:
    """Show what is in a .tflite FILE (or in a bundle's): operations, number formats, inputs, outputs.

    \b
    Example:
      dlkit inspect exported/digits-tiny/cpu-int8
    """
    from dlkit.bundle.loading import load_bundle
    from dlkit.errors import ModelFileError
    from dlkit.runtime.inspection import inspect_file

    path = Path(file)
    if (path / "manifest.json").is_file():
        path = path / "model.tflite"
        if not path.exists() and (model := load_bundle(path.parent).model) != path:
            raise ModelFileError(
                f"{model}: is for servers, and inspect reads .tflite files; what was found in it is in "
                f"{path.with_name('report.txt')}"
            )
    inspection = inspect_file(path)
    if as_json:
        print_json(inspection.as_dict())
        return
    click.echo(
        f"{printable(file)}: {size(inspection.size)}, {inspection.parameters:,} constants, "
        f"written by {printable(inspection.description)}"
    )
    or_later = "at the least" if inspection.unknown_versions else "or later"
    click.echo(f"needs a TFLite runtime of {printable(inspection.minimum_runtime) or 'unknown version'} {or_later}")
    if inspection.unknown_versions:
        click.echo(f"(not known which has {printable(', '.join(inspection.unknown_versions))})")
    if inspection.stated_runtime not in ("", inspection.minimum_runtime):
        click.echo(f"(the file states {inspection.stated_runtime}, which lacks operations in its number formats)")
    if inspection.resized:
        click.echo(f"not static: the shape of {printable(inspection.resized[0])} is only known at run time")
    click.echo()
    print_table(("operation", "count"), [(name, str(n)) for name, n in inspection.ops.items()], right=(1,))
    click.echo()
    print_table(("tensors of", "count"), [(name, str(n)) for name, n in inspection.tensors.items()], right=(1,))
    click.echo()
    ends = [("input", t) for t in inspection.inputs] + [("output", t) for t in inspection.outputs]
    print_table(("", "name", "shape", "dtype", "real value"), [_end(kind, tensor) for kind, tensor in ends])


def _end(kind: str, tensor: TensorFormat) -> tuple[str, ...]:
    sign = "+" if tensor.zero_point < 0 else "−"
    real = f"{tensor.scale:.8g} × (stored {sign} {abs(tensor.zero_point)})" if tensor.quantized else "as stored"
    return kind, tensor.name, times(tensor.shape), tensor.dtype, real
