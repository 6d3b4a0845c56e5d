"""The pinned versions in ``constraints.txt`` fit the ranges in ``pyproject.toml``, so that pip can install both."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


def pinned_versions() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = (line.partition("==") for line in lines if "==" in line and not line.startswith("#"))
    return {canonicalize_name(name): version.split()[0] for name, _, version in pins}


def requirements() -> list[Requirement]:
    """What Recollect and its extras depend on."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    return [Requirement(text) for group in (project["dependencies"], *extras) for text in group]


def test_every_pinned_version_is_in_the_allowed_range() -> None:
    pins = pinned_versions()
    pinned = [requirement for requirement in requirements() if canonicalize_name(requirement.name) in pins]

    refused = [str(item) for item in pinned if pins[canonicalize_name(item.name)] not in item.specifier]

    assert len(pinned) > 20
    assert refused == []
