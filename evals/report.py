"""The report of a run: scores with confidence intervals, computed from the stored answers without asking again.

    run = read_run(Path("run"))
    print(markdown(run))
    write_csv(run, Path("run/scores.csv"))

Every question counts for every system: an error or an abstention scores 0. Intervals and differences come from a
bootstrap over clusters (``statistics``). The p-values of one table are adjusted for multiple comparisons (Holm).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from .errors import BadRun, NoRun
from .markdown_tables import MISSING, markdown_table
from .records import LAGS, Ingest, Prediction, RunManifest, Sample, Timing, name_of_lag, read_records
from .scorers import evidence_recall, reply_text, score
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
_FEW_CLUSTERS = 10
"""With more clusters, p-values can be small however many systems are compared."""
MIN_CLUSTERS = 5
"""With fewer clusters, an interval says too little about how clusters differ."""


@dataclass(frozen=True)
class ScoredAnswer:
    """One answer of one system, with its score."""

    sample: Sample
    prediction: Prediction
    score: float
    seconds: float

    @property
    def forced_score(self) -> float:
        """The expected score if the system had to choose: an abstention counts as a random guess."""
        options = option_count(self.sample)
        return self.score if self.prediction.answer is not None or not options else 1 / options

    @property
    def lag(self) -> str | None:
        """The name of the class in ``LAGS`` of the evidence's age. None if it is not known."""
        return None if self.sample.lag_s is None else name_of_lag(self.sample.lag_s)

    @property
    def recall(self) -> float | None:
        """The share of the evidence that the system retrieved. None if it retrieved nothing."""
        return evidence_recall(self.sample, self.prediction.found) if self.prediction.found else None

    @property
    def pairing_key(self) -> tuple[str, int]:
        """Sample and repeat, by which the answers of two systems are paired."""
        return self.sample.id, self.prediction.repeat


@dataclass(frozen=True)
class ReportedRun:
    """The results of a run."""

    manifest: RunManifest
    scored: Sequence[ScoredAnswer]
    ingests: Sequence[Ingest]

    def of(self, system: str) -> list[ScoredAnswer]:
        """The answers of one system."""
        return [answer for answer in self.scored if answer.prediction.system == system]

    @property
    def systems(self) -> list[str]:
        """The systems with answers, in the order of the run."""
        answered = {answer.prediction.system for answer in self.scored}
        return [name for name in self.manifest.systems if name in answered]


def read_run(folder: Path) -> ReportedRun:
    """Score the answers that a run has stored so far.

    Raises ``NoRun`` if the folder holds no run, and ``BadRun`` if its files cannot be read.
    """
    manifest = next(read_records(folder / "manifest.json", RunManifest), None)
    if manifest is None:
        raise NoRun(folder)
    samples = {sample.id: sample for sample in read_records(folder / "samples.jsonl", Sample)}
    seconds = {
        (timing.sample, timing.system, timing.repeat): timing.seconds
        for timing in read_records(folder / "timings.jsonl", Timing)
    }
    scored = []
    for prediction in read_records(folder / "predictions.jsonl", Prediction):
        if prediction.sample not in samples:
            raise BadRun(folder, f"it has an answer to {prediction.sample}, which is not among its questions")
        sample = samples[prediction.sample]
        if sample.gold is not None:
            took_s = seconds.get((prediction.sample, prediction.system, prediction.repeat), 0.0)
            scored.append(ScoredAnswer(sample, prediction, score(sample, prediction), took_s))
    return ReportedRun(manifest, scored, list(read_records(folder / "ingests.jsonl", Ingest)))


def markdown(run: ReportedRun) -> str:
    """The whole report as Markdown."""
    if not run.scored:
        return "Nothing that can be scored was answered yet.\n"
    parts = [_headline(run), _systems_part(run)]
    parts += [_split_table(run, "type", lambda answer: answer.sample.tags.get("type", answer.sample.kind))]
    if any(answer.sample.lag_s is not None for answer in run.scored):
        lags = [name for name, *_ in LAGS]
        parts.append(_split_table(run, "time since the evidence", lambda answer: answer.lag, lags))
    parts.append(_failure_table(run))
    return "\n".join(parts)


def write_csv(run: ReportedRun, path: Path) -> None:
    """Write one row for each answer."""
    rows = [_csv_row(answer) for answer in run.scored]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0] if rows else ())
        writer.writeheader()
        writer.writerows(rows)


def _csv_row(answer: ScoredAnswer) -> dict[str, Any]:
    sample, prediction = answer.sample, answer.prediction
    return {
        "sample": sample.id,
        "video": sample.video,
        "cluster": sample.cluster,
        "kind": sample.kind,
        "type": sample.tags.get("type", ""),
        "lag_s": None if sample.lag_s is None else round(sample.lag_s, 3),
        "system": prediction.system,
        "repeat": prediction.repeat,
        "status": prediction.status,
        "answer": prediction.answer,
        "gold": sample.gold,
        "score": answer.score,
        "evidence_recall": answer.recall,
        "lmm_calls": prediction.usage.lmm_calls,
        "tokens": prediction.usage.tokens,
        "pictures": prediction.usage.pictures,
        "seconds": round(answer.seconds, 4),
    }


