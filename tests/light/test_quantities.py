"""Sizes and times as people write them."""

from __future__ import annotations

import pytest

from dlkit.quantities import bytes_of, milliseconds_of


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("300KB", 300_000), ("300 kB", 300_000), ("128KiB", 131_072), ("1.5MB", 1_500_000), (".5 MiB", 524_288),
        ("2gb", 2 * 10**9), ("1GiB", 2**30), ("77", 77), ("77B", 77), (" 1kb ", 1000),
    ],
)  # fmt: skip
def test_sizes(text: str, count: int) -> None:
    """kB is 1000 bytes, KiB 1024, whatever the case."""
    assert bytes_of(text) == count


@pytest.mark.parametrize(("text", "ms"), [("5ms", 5.0), ("250us", 0.25), ("250 µs", 0.25), ("0.1s", 100.0)])
def test_times(text: str, ms: float) -> None:
    """In milliseconds."""
    assert milliseconds_of(text) == pytest.approx(ms)


@pytest.mark.parametrize("text", ["", "kB", "-1kB", "0", "300 KQ", "1e3kB", "nan", "5ms", "1 2kB", "0.2B", "٣kB"])
def test_what_is_no_size_is_an_error(text: str) -> None:
    """That shows how one is written."""
    with pytest.raises(ValueError, match="is no size; give a number with B, kB"):
        bytes_of(text)


@pytest.mark.parametrize("text", ["", "5", "5 min", "0ms", "-5ms", "5kB", "ms"])
def test_what_is_no_time_is_an_error(text: str) -> None:
    """Its unit is never guessed."""
    with pytest.raises(ValueError, match="is no time; give a number with us, ms or s, such as 5ms"):
        milliseconds_of(text)
