"""StreamingBench: questions during a video, some as a chain, and some to be answered when an event happens.

    suite = StreamingBench(Path("StreamingBench"))                   # the main setting: the last 60 s
    suite = StreamingBench(Path("StreamingBench"), context_s=None)   # the whole video before the question

Its four parts are ``real``, ``omni``, ``sqa`` and ``proactive``. In ``sqa`` a question comes with the earlier questions
and their right answers, as in the official protocol. In ``proactive`` a system says when the event happened, in seconds
of the video, and what it was asked to say then: ``275: boiling``. The first such line counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal, cast

from pydantic import Field, TypeAdapter

from ...common.clock_times import parse_clock_fields_s
from ..records import Prediction, Sample
from .annotation_files import (
    LEFT_OUT,
    AnnotationItem,
    PublishedSource,
    first_file,
    means_by_tag,
    read_raw_json,
    replies_by_run,
    strip_letters,
    video_file,
    write_json,
)

Part = Literal["real", "omni", "sqa", "proactive"]
PARTS: tuple[Part, ...] = ("real", "omni", "sqa", "proactive")
SOURCE = PublishedSource(
    "StreamingBench",
    "Get the questions (src/data/questions_*.json) from https://github.com/THUNLP-MT/StreamingBench, and the "
    "videos from https://huggingface.co/datasets/mjuicem/StreamingBench.",
)
CONTEXT_S = 60.0
"""The length of the context in the main table."""
HIT_S = 2.0
"""An output is in time if it is at most this far from the right time."""
_WAIT_S = 4.0
"""How long after the right time the official code still waits for an output."""


class _Question(AnnotationItem):
    task_type: str
    question: str
    time_stamp: str
    answer: Literal["A", "B", "C", "D"]
    options: list[str] = Field(min_length=4, max_length=4)
    required_ability: str = ""


class _Output(AnnotationItem):
    task_type: str
    question: str
    time_stamp: str
    ground_truth_time_stamp: str
    ground_truth_output: str
    required_ability: str = ""


class _Entry(AnnotationItem):
    video_path: str
    questions: list[_Question]


class _OutputEntry(AnnotationItem):
    video_path: str
    questions: list[_Output]


_ENTRIES: TypeAdapter[list[_Entry]] = TypeAdapter(list[_Entry])
_CHAINS: TypeAdapter[list[list[_Entry]]] = TypeAdapter(list[list[_Entry]])
_OUTPUTS: TypeAdapter[list[_OutputEntry]] = TypeAdapter(list[_OutputEntry])


class StreamingBench:
    """Reads StreamingBench from a copy of its repository, or from a folder with its files of questions.

    ``context_s`` is how much of the video before the question may be used. None: all of it. ``proactive`` is the name
    of the file of that part: the published table used the 51 questions of ``questions_proactive_50.json``. With
    ``words=False`` any output in time is right, as in that table. Otherwise it must contain the right words too.
    """

    name = "streamingbench"

    def __init__(
        self,
        folder: Path,
        *,
        parts: Sequence[Part] = PARTS,
        context_s: float | None = CONTEXT_S,
        proactive: str = "questions_proactive.json",
        words: bool = True,
    ) -> None:
        self._folder = folder
        self._parts, self._context_s = tuple(parts), context_s
        self._proactive, self._words = proactive, words

    @property
    def settings(self) -> Mapping[str, str]:
        """The parts, the length of the context, and whether the words of an output count."""
        return {
            "parts": " ".join(self._parts),
            "context_s": str(self._context_s),
            "proactive": self._proactive,
            "words": str(self._words),
        }

    def files(self) -> Sequence[Path]:
        """One file of questions for each part."""
        return tuple(map(self._file, self._parts))

    def samples(self) -> Iterator[Sample]:
        """Every question, by part, in the order of the files."""
        for part in self._parts:
            path = self._file(part)
            if part == "proactive":
                yield from self._proactive_samples(path)
            elif part == "sqa":
                chains = SOURCE.read(path, _CHAINS)
                for number, chain in enumerate(chains):
                    yield from self._chain_samples(f"streamingbench/{part}/{number}", chain, path)
            else:
                entries = SOURCE.read(path, _ENTRIES)
                for key, entry, question in _questions(f"streamingbench/{part}", entries):
                    yield self._choice_sample(key, part, entry, question, path)

    def video(self, name: str) -> Path:
        """The file of a video, where the official scripts or archives put it."""
        folders = ("videos", "src/data/videos", *(f"data/{part}" for part in PARTS), "data", "")
        return video_file(SOURCE, self._folder, PurePosixPath(name).name, *folders)

    def official(self, sample: Sample, reply: str) -> float:
        """Whether the first character of the reply is the right letter. ``LEFT_OUT`` for an empty reply.

        A proactive answer is right if it is in time and contains the right words. No output is wrong.
        """
        if sample.kind == "alerts":
            output_s, text = _first_output(reply)
            (gold_s,) = cast(tuple[float], sample.gold)
            in_time = output_s is not None and abs(output_s - gold_s) <= HIT_S
            return float(in_time and (not self._words or sample.accepted[0] in text))
        return float(reply[0] == sample.gold) if reply else LEFT_OUT

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """The accuracy overall, by the table's three groups, and by task, without the replies that are left out."""
        return means_by_tag(scored, "group", "task")

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """For each run and part the file for the official ``count.py``: ``<part>_output_<run>.json``."""
        by_id = {sample.id: sample for sample in samples}
        parts = [part for part in self._parts if any(sample.tags["part"] == part for sample in samples)]
        return [
            write_json(folder / f"{part}_output_{run}.json", self._results(part, run, by_id, run_replies))
            for run, run_replies in replies_by_run(predictions).items()
            for part in parts
        ]

    def _file(self, part: Part) -> Path:
        name = self._proactive if part == "proactive" else f"questions_{part}.json"
        return first_file(SOURCE, self._folder, name, f"src/data/{name}")

    def _proactive_samples(self, path: Path) -> Iterator[Sample]:
        entries = SOURCE.read(path, _OUTPUTS)
        for number, entry in enumerate(entries):
            for question_number, question in enumerate(entry.questions):
                key = f"streamingbench/proactive/{number}/{question_number}"
                yield self._output_sample(key, entry, question, path)

    def _chain_samples(self, group: str, chain: Sequence[_Entry], path: Path) -> Iterator[Sample]:
        """The questions of a chain. Each contains the earlier questions and their right answers."""
        earlier: list[str] = []
        for key, entry, question in _questions(group, chain):
            sample = self._choice_sample(key, "sqa", entry, question, path)
            text = "\n".join([*earlier, f"Now: {question.question}"]) if earlier else question.question
            yield sample.model_copy(update={"question": text, "group": group})
            answer = sample.options["ABCD".index(question.answer)]
            earlier.append(f"Asked at {question.time_stamp}: {question.question} The answer: {answer}")

    def _choice_sample(self, key: str, part: Part, entry: _Entry, question: _Question, path: Path) -> Sample:
        asked_at_s = self._seconds(question.time_stamp, "time_stamp", key, path)
        from_s = 0.0 if self._context_s is None else max(0.0, asked_at_s - self._context_s)
        video = str(PurePosixPath(entry.video_path))
        return Sample(
            id=key,
            suite=self.name,
            video=video,
            cluster=video,
            kind="choice",
            question=question.question,
            options=strip_letters(question.options),
            gold=question.answer,
            asked_at_s=asked_at_s,
            from_s=from_s,
            tags=_tags(part, question),
        )

    def _output_sample(self, key: str, entry: _OutputEntry, output: _Output, path: Path) -> Sample:
        from_s = self._seconds(output.time_stamp, "time_stamp", key, path)
        gold_s = self._seconds(output.ground_truth_time_stamp, "ground_truth_time_stamp", key, path)
        video = str(PurePosixPath(entry.video_path))
        return Sample(
            id=key,
            suite=self.name,
            video=video,
            cluster=video,
            kind="alerts",
            question=output.question,
            gold=(gold_s,),
            accepted=(output.ground_truth_output,),
            asked_at_s=gold_s + _WAIT_S,
            from_s=from_s,
            tags=_tags("proactive", output),
        )

    def _seconds(self, time: str, field: str, key: str, path: Path) -> float:
        try:
            return parse_clock_fields_s(time)
        except ValueError as error:
            raise SOURCE.bad_suite(path, f"`{field}` of {key}: {error}") from None

    def _results(
        self, part: Part, run: str, samples: Mapping[str, Sample], run_replies: Mapping[str, str | None]
    ) -> object:
        """The questions, each with the reply under the run's name. Questions without a reply stay unchanged."""
        content = read_raw_json(self._file(part))
        for key, question in _raw_questions(part, content):
            if part == "proactive" and key in samples and key in run_replies:
                question[run] = _dialog(samples[key], run_replies[key] or "")
            elif part != "proactive" and key in samples and run_replies.get(key):
                question[run] = run_replies[key]
        return content


