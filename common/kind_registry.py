"""The registry of finding kinds: built-in ones, those of installed plug-ins, and those registered by a program.

    kind_of("enters").reliability              # 0.75
    kind_of("never_declared").reliability      # 0.6: the defaults apply
    names_with("moving_shape")                 # frozenset({"enters", "leaves", …})

The kinds of installed plug-ins (entry point group ``recollect.observers``) are added when the registry is first read,
not when it is imported.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from functools import lru_cache
from threading import RLock

from .builtin_kinds import BUILTIN_KINDS
from .finding_kinds import FindingField, FindingKind, GeneralQuestion, KindTrait
from .plugins import Plugin, installed_plugins

OBSERVER_GROUP = "recollect.observers"
"""The entry point group under which packages offer observers."""
_NAME = re.compile(r"[a-z][a-z0-9_]*")
logger = logging.getLogger(__name__)

CompiledCue = tuple[re.Pattern[str], tuple[str, ...]]
"""A phrase of questions, and the kinds that it asks for."""


class FindingKindRegistry:
    """Declared kinds by name, in the order of declaration. Safe to use from several threads."""

    def __init__(self, kinds: Iterable[FindingKind] = ()) -> None:
        self._lock = RLock()
        self._kinds: dict[str, FindingKind] = {}
        self._cues: tuple[CompiledCue, ...] = ()
        self._traits: dict[KindTrait, frozenset[str]] = {}
        self.register(*kinds)

    def register(self, *kinds: FindingKind) -> None:
        """Add declarations: all of them, or none where one cannot be added.

        Adding the same declaration again changes nothing.

        Raises:
            ValueError: A name is not usable, or a kind of that name is declared differently.
        """
        with self._lock:
            added = dict(self._kinds)
            for kind in kinds:
                if not isinstance(kind, FindingKind) or not _NAME.fullmatch(kind.name):
                    raise ValueError(
                        f"{kind!r} cannot be registered: a finding kind is a FindingKind "
                        "with a lower case name of letters, digits and underscores"
                    )
                if added.setdefault(kind.name, kind) != kind:
                    raise ValueError(
                        f"the finding kind {kind.name!r} is declared already, and differently. "
                        "Choose another name, for example with the name of your package in front."
                    )
            # Each table is replaced as a whole, so that other threads can read them meanwhile.
            self._cues = tuple(
                (re.compile(cue.pattern), (kind.name, *cue.also))
                for kind in added.values()
                for cue in kind.asked_by
            )
            traits: dict[KindTrait, set[str]] = {}
            for kind in added.values():
                for trait in kind.traits:
                    traits.setdefault(trait, set()).add(kind.name)
            self._traits = {trait: frozenset(names) for trait, names in traits.items()}
            self._kinds = added

    def get(self, name: str) -> FindingKind | None:
        """The declaration of a kind, or None."""
        return self._kinds.get(name)

    def kinds(self) -> tuple[FindingKind, ...]:
        """All declared kinds, built-in ones first."""
        return tuple(self._kinds.values())

    def cues(self) -> tuple[CompiledCue, ...]:
        """The phrases by which questions ask for kinds, in the order of the kinds."""
        return self._cues

    def names_with(self, trait: KindTrait) -> frozenset[str]:
        """The names of the kinds that have a trait."""
        return self._traits.get(trait, frozenset())


_registry = FindingKindRegistry(BUILTIN_KINDS)


@lru_cache(maxsize=1)
def _plugins() -> tuple[Plugin, ...]:
    """The installed observers, with their kinds registered; one whose kinds cannot be used carries the reason."""
    checked = []
    for plugin in installed_plugins(OBSERVER_GROUP):
        error = plugin.error
        if not error:
            try:
                _registry.register(*plugin.target.finding_kinds)
            except (AttributeError, TypeError, ValueError) as problem:
                error = f"declares no usable finding kinds: {problem}"
                logger.warning("plug-in %s of %s %s", plugin.name, plugin.distribution, error)
        checked.append(Plugin(plugin.name, plugin.distribution, None if error else plugin.target, error))
    return tuple(checked)


def _loaded() -> FindingKindRegistry:
    """The registry with the kinds of installed plug-ins."""
    _plugins()
    return _registry


def observer_plugins() -> tuple[Plugin, ...]:
    """The observers that installed packages offer; their kinds are registered."""
    return _plugins()


def register_kinds(*kinds: FindingKind) -> None:
    """Declare kinds in this process, such as those of an observer that is given as an argument.

    Raises:
        ValueError: A name is not usable, or a kind of that name is declared differently.
    """
    _loaded().register(*kinds)


def declared_kinds() -> tuple[FindingKind, ...]:
    """All declared kinds, built-in ones first."""
    return _loaded().kinds()


def kind_of(name: str, field: FindingField = "attribute") -> FindingKind:
    """The declaration of a kind; for one that nobody declared, the defaults for findings of ``field``."""
    return _loaded().get(name) or _undeclared(name, field)


@lru_cache(maxsize=1024)
def _undeclared(name: str, field: FindingField) -> FindingKind:
    return FindingKind(name, field)


def names_with(trait: KindTrait) -> frozenset[str]:
    """The names of the kinds that have a trait."""
    return _loaded().names_with(trait)


def names_for(question: GeneralQuestion) -> tuple[str, ...]:
    """The names of the kinds that answer a general question."""
    return tuple(kind.name for kind in declared_kinds() if question in kind.default_for)


def question_cues() -> tuple[CompiledCue, ...]:
    """The phrases by which questions ask for kinds, each with the kinds that it may mean."""
    return _loaded().cues()
