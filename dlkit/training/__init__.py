"""Fitting a network to a dataset as a recipe says."""
