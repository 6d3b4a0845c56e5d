"""The ``recollect`` command: one module for each subcommand.

Each has ``DESCRIPTION``, ``add_arguments`` and ``run``, which returns the exit code. ``arguments`` parses what
several commands share, ``printing`` and ``progress`` print what several share. Nothing heavy is loaded before a
command runs.
"""
