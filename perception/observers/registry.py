"""The registry of observers: the built-in ones and plug-in observers of other packages, for one source.

    failures: list[ObserverFailure] = []
    with observers_in_use(source.info, added=[BellObserver], on_failure=failures.append) as observers:
        ...

Other packages offer observers by an entry point of the group ``recollect.observers``; a program adds its own with
``added``. A broken one is reported and left out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ...common.kind_registry import observer_plugins, register_kinds
from ..sources.source import SourceInfo
from .default_observers import default_observers
from .guarded_observer import GuardedObserver, ObserverFailure, OnObserverFailure
from .observer import Observer, ObserverFactory

logger = logging.getLogger(__name__)


@contextmanager
def observers_in_use(
    source: SourceInfo,
    *,
    ocr: bool = True,
    added: Sequence[ObserverFactory] = (),
    on_failure: OnObserverFailure,
) -> Iterator[list[Observer]]:
    """New observers for one source: built-in ones, then those of installed packages, then ``added``.

    ``on_failure`` is called for each observer of another package that cannot be used, at once or later. When the
    block ends, the files that observers read are closed.
    """
    guarded = _guarded_observers(source, added, on_failure)
    try:
        yield [*default_observers(source, ocr=ocr), *guarded]
    finally:
        for observer in guarded:
            observer.close()


def _guarded_observers(
    source: SourceInfo, added: Sequence[ObserverFactory], on_failure: OnObserverFailure
) -> list[GuardedObserver]:
    observers: list[GuardedObserver] = []
    installed: list[ObserverFactory] = []
    for plugin in observer_plugins():
        if plugin.error:
            on_failure(ObserverFailure(plugin.name, f"{plugin.error} ({plugin.distribution})"))
        else:
            installed.append(plugin.target)
            observers.append(GuardedObserver(plugin.name, plugin.target, source, on_failure))
    for factory in added:
        if factory in installed:
            continue
        name = str(getattr(factory, "__name__", factory))
        try:
            register_kinds(*factory.finding_kinds)
        except (AttributeError, TypeError, ValueError) as error:
            reason = f"declares no usable finding kinds: {error}"
            logger.warning("observer %s %s", name, reason)
            on_failure(ObserverFailure(name, reason))
        else:
            observers.append(GuardedObserver(name, factory, source, on_failure))
    return observers
