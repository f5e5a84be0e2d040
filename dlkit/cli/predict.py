"""dlkit predict"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlkit.cli._completing import bundles
from dlkit.cli._output import force_option, json_option, print_json, print_text, progress_for
from dlkit.errors import VerificationRefused, printable

if TYPE_CHECKING:
    from dlkit.bundle.loading import Bundle

INSTEAD = "--output FILE"
"""Where else a picture can be written."""


@click.command(epilog="More: dlkit help predict · gan · anomaly")
@click.argument("bundle", type=click.Path(readable=False), metavar="BUNDLE", shell_complete=bundles)
@click.argument("inputs", nargs=-1, metavar="INPUT...")
@click.option(
    "--top", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="Best classes shown."
)
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Threads of the runtime.")
@click.option(
    "--stream", is_flag=True, help="Run sequences step by step, an answer after each (exported with --streaming)."
)
@click.option("--check", is_flag=True, help="Prove the bundle on this device with its own samples.")
@click.option(
    "--emulate",
    type=click.Choice(("cortex-a53", "cortex-a76")),
    help="With --check: on an emulated Raspberry Pi 3 or 5, by the bundle's own predict.py.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, readable=False),
    metavar="FILE",
    help="Of a generator or auto-encoder: the .png or .npy file to write.  [default: the model's name, .png]",
)
@click.option(
    "--count",
    type=click.IntRange(min=1),
    metavar="N",
    help="Of a generator: images to make of noise.  [default: 64; of one that is told a class 10 of each]",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), metavar="N", help="Of a generator: seed of the noise.  [default: 0]"
)
@click.option(
    "--class",
    "classes",
    multiple=True,
    metavar="NAME",
    help="Of a generator that is told a class: make this one. May be repeated.  [default: all]",
)
@force_option
@json_option
def command(
    bundle: str,
    inputs: tuple[str, ...],
    top: int,
    threads: int | None,
    stream: bool,
    check: bool,
    emulate: str | None,
    output: str | None,
    count: int | None,
    seed: int | None,
    classes: tuple[str, ...],
    force: bool,
    as_json: bool,
) -> None:
    """Run BUNDLE on each INPUT: labels, numbers or pictures.

    Each INPUT gets a label with its probability; where the model names no classes, what it computes (--json: all of
    it).

    INPUT is an image or WAV file, a .npy array (one sample or a batch), a .csv table (a sample a line), a folder of
    images or WAV files, or - for one of these on standard input; for a model of several inputs, a .npz archive with
    an array for each. Needs no TensorFlow.

    An auto-encoder's error is printed for each INPUT, and a picture written of what it made beside what it was
    given; one that detects anomalies says whether the error is beyond its threshold, and writes no picture unless
    asked. A forecaster's answer is in raw values, as what it was given. A generator writes a picture of the images
    it makes, of noise that is drawn where no INPUT gives it; one that is told a class, with a class in each row.

    \b
    Example:
      dlkit predict exported/digits-tiny/cpu-int8 digit.png --top 3
      dlkit predict exported/digits-tiny/cpu-int8 --check --emulate cortex-a53
      dlkit predict exported/digits-gan/cpu-int8 --count 64 --seed 0 --output grid.png
      dlkit predict exported/digits-conditional-gan/cpu-int8 --class 7 --output sevens.png
    """
    from dlkit.bundle.loading import load_bundle

    options = (("--count", count), ("--seed", seed), ("--class", classes or None), ("--output", output))
    asked = [name for name, value in options if value is not None]
    named = Path(bundle)
    if not inputs and not check and not asked and not (named / "manifest.json").is_file():
        raise click.UsageError(_name_inputs(bundle))
    if emulate and (not check or inputs or asked or as_json):
        raise click.UsageError(f"--emulate goes with --check alone: dlkit predict {bundle} --check --emulate {emulate}")
    loaded = load_bundle(named)
    if emulate:
        _check_emulated(loaded, emulate)
        return
    _check_options(loaded, list(inputs), asked, stream, check)
    if check:
        _check(loaded, threads, as_json, alone=not inputs and not asked)
    if stream and as_json:
        raise click.UsageError("--stream prints lines as steps come; leave out --json")
    destination = Path(output or f"{loaded.manifest['name']}.png")
    if inputs and stream:
        _stream(loaded, list(inputs), top, threads)
    elif loaded.task == "generation":
        if inputs or asked or not check:
            _make(loaded, list(inputs), count, seed, classes, threads, destination, force, as_json)
    elif inputs and loaded.task == "reconstruction":
        drawn = output or (loaded.preprocessing.image and not loaded.detector)
        _give_again(loaded, list(inputs), threads, destination if drawn else None, force, as_json)
    elif inputs:
        _predict(loaded, list(inputs), top, threads, as_json)


def _name_inputs(bundle: str) -> str:
    return f"name an image, WAV, .npy or .csv file, a folder, or -: dlkit predict {bundle} INPUT"


def _check_options(loaded: Bundle, inputs: list[str], asked: list[str], stream: bool, check: bool) -> None:
    """Raise UsageError for options that the model of a bundle has no use for, and where its inputs are missing."""
    makes = loaded.task == "generation"
    of_noise = [option for option in asked if option != "--output"]
    if of_noise and not makes:
        raise click.UsageError(f"{of_noise[0]} is for generators, and {loaded.name} is none; leave it out")
    if of_noise and inputs:
        raise click.UsageError(f"{of_noise[0]} is of noise that is drawn, but {inputs[0]} is given; leave one out")
    if asked and not makes and loaded.task != "reconstruction":
        raise click.UsageError(f"--output is for generators and auto-encoders, and {loaded.name} is none; leave it out")
    if not inputs and not makes and (asked or not check):
        raise click.UsageError(_name_inputs(str(loaded.folder)))


def _check(loaded: Bundle, threads: int | None, as_json: bool, *, alone: bool) -> None:
    """Run the bundle's own samples. Raises VerificationRefused if they do not give what they must."""
    from dlkit.devices.checking import check_bundle, checked_by

    count, gap, allowed = check_bundle(loaded, threads)
    by = checked_by(loaded)
    result = f"{count} samples, largest gap {gap:.3g}, allowed {allowed:.3g}"
    if not gap <= allowed:
        raise VerificationRefused(f"check failed: {result}; this device does not compute what was exported")
    if as_json and alone:
        print_json(
            {"passed": True, "samples": count, "largest_gap": gap, "allowed": allowed} | ({"by": by} if by else {})
        )
    else:
        click.echo(f"check passed{f' by {by}' if by else ''}: {result}", err=as_json)


