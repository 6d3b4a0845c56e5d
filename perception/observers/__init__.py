"""Observers, each of which sees one kind of thing in sampled frames. None needs a download."""
