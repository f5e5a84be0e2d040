"""What a generator makes: a grid of images of noise, and of the bundle's own noise beside those of the float model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dlkit.bundle.making import images_made
from dlkit.errors import DlkitError
from dlkit.pages.html import Child, Html, element, joined
from dlkit.pages.parts import Section, name
from dlkit.pages.pictures import made_picture
from dlkit.pages.reading import Facts
from dlkit.runtime.preprocessing import Preprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_IMAGES, LONGEST_MS, PAIRS, CLASSES_SHOWN = 40, 400.0, 3, 10
"""Images, and how long they may take by what one was measured to take; own samples; classes of a conditional one."""


def generated(facts: Facts) -> Section | None:
    """None of what is no generator of images."""
    bundle = facts.bundle
    if bundle.task != "generation" or bundle.picture is None:
        return None
    parts: list[Child] = [_own(facts, bundle.picture)]
    if bundle.model.suffix == ".tflite" and len(bundle.inputs) == 1:
        parts.insert(0, _grid(facts, bundle.picture))
    return Section("samples", "What it makes", "Images", joined(*parts))


def _grid(facts: Facts, picture: Preprocessing) -> Html:
    """Of noise of seed 0; of each class that the generator is told, as many."""
    bundle = facts.bundle
    each_ms = facts.latencies.measured[0].timing.median_ms if facts.latencies.measured else 1.0
    count = int(min(MOST_IMAGES, max(4.0, LONGEST_MS / max(each_ms, 1e-3))))
    classes = bundle.conditions[:CLASSES_SHOWN]
    of_each = max(1, count // len(classes)) if classes else count
    try:
        made = images_made(bundle, [], of_each, 0, classes=classes)
    except DlkitError as error:
        return element("p", f"It made no images here: {error}", class_="hint")
    if classes:
        rows = made.images.reshape(len(classes), of_each, *made.images.shape[1:])
        order = [(f"{name(label)}, image {n + 1}", rows[place, n]) for n in range(of_each) for place, label in
                 enumerate(classes)]  # fmt: skip
        told = f"A column for each class, {', '.join(map(name, classes))}; the same noise in each row (seed 0)."
    else:
        order = [(f"image {number + 1}", image) for number, image in enumerate(made.images)]
        told = f"{len(order)} images that the exported file makes of noise (seed 0)."
    images = [made_picture(image, picture, called) for called, image in order]
    columns = f"grid-template-columns:repeat({len(classes)},minmax(0,1fr))" if classes else None
    return joined(element("p", told, class_="hint"), element("div", *images, class_="made", style=columns))


def _own(facts: Facts, picture: Preprocessing) -> Html | None:
    """The few that travel in the bundle, by the float model and by the exported file."""
    key = next(iter(facts.bundle.manifest["outputs"]))
    made, before = facts.arrays.get(f"output {key}"), facts.arrays.get(f"float {key}")
    if made is None or before is None or made.shape != before.shape or made.ndim < 2:
        return None
    pairs = [_pair(number, made[number], before[number], picture) for number in range(min(PAIRS, len(made)))]
    return joined(element("h3", "Of the same noise, float and exported"), element("ul", *pairs, class_="gallery"))


def _pair(number: int, made: NDArray[np.float32], before: NDArray[np.float32], picture: Preprocessing) -> Html:
    both = (("float", before), ("exported", made))
    figures = [element("figure", made_picture(values.astype(np.float32), picture, f"{which}, noise {number + 1}"),
                       element("figcaption", which)) for which, values in both]  # fmt: skip
    return element("li", element("div", *figures, class_="thumbs"))
