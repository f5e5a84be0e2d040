"""The command line of a bundle's predict.py; plain argparse, for devices without click."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.bundle.answers import answers_text, stream_texts
from dlkit.bundle.loading import Bundle, load_bundle
from dlkit.bundle.making import check_output, content_of_again, content_of_made, images_made, samples_again
from dlkit.errors import DlkitError, OutputError, printable, system_reason
from dlkit.runtime.inputs import read_samples

if TYPE_CHECKING:
    from numpy.typing import NDArray


def main() -> int:
    """Answer to the inputs named on the command line, or check the bundle. Returns the exit code."""
    arguments = _arguments()
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        bundle = load_bundle(Path(__file__).resolve().parent)
        code = _check(bundle, arguments.threads) if arguments.check else 0
        return code or _answer(bundle, arguments)
    except DlkitError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader has read enough; Python must not complain of it when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"error: {printable(system_reason(error))}", file=sys.stderr)
        return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run this bundle's model on this device.")
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help="image, WAV file, .npy, .npz, .csv, folder, or -")
    parser.add_argument("--check", action="store_true", help="run the bundle's own samples and compare")
    parser.add_argument("--top", type=_positive, default=1, metavar="N", help="show the N best classes")
    parser.add_argument("--stream", action="store_true", help="run sequences step by step: an answer after each")
    parser.add_argument("--threads", type=_positive, default=None, metavar="N")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write what was made as .png or .npy")
    parser.add_argument("--count", type=_positive, metavar="N", help="of a generator: images to make of noise")
    parser.add_argument("--seed", type=_natural, metavar="N", help="of a generator: seed of the noise")
    parser.add_argument("--class", action="append", dest="classes", metavar="NAME", help="of one told a class: this")
    return parser.parse_args()


def _positive(text: str) -> int:
    return _whole(text, 1)


def _natural(text: str) -> int:
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least}")
    return number


def _answer(bundle: Bundle, arguments: argparse.Namespace) -> int:
    asked = (*arguments.inputs, arguments.output, arguments.count, arguments.seed, arguments.classes)
    if arguments.check and all(given is None for given in asked):
        return 0
    if bundle.task == "generation":
        return _make(bundle, arguments)
    if not arguments.inputs:
        print("error: name an INPUT, or use --check", file=sys.stderr)
        return 2
    if bundle.task == "reconstruction" and not arguments.stream:
        return _give_again(bundle, arguments)
    return _predict(bundle, arguments)


def _make(bundle: Bundle, arguments: argparse.Namespace) -> int:
    output = arguments.output or Path(f"{bundle.manifest['name']}.png")
    _check_free(output)
    classes = arguments.classes or ()
    made = images_made(bundle, arguments.inputs, arguments.count, arguments.seed, arguments.threads, classes)
    output.write_bytes(content_of_made(output, bundle, made))
    print(f"wrote {printable(str(output))}: {printable(made.text)}")
    return 0


def _give_again(bundle: Bundle, arguments: argparse.Namespace) -> int:
    if arguments.output:
        _check_free(arguments.output)
    samples = []
    for sample in samples_again(bundle, arguments.inputs, arguments.threads):
        print(f"{printable(sample.name)}  {sample.text}", flush=True)
        if arguments.output:
            samples.append(sample)
    if arguments.output:
        arguments.output.write_bytes(content_of_again(arguments.output, bundle, samples))
        print(f"wrote {printable(str(arguments.output))}")
    return 0


def _predict(bundle: Bundle, arguments: argparse.Namespace) -> int:
    if arguments.stream:
        return _stream(bundle, arguments)
    session = bundle.session(arguments.threads)
    for sample in read_samples(arguments.inputs, bundle.inputs):
        outputs = bundle.told(session.run_named(bundle.prepared(_batch_of(sample.raw))))
        answer = answers_text({name: values[0] for name, values in outputs.items()}, bundle.labels, arguments.top)
        print(f"{printable(sample.name)}  {answer}", flush=True)
    return 0


def _check_free(output: Path) -> None:
    check_output(output)
    if output.exists():
        raise OutputError(f"{output} exists already; choose another place with --output FILE")


def _stream(bundle: Bundle, arguments: argparse.Namespace) -> int:
    stream = bundle.stream(arguments.threads)
    for sample in read_samples(arguments.inputs, bundle.inputs):
        [sequence] = (values[0] for values in bundle.prepared(_batch_of(sample.raw)).values())
        for line in stream_texts(stream, sequence, bundle, arguments.top):
            print(f"{printable(sample.name)}  {line}", flush=True)
    return 0


def _batch_of(raw: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """One sample, by input name, as a batch of one."""
    return {name: values[np.newaxis] for name, values in raw.items()}


def _check(bundle: Bundle, threads: int | None) -> int:
    count, gap, tolerance = bundle.check(threads)
    good = gap <= tolerance
    verdict = "passed" if good else "FAILED"
    print(f"check {verdict}: {count} samples, largest gap {gap:.3g}, allowed {tolerance:.3g}")
    return 0 if good else 3


if __name__ == "__main__":
    sys.exit(main())
