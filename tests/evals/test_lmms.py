"""Recollect under lmms-eval: parsed prompts, videos watched once, stored and replayed answers."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from recollect.evals.errors import BadRun, NotStored, UnfitTask
from recollect.evals.lmms.answering import AnsweringSettings, answer, task_text
from recollect.evals.lmms.eval_requests import EvalRequest, RequestSuite, read_request
from recollect.evals.lmms.prompt_parsing import parse_prompt
from recollect.evals.lmms.registration import MODEL_CLASSES
from recollect.evals.lmms.stored_answers import StoredAnswers
from recollect.evals.records import Ingest, Prediction, RecordedUsage, RecordFile, Sample, read_records
from recollect.perception.errors import LmmUnreachable, NoLmm, SourceNotFound
from recollect.perception.lmm import LmmUsage
from recollect.worlds.demo_video import render
from recollect.worlds.house import ask_about, furnish

with_lmms_eval = pytest.mark.skipif(
    importlib.util.find_spec("lmms_eval") is None,
    reason="lmms-eval is not installed; docs/evaluation.md says how",
)


@dataclass(frozen=True)
class Row:
    """A row of the task's data."""

    number: int
    question: str
    options: tuple[str, ...]
    answer: str
    query_time: float | None

    def data(self, video: Path) -> dict[str, Any]:
        prompt = [
            self.question,
            *(f"{letter}. {option}" for letter, option in zip("ABCD", self.options, strict=False)),
        ]
        return {
            "name": f"q{self.number}",
            "video": str(video),
            "prompt": "\n".join(prompt),
            "answer": self.answer,
            "query_time": self.query_time,
        }


@dataclass(frozen=True)
class Toy:
    """A small task about one video."""

    folder: Path
    video: Path
    rows: Sequence[Row]

    def requests(self) -> list[EvalRequest]:
        return [
            EvalRequest("toy", row.number, data, data["prompt"], ({"type": "video", "url": data["video"]},))
            for row in self.rows
            for data in [row.data(self.video)]
        ]


SIGN = 0
TOO_EARLY = 1


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """Questions in no order of time about a room with a sign. The second is asked before the sign appears."""
    folder = tmp_path_factory.mktemp("toy")
    house = furnish("lmms 1", 12.0, scene_s=(6.0, 7.0))
    render(house.timeline, folder / "house.mp4", seed=1)
    questions = [question for question in ask_about(house, limit=12) if question.choice is not None]
    [sign] = [question for question in questions if question.text.startswith("What did the sign")]
    later_questions = [question for question in questions if question is not sign][:2]
    times_s = [
        None,
        0.2,
        *(max(span.end_s for span in question.evidence) + 3.0 for question in later_questions),
    ]
    rows = [
        # Without a model, the room cannot be identified.
        Row(
            number,
            "What did the sign say?" if question is sign else question.text,
            question.options,
            "ABCD"[question.choice or 0],
            time_s,
        )
        for number, (question, time_s) in enumerate(zip([sign, sign, *later_questions], times_s, strict=True))
    ]
    return Toy(folder, folder / "house.mp4", rows)


