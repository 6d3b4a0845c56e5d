"""Prompts that live in files of their own, with a revision.

    template = load_template("recollect.agent.prompts", "judge")
    Prompt(template.name, template.revision, template.system, parts)

A file begins with ``revision: 3``; what follows the first empty line is what the model is told to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Template:
    """What a model is told to do."""

    name: str
    revision: int
    system: str


@cache
def load_template(package: str, name: str) -> Template:
    """Read the prompt ``name`` of a package.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it does not begin with its revision.

    """
    head, _, system = (files(package) / f"{name}.md").read_text("utf-8").partition("\n\n")
    key, _, revision = head.partition(":")
    if key != "revision":
        raise ValueError(f"the prompt {name!r} of {package} does not begin with its revision")
    return Template(name, int(revision), system.strip())
