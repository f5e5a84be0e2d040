"""The page of one bundle."""

from __future__ import annotations

from dlkit.pages.page import whole_page
from dlkit.pages.reading import Facts
from dlkit.pages.sections.confusion import confusion
from dlkit.pages.sections.device import device
from dlkit.pages.sections.generated import generated
from dlkit.pages.sections.headline import header, title_of
from dlkit.pages.sections.layers import layers
from dlkit.pages.sections.operations import operations
from dlkit.pages.sections.provenance import again, made, recipe
from dlkit.pages.sections.quality import quality
from dlkit.pages.sections.samples import samples
from dlkit.pages.sections.timing import timing
from dlkit.pages.sections.training import training

SECTIONS = (
    quality, samples, generated, confusion, layers, timing, operations, device, made, training, recipe, again,
)  # fmt: skip
"""In the order of the page."""


def report_page(facts: Facts) -> bytes:
    """The content of report.html; sections that have nothing to tell are left out."""
    found = [section(facts) for section in SECTIONS]
    return whole_page(f"{title_of(facts)} – dlkit report", header(facts), [each for each in found if each])
