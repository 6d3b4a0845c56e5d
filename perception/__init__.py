"""Pixels in, moments out: sources, shots, observers, and the worker that drives them."""
