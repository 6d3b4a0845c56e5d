"""What a run showed: tables with intervals, from the files it left, as often as wanted and without asking again.

    scored = read_run(Path("run"))
    print(markdown(scored))
    write_csv(scored, Path("run/scores.csv"))

Every question counts for every system: what failed or was not answered is worth nothing. Intervals and differences
are of clusters drawn anew (``statistics``); p-values of one table are adjusted together, after Holm.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from .errors import BadRun, NoRun
from .records import LAGS, Ingest, Prediction, RunManifest, Sample, Timing, name_of_lag, read
from .scorers import evidence_recall, reply, score
from .statistics import (
    Interval,
    Paired,
    clustered_mean,
    detectable_difference_between,
    holm,
    paired_difference,
)
from .suites.suite import Suite
from .systems import OURS

ORACLE = "oracle evidence"
_FEW_FLIPS = 10
"""Of more videos p-values can be small enough, however many systems are compared."""
FEWEST_CLUSTERS = 5
"""Of fewer, an interval says too little of how clusters differ."""


@dataclass(frozen=True)
class ScoredAnswer:
    """One answer of one system, and what it is worth."""

    sample: Sample
    prediction: Prediction
    score: float
    seconds: float

    @property
    def chosen(self) -> float:
        """Its score if it had to choose: an abstention is a guess among the options."""
        options = len(self.sample.options) or (2 if self.sample.kind == "yes_no" else 0)
        return self.score if self.prediction.answer is not None or not options else 1 / options

    @property
    def lag(self) -> str | None:
        """How old the evidence is, by a name of ``LAGS``; None where that is not known."""
        return None if self.sample.lag_s is None else name_of_lag(self.sample.lag_s)

    @property
    def recall(self) -> float | None:
        """How much of what proves the answer was among what it retrieved; None where it retrieves nothing."""
        return evidence_recall(self.sample, self.prediction.found) if self.prediction.found else None


@dataclass(frozen=True)
class ReportedRun:
    """All that a run left."""

    manifest: RunManifest
    scored: Sequence[ScoredAnswer]
    ingests: Sequence[Ingest]

    def of(self, system: str) -> list[ScoredAnswer]:
        """What one system answered, by sample."""
        return [one for one in self.scored if one.prediction.system == system]

    @property
    def systems(self) -> list[str]:
        """Those that answered, in the order of the run."""
        there = {one.prediction.system for one in self.scored}
        return [name for name in self.manifest.systems if name in there]


def read_run(folder: Path) -> ReportedRun:
    """Score what a run answered so far.

    Raises ``NoRun`` where there is none, and ``BadRun`` where what it left cannot be read.
    """
    manifest = next(read(folder / "manifest.json", RunManifest), None)
    if manifest is None:
        raise NoRun(folder)
    samples = {sample.id: sample for sample in read(folder / "samples.jsonl", Sample)}
    seconds = {
        (one.sample, one.system, one.repeat): one.seconds for one in read(folder / "timings.jsonl", Timing)
    }
    scored = []
    for one in read(folder / "predictions.jsonl", Prediction):
        if one.sample not in samples:
            raise BadRun(folder, f"{one.sample} was answered and never asked")
        sample = samples[one.sample]
        if sample.gold is not None:
            took_s = seconds.get((one.sample, one.system, one.repeat), 0.0)
            scored.append(ScoredAnswer(sample, one, score(sample, one), took_s))
    return ReportedRun(manifest, scored, list(read(folder / "ingests.jsonl", Ingest)))


def markdown(run: ReportedRun) -> str:
    """Everything, as Markdown."""
    if not run.scored:
        return "Nothing that can be scored was answered yet.\n"
    parts = [_headline(run), _systems(run)]
    parts += [_split(run, "type", lambda one: one.sample.tags.get("type", one.sample.kind))]
    if any(one.sample.lag_s is not None for one in run.scored):
        parts.append(_split(run, "time since the evidence", lambda one: one.lag, [name for name, *_ in LAGS]))
    parts.append(_failures(run))
    return "\n".join(parts)


def write_csv(run: ReportedRun, path: Path) -> None:
    """One row for each answer."""
    rows = [_row(one) for one in run.scored]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0] if rows else ())
        writer.writeheader()
        writer.writerows(rows)


def _row(one: ScoredAnswer) -> dict[str, Any]:
    sample, said = one.sample, one.prediction
    return {
        "sample": sample.id,
        "video": sample.video,
        "cluster": sample.cluster,
        "kind": sample.kind,
        "type": sample.tags.get("type", ""),
        "lag_s": None if sample.lag_s is None else round(sample.lag_s, 3),
        "system": said.system,
        "repeat": said.repeat,
        "status": said.status,
        "answer": said.answer,
        "gold": sample.gold,
        "score": one.score,
        "evidence_recall": one.recall,
        "lmm_calls": said.usage.lmm_calls,
        "tokens": said.usage.tokens,
        "pictures": said.usage.pictures,
        "seconds": round(one.seconds, 4),
    }


def official(run: ReportedRun, suite: Suite) -> str:
    """What the benchmark's own parser and score make of the same answers, as its own table has it."""
    tables = {
        system: suite.totals(
            [
                (one.sample, worth)
                for one in run.of(system)
                if math.isfinite(worth := suite.official(one.sample, reply(one.prediction)))
            ]
        )
        for system in run.systems
    }
    names = list(dict.fromkeys(name for table in tables.values() for name in table))
    rows = [f"| {suite.name}, as its makers score | {' | '.join(names)} |", f"|---{'|---' * len(names)}|"]
    for system, table in tables.items():
        cells = [f"{table[name]:.3f}" if name in table else "–" for name in names]
        rows.append(f"| {system} | {' | '.join(cells)} |")
    return "\n".join([*rows, ""])


