"""Prompt files: each states its revision, and no text changes without a new revision."""

from __future__ import annotations

from pathlib import Path

import pytest

from recollect.perception.lmm import TextPart
from recollect.perception.lmm.prompt_templates import digest_of, load_template

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("*/prompts/*.md"), *ROOT.glob("*/*/prompts/*.md")])


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.parent.name}/{file.stem}")
def test_a_prompt_does_not_change_without_its_revision(file: Path) -> None:
    template = load_template(".".join(["recollect", *file.parent.parent.relative_to(ROOT).parts]), file.stem)

    assert template.digest == digest_of(template.system), (
        f"the text of {file.name} is not the one of revision {template.revision}: "
        f"raise `revision`, and write `digest: {digest_of(template.system)}`"
    )


def test_prompts_are_found() -> None:
    assert {"caption", "summary"} <= {file.stem for file in FILES}


def test_a_template_becomes_a_prompt_of_its_name_and_revision() -> None:
    template = load_template("recollect.perception.describing", "caption")

    prompt = template.prompt(TextPart("What is seen?"))

    assert (prompt.name, prompt.revision, prompt.system) == ("caption", template.revision, template.system)
    assert prompt.parts == (TextPart("What is seen?"),)
    assert template.written_by("tiny") == f"lmm:tiny/caption.{template.revision}"


def test_a_missing_prompt_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        load_template("recollect.perception.describing", "nonsense")
