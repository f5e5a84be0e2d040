"""dlkit check"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dlkit.cli._completing import targets
from dlkit.cli._output import json_option, print_json, print_table, print_text, progress_for, quiet_option
from dlkit.errors import printable

if TYPE_CHECKING:
    from dlkit.verdict import Verdict


@click.command(epilog="More: dlkit help targets · own-target · microcontroller")
@click.argument("file", type=click.Path(readable=False), metavar="FILE")
@click.option(
    "--target",
    "names",
    multiple=True,
    required=True,
    metavar="NAME",
    shell_complete=targets,
    help="A name of 'dlkit list targets', or the .toml file that describes yours. May be repeated.",
)
@click.option("--layers", is_flag=True, help="A line for each layer too, where the device's tool tells them apart.")
@json_option
@quiet_option
def command(file: str, names: tuple[str, ...], layers: bool, as_json: bool, quiet: bool) -> None:
    """Say whether a .tflite FILE runs on a device, or why not.

    Which operation runs where, what memory it takes, what stands in the way. FILE is any .tflite file, made by
    dlkit or not, or a bundle; for servers also an .onnx file or the folder of a SavedModel. Nothing is written.
    Exit code 3 means that a target cannot run it.

    \b
    Example:
      dlkit check exported/digits-tiny/cpu-int8 --target cpu
      dlkit check model.tflite --target cortex-m4 --target ethos-u55
      dlkit check model.tflite --target ./board.toml --json
    """
    from dlkit.devices import known_target
    from dlkit.devices.examining import examined
    from dlkit.errors import VerificationRefused

    devices = [known_target(name) for name in dict.fromkeys(names)]
    verdicts = []
    for device in devices:
        with progress_for(quiet or as_json).step(f"Examining it for {device.name}") as advance:
            verdicts.append(examined(file, device, advance))
    if as_json:
        print_json([verdict.as_dict() | {"fits": verdict.fits} for verdict in verdicts])
    else:
        for number, verdict in enumerate(verdicts):
            if number:
                click.echo()
            _print(file, verdict, layers)
    blocked = [verdict for verdict in verdicts if not verdict.fits]
    if blocked:
        names_of = ", ".join(verdict.target for verdict in blocked)
        raise VerificationRefused(f"{file} does not run on {names_of}: {'; '.join(blocked[0].obstacles)}")


def _print(file: str, verdict: Verdict, layers: bool) -> None:
    from dlkit.bundle.devices import verdict_lines

    good = "should run (static check: nothing was run)" if verdict.is_static else "runs"
    print_text(f"{printable(file)} on {verdict.target}: {good if verdict.fits else 'DOES NOT RUN'}")
    print_text(f"examined     {printable(verdict.how)}")
    for line in verdict_lines(verdict):
        print_text(printable(line))
    rows = [(p.operation, p.count, p.place or "nowhere", p.reason) for p in verdict.placements]
    if rows:
        click.echo()
        print_table(("operation", "count", "runs on", "why"), [[str(cell) for cell in row] for row in rows], right=[1])
    if layers and verdict.layers:
        click.echo()
        head = tuple(verdict.layers[0])
        print_table(
            head, [[str(row.get(key, "")) for key in head] for row in verdict.layers], right=range(1, len(head))
        )
    for block in verdict.obstacles:
        print_text(f"blocked      {printable(block)}")