def official(run: ReportedRun, suite: Suite) -> str:
    """The same answers, parsed and scored by the benchmark's own rules, as a table."""
    totals = {system: suite.totals(_official_scores(run.of(system), suite)) for system in run.systems}
    names = list(dict.fromkeys(name for table in totals.values() for name in table))
    return markdown_table(
        [f"{suite.name}, as its makers score", *names],
        [
            [system, *(f"{table[name]:.3f}" if name in table else MISSING for name in names)]
            for system, table in totals.items()
        ],
    )


def _official_scores(answers: Iterable[ScoredAnswer], suite: Suite) -> list[tuple[Sample, float]]:
    scored = [
        (answer.sample, suite.official(answer.sample, reply_text(answer.prediction))) for answer in answers
    ]
    return [(sample, value) for sample, value in scored if math.isfinite(value)]


def _headline(run: ReportedRun) -> str:
    ours = run.of(OURS) or run.of(run.systems[0])
    clusters = len({answer.sample.cluster for answer in ours})
    lines = [
        f"{run.manifest.suite}: {len(ours)} questions of {clusters} independent"
        f" video{'s' if clusters != 1 else ''}."
    ]
    watched_s = sum(ingest.duration_s for ingest in run.ingests)
    if watched_s:
        took_s = sum(ingest.seconds for ingest in run.ingests)
        megabytes = sum(ingest.memory_bytes for ingest in run.ingests) / 1e6
        calls = sum(ingest.usage.lmm_calls for ingest in run.ingests)
        tokens = sum(ingest.usage.tokens for ingest in run.ingests)
        lines.append(
            f"{watched_s / 60:.1f} minutes were watched {watched_s / max(took_s, 1e-9):.1f} times as fast as they last,"
            f" into {megabytes / (watched_s / 3600):.1f} MB an hour"
            + (f", with {calls:,} calls and {tokens:,} tokens of a model." if calls else ".")
        )
    return " ".join(lines) + "\n"


# -- the systems --------------------------------------------------------------------------------------

_SYSTEM_COLUMNS = (
    "system",
    "right (95 %)",
    "if it must choose",
    "all of a group",
    "abstained",
    "failed",
    "recollect leads by (95 %)",
    "p",
    "evidence found",
    "calls",
    "tokens",
    "pictures",
    "s",
)


def _systems_part(run: ReportedRun) -> str:
    """The table with one row for each system, and notes on how to read it."""
    ours = run.of(OURS)
    leads = {name: _paired(ours, run.of(name)) for name in run.systems if ours and name != OURS}
    p_values = holm([lead.p_value for lead in leads.values()]) if leads else ()
    adjusted = dict(zip(leads, p_values, strict=True))
    rows = [_system_row(name, run.of(name), leads.get(name), adjusted.get(name)) for name in run.systems]
    return "\n".join([markdown_table(_SYSTEM_COLUMNS, rows), *_notes(run), ""])


def _system_row(
    name: str, answers: Sequence[ScoredAnswer], lead: Paired | None, p_value: float | None
) -> list[str]:
    groups = _group_scores(answers)
    recalls = [answer.recall for answer in answers if answer.recall is not None]
    usages = [answer.prediction.usage for answer in answers]
    return [
        name,
        format_estimate(mean_of(answers)),
        f"{fmean(answer.forced_score for answer in answers):.2f}",
        f"{fmean(groups):.2f}" if groups else MISSING,
        _status_share(answers, "abstained"),
        _status_share(answers, "error"),
        MISSING if lead is None else format_estimate(lead.difference, "+"),
        MISSING if p_value is None else f"{p_value:.3f}",
        f"{fmean(recalls):.2f}" if recalls else MISSING,
        f"{fmean(usage.lmm_calls for usage in usages):.1f}",
        f"{fmean(usage.tokens for usage in usages):,.0f}",
        f"{fmean(usage.pictures for usage in usages):.1f}",
        f"{fmean(answer.seconds for answer in answers):.2f}",
    ]


def _notes(run: ReportedRun) -> list[str]:
    """The chance level, and how small a p-value or a difference this run can show."""
    ours = run.of(OURS)
    baselines = [name for name in run.systems if name != OURS]
    options = [len(answer.sample.options) for answer in run.of(run.systems[0]) if answer.sample.options]
    clusters = len({answer.sample.cluster for answer in ours})
    notes = [f"By chance: {fmean(1 / count for count in options):.2f}."] if options else []
    if baselines and 1 < clusters <= _FEW_CLUSTERS:
        notes.append(
            f"With {clusters} independent videos no adjusted p-value can be below"
            f" {min(1.0, len(baselines) / 2 ** (clusters - 1)):.2f}."
        )
    if ours and baselines:
        detectable = max(_detectable(ours, run.of(name)) for name in baselines)
        if math.isfinite(detectable):
            notes.append(
                f"Differences below {100 * detectable:.0f} points are not detectable here (80 % power)."
            )
    return notes


