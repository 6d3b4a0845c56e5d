"""Evaluation: the runner, systems, presets, ablations, scorers, statistics, reports and benchmark suites."""
