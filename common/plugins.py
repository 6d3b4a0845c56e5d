"""Plug-ins: objects that other installed packages offer by an entry point group.

    for plugin in installed_plugins("recollect.observers"):
        print(plugin.name, plugin.distribution, plugin.error or plugin.target)

A plug-in that cannot be imported does not stop its user: it is logged once and carries its error instead of an object.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plugin:
    """One object of another package."""

    name: str
    distribution: str
    """The package that offers it, with its version."""
    target: Any = None
    """The object; None where it cannot be used."""
    error: str = ""
    """Why it cannot be used."""


@cache
def installed_plugins(group: str) -> tuple[Plugin, ...]:
    """The plug-ins of a group, by name. They are imported at the first call in a process."""
    return tuple(_loaded(entry) for entry in sorted(entry_points(group=group), key=lambda entry: entry.name))


def _loaded(entry: EntryPoint) -> Plugin:
    distribution = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown package"
    try:
        return Plugin(entry.name, distribution, target=entry.load())
    except Exception as error:  # the package may raise anything while it is imported
        why = f"{type(error).__name__}: {error}"
        logger.warning("plug-in %s of %s cannot be loaded (%s)", entry.name, distribution, why)
        return Plugin(entry.name, distribution, error=f"cannot be loaded: {why}")
