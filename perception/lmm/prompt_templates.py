"""Prompt templates: the instructions to a model, in files of their own with a revision each.

    template = load_template(__package__, "caption")     # prompts/caption.md beside the caller
    template.prompt(ClipPart(jpegs, times_s), TextPart("What is seen?"))

A file holds a header and the instructions:

    ---
    revision: 1
    digest: 4d1f0c7be1
    ---
    Describe what the clip shows.

The digest is that of the text below the header. A change of the text needs a new revision and a new digest,
which a test checks, so that replies to two wordings are never mixed.
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
    """The instructions of a prompt, without its contents."""

    name: str
    """Its purpose, such as ``caption``, and the name of its file."""
    revision: int
    system: str
    digest: str
    """The digest of ``system`` in the header of the file."""

    def prompt(self, *parts: Part) -> Prompt:
        """A request with these contents."""
        return Prompt(self.name, self.revision, self.system, parts)

    def written_by(self, model: str) -> str:
        """The provenance of a reply to such a request: ``lmm:tiny/caption.1``."""
        return self.prompt().written_by(model)


@cache
def load_template(package: str, name: str) -> PromptTemplate:
    """Read ``prompts/<name>.md`` of a package.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It has no header.

    """
    text = (files(package) / "prompts" / f"{name}.md").read_text(encoding="utf-8")
    match = _FILE.fullmatch(text)
    if match is None:
        raise ValueError(f"prompts/{name}.md of {package} does not begin with its revision and digest")
    revision, digest, system = match.groups()
    return PromptTemplate(name, int(revision), system.strip(), digest)


def digest_of(system: str) -> str:
    """The digest that belongs into the header of a file with this text."""
    return hashlib.blake2b(system.encode(), digest_size=5).hexdigest()
