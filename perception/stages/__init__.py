"""What frames go through: shot detection, moments, key frames, and the worker that drives the stages."""
