"""A row for each entry of a shelf, with all that is told of it; nothing heavy is imported for that."""

from __future__ import annotations

from typing import Any


def _networks() -> list[dict[str, Any]]:
    from dlkit.networks import NETWORKS

    return [
        {
            "name": n.name, "family": n.family, "task": n.task, "input": list(n.input), "classes": n.classes,
            "parameters": n.parameters, "trainable": n.trainable, "multiply_adds": n.multiply_adds,
            "paper": n.paper, "reference": n.reference, "variant": n.variant, "preprocessing": n.preprocessing,
            "smallest": n.smallest, "options": n.options,
        }
        for n in NETWORKS.values()
    ]  # fmt: skip


def _datasets() -> list[dict[str, Any]]:
    from dlkit.datasets import DATASETS, Dataset, Source

    def row(entry: Dataset | Source) -> dict[str, Any]:
        if isinstance(entry, Source):
            unknown = dict.fromkeys(("shape", "classes", "train", "validation", "test"))
            known = {"licence": "your own", "source": entry.gives, "kept": "yours", "options": entry.defaults}
            return {"name": entry.name} | unknown | known
        train, validation, test = entry.samples or (None, None, None)
        return {
            "name": entry.name, "shape": list(entry.shape), "classes": entry.classes, "train": train,
            "validation": validation, "test": test, "licence": entry.licence, "source": entry.source,
            "kept": entry.kept, "options": {},
        }  # fmt: skip

    return [row(entry) for entry in DATASETS.values()]


def _schemes() -> list[dict[str, Any]]:
    from dlkit.schemes import SCHEMES

    return [
        {"name": s.name, "weights": s.weights, "activations": s.activations, "io": s.io, "summary": s.summary}
        for s in SCHEMES.values()
    ]


def _targets() -> list[dict[str, Any]]:
    from dlkit.targets import TARGETS

    return [
        {"name": t.name, "runtime": t.runtime, "best": t.schemes[0], "schemes": list(t.schemes), "summary": t.summary}
        for t in TARGETS.values()
    ]


SHELVES = {"networks": _networks, "datasets": _datasets, "schemes": _schemes, "targets": _targets}
