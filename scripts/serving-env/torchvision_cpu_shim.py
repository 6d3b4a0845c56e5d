"""Lets torchvision's ordinary build be imported beside a torch that was built for the CPU.

That build is linked to CUDA, so its operators do not load there; torchvision then describes operators
that do not exist, and its import fails. Declaring them first is enough: the transforms, which are all
that the processors of pictures and clips use, are plain torch. ``torchvision_cpu_shim.pth`` in the
environment's ``site-packages`` imports this at every start of Python, so it does nothing before
torchvision is first imported.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

_OPERATORS = ("nms", "qnms")
_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


class _DeclareFirst:
    """Declares the operators when torchvision is first looked for, and leaves finding it to others."""

    library: object = None
    """Kept alive: with it the declarations would go."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find nothing."""
        if name == "torchvision" and self.library is None:
            from torch.library import Library  # noqa: PLC0415

            library = Library("torchvision", "FRAGMENT")
            for operator in _OPERATORS:
                library.define(operator + _SIGNATURE)
            self.library = library
        return None


sys.meta_path.insert(0, _DeclareFirst())
