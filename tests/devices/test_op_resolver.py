"""The list of operations for TensorFlow Lite Micro, and the C++ in the guide beside it: a check of their syntax.

There are no sources of the runtime to compile it with; a stub that declares its methods stands in, see c_stub.py.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path

import pytest
from c_stub import WARNINGS, compiled, write_stub
from edited import edited, rename

from dlkit.bundle.loading import load_bundle
from dlkit.devices._tflm_operations import OPERATIONS
from dlkit.errors import IllegalCombination
from dlkit.finishing import FINISHES, Finishing
from dlkit.finishing.op_resolver import method_of
from dlkit.runtime.inspection import inspect_file
from dlkit.schemes import SCHEMES
from dlkit.targets import TARGETS

BUNDLE = load_bundle(Path(__file__).parents[2] / "exported" / "digits-tiny" / "cpu-int8")
METHODS = set((Path(__file__).parents[1] / "golden" / "tflm_methods.txt").read_text().split())
"""Of MicroMutableOpResolver in tflite-micro, but those of custom operations: names as firmware calls them."""
CONTROL_FLOW = ("CALL_ONCE", "IF", "WHILE")
GIVEN = Finishing(
    BUNDLE.model, "digits-tiny", SCHEMES["int8"], TARGETS["cortex-m4"], "classification", BUNDLE.labels, BUNDLE.inputs,
    {},
)  # fmt: skip
CALLED = re.compile(r"resolver\.(Add\w+)\(\)")


def made(given: Finishing = GIVEN) -> str:
    return FINISHES["op_resolver"].make(given).files["mcu/op_resolver.h"].decode()


def test_every_operation_has_its_method() -> None:
    """Each that the runtime has, by the name that TensorFlow Lite Micro gives it; and no method is left over."""
    assert {method_of(operation) for operation in (*OPERATIONS, *CONTROL_FLOW)} == METHODS


def test_exactly_the_operations_of_the_file() -> None:
    """One call for each, and as much room."""
    text = made()
    called = CALLED.findall(text)
    assert called == sorted(map(method_of, inspect_file(BUNDLE.model).ops))
    assert f"MicroMutableOpResolver<{len(called)}>" in text


def test_a_custom_operation(tmp_path: Path) -> None:
    """It has no method: refused by name."""
    path = tmp_path / "m.tflite"
    path.write_bytes(edited(BUNDLE.model.read_bytes(), lambda model: rename(model, "SOFTMAX", "CUSTOM", b"Mine")))
    with pytest.raises(IllegalCombination, match="CUSTOM Mine has no method"):
        made(dataclasses.replace(GIVEN, file=path))


@pytest.mark.parametrize("language", ["c++11", "c++17"])
def test_the_guide_is_cpp(tmp_path: Path, language: str) -> None:
    """The lines in README.md and the header compile against the stub, without a warning."""
    check_syntax(tmp_path, GIVEN, language)


def test_the_guide_without_the_list(tmp_path: Path) -> None:
    """A board of one's own that does not ask for it: the lines do not include it."""
    target = dataclasses.replace(TARGETS["cortex-m4"], finish=("c_array",))
    check_syntax(tmp_path, dataclasses.replace(GIVEN, target=target), "c++11")


def check_syntax(folder: Path, given: Finishing, language: str) -> None:
    pytest.importorskip("tflite_micro", reason="GUIDE NOT COMPILED: pip install 'dlkit[micro]'")
    if shutil.which("g++") is None:
        pytest.skip("GUIDE NOT COMPILED: there is no g++")
    write_stub(folder, METHODS)
    for step in given.target.finish:
        for name, content in FINISHES[step].make(given).files.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
    [code] = re.findall(r"```cpp\n(.*?)```", (folder / "mcu" / "README.md").read_text(), re.DOTALL)
    (folder / "mcu" / "run.cpp").write_text(code)
    assert compiled(
        "g++", f"-std={language}", *WARNINGS, "-I", folder, "-fsyntax-only", "run.cpp", folder=folder / "mcu"
    ) == ""  # fmt: skip


def test_the_guide_says_what_was_not_done() -> None:
    """That nothing was compiled together with TensorFlow Lite Micro, and where the arena comes from."""
    pytest.importorskip("tflite_micro", reason="GUIDE NOT WRITTEN: pip install 'dlkit[micro]'")
    text = FINISHES["c_array"].make(GIVEN).files["mcu/README.md"].decode()
    assert "nothing here was compiled together" in text
    assert "measured to need on a 64-bit machine" in text
    assert "x = raw × 0.0625; stored = round(x / 0.0039215689) − 128" in text