def _check_emulated(loaded: Bundle, core: str) -> None:
    from dlkit.devices.emulated_boards import BOARDS, check_emulated

    with progress_for(False).step(f"Checking it on an emulated {core} ({BOARDS[core]})"):
        said = check_emulated(loaded, core)
    print_text(f"{said} (emulated {core}, as in a {BOARDS[core]})")


def _make(
    loaded: Bundle,
    inputs: list[str],
    count: int | None,
    seed: int | None,
    classes: tuple[str, ...],
    threads: int | None,
    destination: Path,
    force: bool,
    as_json: bool,
) -> None:
    from dlkit.bundle.making import check_output, content_of_made, images_made
    from dlkit.writing import refuse_existing, write_bytes

    check_output(destination)
    refuse_existing(destination, replace=force)
    made = images_made(loaded, inputs, count, seed, threads, classes)
    write_bytes(destination, content_of_made(destination, loaded, made), INSTEAD)
    if as_json:
        told: dict[str, object] = {"classes": made.classes} if made.classes else {}
        seeded = None if inputs else seed or 0
        print_json({"output": str(destination), "images": len(made.images), "seed": seeded} | told)
    else:
        of = "of the noise given" if inputs else f"of noise (seed {seed or 0})"
        click.echo(f"wrote {printable(str(destination))}: {printable(made.text)} {of}")


def _give_again(
    loaded: Bundle, inputs: list[str], threads: int | None, destination: Path | None, force: bool, as_json: bool
) -> None:
    from dlkit.bundle.making import check_output, content_of_again, samples_again
    from dlkit.writing import refuse_existing, write_bytes

    if destination:
        check_output(destination)
        refuse_existing(destination, replace=force)
    samples = []
    for sample in samples_again(loaded, inputs, threads):
        samples.append(sample)
        if not as_json:
            click.echo(f"{printable(sample.name)}  {sample.text}")
    if as_json:
        print_json([sample.as_dict() for sample in samples])
    if destination:
        write_bytes(destination, content_of_again(destination, loaded, samples), INSTEAD)
        click.echo(f"wrote {printable(str(destination))}", err=as_json)


def _stream(loaded: Bundle, inputs: list[str], top: int, threads: int | None) -> None:
    import numpy as np

    from dlkit.bundle.answers import stream_texts
    from dlkit.runtime.inputs import read_samples

    stream = loaded.stream(threads)
    for sample in read_samples(inputs, loaded.inputs):
        prepared = loaded.prepared({name: raw[np.newaxis] for name, raw in sample.raw.items()})
        [sequence] = (values[0] for values in prepared.values())
        for line in stream_texts(stream, sequence, loaded, top):
            click.echo(f"{printable(sample.name)}  {line}")


def _predict(loaded: Bundle, inputs: list[str], top: int, threads: int | None, as_json: bool) -> None:
    import numpy as np

    from dlkit.bundle.answers import answers_text, check_numbers, top_classes
    from dlkit.runtime.inputs import read_samples

    session = loaded.session(threads)
    answers: list[dict[str, object]] = []
    for sample in read_samples(inputs, loaded.inputs):
        computed = session.run_named(loaded.prepared({name: raw[np.newaxis] for name, raw in sample.raw.items()}))
        outputs = {name: values[0] for name, values in loaded.told(computed).items()}
        if not as_json:
            click.echo(f"{printable(sample.name)}  {answers_text(outputs, loaded.labels, top)}")
        elif loaded.labels:
            best = top_classes(next(iter(outputs.values())), loaded.labels, top)
            labels, values = [label for label, _ in best], [value for _, value in best]
            answers.append({"input": sample.name, "labels": labels, loaded.answers: values})
        else:
            for values in outputs.values():
                check_numbers(values)
            lists: dict[str, object] = {name: values.tolist() for name, values in outputs.items()}
            answers.append({"input": sample.name, "outputs": lists if len(lists) > 1 else lists.popitem()[1]})
    if as_json:
        print_json(answers)
