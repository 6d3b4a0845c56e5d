"""Names of arguments in messages: the SDK's arguments become the command's flags.

with_flags("Give another `path`.")         # "Give another --memory."

Errors are raised by the SDK and name its arguments in backticks. The command prints them with the flags that its
users can type.
"""

from __future__ import annotations

import re

FLAGS = {
    "path": "--memory",
    "stream": "--stream",
    "from_s": "--from",
    "to_s": "--to",
    "as_of": "--as-of",
    "rung": "--rung",
    "limit": "--limit",
    "options": "--option",
    "disk_budget": "--disk-budget",
    "lmm": "--lmm-url on the command line",
    "max_outage_s": "--max-outage",
    "ocr": "--no-ocr",
    "fps": "--fps",
    "image_fps": "--image-fps",
    "follow": "--follow",
    "follow_idle_s": "--follow-idle",
    "out": "--out",
    "port": "--port",
    "host": "--host",
    "source": "the source",
    "question": "the question",
    "query": "the query",
    "trace_id": "the trace id",
    "note": "--note",
    "pin_id": "--remove",
}
"""The flag of the command, or what its help calls it, for each argument that a message may name."""
_ARGUMENT = re.compile(r"`(\w+)`")


def with_flags(message: str) -> str:
    """Return the message with the command's flags in place of the SDK's argument names."""
    return _ARGUMENT.sub(lambda match: FLAGS.get(match[1], match[0]), message)
