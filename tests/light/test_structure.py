"""Offsets of a .tflite file that lead outside it, or nowhere."""

from __future__ import annotations

import struct
from pathlib import Path
from random import Random

import pytest
from ai_edge_litert import schema_py_generated as schema
from edited import edited, operators_of
from fuzzing.tflite import spoiled_words

from dlkit.runtime.scores import scores_of
from dlkit.runtime.structure import OPTIONS, TABLES, check_structure


@pytest.fixture(scope="module")
def content(tiny_bundle: Path) -> bytes:
    return (tiny_bundle / "model.tflite").read_bytes()


def test_a_whole_file_passes(content: bytes) -> None:
    """With the archive behind it, and without."""
    check_structure(content)
    check_structure(edited(content, lambda model: None))


def test_the_tables_are_those_of_the_schema() -> None:
    """As many fields as the classes that are generated of it read."""
    names = {"Quantization": "QuantizationParameters", "Sparsity": "SparsityParameters"}
    for name, fields in TABLES.items():
        made = getattr(schema, names.get(name, name), None) or getattr(schema, f"{name}Options", None)
        if made is not None and name != "Numbers":
            start = getattr(schema, f"{names.get(name, name)}Start", None) or getattr(schema, f"{made.__name__}Start")
            counted: list[int] = []
            builder = type("B", (), {"StartObject": lambda self, count, counted=counted: counted.append(count)})()
            start(builder)
            assert counted == [len(fields.split())], name


def test_options_are_numbered_as_in_the_schema() -> None:
    """Those that hold more than numbers."""
    numbers = {name: number for name, number in vars(schema.BuiltinOptions).items() if isinstance(number, int)}
    wanted = ("ConcatEmbeddings", "FullyConnected", "Reshape", "Squeeze", "VarHandle", "Bucketize")
    assert set(OPTIONS) == {numbers[f"{name}Options"] for name in wanted}


def test_what_passes_can_be_read_whole(content: bytes) -> None:
    """Every field, by the readers that trust what they find: none of them leaves the file."""
    passed = 0
    for seed in range(600):
        spoiled = spoiled_words(Random(seed), content)
        try:
            check_structure(spoiled)
        except ValueError:
            continue
        passed += 1
        model = schema.Model.GetRootAs(spoiled, 0)
        for number in range(model.SubgraphsLength()):
            graph = model.Subgraphs(number)
            for i in range(graph.TensorsLength()):
                schema.TensorT.InitFromObj(graph.Tensors(i))
            for i in range(graph.OperatorsLength()):
                operator = graph.Operators(i)
                if operator.BuiltinOptions() is not None:
                    kind = next(n for n, v in vars(schema.BuiltinOptions).items() if v == operator.BuiltinOptionsType())
                    if kind != "NONE":
                        options = getattr(schema, kind)()
                        options.Init(operator.BuiltinOptions().Bytes, operator.BuiltinOptions().Pos)
                        getattr(schema, f"{kind}T").InitFromObj(options)
    assert passed > 100


@pytest.mark.parametrize("word", [0, 4, 2**31, 2**32 - 1, 10**6])
def test_a_root_that_is_nowhere(content: bytes, word: int) -> None:
    """Outside, in front of the file, or in the middle of something else."""
    with pytest.raises(ValueError, match=r"outside|without|more"):
        check_structure(struct.pack("<I", word) + content[4:])


@pytest.mark.parametrize("length", [0, 3, 7, 11, 40])
def test_hardly_anything(content: bytes, length: int) -> None:
    """Of a file of some bytes."""
    with pytest.raises(ValueError, match=r"outside|without"):
        check_structure(content[:length])


def test_an_input_that_is_not_given_is_no_tensor(tmp_path: Path, content: bytes) -> None:
    """A softmax of nothing has no scores."""

    def change(model) -> None:
        for operator in operators_of(model, "SOFTMAX"):
            operator.inputs = [-1]

    (tmp_path / "a.tflite").write_bytes(edited(content, change))
    assert scores_of(tmp_path / "a.tflite") == {}
