"""Stage hooks: report when maintenance enters and leaves a stage, for progress and crash tests.

maintenance.on_stage = lambda name: print_step(name)      # a context manager for "index" and "evict"
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

Stage = Literal["index", "evict"]
StageHook = Callable[[Stage], AbstractContextManager[None]]
"""Called when a stage begins. Its context is left when the stage ends. May be called in any thread."""


def no_hook(_: Stage) -> AbstractContextManager[None]:
    """Report nothing."""
    return nullcontext()
