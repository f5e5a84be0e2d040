"""The parts of a bundle's page, a file each; one that has nothing to tell is None."""
