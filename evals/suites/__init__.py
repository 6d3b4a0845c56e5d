"""Benchmarks, each read from a folder of its official files: nothing is downloaded."""
