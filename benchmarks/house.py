"""What the agent is worth, with recollect-tiny served by a real vLLM, on houses the model has never seen.

    python benchmarks/house.py [--minutes 10 60] [--houses 8 2] [--questions 30 60] [--folder DIR]

Each house is drawn, watched and described; then every system is asked the same questions with options, by
the same model, prompts and parser: the agent, pictures spread over the whole video, its last pictures,
retrieval once, and no video at all. It needs vLLM (make serving-env). A folder that is named is kept, and what
lies in it is not made again, not even when another model of the same name would describe it otherwise (delete
``*/house.lance`` then); ``--prepare`` only draws and watches there, without the model.

Intervals are of a bootstrap with 2,000 resamples, of houses and of the questions in each; those of the agent's
lead are of differences on the same questions.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recollect import Recollect
from recollect.agent.answer import Question
from recollect.errors import RecollectError
from recollect.evals.baselines import Agent, NoVideo, OneShotRetrieval, System, UniformFrames
from recollect.evals.house import Asked, House, ask_about, furnish
from recollect.evals.world import render
from recollect.perception.lmm import Lmm
from recollect.serve_lmm.launch import TINY
from recollect.serve_lmm.tiny import served_tiny
from recollect.settings import LmmSettings

RESAMPLES = 2000
LAST_S = 30.0


@dataclass(frozen=True)
class Place:
    """A house and where it lies."""

    house: House
    folder: Path
    minutes: float
    number: int
    questions: int
    """How many are asked about it."""

    @property
    def video(self) -> Path:
        return self.folder / "house.mp4"

    @property
    def memory(self) -> Path:
        return self.folder / "house.lance"

    def prepare(self) -> None:
        """Draw it and watch it, as far as that was not done."""
        self.folder.mkdir(parents=True, exist_ok=True)
        begun = time.perf_counter()
        if not self.video.exists():
            render(self.house.timeline, self.video, seed=self.house.seed)
        drawn = time.perf_counter()
        # No model yet, whatever the settings say: describing is timed apart.
        with Recollect(self.memory, lmm=LmmSettings()) as memory:
            memory.watch(self.video, stream="house")
        watched = time.perf_counter()
        print(f"{self.folder.name}: {self.house.duration_s:.0f} s of video, drawn in {drawn - begun:.0f} s,"
              f" watched in {watched - drawn:.0f} s", flush=True)  # fmt: skip


@dataclass(frozen=True)
class Told:
    """What a system said to one question."""

    system: str
    minutes: float
    house: int
    asked: Asked
    choice: int | None
    calls: int
    tokens: int
    grounded: bool | None

    @property
    def right(self) -> float:
        return float(self.choice == self.asked.choice)

    @property
    def wrong(self) -> float:
        return float(self.choice is not None and self.choice != self.asked.choice)

    @property
    def abstained(self) -> float:
        return float(self.choice is None)

    @property
    def forced(self) -> float:
        """Its score if it had to choose: an abstention is a guess."""
        return 1 / len(self.asked.options) if self.choice is None else self.right


def ask_all(place: Place, lmm: Lmm) -> list[Told]:
    """Describe what was watched, and put the questions to every system."""
    questions = [asked for asked in ask_about(place.house, limit=place.questions * 2) if asked.options]
    questions = questions[: place.questions]
    told: list[Told] = []
    with Recollect(place.memory, lmm=lmm) as memory:
        begun, before = time.perf_counter(), lmm.usage["caption"]
        memory.caption("house", everything=True)
        spent = lmm.usage["caption"]
        print(f"{place.folder.name}: described in {time.perf_counter() - begun:.0f} s by"
              f" {spent.calls - before.calls} calls, {spent.tokens - before.tokens:,} tokens", flush=True)  # fmt: skip
        # The agent comes last: what it sees when it looks again is written into the memory.
        systems: dict[str, Callable[[], System]] = {
            "no video": lambda: NoVideo(lmm),
            "8 frames of all": lambda: UniformFrames(lmm, place.video, place.house.duration_s, pictures=8),
            "32 frames of all": lambda: UniformFrames(lmm, place.video, place.house.duration_s, pictures=32),
            f"8 frames of the last {LAST_S:.0f} s": lambda: UniformFrames(
                lmm, place.video, place.house.duration_s, pictures=8, last_s=LAST_S
            ),
            "one-shot retrieval": lambda: OneShotRetrieval(lmm, memory, "house"),
            "agent": lambda: Agent(memory, "house"),
        }
        for name, make in systems.items():
            begun, system = time.perf_counter(), make()
            for asked in questions:
                answered = system.ask(Question(text=asked.text, options=asked.options))
                grounded = (
                    any(mine.overlaps(true) for mine in answered.spans for true in asked.evidence)
                    if answered.spans
                    else None
                )
                told.append(
                    Told(
                        name,
                        place.minutes,
                        place.number,
                        asked,
                        answered.choice,
                        answered.calls,
                        answered.tokens,
                        grounded,
                    )
                )
            print(f"{place.folder.name}: {name}, {len(questions)} questions in"
                  f" {time.perf_counter() - begun:.0f} s", flush=True)  # fmt: skip
    return told


def interval(values: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """The middle 95 % of the mean over resampled houses and questions; ``values`` come with their house."""
    rng = np.random.default_rng(0)
    groups = [
        np.array([value for of, value in values if of == house]) for house in {house for house, _ in values}
    ]
    means = []
    for _ in range(RESAMPLES):
        chosen = rng.integers(len(groups), size=len(groups))
        drawn = [rng.choice(groups[index], size=len(groups[index])) for index in chosen]
        means.append(float(np.concatenate(drawn).mean()))
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def table(told: Sequence[Told], minutes: float) -> str:
    """What each system did on the houses of one length, in Markdown."""
    rows = [row for row in told if row.minutes == minutes]
    houses = len({row.house for row in rows})
    agent = [row for row in rows if row.system == "agent"]
    lines = [
        f"{minutes:g} minutes: {len(agent)} questions about {houses} house{'s' if houses > 1 else ''}\n",
        "| system | right (95 %) | wrong | abstained | if it must choose (95 %) | the agent's lead (95 %)"
        " | evidence right | calls | tokens |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for system in dict.fromkeys(row.system for row in rows):
        mine = [row for row in rows if row.system == system]
        grounded = [float(row.grounded) for row in mine if row.grounded is not None]
        wrong, abstained = _mean([row.wrong for row in mine]), _mean([row.abstained for row in mine])
        leads = [(one.house, one.right - other.right) for one, other in zip(agent, mine, strict=True)]
        lines.append(
            f"| {system} | {_with_interval([(row.house, row.right) for row in mine])} | {wrong:.2f} |"
            f" {abstained:.2f} | {_with_interval([(row.house, row.forced) for row in mine])} |"
            f" {'–' if system == 'agent' else _with_interval(leads, '+')} |"
            f" {f'{_mean(grounded):.2f}' if grounded else '–'} |"
            f" {_mean([row.calls for row in mine]):.1f} | {_mean([row.tokens for row in mine]):,.0f} |"
        )
    chance = _mean([1 / len(row.asked.options) for row in rows])
    return "\n".join([*lines, f"\nBy chance: {chance:.2f}"])


def _with_interval(values: Sequence[tuple[int, float]], sign: str = "") -> str:
    low, high = interval(values)
    return f"{_mean([value for _, value in values]):{sign}.2f} ({low:{sign}.2f} to {high:{sign}.2f})"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(1, len(values))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, nargs="+", default=[10.0, 60.0])
    parser.add_argument("--houses", type=int, nargs="+", default=[8, 2], help="of each length")
    parser.add_argument("--questions", type=int, nargs="+", default=[30, 60], help="about each house")
    parser.add_argument("--model", default=TINY, metavar="DIR", help="another checkpoint")
    parser.add_argument("--folder", type=Path, help="where everything is put, and kept")
    parser.add_argument("--prepare", action="store_true", help="only draw and watch")
    arguments = parser.parse_args()
    if not len(arguments.minutes) == len(arguments.houses) == len(arguments.questions):
        parser.error("give as many --houses and --questions as --minutes")
    with tempfile.TemporaryDirectory() as unnamed:
        folder = arguments.folder or Path(unnamed)
        places = [
            Place(
                furnish(f"held-out {number}", minutes * 60),
                folder / f"{minutes:g}-{number}",
                minutes,
                number,
                limit,
            )
            for minutes, houses, limit in zip(
                arguments.minutes, arguments.houses, arguments.questions, strict=True
            )
            for number in range(houses)
        ]
        for place in places:
            place.prepare()
        if arguments.prepare:
            return
        told: list[Told] = []
        with served_tiny(folder / "vllm.log", model=arguments.model) as lmm:
            for place in places:
                told += ask_all(place, lmm)
        with (folder / "told.jsonl").open("w", encoding="utf-8") as file:
            for row in told:
                file.write(json.dumps([row.system, row.minutes, row.house, row.asked.text, row.asked.options,
                                       row.asked.gold, row.choice, row.calls, row.tokens, row.grounded]) + "\n")  # fmt: skip
        for minutes in arguments.minutes:
            print(f"\n{table(told, minutes)}")


if __name__ == "__main__":
    try:
        main()
    except RecollectError as error:
        raise SystemExit(f"house.py: {error}") from None