# -- prompts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "question", "options"),
    [
        pytest.param(
            "Select the best answer to the following multiple-choice question based on the video and the subtitles. "
            "Respond with only the letter (A, B, C, or D) of the correct option.\n"
            "What is red?\nA. The car.\nB. The U.S. flag.\n\n"
            "Answer with the option's letter from the given choices directly.",
            "What is red?",
            ("The car.", "The U.S. flag."),
            id="videomme",
        ),
        pytest.param(
            "What is red?\n(A) The car\n(B) The hat\n(C) NothingOnly give the best option.\nBest option: (",
            "What is red?",
            ("The car", "The hat", "Nothing"),
            id="mlvu",
        ),
        pytest.param(
            "\nQuestion: What is red?\nOptions:\nA. The car; B. The hat;\n\n"
            "Respond only with the letter corresponding to your chosen option (e.g., A, B, C). \n"
            "Do not include any additional text or explanation in your response.\n",
            "What is red?",
            ("The car", "The hat"),
            id="ovobench",
        ),
        pytest.param(
            "What did he answer with?\n(A) A nod.\n(B) A laugh.\nAnswer the question with the option letter.",
            "What did he answer with?",
            ("A nod.", "A laugh."),
            id="lvbench",
        ),
        pytest.param(
            "What does he say? Answer the question with A, B, C, or D.\nA. Answer the phone.\nB. The best answer is no.",
            "What does he say?",
            ("Answer the phone.", "The best answer is no."),
            id="options like instructions",
        ),
        pytest.param(
            "Choose the best option to call it.\nA. red\nB. blue",
            "Choose the best option to call it.",
            ("red", "blue"),
            id="a question like an instruction",
        ),
        pytest.param(
            "Choices:\nA: red\nB: blue\nQuestion: Which colour is it?",
            "Which colour is it?",
            ("red", "blue"),
            id="options first",
        ),
    ],
)
def test_prompt_is_split_into_question_and_options(
    prompt: str, question: str, options: tuple[str, ...]
) -> None:
    parsed = parse_prompt(prompt)

    assert (parsed.question, parsed.options, parsed.kind) == (question, options, "choice")


@pytest.mark.parametrize(
    ("prompt", "question", "kind"),
    [
        ("Is it red?\nPlease answer yes or no:", "Is it red?", "yes_no"),
        ("What is red?\nAnswer a question using a short phrase or sentence.", "What is red?", "text"),
        ("Does plan A. work?", "Does plan A. work?", "text"),
        ("Answer with one word.", "Answer with one word.", "text"),
    ],
)
def test_prompt_without_options_is_yes_no_or_text(prompt: str, question: str, kind: str) -> None:
    parsed = parse_prompt(prompt)

    assert (parsed.question, parsed.options, parsed.kind) == (question, (), kind)


# -- requests -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AsLmmsEval:
    """An instance in the form of lmms-eval."""

    args: tuple[Any, ...]


def test_request_is_read_from_its_messages(toy: Toy) -> None:
    def to_messages(row: dict[str, Any]) -> list[dict[str, Any]]:
        video = {"type": "video", "url": {"path": row["video"], "video_start": 1.5, "video_end": 8.0}}
        return [{"role": "user", "content": [video, {"type": "text", "text": row["prompt"]}]}]

    rows = [row.data(toy.video) for row in toy.rows]
    instance = AsLmmsEval((rows[2]["prompt"], to_messages, {"until": ["\n\n"]}, 2, "toy", "test"))

    request = read_request(instance, {"toy": {"test": rows}})
    [sample] = RequestSuite([request, request], time_field="query_time").samples()

    assert request.cut(" one\n\ntwo") == "one"
    assert (sample.id, sample.question, sample.options) == (
        "toy/2",
        toy.rows[2].question,
        toy.rows[2].options,
    )
    assert (sample.from_s, sample.asked_at_s) == (1.5, min(8.0, toy.rows[2].query_time or 0.0))


def test_copies_of_a_file_are_the_same_video(toy: Toy, tmp_path: Path) -> None:
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(toy.video.read_bytes())
    first, second, *_ = toy.requests()
    second = EvalRequest("toy", 1, second.row, second.text, ({"type": "video", "url": f"file://{copy}"},))

    samples = list(RequestSuite([first, second]).samples())

    assert samples[0].video == samples[1].video


@pytest.mark.parametrize(
    ("media", "message"),
    [
        ((), "row 7 comes with no video"),
        (({"type": "image", "url": "a.png"},), "row 7 comes with image"),
        (({"type": "video", "url": "a.mp4"}, {"type": "video", "url": "b.mp4"}), "comes with video, video"),
        (({"type": "video", "url": object()},), "the video of row 7 is not a file but object"),
    ],
)
def test_request_without_exactly_one_video_is_refused(
    media: tuple[dict[str, Any], ...], message: str
) -> None:
    with pytest.raises(UnfitTask, match=message):
        RequestSuite([EvalRequest("toy", 7, {}, "What is red?", media)])


