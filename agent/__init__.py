"""Decides what to do next: the graph, its steps, the reasoners, the answer."""
