"""The stages of watching: shot detection, moments, key frames, and the worker that drives them."""