def test_missing_video_is_reported() -> None:
    with pytest.raises(SourceNotFound, match="nowhere"):
        RequestSuite([EvalRequest("toy", 7, {}, "What is red?", ({"type": "video", "url": "nowhere.mp4"},))])


@pytest.mark.parametrize(
    ("row", "at_s"),
    [({"at": 61}, 61.0), ({"at": "1:01"}, 61.0), ({"at": None}, None), ({"at": ""}, None)],
)
def test_time_of_a_question_comes_from_its_row(toy: Toy, row: dict[str, Any], at_s: float | None) -> None:
    request = EvalRequest("toy", 7, row, "What is red?", ({"type": "video", "url": str(toy.video)},))

    [sample] = RequestSuite([request], time_field="at").samples()

    assert sample.asked_at_s == at_s


@pytest.mark.parametrize("row", [{"when": 61}, {"at": "later"}, {"at": -1}, {"at": float("nan")}])
def test_unreadable_time_does_not_allow_the_whole_video(toy: Toy, row: dict[str, Any]) -> None:
    request = EvalRequest("toy", 7, row, "What is red?", ({"type": "video", "url": str(toy.video)},))

    with pytest.raises(UnfitTask):
        RequestSuite([request], time_field="at")


# -- answers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prediction", "kind", "text"),
    [
        ({"status": "ok", "answer": "B", "said": "It is the hat."}, "choice", "B"),
        ({"status": "ok", "answer": "The hat.", "said": "The hat."}, "text", "The hat."),
        ({"status": "ok", "answer": 3.0, "said": "3 times"}, "number", "3"),
        ({"status": "ok", "answer": ((1.0, 2.5),), "said": "1-2.5"}, "span", "1-2.5"),
        ({"status": "abstained", "said": "A hat cannot be seen."}, "choice", ""),
        ({"status": "abstained", "said": "No hat can be seen."}, "yes_no", ""),
        ({"status": "abstained", "said": "No hat can be seen."}, "text", "No hat can be seen."),
        ({"status": "error", "error": "BadQuestion"}, "text", ""),
    ],
)
def test_task_text_is_readable_by_the_task(prediction: dict[str, Any], kind: Any, text: str) -> None:
    assert task_text(Prediction(sample="toy/0", system="recollect", **prediction), kind) == text


def test_video_is_watched_once_and_answers_use_only_the_past(toy: Toy, tmp_path: Path) -> None:
    settings = AnsweringSettings(time_field="query_time")

    answers = answer(toy.requests(), tmp_path / "run", settings)
    kept = (tmp_path / "run" / "predictions.jsonl").read_bytes()
    again = answer(toy.requests(), tmp_path / "run", settings)

    assert answers["toy/0"].text == toy.rows[SIGN].answer
    assert answers["toy/1"].text == ""
    assert {answer.text for answer in answers.values()} <= {"", *"ABCD"}
    assert answers == again
    assert (tmp_path / "run" / "predictions.jsonl").read_bytes() == kept
    assert (
        next(answer.sample for answer in read_records(tmp_path / "run" / "predictions.jsonl", Prediction))
        == "toy/1"
    )
    assert len(list(read_records(tmp_path / "run" / "ingests.jsonl", Ingest))) == 1


