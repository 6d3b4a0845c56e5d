"""Captions of moments: made by rules at once, and by a video LMM in the background."""
