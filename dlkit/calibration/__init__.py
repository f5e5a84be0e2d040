"""Samples → ranges: what calibrates a file and what proves it, what is wrong with it, and the ranges measured on it."""
