"""Synthetic video in which everything that happens is known."""
