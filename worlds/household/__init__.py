"""Household benchmark: questions about a drawn house of any length, which require watching its video.

    house = furnish(seeds("public", 1)[0], lasts_s=3600.0)       # of worlds.house
    samples = questions_about(house, seed=1, limit=60)
    pair = twins(seed=7, lasts_s=600.0)                          # two houses that differ in one fact
    for result in audit(samples):                                # what can be guessed without the video
        assert result.passed, result

The ground truth is a log (``event_log``) that can be cut at any time. A question is data (``question_specs``) with a
text (``question_wording``). It is answered from the log (``oracle``) and again from what the camera shows
(``replay_solver``). ``question_kinds`` draws questions so that their text does not reveal the answer
(``option_drawing``), and ``shortcut_audits`` checks that.
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
