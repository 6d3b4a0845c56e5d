"""StreamingBench: questions asked while a video runs, some in a row, and some to be answered when the time comes.

    suite = StreamingBench(Path("StreamingBench"))                   # the main setting: the last 60 s
    suite = StreamingBench(Path("StreamingBench"), context_s=None)   # everything before the question

Its four parts are ``real``, ``omni``, ``sqa`` and ``proactive``. In ``sqa`` a question comes with those before it and
their right answers, as the makers ask it. In ``proactive`` a system says when the time has come and what it then was
to say, as ``275: boiling``, in seconds of the video; the first such line counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal, cast

from pydantic import Field, TypeAdapter

from ..records import Prediction, Sample
from .annotation_files import (
    LEFT_OUT,
    AnnotationItem,
    PublishedSource,
    means_by_tag,
    clock_s,
    first_file,
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
"""How far back the main table's models look."""
HIT_S = 2.0
"""So far from the right time an output is in time."""
_AFTER_S = 4.0
"""So long after the right time the makers still wait for an output."""


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
    """Reads StreamingBench from a folder: a copy of its repository, or just its files of questions.

    ``context_s`` says how much before the question may be used; None: all. ``proactive`` names the file of that part:
    the published table was made on the 51 questions of ``questions_proactive_50.json``. With ``words=False`` an
    output in time is right whatever it says, as in that table; otherwise it has to say the words too.
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
        """Which parts are asked, how far back may be looked, and whether what is said is shown."""
        return {
            "parts": " ".join(self._parts),
            "context_s": str(self._context_s),
            "proactive": self._proactive,
            "words": str(self._words),
        }

    def files(self) -> Sequence[Path]:
        """The questions of each part."""
        return tuple(map(self._file, self._parts))

    def samples(self) -> Iterator[Sample]:
        """Part by part, in the order of the files."""
        for part in self._parts:
            path = self._file(part)
            if part == "proactive":
                outputs = SOURCE.read(path, _OUTPUTS)
                for at, output in enumerate(outputs):
                    for number, asked in enumerate(output.questions):
                        yield self._output(f"streamingbench/{part}/{at}/{number}", output, asked, path)
            elif part == "sqa":
                chains = SOURCE.read(path, _CHAINS)
                for at, chain in enumerate(chains):
                    yield from self._chain(f"streamingbench/{part}/{at}", chain, path)
            else:
                entries = SOURCE.read(path, _ENTRIES)
                for at, entry in enumerate(entries):
                    for number, question in enumerate(entry.questions):
                        key = f"streamingbench/{part}/{at}/{number}"
                        yield self._choice(key, part, entry, question, path)

    def video(self, name: str) -> Path:
        """Where the makers' scripts put it, or where their archives unpack."""
        folders = ("videos", "src/data/videos", *(f"data/{part}" for part in PARTS), "data", "")
        return video_file(SOURCE, self._folder, PurePosixPath(name).name, *folders)

    def official(self, sample: Sample, reply: str) -> float:
        """The first character of the reply is the answer; an empty reply is left out of every mean, so NaN.

        A proactive answer is right within two seconds, with the words in it; silence is wrong.
        """
        if sample.kind == "alerts":
            at_s, words = _first_output(reply)
            (gold_s,) = cast(tuple[float], sample.gold)
            in_time = at_s is not None and abs(at_s - gold_s) <= HIT_S
            return float(in_time and (not self._words or sample.accepted[0] in words))
        return float(reply[0] == sample.gold) if reply else LEFT_OUT

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """By task, by the table's three groups and overall: everywhere the mean of the questions that count."""
        return means_by_tag(scored, "group", "task")

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """For each run and part the file that their ``count.py`` reads: ``<part>_output_<run>.json``."""
        wanted = {sample.id: sample for sample in samples}
        parts = [part for part in self._parts if any(one.tags["part"] == part for one in samples)]
        return [
            write_json(folder / f"{part}_output_{run}.json", self._results(part, run, wanted, run_replies))
            for run, run_replies in replies_by_run(predictions).items()
            for part in parts
        ]

    def _file(self, part: Part) -> Path:
        name = self._proactive if part == "proactive" else f"questions_{part}.json"
        return first_file(SOURCE, self._folder, name, f"src/data/{name}")

    def _chain(self, key: str, chain: Sequence[_Entry], path: Path) -> Iterator[Sample]:
        earlier: list[str] = []
        for key_of_one, entry, question in _turns(key, chain):
            sample = self._choice(key_of_one, "sqa", entry, question, path)
            known = "\n".join(earlier)
            asked = f"{known}\nNow: {question.question}" if known else question.question
            yield sample.model_copy(update={"question": asked, "group": key})
            answer = sample.options["ABCD".index(question.answer)]
            earlier.append(f"Asked at {question.time_stamp}: {question.question} The answer: {answer}")

    def _choice(self, key: str, part: Part, entry: _Entry, question: _Question, path: Path) -> Sample:
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

    def _output(self, key: str, entry: _OutputEntry, asked: _Output, path: Path) -> Sample:
        from_s = self._seconds(asked.time_stamp, "time_stamp", key, path)
        gold_s = self._seconds(asked.ground_truth_time_stamp, "ground_truth_time_stamp", key, path)
        video = str(PurePosixPath(entry.video_path))
        return Sample(
            id=key,
            suite=self.name,
            video=video,
            cluster=video,
            kind="alerts",
            question=asked.question,
            gold=(gold_s,),
            accepted=(asked.ground_truth_output,),
            asked_at_s=gold_s + _AFTER_S,
            from_s=from_s,
            tags=_tags("proactive", asked),
        )

    def _seconds(self, time: str, field: str, key: str, path: Path) -> float:
        try:
            return clock_s(time)
        except ValueError as error:
            raise SOURCE.bad_suite(path, f"`{field}` of {key}: {error}") from None

    def _results(
        self, part: Part, run: str, wanted: Mapping[str, Sample], run_replies: Mapping[str, str | None]
    ) -> object:
        """The questions with what was said to each under the run's name; those without a reply as they are."""
        content = read_raw_json(self._file(part))
        for key, question in _raw_questions(part, content):
            if part == "proactive" and key in wanted and key in run_replies:
                question[run] = _dialog(wanted[key], run_replies[key] or "")
            elif part != "proactive" and key in wanted and run_replies.get(key):
                question[run] = run_replies[key]
        return content


