"""Prompts in files of their own, each with its revision.

    template = load_template(__package__, "caption")     # prompts/caption.md beside the caller
    template.prompt(Clip(jpegs, times_s), Words("What is seen?"))

A file begins with a header and goes on with what the model is told to do:

    ---
    revision: 1
    digest: 4d1f0c7be1
    ---
    Describe what the clip shows.

The digest is that of the text below the header. Whoever changes the text raises the revision and
writes the new digest, which a test asks for: replies to two wordings are never taken for one.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from .multimodal_prompt import Part, Prompt

_FILE = re.compile(r"---\nrevision: (\d+)\ndigest: ([0-9a-f]+)\n---\n(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """What a model is told to do, apart from what it is shown."""

    name: str
    """What it is for, such as ``caption``; the file's name."""
    revision: int
    system: str
    digest: str
    """Of ``system``, as the file's header gives it."""

    def prompt(self, *parts: Part) -> Prompt:
        """A request that shows ``parts``."""
        return Prompt(self.name, self.revision, self.system, parts)

    def written_by(self, model: str) -> str:
        """Who stands behind a reply to such a request: ``lmm:tiny/caption.1``."""
        return self.prompt().written_by(model)


@cache
def load_template(package: str, name: str) -> PromptTemplate:
    """Read ``prompts/<name>.md`` of a package.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it has no header.

    """
    text = (files(package) / "prompts" / f"{name}.md").read_text(encoding="utf-8")
    found = _FILE.fullmatch(text)
    if found is None:
        raise ValueError(f"prompts/{name}.md of {package} does not begin with its revision and digest")
    revision, digest, system = found.groups()
    return PromptTemplate(name, int(revision), system.strip(), digest)


def digest_of(system: str) -> str:
    """What a file's header says of its text."""
    return hashlib.blake2b(system.encode(), digest_size=5).hexdigest()
