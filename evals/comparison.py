"""Comparison of runs: tables by video length, by cost, by the age of the evidence, and of accuracy against cost.

    runs = [read_run(Path("world-10")), read_run(Path("world-1440"))]
    print(comparison_markdown(runs))
    write_curves(runs, Path("curves.csv"))

The columns are conditions: runs of the same suite, length (to two digits) and memory are pooled.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .conditions import (
    ALL,
    Condition,
    conditions_of,
    format_bytes,
    lags_of,
    name_of_length,
    ours_of,
    systems_of,
)
from .curves import ORACLE_SYSTEMS, MeasuredSystem, length_slope, measure, pareto_front
from .markdown_tables import MISSING, markdown_table
from .report import ReportedRun, format_estimate, mean_of

_CSV_COLUMNS = (
    "suite",
    "length_s",
    "memory",
    "system",
    "lag",
    "questions",
    "accuracy",
    "low",
    "high",
    "lmm_calls",
    "tokens",
    "pictures",
    "seconds",
    "memory_bytes",
)
_Measured = dict[tuple[Condition, str], MeasuredSystem]
"""Results by condition and system."""


def comparison_markdown(runs: Sequence[ReportedRun]) -> str:
    """All tables as Markdown."""
    conditions = conditions_of(runs)
    if not conditions:
        return "Nothing that can be scored was answered yet.\n"
    measured = {
        (condition, system): measure(condition, system)
        for condition in conditions
        for system in condition.systems
    }
    parts = [_condition_list(conditions), _length_table(conditions, measured), _cost_table(measured)]
    parts += [_retention_table(conditions), _pareto_table(conditions, measured)]
    return "\n".join(part for part in parts if part)


def write_curves(runs: Sequence[ReportedRun], path: Path) -> None:
    """Write one row for each condition, system and age of the evidence. The age ``all`` covers all questions.

    ``memory_bytes`` belongs to the condition. It is also set for systems that do not use the memory.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _CSV_COLUMNS)
        writer.writeheader()
        for condition in conditions_of(runs):
            for system in condition.systems:
                for lag in (ALL, *lags_of([condition], system)):
                    writer.writerow(_csv_row(measure(condition, system, lag)))


def _condition_list(conditions: Sequence[Condition]) -> str:
    """A line for each condition: how much was asked, and what watching took."""
    return "\n".join([*map(_condition_line, conditions), ""])


def _condition_line(condition: Condition) -> str:
    questions = len({answer.sample.id for answer in condition.scored})
    clusters = len({answer.sample.cluster for answer in condition.scored})
    line = f"- {condition.name}: {_count(questions, 'question')} of {_count(clusters, 'independent video')}."
    ingests = condition.ingests
    hours = sum(ingest.duration_s for ingest in ingests) / 3600
    if not hours:
        return line
    took_s = sum(ingest.seconds for ingest in ingests)
    calls = sum(ingest.usage.lmm_calls for ingest in ingests)
    tokens = sum(ingest.usage.tokens for ingest in ingests)
    memory_bytes = sum(ingest.memory_bytes for ingest in ingests)
    return (
        f"{line} Watched {hours * 3600 / max(took_s, 1e-9):.1f} times as fast as they last,"
        f" with {calls / hours:,.0f} LMM calls and {tokens / hours:,.0f} tokens an hour of video,"
        f" into {condition.memory_size} a video, {format_bytes(memory_bytes / hours)} an hour."
    )


def _length_table(conditions: Sequence[Condition], measured: _Measured) -> str:
    """The accuracy of each system in each condition, and the slope by length if there are several lengths."""
    lengths = {
        name_of_length(condition.length_s) for condition in conditions if condition.length_s is not None
    }
    columns = ["accuracy by length", *(condition.name for condition in conditions)]
    if len(lengths) > 1:
        columns.append("per tenfold")
    rows = []
    for system in systems_of(conditions):
        results = [measured.get((condition, system)) for condition in conditions]
        row = [
            system,
            *(MISSING if result is None else format_estimate(result.accuracy) for result in results),
        ]
        if len(lengths) > 1:
            slope = length_slope(conditions, system)
            row.append(MISSING if slope is None else format_estimate(slope, "+"))
        rows.append(row)
    return markdown_table(columns, rows)


def _cost_table(measured: _Measured) -> str:
    """The mean cost of a question for each system in each condition."""
    systems = list(dict.fromkeys(system for _, system in measured))
    by_system = sorted(measured.values(), key=lambda result: systems.index(result.system))
    return markdown_table(
        ["a question costs", "videos", "LMM calls", "tokens", "pictures", "s"],
        [
            [
                result.system,
                result.condition.name,
                f"{result.lmm_calls:.1f}",
                f"{result.tokens:,.0f}",
                f"{result.pictures:.1f}",
                f"{result.seconds:.2f}",
            ]
            for result in by_system
        ],
    )


def _retention_table(conditions: Sequence[Condition]) -> str:
    """The accuracy of our system by the age of the evidence. Empty if no age is known."""
    system = ours_of(conditions)
    lags = lags_of(conditions, system)
    if not lags:
        return ""
    rows = []
    for lag in lags:
        parts = [condition.of(system, lag) for condition in conditions]
        cells = [f"{format_estimate(mean_of(part))} of {len(part):,}" if part else MISSING for part in parts]
        rows.append([lag, *cells])
    return markdown_table(
        [f"retention of {system}", *(condition.name_and_size for condition in conditions)], rows
    )


def _pareto_table(conditions: Sequence[Condition], measured: _Measured) -> str:
    """Accuracy against cost, with the Pareto front of each condition."""
    rows = []
    for condition in conditions:
        results = sorted(
            (result for result in measured.values() if result.condition is condition),
            key=lambda result: (result.tokens, result.lmm_calls, -result.accuracy.value),
        )
        front = pareto_front(results)
        for result in results:
            mark = "yes" if result.system in front else ""
            rows.append(
                [
                    condition.name,
                    result.system,
                    f"{result.tokens:,.0f}",
                    f"{result.lmm_calls:.1f}",
                    format_estimate(result.accuracy),
                    "given the evidence" if result.system in ORACLE_SYSTEMS else mark,
                ]
            )
    table = markdown_table(
        [
            "accuracy against cost",
            "system",
            "tokens",
            "LMM calls",
            "right (95 %)",
            "none is better for as little",
        ],
        rows,
    )
    return f"{table}\nCosts are of answers. The cost of watching is stated above.\n"


def _csv_row(result: MeasuredSystem) -> dict[str, Any]:
    condition, accuracy = result.condition, result.accuracy
    length_s, memory_bytes = condition.length_s, condition.memory_bytes
    return {
        "suite": condition.suite,
        "length_s": None if length_s is None else round(length_s, 3),
        "memory": condition.memory,
        "system": result.system,
        "lag": result.lag,
        "questions": result.questions,
        "accuracy": round(accuracy.value, 4),
        "low": round(accuracy.low, 4) if accuracy.known else None,
        "high": round(accuracy.high, 4) if accuracy.known else None,
        "lmm_calls": round(result.lmm_calls, 4),
        "tokens": round(result.tokens, 2),
        "pictures": round(result.pictures, 4),
        "seconds": round(result.seconds, 4),
        "memory_bytes": None if memory_bytes is None else round(memory_bytes),
    }


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' if count != 1 else ''}"
