"""Serves a video LMM with vLLM: its command line, the reason of each flag, and its process."""
