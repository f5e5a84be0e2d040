"""The network as C99 source that needs nothing: no interpreter, no library, no allocation; of 8-bit integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlkit.devices.reference import reference_answers
from dlkit.errors import IllegalCombination
from dlkit.finishing import Finish, Finished, Finishing
from dlkit.finishing._c_source.boards import BOARDS
from dlkit.finishing._c_source.program import Program, program_of
from dlkit.finishing._c_source.source import Named, header, kernels, model, self_test
from dlkit.progress import Advance
from dlkit.runtime.litert import Session

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

FOLDER, QEMU = "c", "qemu"
SELF_TEST_SAMPLES = 8
"""At most: each is in the source as text."""


def make(finishing: Finishing) -> Finished:
    """c/model.h, model.c, kernels.h, kernels.c, self_test.c and a Makefile; only a note where there can be none.

    For a processor that QEMU has a board of, c/qemu/ too, with which `make qemu` runs the self-test there.
    """
    try:
        program = program_of(finishing.file.read_bytes(), finishing.file.name, finishing.advance)
    except IllegalCombination as error:
        return Finished({}, (f"there is no folder {FOLDER}/: {error}; an interpreter has to run the file",))
    given = {
        name: preprocessing.apply(finishing.samples[name][:SELF_TEST_SAMPLES])
        for name, preprocessing in finishing.inputs.items()
    }
    sources = sources_of(program, finishing.file, finishing.name, finishing.labels, given, finishing.advance)
    arena = program.memory.arena_bytes
    note = (
        f"{FOLDER}/ is the network in C99 that needs no interpreter, with {arena:,} bytes of static memory; "
        f"make -C {FOLDER} check compares it with LiteRT's reference kernels"
    )
    if board := BOARDS.get(finishing.target.processor):
        sources |= {f"{QEMU}/{name}": content for name, content in board.files().items()}
        note += f", make -C {FOLDER} {QEMU} does so on a {board.about}"
    return Finished({f"{FOLDER}/{name}": text.encode() for name, text in sources.items()}, (note,))


def sources_of(
    program: Program,
    file: Path,
    name: str,
    labels: tuple[str, ...],
    given: dict[str, NDArray[np.float32]],
    advance: Advance,
) -> dict[str, str]:
    """File name → content.

    Args:
        file: that the program is of; LiteRT's reference kernels run it for the self-test.
        given: input name → (N, ...) network inputs of the self-test.
    """
    session = Session(file, 1, reference=True)  # it is asked for its ends alone
    found = reference_answers(file, given, advance)
    samples: dict[str, NDArray[Any]] = {key: end.quantize(given[key]) for key, end in session.inputs.items()}
    answers: dict[str, NDArray[Any]] = {key: end.quantize(found[key]) for key, end in session.outputs.items()}
    named = Named(name, labels, tuple(session.inputs), tuple(session.outputs))
    return kernels() | {
        "model.h": header(program, named),
        "model.c": model(program, named),
        "self_test.c": self_test(program, named, samples, answers),
    }


C_SOURCE = Finish("c_source", "C99 source of the network", make)
