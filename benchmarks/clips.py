"""Accuracy of answers about real clips: all clips are in one memory, and questions name no stream.

    python benchmarks/clips.py FOLDER [--memory DIR] [--json]

FOLDER holds ``*.mp4`` and ``qa.jsonl``: records with ``id``, ``clip``, ``question``, ``needs``, ``type``, ``t_start``,
``t_end`` and ``alt_spans``. Evidence is right if it is of the right clip, its middle is within 2 s of the true span,
and it is not much longer than that span. ``overlap`` also requires an intersection over union of 0.3. Chance is the
score of a random moment of the memory.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from recollect import Recollect, Span
from recollect.memory.values import Moment

MARGIN_S = 2.0


def is_right(span: Span, truth: Span) -> bool:
    """Whether a span matches the true one within ``MARGIN_S``."""
    is_close = truth.start_s - MARGIN_S <= span.middle_s <= truth.end_s + MARGIN_S
    return is_close and span.duration_s <= max(2 * truth.duration_s, truth.duration_s + 2 * MARGIN_S)


def overlaps(span: Span, truth: Span) -> bool:
    """Whether the intersection of a span and the true one is at least 0.3 of their hull."""
    common = span.clipped_to(truth)
    return common is not None and common.duration_s / truth.hull(span).duration_s >= 0.3


def group_of(record: dict[str, Any]) -> str:
    """The ability that a question needs."""
    needs = set(record["needs"])
    if record["type"] == "absent":
        return "absent"
    if "ocr" in needs:
        return "text"
    if "speech" in needs:
        return "speech"
    if "object_semantics" in needs:
        return (
            "needs a model, in part" if needs & {"motion", "cut", "color", "brightness"} else "needs a model"
        )
    return "motion, colour, cuts"


def watch_all(memory: Recollect, folder: Path, *, quiet: bool) -> dict[str, str]:
    """Watch every clip of a folder. Returns the names of their streams by file name."""
    streams = {}
    for clip in sorted(folder.glob("*.mp4")):
        started_s = time.process_time()
        report = memory.watch(clip)
        streams[clip.name] = report.stream
        if not report.already_done and not quiet:
            cost_s = time.process_time() - started_s
            print(
                f"{clip.name}: {report.until_s:.1f} s of video in {cost_s:.1f} CPU s, {report.moments} moments"
            )
    return streams


def truths_of(record: dict[str, Any]) -> list[Span]:
    """The spans that answer a question. Empty if it has no answer."""
    if record["t_start"] is None:
        return []
    return [Span(record["t_start"], record["t_end"]), *(Span(*alt) for alt in record["alt_spans"])]


def ask(memory: Recollect, record: dict[str, Any], stream: str, moments: Sequence[Moment]) -> dict[str, Any]:
    """Ask one question and compare the evidence with the truth."""
    answer, truths = memory.ask(record["question"]), truths_of(record)

    def rank(test: Callable[[Span, Span], bool]) -> int | None:
        hits = (
            evidence.stream == stream and any(test(evidence.span, truth) for truth in truths)
            for evidence in answer.evidence
        )
        return next((number for number, hit in enumerate(hits, start=1) if hit), None)

    by_chance = [
        moment.stream == stream and any(is_right(moment.span, truth) for truth in truths)
        for moment in moments
    ]
    return {
        "id": record["id"],
        "group": group_of(record),
        "question": record["question"],
        "rank": rank(is_right),
        "overlap_rank": rank(overlaps),
        "chance": sum(by_chance) / len(moments),
        "abstained": answer.why if answer.abstained else None,
        "confidence": answer.confidence,
        "text": answer.text,
        "evidence": [(e.stream, e.start_s, e.end_s, e.score, e.text[:60]) for e in answer.evidence[:3]],
        "truth": (record["t_start"], record["t_end"]),
        "seconds": answer.usage.seconds,
    }


def report(rows: Sequence[dict[str, Any]]) -> None:
    """Print each question, and the scores by group."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["group"]].append(row)
        outcome = row["abstained"] or f"{row['confidence']:.2f}"
        print(
            f"{row['id']:7} {row['group'][:13]:13} rank {row['rank'] or '-':>2}  {outcome:11} {row['question'][:70]}"
        )
    print(
        f"\n{'rests on':24} {'n':>3} {'@1':>5} {'@2':>5} {'overlap@2':>9} {'chance@1':>8} {'chance@2':>8} {'abstained':>9}"
    )
    for group, members in sorted(groups.items()):
        at_1, at_2 = share_within(members, "rank", 1), share_within(members, "rank", 2)
        overlap = share_within(members, "overlap_rank", 2)
        n = len(members)
        chance = sum(row["chance"] for row in members) / n
        chance_2 = sum(1 - (1 - row["chance"]) ** 2 for row in members) / n
        abstained = sum(row["abstained"] is not None for row in members) / n
        print(
            f"{group:24} {n:3} {at_1:5.2f} {at_2:5.2f} {overlap:9.2f} {chance:8.2f} {chance_2:8.2f} {abstained:9.2f}"
        )


def share_within(members: Sequence[dict[str, Any]], key: str, limit: int) -> float:
    """The share of questions whose rank is at most ``limit``."""
    return float(sum(row[key] is not None and row[key] <= limit for row in members) / len(members))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--memory", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    lines = (arguments.folder / "qa.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines if line.strip()]
    memory_path = arguments.memory or Path(tempfile.mkdtemp()) / "clips.lance"
    with Recollect(memory_path) as memory:
        streams = watch_all(memory, arguments.folder, quiet=arguments.json)
        moments = memory.timeline(limit=100_000)
        rows = [ask(memory, record, streams[record["clip"]], moments) for record in records]
    if arguments.json:
        print(json.dumps(rows, ensure_ascii=False, indent=1))
    else:
        report(rows)


if __name__ == "__main__":
    main()
