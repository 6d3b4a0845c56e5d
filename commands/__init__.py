"""What each sub-command of ``recollect`` understands and does, a file a command.

Each has ``DESCRIPTION``, ``add_arguments`` and ``run``, which returns the exit code. ``parsing`` has what several
understand, ``printing`` and ``progress`` what several print. Nothing heavy is loaded before a command runs.
"""
