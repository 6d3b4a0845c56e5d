"""How well questions about real clips are answered: every clip in one memory, no stream named.

    python benchmarks/clips.py FOLDER [--memory DIR] [--json]

FOLDER holds ``*.mp4`` and ``qa.jsonl``: records with ``id``, ``clip``, ``question``, ``needs``, ``type``,
``t_start``, ``t_end`` and ``alt_spans``. A cited stretch is right when it is of the right clip, its
middle lies within the true span or 2 s of it, and it is not much longer than that span; ``overlap``
also asks for an intersection over union of 0.3. Chance is the same for a random moment of the memory.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from recollect import Recollect, Span
from recollect.agent.answer import Evidence

MARGIN_S = 2.0


def right(span: Span, truth: Span) -> bool:
    """Whether a stretch is the true one, to ``MARGIN_S``."""
    near = truth.start_s - MARGIN_S <= span.middle_s <= truth.end_s + MARGIN_S
    return near and span.duration_s <= max(2 * truth.duration_s, truth.duration_s + 2 * MARGIN_S)


def overlapping(span: Span, truth: Span) -> bool:
    """Whether a stretch and the true one share at least 0.3 of what they cover together."""
    common = span.clipped_to(truth)
    return common is not None and common.duration_s / truth.hull(span).duration_s >= 0.3


def group_of(record: dict[str, Any]) -> str:
    """What a question rests on."""
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--memory", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    records = [
        json.loads(line) for line in (arguments.folder / "qa.jsonl").read_text().splitlines() if line.strip()
    ]
    memory_path = arguments.memory or Path(tempfile.mkdtemp()) / "clips.lance"
    rows = []
    with Recollect(memory_path) as memory:
        streams = {}
        for clip in sorted(arguments.folder.glob("*.mp4")):
            begun = time.process_time()
            report = memory.watch(clip)
            streams[clip.name] = report.stream
            if not report.already_done and not arguments.json:
                cost = time.process_time() - begun
                print(
                    f"{clip.name}: {report.until_s:.1f} s of video in {cost:.1f} CPU s, {report.moments} moments"
                )
        moments = memory.timeline(limit=100_000)
        for record in records:
            answer = memory.ask(record["question"])
            truths = []
            if record["t_start"] is not None:
                truths = [
                    Span(record["t_start"], record["t_end"]),
                    *(Span(*alt) for alt in record["alt_spans"]),
                ]
            stream = streams[record["clip"]]

            def hits(
                evidence: Evidence, test: Any, truths: list[Span] = truths, stream: str = stream
            ) -> bool:
                return evidence.stream == stream and any(test(evidence.span, truth) for truth in truths)

            chance = sum(
                moment.stream == stream and any(right(moment.span, truth) for truth in truths)
                for moment in moments
            ) / len(moments)
            rows.append(
                {
                    "id": record["id"],
                    "group": group_of(record),
                    "question": record["question"],
                    "rank": next((i + 1 for i, e in enumerate(answer.evidence) if hits(e, right)), None),
                    "overlap_rank": next(
                        (i + 1 for i, e in enumerate(answer.evidence) if hits(e, overlapping)), None
                    ),
                    "chance": chance,
                    "abstained": answer.why if answer.abstained else None,
                    "confidence": answer.confidence,
                    "text": answer.text,
                    "evidence": [
                        (e.stream, e.start_s, e.end_s, e.score, e.text[:60]) for e in answer.evidence[:3]
                    ],
                    "truth": (record["t_start"], record["t_end"]),
                    "seconds": answer.usage.seconds,
                }
            )
    if arguments.json:
        print(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["group"]].append(row)
    for row in rows:
        told = row["abstained"] or f"{row['confidence']:.2f}"
        print(
            f"{row['id']:7} {row['group'][:13]:13} rank {row['rank'] or '-':>2}  {told:11} {row['question'][:70]}"
        )
    print(
        f"\n{'rests on':24} {'n':>3} {'@1':>5} {'@2':>5} {'overlap@2':>9} {'chance@1':>8} {'chance@2':>8} {'abstained':>9}"
    )
    for group, members in sorted(groups.items()):
        n = len(members)
        at = [sum(1 for row in members if row["rank"] and row["rank"] <= k) / n for k in (1, 2)]
        overlap = sum(1 for row in members if row["overlap_rank"] and row["overlap_rank"] <= 2) / n
        chance = sum(row["chance"] for row in members) / n
        chance_2 = sum(1 - (1 - row["chance"]) ** 2 for row in members) / n
        abstained = sum(1 for row in members if row["abstained"]) / n
        print(
            f"{group:24} {n:3} {at[0]:5.2f} {at[1]:5.2f} {overlap:9.2f} {chance:8.2f} {chance_2:8.2f} {abstained:9.2f}"
        )


if __name__ == "__main__":
    main()
