"""Finds the weights of recollect-tiny, which are an optional package of their own.

    find_tiny_weights()     # the folder of the checkpoint, as vLLM and transformers load it

The weights are not part of Recollect's wheel. ``models/recollect-tiny`` in the repository is the package.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from .errors import TinyNotInstalled

TINY = "recollect-tiny"
"""The model's name in the settings and commands."""
MOMENTS = 8
"""How many moments it judges at a time. Clients of the model set ``lmm.moments`` to this."""
_PACKAGE = "recollect_tiny"


def find_tiny_weights(package: str = _PACKAGE) -> Path:
    """Return the checkpoint folder of recollect-tiny.

    Args:
        package: The import name of the package that holds the weights. Its ``path()`` is the folder.

    Raises:
        TinyNotInstalled: the package is not installed.

    """
    try:
        module = importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise TinyNotInstalled(package) from None
    folder: Path = module.path()
    return folder
