"""What commands have in common that take a model from anywhere: where it is from, and with what data."""

from __future__ import annotations

from pathlib import Path

import click

from dlkit.errors import suggestion

MODES = ("unit", "signed", "lite", "caffe", "torch", "none")
data_option = click.option(
    "--data",
    type=click.Path(readable=False),
    metavar="PATH",
    help="What to calibrate with: a folder of images or WAV files, or a .npy, .npz or .csv file. For a model without a "
    "data set, to prove the file on too.",
)
calibration_option = click.option(
    "--calibration",
    type=click.Choice(("minmax", "percentile", "mse")),
    help="How ranges are chosen.  [default: the recipe's, else minmax]",
)
preprocessing_option = click.option(
    "--preprocessing",
    "modes",
    multiple=True,
    metavar="[INPUT=]MODE",
    help=f"How the inputs of a model from elsewhere are prepared, each if they differ: {', '.join(MODES)}.",
)
custom_option = click.option(
    "--custom",
    multiple=True,
    metavar="MODULE",
    help="Import this Python module: it has layers of your own that a model from elsewhere is made of.",
)
jobs_option = click.option(
    "--jobs", type=click.IntRange(min=1), metavar="N", help="Files that are made at once.  [default: cores]"
)
ray_option = click.option(
    "--ray",
    is_flag=True,
    help="Ray makes and measures the files: on all machines of the cluster that RAY_ADDRESS names, each with the same "
    "dlkit installed, or on this one. Networks are fitted again and files are timed here.",
)


def known_schemes(quantize: bool, names: tuple[str, ...]) -> tuple[str, ...]:
    """The schemes asked for. Raises UsageError if the options disagree, UnknownName for what is no scheme."""
    from dlkit.schemes import SCHEMES

    if quantize and names and "int8" not in names:
        raise click.UsageError(f"--quantize means --scheme int8, but --scheme {names[0]} is given too")
    chosen = names or (("int8",) if quantize else ())
    for name in chosen:
        SCHEMES[name]
    return chosen


def check_arguments(
    model: str | None, target: str | None, data: str | None, decoder: bool, overrides: tuple[str, ...]
) -> None:
    """Raise UsageError for options that do not go together, UnknownName for what is no target."""
    from dlkit.devices import known_target

    if target:
        known_target(target)
    if decoder and data:
        raise click.UsageError("--decoder is calibrated with noise; leave out --data")
    if overrides and not (model or "").endswith(".toml"):
        raise click.UsageError("--set changes a recipe; name a .toml file")


def preprocessing_of(model: str | None, modes: tuple[str, ...], custom: tuple[str, ...]) -> str | dict[str, str] | None:
    """One mode for all inputs, or input → mode.

    Raises:
        UsageError: for what is no mode, and for modes or `custom` modules of a model that is not from elsewhere.
    """
    from dlkit.pipeline.finding import is_foreign

    found = _preprocessing_of(modes)
    for option, given in (("--preprocessing", found), ("--custom", custom)):
        if given and not (model and is_foreign(Path(model))):
            raise click.UsageError(f"{option} is for a model from elsewhere; a model made here has its own")
    return found


def _preprocessing_of(modes: tuple[str, ...]) -> str | dict[str, str] | None:
    pairs = [mode.rpartition("=")[::2] for mode in modes]
    for _, mode in pairs:
        if mode not in MODES:
            raise click.UsageError(f"--preprocessing {mode!r} is none; {suggestion(mode, MODES)}")
    if not pairs:
        return None
    if len(pairs) == 1 and not pairs[0][0]:
        return pairs[0][1]
    if not all(name for name, _ in pairs):
        raise click.UsageError("--preprocessing is given several times; say of which input each: INPUT=MODE")
    return dict(pairs)
