"""dlkit compare"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlkit.cli._completing import models, schemes, targets
from dlkit.cli._models import (
    check_arguments,
    custom_option,
    data_option,
    jobs_option,
    known_schemes,
    preprocessing_of,
    preprocessing_option,
    ray_option,
)
from dlkit.cli._output import (
    json_option,
    out_option,
    print_json,
    print_next,
    print_table,
    print_text,
    progress_for,
    quiet_option,
    set_option,
)
from dlkit.errors import printable
from dlkit.extras import check_installed
from dlkit.quantities import size

if TYPE_CHECKING:
    from dlkit.pipeline.comparing import Compared, Variant


NAMED = 3
"""Targets that the table names of a scheme."""


@click.command(epilog="More: dlkit help reports · schemes")
@click.argument("model", required=False, metavar="[MODEL|RECIPE]", shell_complete=models)
@click.option(
    "--scheme", "names", multiple=True, metavar="NAME", shell_complete=schemes,
    help="Only this one and others that are named so.  [default: all that the target accepts]",
)  # fmt: skip
@click.option(
    "--target", metavar="NAME", shell_complete=targets, help="Whose schemes.  [default: the recipe's, else cpu]"
)
@click.option(
    "--compressed", is_flag=True,
    help="Also the schemes that fit the network again by its recipe (int8_qat, int8_pruned …): a training each.",
)  # fmt: skip
@data_option
@preprocessing_option
@custom_option
@click.option("--plot", is_flag=True, help="Draw the Pareto fronts as pareto.png beside the model's bundles.")
@jobs_option
@ray_option
@out_option
@set_option
@json_option
@quiet_option
def command(
    model: str | None,
    names: tuple[str, ...],
    target: str | None,
    compressed: bool,
    data: str | None,
    modes: tuple[str, ...],
    custom: tuple[str, ...],
    plot: bool,
    jobs: int | None,
    ray: bool,
    out: str,
    overrides: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Show a model's files in every scheme: size, quality, time.

    They are made for that, side by side, and no bundle is written.     MODEL and RECIPE are as of 'dlkit export';
    the model is trained already. Quality is that on the validation split (without one, on held-out samples of
    --data), beside that of the float model. Files are timed one at a time, in turns, with one thread. "front" tells
    what nothing smaller, or nothing faster, is as good as.

    \b
    Example:
      dlkit compare digits --plot
      dlkit compare recipes/digits.toml --compressed --json
    """
    from dlkit.pipeline.comparing import compare
    from dlkit.pipeline.finding import found_model

    chosen = known_schemes(False, names)
    check_arguments(model, target, data, False, overrides)
    preprocessing = preprocessing_of(model, modes, custom)
    if ray:
        check_installed("ray")
    progress = progress_for(quiet or as_json)
    with found_model(model, Path(out), preprocessing, custom, overrides, progress) as trained:
        found = compare(
            trained, chosen, target, compressed=compressed, data=data, out=Path(out), plot=plot, jobs=jobs,
            ray=ray, progress=progress,
        )  # fmt: skip
    if as_json:
        print_json({
            "name": found.name,
            "target": found.target,
            "variants": [variant.as_dict() for variant in found.variants],
            "recommendation": found.recommendation,
            "notes": list(found.notes),
            "picture": None if found.picture is None else str(found.picture),
        })  # fmt: skip
        return
    _print(found, quiet)


def _print(found: Compared, quiet: bool) -> None:
    first = next((each.measured.gates[0] for each in found.variants if each.measured), None)
    if first is not None:
        split = f"{first.samples} samples ({first.split})"
        click.echo(f"{found.name} for {found.target}: {first.metric} on {split}, float model {first.float:.4f}\n")
    arenas = any(each.measured and each.measured.arena_bytes for each in found.variants)
    metric = first.metric.replace("_", " ") if first else "quality"
    head = ["scheme", "size", "gzip", metric, "drop", "agreement", "noise", "latency", "of float's"]
    head += [*(["arena"] if arenas else []), "front", "targets"]
    print_table(head, [_row(each, arenas) for each in found.variants], right=range(1, len(head) - 2))
    for each in found.variants:
        if each.measured is None:
            click.echo()
            print_text(f"no {each.scheme}: {printable(each.why_not)}")
    for note in found.notes:
        click.echo()
        print_text(printable(note), paragraph=True)
    click.echo()
    print_text(printable(found.recommendation), paragraph=True)
    if found.picture is not None:
        click.echo(f"\nwrote {found.picture}")
    best = next((each.scheme for each in found.variants if each.smallest), None)
    if best:
        print_next([f"dlkit export {found.name} --scheme {best}", f"dlkit export {found.name} --max-drop 0.005"], quiet)


def _row(variant: Variant, arenas: bool) -> list[str]:
    found = variant.measured
    if found is None:
        return [variant.scheme, *["–"] * (8 + arenas), "", _few(variant.targets)]
    gate = found.gates[0]
    fronts = [name for name, on_it in (("size", variant.smallest), ("time", variant.fastest)) if on_it]
    return [
        variant.scheme,
        size(found.bytes),
        size(found.gzip_bytes) if found.gzip_bytes else "–",
        f"{found.quality:.4f}",
        "–" if found.drop is None else f"{found.drop:.4f}",
        "–" if gate.agreement is None else f"{gate.agreement:.4f}",
        f"{gate.sqnr_db:.1f} dB",
        "–" if found.latency_ms is None else f"{found.latency_ms:.4f} ms",
        "–" if found.times_float is None else f"{found.times_float:.2f}",
        *([size(found.arena_bytes) if found.arena_bytes else "–"] if arenas else []),
        ", ".join(fronts),
        _few(variant.targets),
    ]


def _few(names: Sequence[str]) -> str:
    """The first three names, and how many more there are; --json has all."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
