"""recollect-tiny on a real vLLM on the CPU watches a held-out house and answers questions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from recollect import Recollect
from recollect.cli.demo_lmm import show
from recollect.evals.tiny.tasks import make_sample
from recollect.perception.lmm import ServedLmm
from recollect.serve_lmm.process import VllmServer
from recollect.serve_lmm.tiny import client_of, start_tiny
from recollect.serve_lmm.tiny_weights import find_tiny_weights
from recollect.worlds.demo_video import render
from recollect.worlds.house import PEOPLE, House, ask_about, furnish

from .conftest import said_by_transformers, said_by_vllm

pytestmark = pytest.mark.slow

QUESTIONS = 10


@pytest.fixture(scope="module")
def server(serving_python, tmp_path_factory) -> Iterator[VllmServer]:
    pytest.importorskip("recollect_tiny", reason="pip install ./models/recollect-tiny")
    with pytest.MonkeyPatch.context() as environment:
        # Threads that share two cores with other tests mostly wait for each other.
        environment.setenv("OMP_NUM_THREADS", "1")
        environment.setenv("RECOLLECT_SERVE__PYTHON", str(serving_python))
        server = start_tiny(tmp_path_factory.mktemp("log") / "vllm.log")
        yield server
        server.stop()


@pytest.fixture(scope="module")
def lmm(server) -> Iterator[ServedLmm]:
    with client_of(server) as lmm:
        yield lmm


@pytest.fixture(scope="module")
def house() -> House:
    return furnish("tested", 75.0)


@pytest.fixture(scope="module")
def folder(house, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    render(house.timeline, folder / "house.mp4", seed=house.seed)
    return folder


def test_a_house_is_watched_and_asked_about(lmm, house, folder, capsys):
    marks = show(folder, folder / "house.mp4", house, lmm, questions=QUESTIONS)

    printed = capsys.readouterr().out
    assert marks.total() == QUESTIONS
    assert printed.count("true is: ") == QUESTIONS
    assert "of the model" in printed
    assert (folder / "evidence.png").stat().st_size > 10_000


def test_descriptions_match_what_the_moments_show(lmm, house, folder):
    """Described by the test above."""
    with Recollect(folder / "recollect.lance", lmm=lmm) as memory:
        moments = memory.timeline()

    captions = [(moment, moment.caption) for moment in moments]
    views = {moment.id: [house.view(moment.span.start_s + share * moment.span.duration_s)
                         for share in (0.1, 0.3, 0.5, 0.7, 0.9)] for moment in moments}  # fmt: skip
    rooms = [f"In {views[moment.id][2].room}," in caption for moment, caption in captions]
    named = [
        (person, moment)
        for moment, caption in captions
        for person in PEOPLE
        if re.search(rf"{person}(?! and hat)", caption)
    ]
    visible = [
        any(figure.person == person for view in views[moment.id] for figure in view.figures)
        for person, moment in named
    ]
    assert len(moments) > 10
    assert sum(rooms) >= 0.9 * len(rooms)
    assert len(named) > 10
    assert sum(visible) >= 0.75 * len(visible)


def test_a_second_look_saves_calls_the_next_time(lmm, house, folder):
    """Described by the first test, which did not ask these."""
    with Recollect(folder / "recollect.lance", lmm=lmm) as memory:
        questions = ask_about(house, limit=QUESTIONS + 16)[QUESTIONS:]
        first = [(item, memory.ask(item.text, options=item.options)) for item in questions]
        looked = [(item, answer) for item, answer in first if answer.usage.lmm_calls > 1]
        again = [memory.ask(item.text, options=item.options) for item, _ in looked]

    assert len(looked) > 2
    assert sum(item.usage.lmm_calls for item in again) < sum(item.usage.lmm_calls for _, item in looked)


def test_vllm_and_transformers_give_the_same_reply(server, lmm, serving_python):
    sample = make_sample("caption", "held-out agreement", scale=1.0)

    questions = sample.prompt, type(sample.reply)

    by_vllm = said_by_vllm(server, *questions, max_tokens=200)

    assert by_vllm == said_by_transformers(serving_python, find_tiny_weights(), *questions, max_tokens=200)
    assert len(by_vllm.said) > 10
