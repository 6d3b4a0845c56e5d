"""Serving a video LMM of one's own with vLLM: which flags it gets and why, and the process it runs in."""