def _split_table(
    run: ReportedRun,
    title: str,
    category_of: Callable[[ScoredAnswer], str | None],
    order: Sequence[str] | None = None,
) -> str:
    """The scores of every system by a category of the questions."""
    existing = {category for answer in run.scored if (category := category_of(answer)) is not None}
    categories = [category for category in (order or sorted(existing)) if category in existing]
    rows = []
    for category in categories:
        parts = [
            [answer for answer in run.of(system) if category_of(answer) == category] for system in run.systems
        ]
        cells = [format_estimate(mean_of(part)) if part else MISSING for part in parts]
        rows.append([category, str(len(parts[0])), *cells])
    return markdown_table([title, "questions", *run.systems], rows)


# -- the causes of failures ---------------------------------------------------------------------------

_CAUSES = (
    "not supported: answers of this kind (alerts, orders, lists) are not given yet",
    "not encoded: the memory of the evidence does not name the answer",
    "not retrieved: no part of the evidence was found",
    "not used: the evidence was found, and is enough when shown alone",
    "misread: the evidence is not enough even when shown alone",
)


def _failure_table(run: ReportedRun) -> str:
    """How often each cause explains a wrong answer of Recollect. Empty if the oracle system was not measured."""
    oracle = {answer.pairing_key: answer for answer in run.of(ORACLE)}
    causes = [
        _cause(answer, oracle[answer.pairing_key])
        for answer in run.of(OURS)
        if answer.score < 1.0 and answer.pairing_key in oracle
    ]
    if not causes:
        return ""
    return markdown_table(
        ["where recollect fails", "questions", "of those that it fails at"],
        [[cause, str(causes.count(cause)), f"{causes.count(cause) / len(causes):.2f}"] for cause in _CAUSES],
    )


def _cause(ours: ScoredAnswer, oracle: ScoredAnswer) -> str:
    """Why our answer is wrong, given the answer of the system that is shown only the evidence."""
    unsupported_kind, not_encoded, not_retrieved, not_used, misread = _CAUSES
    if ours.sample.kind in ("alerts", "order", "checklist"):
        return unsupported_kind
    if oracle.score == 1.0:
        return not_used if ours.recall else not_retrieved
    return not_encoded if oracle.prediction.encoded is False else misread


# -- estimates ----------------------------------------------------------------------------------------


def _paired(ours: Sequence[ScoredAnswer], theirs: Sequence[ScoredAnswer]) -> Paired:
    our_scores, their_scores, clusters = _paired_scores(ours, theirs)
    paired = paired_difference(our_scores, their_scores, clusters)
    return paired.without_interval() if _too_few(clusters) else paired


def _detectable(ours: Sequence[ScoredAnswer], theirs: Sequence[ScoredAnswer]) -> float:
    return detectable_difference_between(*_paired_scores(ours, theirs))


def _paired_scores(
    ours: Sequence[ScoredAnswer], theirs: Sequence[ScoredAnswer]
) -> tuple[list[float], list[float], list[str]]:
    """The scores of two systems for the questions that both answered, and the clusters of these questions."""
    their_scores: Mapping[tuple[str, int], float] = {answer.pairing_key: answer.score for answer in theirs}
    common = [answer for answer in ours if answer.pairing_key in their_scores]
    return (
        [answer.score for answer in common],
        [their_scores[answer.pairing_key] for answer in common],
        [answer.sample.cluster for answer in common],
    )


def _group_scores(answers: Iterable[ScoredAnswer]) -> list[float]:
    """For each group of questions 1 if all of them were answered right, else 0."""
    groups: dict[tuple[str, int], list[float]] = {}
    for answer in answers:
        if answer.sample.group is not None:
            groups.setdefault((answer.sample.group, answer.prediction.repeat), []).append(answer.score)
    return [float(min(scores) == 1.0) for scores in groups.values() if len(scores) > 1]


def _status_share(answers: Sequence[ScoredAnswer], status: str) -> str:
    return f"{fmean(answer.prediction.status == status for answer in answers):.2f}"


def option_count(sample: Sample) -> int:
    """How many options a question has. 0 if it is answered freely."""
    return len(sample.options) or (2 if sample.kind == "yes_no" else 0)


def mean_of(answers: Sequence[ScoredAnswer]) -> Interval:
    """The mean score, with an interval if there are at least ``MIN_CLUSTERS`` clusters."""
    scores, clusters = [answer.score for answer in answers], [answer.sample.cluster for answer in answers]
    if _too_few(clusters):
        return Interval.of_value(fmean(scores))
    return clustered_mean(scores, clusters)


def _too_few(clusters: Sequence[str]) -> bool:
    return len(set(clusters)) < MIN_CLUSTERS


def format_estimate(estimate: Interval, sign: str = "") -> str:
    """``0.62 (0.58 to 0.66)``, or ``0.62`` without an interval. ``sign="+"`` shows the sign of positive numbers."""
    if not estimate.known:
        return f"{estimate.value:{sign}.2f}"
    return f"{estimate.value:{sign}.2f} ({estimate.low:{sign}.2f} to {estimate.high:{sign}.2f})"