def _turns(key: str, chain: Sequence[_Entry]) -> Iterator[tuple[str, _Entry, _Question]]:
    for at, entry in enumerate(chain):
        for number, question in enumerate(entry.questions):
            yield f"{key}/{at}/{number}", entry, question


def _raw_questions(part: Part, content: object) -> Iterator[tuple[str, dict[str, Any]]]:
    entries = cast(list[Any], content)
    for at, entry in enumerate(entries):
        for key, one in (
            ((f"{at}/{number}", one) for number, one in enumerate(entry))
            if part == "sqa"
            else ((str(at), entry),)
        ):
            for number, question in enumerate(one["questions"]):
                yield f"streamingbench/{part}/{key}/{number}", question


def _tags(part: Part, question: _Question | _Output) -> dict[str, str]:
    # Two tasks of the omni file stand under "contextual" in the table, together with sqa and proactive.
    contextual = part in ("sqa", "proactive") or question.task_type.endswith("Context Understanding")
    group = "contextual" if contextual else part
    return {
        "part": part,
        "group": group,
        "task": question.task_type,
        "ability": question.required_ability,
    }


def _first_output(reply: str) -> tuple[float | None, str]:
    """When something was first said, and what."""
    for line in reply.splitlines():
        if match := re.match(r"\s*(\d+(?:\.\d+)?)\s*s?\s*[:,]?\s*(.*)", line):
            return float(match[1]), match[2]
    return None, ""


def _dialog(sample: Sample, reply: str) -> dict[str, Any]:
    """What the makers, who ask anew each second, would have kept: only the last of it is scored."""
    at_s, words = _first_output(reply)
    turn = {"time": sample.asked_at_s if at_s is None else at_s, "cost": 0.0}
    return {
        "answered": False if at_s is None else at_s,
        "dialog_history": [
            {"role": "user", "content": sample.question, **turn},
            {"role": "assistant", "content": "No" if at_s is None else words, **turn},
        ],
    }
