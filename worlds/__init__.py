"""Synthetic video with a known ground truth: the demo video, the drawn house, and questions about it."""
