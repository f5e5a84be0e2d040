"""What `import dlkit` offers."""

from __future__ import annotations

import importlib
import inspect
import json
import re

import pytest

import dlkit

LAZY = [name for name in dlkit.__all__ if name != "__version__"]


def test_the_public_names() -> None:
    """A name more or less is a decision, not an accident."""
    assert sorted(dlkit.__all__) == [
        "Bundle", "DATASETS", "DlkitError", "Goals", "NETWORKS", "Recipe", "Report", "SCHEMES", "Session", "TARGETS",
        "Trained", "__version__", "build_network", "build_recipe", "compare", "custom_layers", "evaluate", "export",
        "export_schemes", "inspect_file", "load", "load_bundle", "load_trained", "read_recipe", "run", "search",
        "sensitivity", "train",
    ]  # fmt: skip
    assert dir(dlkit) == sorted(dlkit.__all__)


@pytest.mark.parametrize("name", LAZY)
def test_a_public_name_is_what_its_module_defines(name: str) -> None:
    """Loaded on first use, from where it is defined, with a docstring."""
    value = getattr(dlkit, name)
    module = getattr(value, "__module__", dlkit._PUBLIC[name])
    assert value is getattr(importlib.import_module(dlkit._PUBLIC[name]), name)
    assert module.startswith("dlkit.")
    assert inspect.getdoc(value)


@pytest.mark.parametrize("name", [name for name in LAZY if inspect.isfunction(getattr(dlkit, name))])
def test_a_public_function_is_told_in_full(name: str) -> None:
    """Each argument by its name, or as those of which other function; and what it raises."""
    function = getattr(dlkit, name)
    told = inspect.getdoc(function) or ""
    if "All others are those of `export`" not in told:
        unsaid = {name for name in inspect.signature(function).parameters if not re.search(rf"\b{name}\b", told)}
        assert not unsaid
    assert name == "custom_layers" or re.search(r"\braise[sd]\b", told, re.I)


def test_all_public_names_load_without_a_framework(fresh) -> None:
    """Having them costs numpy at most; Keras is for using them."""
    program = "import json, sys; from dlkit import *; print(json.dumps(sorted(sys.modules)))"
    loaded = set(json.loads(fresh("-c", program).out))
    assert "numpy" in loaded
    assert not loaded & {
        "tensorflow",
        "keras",
        "tf_keras",
        "ai_edge_litert",
        "litert_quantizer",
        "PIL",
        "rich",
        "click",
    }


def test_another_name_is_an_attribute_error() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="module 'dlkit' has no attribute 'trian'"):
        _ = dlkit.trian
