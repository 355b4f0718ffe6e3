"""Perturbation sources: where the numbers of a zeroth-order step come from."""