def _questions(key: str, entries: Sequence[_Entry]) -> Iterator[tuple[str, _Entry, _Question]]:
    """Each question, with its id, which begins with ``key``, and its entry."""
    for number, entry in enumerate(entries):
        for question_number, question in enumerate(entry.questions):
            yield f"{key}/{number}/{question_number}", entry, question


def _raw_questions(part: Part, content: object) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each question of a file's raw content, with the id of its sample."""
    items: list[tuple[str, Any]] = [
        (str(number), item) for number, item in enumerate(cast(list[Any], content))
    ]
    if part == "sqa":
        # The items are chains of entries.
        items = [(f"{key}/{number}", entry) for key, chain in items for number, entry in enumerate(chain)]
    for key, entry in items:
        for number, question in enumerate(entry["questions"]):
            yield f"streamingbench/{part}/{key}/{number}", question


def _tags(part: Part, question: _Question | _Output) -> dict[str, str]:
    # The official table counts two tasks of the omni file as "contextual", together with sqa and proactive.
    contextual = part in ("sqa", "proactive") or question.task_type.endswith("Context Understanding")
    group = "contextual" if contextual else part
    return {
        "part": part,
        "group": group,
        "task": question.task_type,
        "ability": question.required_ability,
    }


def _first_output(reply: str) -> tuple[float | None, str]:
    """The time and the text of the first output."""
    for line in reply.splitlines():
        if match := re.match(r"\s*(\d+(?:\.\d+)?)\s*s?\s*[:,]?\s*(.*)", line):
            return float(match[1]), match[2]
    return None, ""


def _dialog(sample: Sample, reply: str) -> dict[str, Any]:
    """The record that the official code, which asks again every second, would have stored. Only its end is scored."""
    output_s, text = _first_output(reply)
    turn = {"time": sample.asked_at_s if output_s is None else output_s, "cost": 0.0}
    return {
        "answered": False if output_s is None else output_s,
        "dialog_history": [
            {"role": "user", "content": sample.question, **turn},
            {"role": "assistant", "content": "No" if output_s is None else text, **turn},
        ],
    }