def _headline(run: ReportedRun) -> str:
    ours = run.of(OURS) or run.of(run.systems[0])
    watched_s = sum(one.duration_s for one in run.ingests)
    took_s = sum(one.seconds for one in run.ingests)
    clusters = len({one.sample.cluster for one in ours})
    lines = [
        f"{run.manifest.suite}: {len(ours)} questions of {clusters} independent"
        f" video{'s' if clusters != 1 else ''}."
    ]
    if watched_s:
        told = sum(one.usage.lmm_calls for one in run.ingests), sum(one.usage.tokens for one in run.ingests)
        lines.append(
            f"{watched_s / 60:.1f} minutes were watched {watched_s / max(took_s, 1e-9):.1f} times as fast as they last,"
            f" into {sum(one.memory_bytes for one in run.ingests) / 1e6 / (watched_s / 3600):.1f} MB an hour"
            + (f", with {told[0]:,} calls and {told[1]:,} tokens of a model." if told[0] else ".")
        )
    return " ".join(lines) + "\n"


def _systems(run: ReportedRun) -> str:
    """One row for each system."""
    ours = run.of(OURS)
    leads = {name: _paired(ours, run.of(name)) for name in run.systems if ours and name != OURS}
    adjusted = dict(zip(leads, holm([lead.p_value for lead in leads.values()]), strict=True)) if leads else {}
    rows = [
        "| system | right (95 %) | if it must choose | all of a group | abstained | failed | recollect leads by (95 %) | p"
        " | evidence found | calls | tokens | pictures | s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name in run.systems:
        mine = run.of(name)
        recalls = [one.recall for one in mine if one.recall is not None]
        lead = leads.get(name)
        groups = _groups(mine)
        rows.append(
            f"| {name} | {told(mean_of(mine))} | {fmean(one.chosen for one in mine):.2f}"
            f" | {f'{fmean(groups):.2f}' if groups else '–'}"
            f" | {_share(mine, 'abstained')} | {_share(mine, 'error')}"
            f" | {told(lead.difference, '+') if lead else '–'} | {f'{adjusted[name]:.3f}' if lead else '–'}"
            f" | {f'{fmean(recalls):.2f}' if recalls else '–'}"
            f" | {fmean(one.prediction.usage.lmm_calls for one in mine):.1f}"
            f" | {fmean(one.prediction.usage.tokens for one in mine):,.0f}"
            f" | {fmean(one.prediction.usage.pictures for one in mine):.1f} | {fmean(one.seconds for one in mine):.2f} |"
        )
    chance = [1 / len(one.sample.options) for one in run.of(run.systems[0]) if one.sample.options]
    notes = [f"By chance: {fmean(chance):.2f}."] if chance else []
    others = [name for name in run.systems if name != OURS]
    clusters = len({one.sample.cluster for one in ours})
    if others and 1 < clusters <= _FEW_FLIPS:
        notes.append(
            f"Of {clusters} independent videos no p is below {min(1.0, len(others) / 2 ** (clusters - 1)):.2f},"
            " adjusted for so many comparisons."
        )
    if ours and others:
        seen = max(_detectable(ours, run.of(name)) for name in others)
        if math.isfinite(seen):
            notes.append(
                f"Differences below {100 * seen:.0f} points cannot be told from chance here (80 % power)."
            )
    return "\n".join([*rows, "", *notes, ""])


def _split(
    run: ReportedRun, what: str, key: Callable[[ScoredAnswer], str | None], order: Sequence[str] | None = None
) -> str:
    """The scores of every system, by a part of the questions."""
    there = dict.fromkeys(key(one) for one in run.scored)
    names = [name for name in (order or sorted(name for name in there if name is not None)) if name in there]
    rows = [f"| {what} | questions | {' | '.join(run.systems)} |", f"|---|---{'|---' * len(run.systems)}|"]
    for name in names:
        parts = [[one for one in run.of(system) if key(one) == name] for system in run.systems]
        cells = [told(mean_of(part)) if part else "–" for part in parts]
        rows.append(f"| {name} | {len(parts[0])} | {' | '.join(cells)} |")
    return "\n".join([*rows, ""])


def _failures(run: ReportedRun) -> str:
    """Why recollect did not answer right what it did not."""
    oracle = {(one.sample.id, one.prediction.repeat): one for one in run.of(ORACLE)}
    causes = [
        _cause(one, given)
        for one in run.of(OURS)
        if one.score < 1.0 and (given := oracle.get((one.sample.id, one.prediction.repeat))) is not None
    ]
    if not causes:
        return ""
    rows = ["| where recollect fails | questions | of those that it fails at |", "|---|---|---|"]
    rows += [
        f"| {cause} | {causes.count(cause)} | {causes.count(cause) / len(causes):.2f} |" for cause in _CAUSES
    ]
    return "\n".join([*rows, ""])


_CAUSES = (
    "not asked for: answers of this kind (alerts, orders, lists) are not given yet",
    "not encoded: what is remembered of the evidence does not name the answer",
    "not retrieved: no piece of the evidence was found",
    "not used: it was found, and is enough where nothing else is shown",
    "misread: shown alone it is not enough either, though it names the answer or has no words",
)


def _cause(ours: ScoredAnswer, given: ScoredAnswer) -> str:
    not_asked_for, not_encoded, not_retrieved, not_used, misread = _CAUSES
    if ours.sample.kind in ("alerts", "order", "checklist"):
        return not_asked_for
    if given.score == 1.0:
        return not_used if ours.recall else not_retrieved
    return not_encoded if given.prediction.encoded is False else misread


def _paired(ours: Sequence[ScoredAnswer], theirs: Sequence[ScoredAnswer]) -> Paired:
    one, other, clusters = _together(ours, theirs)
    paired = paired_difference(one, other, clusters)
    if _too_few(clusters):
        return paired._replace(difference=Interval(paired.difference.value, math.nan, math.nan))
    return paired


def _detectable(ours: Sequence[ScoredAnswer], theirs: Sequence[ScoredAnswer]) -> float:
    one, other, clusters = _together(ours, theirs)
    return detectable_difference_between(one, other, clusters)


def _together(
    ours: Sequence[ScoredAnswer], theirs: Sequence[ScoredAnswer]
) -> tuple[list[float], list[float], list[str]]:
    """The scores of two systems for the questions that both answered, with their clusters."""
    their = {(one.sample.id, one.prediction.repeat): one.score for one in theirs}
    both = [one for one in ours if (one.sample.id, one.prediction.repeat) in their]
    return (
        [one.score for one in both],
        [their[one.sample.id, one.prediction.repeat] for one in both],
        [one.sample.cluster for one in both],
    )


def _groups(scored: Iterable[ScoredAnswer]) -> list[float]:
    """For each group of questions whether all of them were answered right."""
    found: dict[tuple[str, int], list[float]] = {}
    for one in scored:
        if one.sample.group is not None:
            found.setdefault((one.sample.group, one.prediction.repeat), []).append(one.score)
    return [float(min(scores) == 1.0) for scores in found.values() if len(scores) > 1]


def _share(scored: Sequence[ScoredAnswer], status: str) -> str:
    return f"{fmean(one.prediction.status == status for one in scored):.2f}"


def mean_of(scored: Sequence[ScoredAnswer]) -> Interval:
    """The mean score, with an interval where there are five clusters."""
    scores, clusters = [one.score for one in scored], [one.sample.cluster for one in scored]
    if _too_few(clusters):
        return Interval(fmean(scores), math.nan, math.nan)
    return clustered_mean(scores, clusters)


def _too_few(clusters: Sequence[str]) -> bool:
    return len(set(clusters)) < FEWEST_CLUSTERS


def told(found: Interval, sign: str = "") -> str:
    """A value with its interval, where there is one."""
    if not found.known:
        return f"{found.value:{sign}.2f}"
    return f"{found.value:{sign}.2f} ({found.low:{sign}.2f} to {found.high:{sign}.2f})"
