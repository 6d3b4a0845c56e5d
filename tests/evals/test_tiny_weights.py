"""The weights of recollect-tiny in the repository, checked without torch."""

from __future__ import annotations

import json
from pathlib import Path

from recollect.evals.tiny.phrases import system_texts
from recollect.evals.tiny.tasks import TASKS

WEIGHTS = Path(__file__).parents[2] / "models" / "recollect-tiny" / "recollect_tiny" / "weights"


def test_the_weights_know_the_current_system_texts():
    """Whoever changes a system text trains anew (docs/tiny.md): the model reads each as one token of its own."""
    tokenizer = json.loads((WEIGHTS / "tokenizer.json").read_text(encoding="utf-8"))
    known = {token["content"] for token in tokenizer["added_tokens"]}

    assert set(system_texts()) <= known


def test_they_are_small():
    assert sum(file.stat().st_size for file in WEIGHTS.iterdir()) < 20_000_000


def test_their_card_says_how_each_task_went():
    scores = json.loads((WEIGHTS / "scores.json").read_text(encoding="utf-8"))["tasks"]
    card = (WEIGHTS / "README.md").read_text(encoding="utf-8")

    assert set(scores) == set(TASKS)
    assert all(f"| {task} | {score['valid']:.0%} |" in card for task, score in scores.items())
