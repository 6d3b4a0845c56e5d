"""Observers: each reports one kind of thing in sampled frames. None needs a download."""
