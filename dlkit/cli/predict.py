"""dlkit predict"""

from __future__ import annotations

from pathlib import Path

import click

from dlkit.cli._completing import bundles
from dlkit.cli._output import json_option, print_json
from dlkit.errors import VerificationRefused, printable


@click.command()
@click.argument("bundle", type=click.Path(), metavar="BUNDLE", shell_complete=bundles)
@click.argument("inputs", nargs=-1, metavar="INPUT...")
@click.option(
    "--top", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="Best classes shown."
)
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Threads of the runtime.")
@click.option(
    "--stream", is_flag=True, help="Run sequences step by step, an answer after each (exported with --streaming)."
)
@click.option("--check", is_flag=True, help="Prove the bundle on this device with its own samples.")
@json_option
def command(
    bundle: str, inputs: tuple[str, ...], top: int, threads: int | None, stream: bool, check: bool, as_json: bool
) -> None:
    """Label each INPUT with the model of BUNDLE; where it names no classes, say what it computes (--json: all of it).

    INPUT is an image, a .npy array (one sample or a batch), a .csv table (a sample a line), a folder
    of images, or - for one of these on standard input; for a model of several inputs, a .npz archive with an array
    for each. Needs no TensorFlow.

    \b
    Example:
      dlkit predict exported/digits-tiny/cpu-int8 digit.png --top 3
    """
    from dlkit.bundle.loading import load_bundle

    if not inputs and not check:
        raise click.UsageError(f"name an image, .npy or .csv file, a folder, or -: dlkit predict {bundle} INPUT")
    loaded = load_bundle(Path(bundle))
    if check:
        count, gap, allowed = loaded.check(threads)
        result = f"{count} samples, largest gap {gap:.3g}, allowed {allowed:.3g}"
        if not gap <= allowed:
            raise VerificationRefused(f"check failed: {result}; this device does not compute what was exported")
        if as_json and not inputs:
            print_json({"passed": True, "samples": count, "largest_gap": gap, "allowed": allowed})
        else:
            click.echo(f"check passed: {result}", err=as_json)
    if stream and as_json:
        raise click.UsageError("--stream prints lines as steps come; leave out --json")
    if inputs and stream:
        _stream(loaded, list(inputs), top, threads)
    elif inputs:
        _predict(loaded, list(inputs), top, threads, as_json)


def _stream(loaded: object, inputs: list[str], top: int, threads: int | None) -> None:
    import numpy as np

    from dlkit.bundle.answers import stream_texts
    from dlkit.bundle.loading import Bundle
    from dlkit.runtime.inputs import read_samples

    assert isinstance(loaded, Bundle)
    stream = loaded.stream(threads)
    for sample in read_samples(inputs, loaded.inputs):
        prepared = loaded.prepared({name: raw[np.newaxis] for name, raw in sample.raw.items()})
        [sequence] = (values[0] for values in prepared.values())
        for line in stream_texts(stream, sequence, loaded.labels, top):
            click.echo(f"{printable(sample.name)}  {line}")


def _predict(loaded: object, inputs: list[str], top: int, threads: int | None, as_json: bool) -> None:
    import numpy as np

    from dlkit.bundle.answers import answers_text, check_numbers, top_classes
    from dlkit.bundle.loading import Bundle
    from dlkit.runtime.inputs import read_samples

    assert isinstance(loaded, Bundle)
    session = loaded.session(threads)
    answers: list[dict[str, object]] = []
    for sample in read_samples(inputs, loaded.inputs):
        computed = session.run_named(loaded.prepared({name: raw[np.newaxis] for name, raw in sample.raw.items()}))
        outputs = {name: values[0] for name, values in computed.items()}
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
