"""Doubles, loopback servers that misbehave on request, and simulated lives, for tests and dry runs."""
