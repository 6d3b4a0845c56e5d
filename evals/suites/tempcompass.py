"""TempCompass: short videos that only time tells apart, such as one and the same run backwards.

    suite = TempCompass(Path("TempCompass"))                # multi-choice, yes_no, caption_matching
    suite = TempCompass(Path("TempCompass"), formats=FORMATS)  # captioning too, which we cannot score

Replies are scored by the makers' matching rules alone, as their ``--disable_llm`` does: what no rule matches is
wrong. A written caption is judged by ChatGPT there, so here its score is left out; write it with ``export``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Literal

from pydantic import TypeAdapter

from ..records import Prediction, Sample
from .annotation_files import (
    LEFT_OUT,
    AnnotationItem,
    PublishedSource,
    means_by_tag,
    first_file,
    add_letters,
    mean,
    replies_by_run,
    strip_letters,
    video_file,
    write_json,
)

Format = Literal["multi-choice", "yes_no", "caption_matching", "captioning"]
FORMATS: tuple[Format, ...] = ("multi-choice", "yes_no", "caption_matching", "captioning")
SOURCE = PublishedSource(
    "TempCompass",
    "Get the questions (questions/*.json, meta_info.json) and the scripts that make the videos from "
    "https://github.com/llyx97/TempCompass, or https://huggingface.co/datasets/lmms-lab/TempCompass.",
)


class _Question(AnnotationItem):
    question: str
    answer: str


class _Aspect(AnnotationItem):
    type: str = ""


class _About(AnnotationItem):
    eval_dim: dict[str, _Aspect | None]


_QUESTIONS: TypeAdapter[dict[str, dict[str, list[_Question]]]] = TypeAdapter(
    dict[str, dict[str, list[_Question]]]
)
_ABOUT: TypeAdapter[dict[str, _About]] = TypeAdapter(dict[str, _About])


class TempCompass:
    """Reads TempCompass from a copy of its repository, with the videos in ``videos``."""

    name = "tempcompass"

    def __init__(self, folder: Path, *, formats: Sequence[Format] = FORMATS[:3]) -> None:
        self._folder, self._formats = folder, tuple(formats)

    @property
    def settings(self) -> Mapping[str, str]:
        """In which formats it is asked."""
        return {"formats": " ".join(self._formats)}

    def files(self) -> Sequence[Path]:
        """The questions of each format, and what else is known of the videos, where it is there."""
        about = self._folder / "meta_info.json"
        return (*map(self._file, self._formats), *([about] if about.exists() else []))

    def samples(self) -> Iterator[Sample]:
        """Format by format, in the order of the files."""
        for form in self._formats:
            path = self._file(form)
            for shown, aspects in SOURCE.read(path, _QUESTIONS).items():
                for aspect, questions in aspects.items():
                    for at, item in enumerate(questions):
                        yield self._sample(form, shown, aspect, at, item, path)

    def video(self, name: str) -> Path:
        """In ``videos``, under its number."""
        return video_file(SOURCE, self._folder, name, "videos")

    def official(self, sample: Sample, reply: str) -> float:
        """1.0 where a matching rule takes the reply as the answer; NaN for a caption, which no rule scores."""
        reply = reply.replace("</s>", "")
        match _form(sample):
            case "multi-choice":
                return float(_chosen(sample.options, reply) == sample.gold)
            case "yes_no":
                word = next((word for word in ("yes", "no") if reply.lower().startswith(word)), None)
                return float(word == sample.gold)
            case "caption_matching":
                return float(_matching(sample, reply))
            case "captioning":
                return LEFT_OUT

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """Of each format the mean of its questions, also by aspect and by finer ones; overall the mean of formats."""
        table: dict[str, float] = {}
        for form in FORMATS:
            of_form = [(sample, score) for sample, score in scored if _form(sample) == form]
            split = means_by_tag(of_form, "aspect", "finer aspect")
            if len(split) > 1:
                table[f"format/{form}"] = split.pop("overall")
                table |= {f"{form}/{name}": score for name, score in split.items()}
        return {
            "overall": mean(score for name, score in table.items() if name.startswith("format/")),
            **table,
        }

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """For each run and format the file that their ``eval_*.py`` reads: ``predictions/<run>/<format>.json``."""
        wanted = {sample.id for sample in samples}
        forms = [form for form in self._formats if any(_form(sample) == form for sample in samples)]
        return [
            write_json(folder / "predictions" / run / f"{form}.json", self._results(form, wanted, run_replies))
            for run, run_replies in replies_by_run(predictions).items()
            for form in forms
        ]

    def _file(self, form: Format) -> Path:
        return first_file(SOURCE, self._folder, f"questions/{form}.json", f"{form}.json")

    @cached_property
    def _about(self) -> dict[str, _About]:
        path = self._folder / "meta_info.json"
        return SOURCE.read(path, _ABOUT) if path.exists() else {}

    def _sample(self, form: Format, video: str, aspect: str, at: int, item: _Question, path: Path) -> Sample:
        key = f"tempcompass/{form}/{video}/{aspect}/{at}"
        about = self._about.get(video)
        finer = about.eval_dim.get(aspect) if about else None
        tags = {"format": form, "aspect": aspect}
        if finer and finer.type:
            tags["finer aspect"] = finer.type
        sample = Sample(
            id=key,
            suite=self.name,
            video=video,
            # Reversed and joined ones show the same as the video they were made from.
            cluster=video.split("_", maxsplit=1)[0],
            kind="text",
            question=item.question,
            tags=tags,
        )
        if form == "captioning":
            return sample
        if form == "yes_no":
            if item.answer not in ("yes", "no"):
                raise SOURCE.bad_suite(path, f"`answer` of {key} is neither yes nor no")
            return sample.model_copy(update={"kind": "yes_no", "gold": item.answer})
        question, options = _parts(form, item.question)
        right = [at for at, option in enumerate(options) if option == item.answer]
        if not right:
            raise SOURCE.bad_suite(path, f"`answer` of {key} is none of the options in its `question`")
        shown = strip_letters(options) if form == "multi-choice" else options
        gold = ascii_uppercase[right[0]]
        return sample.model_copy(
            update={"kind": "choice", "question": question, "options": shown, "gold": gold}
        )

    def _results(self, form: Format, wanted: set[str], run_replies: Mapping[str, str | None]) -> object:
        results: dict[str, dict[str, list[Any]]] = {}
        for shown, aspects in SOURCE.read(self._file(form), _QUESTIONS).items():
            for aspect, questions in aspects.items():
                for at, item in enumerate(questions):
                    key = f"tempcompass/{form}/{shown}/{aspect}/{at}"
                    if key in wanted:
                        of_aspect = results.setdefault(shown, {}).setdefault(aspect, [])
                        of_aspect.append({**item.model_dump(), "prediction": run_replies.get(key) or ""})
        return results


def _form(sample: Sample) -> Format:
    return next(form for form in FORMATS if form == sample.tags["format"])


def _parts(form: Format, text: str) -> tuple[str, tuple[str, ...]]:
    """A published question without its options, and these as they stand."""
    mark = r"[A-Z]\. " if form == "multi-choice" else r"\w+ \w+: "
    lines = text.split("\n")
    first = next((at for at, line in enumerate(lines) if at and re.match(mark, line)), len(lines))
    return "\n".join(lines[:first]), tuple(lines[first:])


def _chosen(options: Sequence[str], reply: str) -> str | None:
    """The letter of the option that a reply gives: whole, as a bare letter, or with a point or bracket after it."""
    if reply in add_letters(options):
        return reply[0]
    if reply[:1] in ("A", "B", "C", "D") and reply[1:2] in ("", ".", ")"):
        return reply[0]
    return None


def _matching(sample: Sample, reply: str) -> bool:
    """Whether a reply is the right caption: whole, without its name, or just its name; the last rule has it."""
    names = [option.split(": ")[0] for option in sample.options]
    captions = [option.split(": ")[1] for option in sample.options]
    after = reply.split(") ")[1] if ") " in reply else reply
    rules = (
        (one == reply for one in sample.options),
        (one in (reply, after) for one in captions),
        (one in (reply, reply.replace(".", "")) for one in names),
    )
    found = [at for rule in rules for at, matches in enumerate(rule) if matches]
    return bool(found) and ascii_uppercase[found[-1]] == sample.gold
