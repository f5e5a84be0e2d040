"""Spoiled files for every reader: a bounded number in the tests, many thousands by `python -m fuzzing.models`."""
