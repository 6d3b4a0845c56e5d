"""TempCompass: short videos that differ only in time, such as a video and its reverse.

    suite = TempCompass(Path("TempCompass"))                # multi-choice, yes_no, caption_matching
    suite = TempCompass(Path("TempCompass"), formats=FORMATS)  # also captioning, which cannot be scored here

Replies are scored by the official matching rules alone, like the official ``--disable_llm``: a reply that no rule
matches is wrong. The official code lets ChatGPT judge captions, so their score is left out here. ``export`` writes
them for the judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
    add_letters,
    first_file,
    mean,
    means_by_tag,
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


class _VideoInfo(AnnotationItem):
    eval_dim: dict[str, _Aspect | None]


_QUESTIONS: TypeAdapter[dict[str, dict[str, list[_Question]]]] = TypeAdapter(
    dict[str, dict[str, list[_Question]]]
)
_VIDEO_INFOS: TypeAdapter[dict[str, _VideoInfo]] = TypeAdapter(dict[str, _VideoInfo])


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a question is in the file of its format."""

    video: str
    aspect: str
    number: int

    def sample_id(self, form: Format) -> str:
        return f"tempcompass/{form}/{self.video}/{self.aspect}/{self.number}"


class TempCompass:
    """Reads TempCompass from a copy of its repository, with the videos in ``videos``."""

    name = "tempcompass"

    def __init__(self, folder: Path, *, formats: Sequence[Format] = FORMATS[:3]) -> None:
        self._folder, self._formats = folder, tuple(formats)

    @property
    def settings(self) -> Mapping[str, str]:
        """The formats of the questions."""
        return {"formats": " ".join(self._formats)}

    def files(self) -> Sequence[Path]:
        """The questions of each format, and the file about the videos if it exists."""
        infos = self._folder / "meta_info.json"
        return (*map(self._file, self._formats), *([infos] if infos.exists() else []))

    def samples(self) -> Iterator[Sample]:
        """Every question, by format, in the order of the files."""
        for form in self._formats:
            for place, item in self._items(form):
                yield self._sample(form, place, item)

    def video(self, name: str) -> Path:
        """The file of a video, in ``videos``, named after its number."""
        return video_file(SOURCE, self._folder, name, "videos")

    def official(self, sample: Sample, reply: str) -> float:
        """1.0 if a matching rule accepts the reply as the answer. ``LEFT_OUT`` for a caption, which no rule scores."""
        reply = reply.replace("</s>", "")
        match _format(sample):
            case "multi-choice":
                return float(_chosen_letter(sample.options, reply) == sample.gold)
            case "yes_no":
                word = next((word for word in ("yes", "no") if reply.lower().startswith(word)), None)
                return float(word == sample.gold)
            case "caption_matching":
                return float(_matches_caption(sample, reply))
            case "captioning":
                return LEFT_OUT

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """The mean of each format, overall and by aspect and finer aspect. ``overall`` is the mean of the formats."""
        table: dict[str, float] = {}
        for form in FORMATS:
            form_scores = [(sample, score) for sample, score in scored if _format(sample) == form]
            split = means_by_tag(form_scores, "aspect", "finer aspect")
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
        """For each run and format the file for the official ``eval_*.py``: ``predictions/<run>/<format>.json``."""
        ids = {sample.id for sample in samples}
        forms = [form for form in self._formats if any(_format(sample) == form for sample in samples)]
        return [
            write_json(folder / "predictions" / run / f"{form}.json", self._results(form, ids, run_replies))
            for run, run_replies in replies_by_run(predictions).items()
            for form in forms
        ]

    def _file(self, form: Format) -> Path:
        return first_file(SOURCE, self._folder, f"questions/{form}.json", f"{form}.json")

    def _items(self, form: Format) -> Iterator[tuple[_Place, _Question]]:
        """The questions of a format, each with its place in the file."""
        for video, aspects in SOURCE.read(self._file(form), _QUESTIONS).items():
            for aspect, questions in aspects.items():
                for number, item in enumerate(questions):
                    yield _Place(video, aspect, number), item

    @cached_property
    def _video_infos(self) -> dict[str, _VideoInfo]:
        path = self._folder / "meta_info.json"
        return SOURCE.read(path, _VIDEO_INFOS) if path.exists() else {}

    def _sample(self, form: Format, place: _Place, item: _Question) -> Sample:
        key, path = place.sample_id(form), self._file(form)
        sample = Sample(
            id=key,
            suite=self.name,
            video=place.video,
            # Reversed and joined videos show the same content as the original.
            cluster=place.video.split("_", maxsplit=1)[0],
            kind="text",
            question=item.question,
            tags=self._tags(form, place),
        )
        if form == "captioning":
            return sample
        if form == "yes_no":
            if item.answer not in ("yes", "no"):
                raise SOURCE.bad_suite(path, f"`answer` of {key} is neither yes nor no")
            return sample.model_copy(update={"kind": "yes_no", "gold": item.answer})
        question, options = _split_question(form, item.question)
        if item.answer not in options:
            raise SOURCE.bad_suite(path, f"`answer` of {key} is not one of the options in its `question`")
        return sample.model_copy(
            update={
                "kind": "choice",
                "question": question,
                "options": strip_letters(options) if form == "multi-choice" else options,
                "gold": ascii_uppercase[options.index(item.answer)],
            }
        )

    def _tags(self, form: Format, place: _Place) -> dict[str, str]:
        tags = {"format": form, "aspect": place.aspect}
        info = self._video_infos.get(place.video)
        finer = info.eval_dim.get(place.aspect) if info else None
        if finer and finer.type:
            tags["finer aspect"] = finer.type
        return tags

    def _results(self, form: Format, ids: set[str], run_replies: Mapping[str, str | None]) -> object:
        results: dict[str, dict[str, list[Any]]] = {}
        for place, item in self._items(form):
            key = place.sample_id(form)
            if key in ids:
                aspect_results = results.setdefault(place.video, {}).setdefault(place.aspect, [])
                aspect_results.append({**item.model_dump(), "prediction": run_replies.get(key) or ""})
        return results


def _format(sample: Sample) -> Format:
    return next(form for form in FORMATS if form == sample.tags["format"])


def _split_question(form: Format, text: str) -> tuple[str, tuple[str, ...]]:
    """A published question without its options, and the options."""
    mark = r"[A-Z]\. " if form == "multi-choice" else r"\w+ \w+: "
    lines = text.split("\n")
    first = next((i for i, line in enumerate(lines) if i and re.match(mark, line)), len(lines))
    return "\n".join(lines[:first]), tuple(lines[first:])


def _chosen_letter(options: Sequence[str], reply: str) -> str | None:
    """The letter of the option in a reply: a whole option, a bare letter, or a letter with a point or bracket."""
    if reply in add_letters(options):
        return reply[0]
    if reply[:1] in ("A", "B", "C", "D") and reply[1:2] in ("", ".", ")"):
        return reply[0]
    return None


def _matches_caption(sample: Sample, reply: str) -> bool:
    """Whether a reply is the right caption: whole, without its name, or only its name. The last match counts."""
    names = [option.split(": ")[0] for option in sample.options]
    captions = [option.split(": ")[1] for option in sample.options]
    after_bracket = reply.split(") ")[1] if ") " in reply else reply
    rules = (
        (option == reply for option in sample.options),
        (caption in (reply, after_bracket) for caption in captions),
        (name in (reply, reply.replace(".", "")) for name in names),
    )
    matches = [index for rule in rules for index, is_match in enumerate(rule) if is_match]
    return bool(matches) and ascii_uppercase[matches[-1]] == sample.gold