@pytest.mark.slow
def test_stored_answers_survive_a_kill(toy: Toy, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def kill(_: object) -> None:
        raise Killed

    settings = AnsweringSettings(ocr=False, time_field="query_time")
    with pytest.raises(Killed):
        answer(toy.requests(), tmp_path / "run", settings, on_progress=kill)
    before = (tmp_path / "run" / "predictions.jsonl").read_bytes()
    answer(toy.requests(), tmp_path / "run", settings)
    answer(toy.requests(), tmp_path / "whole", settings)

    assert before.count(b"\n") == 1
    complete = (tmp_path / "whole" / "predictions.jsonl").read_bytes()
    assert complete.startswith(before)
    assert (tmp_path / "run" / "predictions.jsonl").read_bytes() == complete


def test_folder_takes_more_questions_but_no_changed_ones(toy: Toy, tmp_path: Path) -> None:
    settings, requests = AnsweringSettings(ocr=False), toy.requests()
    answer(requests[:1], tmp_path / "run", settings)
    answers = answer(requests, tmp_path / "run", settings)
    changed = EvalRequest("toy", 0, requests[0].row, "What is blue?", requests[0].media)

    assert len(answers) == len(requests)
    with pytest.raises(BadRun, match="toy/0 was asked in other words"):
        answer([changed], tmp_path / "run", settings)


def test_model_without_an_endpoint_is_refused(toy: Toy, tmp_path: Path) -> None:
    with pytest.raises(NoLmm, match="answer with qwen"):
        answer(toy.requests(), tmp_path / "run", AnsweringSettings(model="qwen"))


def test_nothing_is_watched_if_the_endpoint_is_unreachable(toy: Toy, tmp_path: Path) -> None:
    with pytest.raises(LmmUnreachable):
        answer(toy.requests(), tmp_path / "run", AnsweringSettings(endpoint="http://127.0.0.1:9/v1"))

    assert not (tmp_path / "run" / "memories").exists()


class RefusingLmm:
    """A model that fails every request, after 70 prompt tokens and 5 reply tokens."""

    name, moments = "reading", 12

    def __init__(self) -> None:
        self.usage = {"question": LmmUsage(), "caption": LmmUsage()}

    def ask_now(self, *_: object, priority: Any = "question", **__: object) -> Any:
        from recollect.perception.errors import LmmTimedOut

        self.usage[priority] += LmmUsage(calls=1, prompt_tokens=70, completion_tokens=5)
        raise LmmTimedOut("nowhere", 1.0, "waiting for the reply")

    async def ask(self, *_: object, priority: Any = "question", **__: object) -> Any:
        return self.ask_now(priority=priority)


def test_prompt_and_reply_tokens_are_counted(toy: Toy, tmp_path: Path) -> None:
    model: Any = RefusingLmm()

    answers = answer(toy.requests(), tmp_path / "run", AnsweringSettings(ocr=False), lmm=model)

    read_tokens = sum(answer.input_tokens or 0 for answer in answers.values())
    assert read_tokens == model.usage["question"].prompt_tokens > 0
    assert sum(answer.output_tokens or 0 for answer in answers.values()) * 14 == read_tokens


# -- stored answers -----------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A stored run whose questions have the names of the benchmark."""
    with RecordFile(tmp_path / "run" / "predictions.jsonl", Prediction) as lines:
        for system, letter in (("recollect", "B"), ("random", "A")):
            for name in ("bench/x", "bench/y"):
                lines.append(
                    Prediction(
                        sample=name,
                        system=system,
                        status="ok",
                        answer=letter,
                        said="It is.",
                        usage=RecordedUsage(tokens=9),
                    )
                )
    with RecordFile(tmp_path / "run" / "samples.jsonl", Sample) as samples:
        samples.append(
            Sample(
                id="bench/x",
                suite="bench",
                video="v",
                cluster="v",
                kind="choice",
                question="What is red?",
                options=("The car.", "The hat."),
            )
        )
    return tmp_path / "run"


def request_for(name: str, *options: str) -> EvalRequest:
    prompt = "\n".join(
        ["What is red?", *(f"{letter}. {option}" for letter, option in zip("ABCD", options, strict=False))]
    )
    return EvalRequest("toy", 3, {"name": name}, prompt, ())


@pytest.mark.parametrize("file", ["", "predictions.jsonl"])
def test_stored_answer_is_found_by_the_name_of_the_question(run: Path, file: str) -> None:
    stored = StoredAnswers.read(run / file, sample="bench/{row[name]}")

    assert stored.answer(request_for("x", "the car", "the hat")).text == "B"
    assert stored.answer(request_for("y", "one", "two")).text == "B"
    assert stored.answer(request_for("x")).input_tokens is None
    assert (
        StoredAnswers.read(run, system="random", sample="bench/{row[name]}").answer(request_for("y")).text
        == "A"
    )


@pytest.mark.parametrize(
    ("sample", "name", "message"),
    [
        ("bench/{row[name]}", "z", "there is no answer of 'recollect' to it"),
        ("{task}/{doc_id}", "x", "cannot replay toy/3"),
        ("bench/{row[id]}", "x", "does not fit .KeyError: 'id'.. The row has the columns name"),
        ("bench/{row[name]}", "x", "its options were .*The car"),
    ],
)
def test_missing_or_mismatched_stored_answer_raises(run: Path, sample: str, name: str, message: str) -> None:
    with pytest.raises(NotStored, match=message):
        StoredAnswers.read(run, sample=sample).answer(request_for(name, "the hat", "the car"))


@pytest.mark.parametrize(
    ("file", "system", "message"),
    [
        ("", "blind", "it has no answers of 'blind', only of random, recollect"),
        ("none", "recollect", "there is no such file as none"),
        ("samples.jsonl", "recollect", "is not a valid prediction"),
    ],
)
def test_file_without_predictions_is_refused(run: Path, file: str, system: str, message: str) -> None:
    with pytest.raises(BadRun, match=message):
        StoredAnswers.read(run / file, system=system)


@pytest.mark.slow
def test_importing_evals_does_not_load_lmms_eval() -> None:
    code = "import sys, recollect, recollect.evals.lmms, recollect.evals.lmms.stored_answers; print('lmms_eval' in sys.modules)"

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert out == "False\n"


@pytest.mark.parametrize("name", sorted(MODEL_CLASSES))
def test_lmms_eval_finds_the_class_of_each_model(name: str) -> None:
    module, _, class_name = MODEL_CLASSES[name].rpartition(".")

    model_class = getattr(importlib.import_module(module), class_name)

    assert callable(model_class.generate_until)


# -- the real lmms-eval -------------------------------------------------------------------------------

TASK = """\
task: recollect_toy
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: generate_until
doc_to_visual: !function toy_utils.visual
doc_to_text: !function toy_utils.text
doc_to_target: answer
generation_kwargs: {{max_new_tokens: 16, temperature: 0, do_sample: false}}
process_results: !function toy_utils.process
metric_list: [{{metric: right, aggregation: mean, higher_is_better: true}}]
lmms_eval_specific_kwargs: {{default: {{pre_prompt: "", post_prompt: "\\nAnswer with the option's letter."}}}}
metadata: {{version: 0.1}}
"""
UTILS = """\
def visual(doc):
    return [doc["video"]]


def text(doc, lmms_eval_specific_kwargs=None):
    return doc["prompt"] + lmms_eval_specific_kwargs["post_prompt"]


def process(doc, results):
    return {"right": float(results[0] == doc["answer"])}
"""
# This replaces the command of lmms-eval, which reports success after failures, and which cannot start if its wheel
# lacks files of other tasks, as the wheel of 0.7.2 does.
SCRIPT = """\
import sys
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.loggers import EvaluationTracker
from lmms_eval.tasks import TaskManager

model, model_args, out = sys.argv[1:]
tracker = EvaluationTracker(output_path=out)
tasks = TaskManager(include_path="task", include_defaults=False)
found = simple_evaluate(
    model, model_args, tasks=["recollect_toy"], task_manager=tasks, evaluation_tracker=tracker, batch_size=1
)
samples = found.pop("samples")["recollect_toy"]
tracker.save_results_aggregated(results=found, samples={"recollect_toy": samples}, datetime_str="now")
tracker.save_results_samples("recollect_toy", samples)
"""
Evaluate = Callable[[str, str, str], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def evaluate(toy: Toy) -> Evaluate:
    """Run the real lmms-eval on a task of a few rows, in a separate process."""
    data = toy.folder / "toy.jsonl"
    data.write_text("".join(json.dumps(row.data(toy.video)) + "\n" for row in toy.rows))
    (toy.folder / "task").mkdir()
    (toy.folder / "task" / "recollect_toy.yaml").write_text(TASK.format(data=data))
    (toy.folder / "task" / "toy_utils.py").write_text(UTILS)
    offline = {"HF_HOME": str(toy.folder / "hf"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}

    def evaluate(model: str, model_args: str, out: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", SCRIPT, model, model_args, out],
            env=os.environ | offline,
            cwd=toy.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    return evaluate


def samples_of(toy: Toy, out: str) -> list[dict[str, Any]]:
    """The samples that lmms-eval stored for a run."""
    [path] = (toy.folder / out).rglob("*_samples_recollect_toy.jsonl")
    return sorted(map(json.loads, path.read_text().splitlines()), key=lambda sample: sample["doc_id"])


@pytest.fixture(scope="session")
def watched(toy: Toy, evaluate: Evaluate) -> list[dict[str, Any]]:
    process = evaluate("recollect", "memory=kept,time_field=query_time", "watched")
    assert process.returncode == 0, process.stderr[-4000:]
    return samples_of(toy, "watched")


@with_lmms_eval
@pytest.mark.slow
def test_lmms_eval_scores_the_answers_of_recollect(toy: Toy, watched: list[dict[str, Any]]) -> None:
    assert [sample["target"] for sample in watched] == [row.answer for row in toy.rows]
    assert watched[SIGN]["filtered_resps"] == toy.rows[SIGN].answer
    assert watched[SIGN]["right"] == 1.0
    assert watched[TOO_EARLY]["filtered_resps"] == ""
    assert all(sample["token_counts"] == [{"input_tokens": 0, "output_tokens": 0}] for sample in watched)
    assert len(list(read_records(toy.folder / "kept" / "ingests.jsonl", Ingest))) == 1


@with_lmms_eval
@pytest.mark.slow
def test_second_run_under_lmms_eval_reuses_stored_answers(
    toy: Toy, watched: list[dict[str, Any]], evaluate: Evaluate
) -> None:
    kept = {path: path.read_bytes() for path in (toy.folder / "kept").glob("*.jsonl")}

    process = evaluate("recollect", "memory=kept,time_field=query_time", "again")

    assert process.returncode == 0, process.stderr[-4000:]
    assert samples_of(toy, "again") == watched
    assert {path: path.read_bytes() for path in (toy.folder / "kept").glob("*.jsonl")} == kept


@with_lmms_eval
@pytest.mark.slow
def test_replayed_answers_have_the_same_lmms_eval_score(
    toy: Toy, watched: list[dict[str, Any]], evaluate: Evaluate
) -> None:
    sample = "sample=recollect_toy/{doc_id}"

    process = evaluate("recollect_replay", f"predictions=kept,{sample}", "replayed")

    assert process.returncode == 0, process.stderr[-4000:]
    assert samples_of(toy, "replayed") == watched


@with_lmms_eval
@pytest.mark.slow
def test_replay_under_lmms_eval_fails_without_an_answer(
    toy: Toy, watched: list[dict[str, Any]], evaluate: Evaluate
) -> None:
    lines = (toy.folder / "kept" / "predictions.jsonl").read_text().splitlines(keepends=True)
    (toy.folder / "fewer.jsonl").write_text("".join(lines[:-1]))

    process = evaluate("recollect_replay", "predictions=fewer.jsonl", "missing")

    assert process.returncode != 0
    assert "there is no answer of 'recollect' to it" in process.stderr
    assert not list((toy.folder / "missing").rglob("*_samples_*"))
