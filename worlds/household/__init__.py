"""A house that lives, for as long as one likes, and questions about it that only who watched can answer.

    house = furnish(seeds("public", 1)[0], lasts_s=3600.0)     # of evals.house
    samples = questions_about(house, seed=1, limit=60)
    pair = twins(seed=7, lasts_s=600.0)                          # two houses that differ in one fact
    for finding in audit(samples):                               # what can be guessed without the video
        assert finding.passed, finding

What happens is a log (``log``) that can be cut at any time; a question is data (``specs``) with its words
(``wording``), answered from the log (``oracle``) and a second time from what the camera sees (``replay``). The kinds
(``kinds``) draw them so that no text gives its answer away (``draws``), which ``audits`` checks.
"""

from __future__ import annotations

from .counterfactual_twins import CounterfactualTwins, TwinDifference, pair_accuracy, twins
from .event_log import EventLog, LoggedEvent, Pattern
from .oracle import OracleAnswer, answer
from .question_kinds import KINDS
from .question_sampling import questions_about
from .question_specs import Spec
from .question_wording import question
from .replay_solver import Replay
from .seeds import Split, seeds
from .shortcut_audits import AuditResult, audit, coverage

__all__ = [
    "KINDS",
    "AuditResult",
    "CounterfactualTwins",
    "EventLog",
    "LoggedEvent",
    "OracleAnswer",
    "Pattern",
    "Replay",
    "Spec",
    "Split",
    "TwinDifference",
    "answer",
    "audit",
    "coverage",
    "pair_accuracy",
    "question",
    "questions_about",
    "seeds",
    "twins",
]
