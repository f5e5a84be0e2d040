"""Pages to look at: the report of a bundle, and several bundles side by side.

A page is one HTML file that loads nothing and runs nothing. Whatever is in a bundle may come from a stranger, so its
texts are escaped by the one function that makes elements, and its numbers are read by their types.
"""
