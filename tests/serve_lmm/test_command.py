"""``recollect serve-lmm`` up to the start of vLLM: the command it makes, and what it refuses."""

from __future__ import annotations

import json
import shlex
import socket
from pathlib import Path

import pytest

from recollect.cli.main import main
from recollect.serve_lmm.launch import Launch, plan_launch
from recollect.serve_lmm.vllm import ELSEWHERE, Vllm, find_vllm
from recollect.settings import read_settings

from .conftest import installed

HUB = "Qwen/Qwen3-VL-8B-Instruct"
ON_GPU = Vllm(("vllm", "serve"), "0.32.0")


def launch(*further: str, vllm: Vllm = ON_GPU, lmm: dict | None = None, **serve: object) -> Launch:
    settings = read_settings(serve={"model": HUB, "device": "gpu", **serve}, lmm=lmm or {})
    return plan_launch(settings, vllm, further)


def values(launch: Launch) -> dict[str, str | None]:
    return {flag.name: flag.value for flag in launch.flags}


@pytest.fixture
def run(capfd):
    """Runs the command; its exit code, standard output and standard error."""

    def running(*argv: str) -> tuple[int, str, str]:
        code = main(["serve-lmm", *argv])
        return (code, *capfd.readouterr())

    return running


def test_vllm_gets_the_flags_that_the_client_relies_on():
    flags = values(launch(pictures=20, port=9000))

    assert json.loads(flags["--limit-mm-per-prompt"]) == {"image": 20, "video": 1}
    assert json.loads(flags["--media-io-kwargs"]) == {"video": {"num_frames": -1}}
    assert json.loads(flags["--structured-outputs-config"])["disable_any_whitespace"] is True
    assert flags["--scheduling-policy"] == "priority"
    assert flags["--served-model-name"] == "Qwen3-VL-8B-Instruct"
    assert (flags["--host"], flags["--port"]) == ("127.0.0.1", "9000")
    assert {"--trust-request-mm-kwargs", "--enable-prefix-caching"} <= set(flags)


def test_without_a_gpu_it_gets_what_the_cpu_needs():
    assert "--dtype" not in values(launch())
    assert values(launch(device="cpu"))["--dtype"] == "float32"
    assert "VLLM_CPU_OMP_THREADS_BIND" in launch(device="cpu").environment({})


def test_a_cpu_build_runs_on_the_cpu_even_beside_a_gpu():
    assert "--enforce-eager" in values(launch(device="auto", vllm=Vllm(("vllm", "serve"), for_cpu=True)))


def test_the_context_is_limited_to_that_of_the_model(model):
    assert values(launch(model=str(model)))["--max-model-len"] == "4096"
    assert values(launch(model=str(model), context_tokens=1000))["--max-model-len"] == "1000"
    assert values(launch())["--max-model-len"] == "32768"


def test_flags_for_vllm_come_last_and_win():
    made = launch("--no-enable-prefix-caching", "--max_model_len=8192", flags=["--kv-cache-dtype", "fp8"])

    assert {"--enable-prefix-caching", "--max-model-len"}.isdisjoint(values(made))
    assert made.command[-4:] == (
        "--kv-cache-dtype",
        "fp8",
        "--no-enable-prefix-caching",
        "--max_model_len=8192",
    )


def test_a_flag_that_recollect_sets_itself_is_refused(run):
    code, _, err = run(HUB, "--dry-run", "--", "--port=9000")

    assert code == 2
    assert "use --port instead" in err


def test_the_key_goes_to_the_server_and_is_never_shown():
    made = launch(lmm={"api_key": "s3cret"})

    assert made.environment({"VLLM_API_KEY": "older"})["VLLM_API_KEY"] == "s3cret"
    assert "s3cret" not in made.explanation()
    assert "s3cret" not in repr(made)
    assert "VLLM_API_KEY=***" in made.explanation()


def test_variables_that_are_set_already_stay():
    assert launch().environment({})["VLLM_NO_USAGE_STATS"] == "1"
    assert launch().environment({"VLLM_NO_USAGE_STATS": "0"})["VLLM_NO_USAGE_STATS"] == "0"


def test_a_model_in_a_folder_is_loaded_offline(model):
    assert launch(model=str(model)).environment({})["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in launch().environment({})


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000/v1"),
        ("0.0.0.0", "http://127.0.0.1:8000/v1"),
        ("::", "http://[::1]:8000/v1"),
    ],
)
def test_the_address_is_one_a_client_can_use(host, url):
    assert launch(host=host).url == url


def test_a_dry_run_prints_a_command_and_the_reason_of_each_flag(run):
    code, out, err = run(HUB, "--dry-run", "--device", "gpu", "--", "--kv-cache-dtype", "fp8")

    command, reasons, *_ = out.split("\n\n")
    arguments = shlex.split(command.replace("\\\n", " "))
    assert (code, err) == (0, "")
    assert arguments[1:4] == ["vllm", "serve", HUB]
    assert arguments[-2:] == ["--kv-cache-dtype", "fp8"]
    lines = reasons.splitlines()
    explained = {line.split()[0] for line, why in zip(lines[::2], lines[1::2], strict=True) if why.strip()}
    assert {word for word in arguments if word.startswith("--")} <= explained


def test_a_dry_run_without_vllm_says_how_to_get_it(run):
    code, out, _ = run(HUB, "--dry-run")

    assert code == 0
    assert "pip install 'recollect[serve]'" in out
    assert "make serving-env" in out


def test_a_dry_run_shows_what_would_be_run_here(run, stand_in, model):
    _, out, _ = run(str(model), "--dry-run")

    assert f"-m vllm.entrypoints.openai.api_server --model {model}" in out
    assert "cannot be run here" not in out


def test_flags_win_over_the_environment_and_that_over_the_file(run, monkeypatch):
    Path("recollect.toml").write_text(f'[serve]\nmodel = "{HUB}"\nport = 1111\nname = "file"\npictures = 3\n')
    monkeypatch.setenv("RECOLLECT_SERVE__NAME", "environment")
    monkeypatch.setenv("RECOLLECT_SERVE__PORT", "2222")

    _, out, _ = run("--dry-run", "--port", "3333")

    assert "--port 3333" in out
    assert "--served-model-name environment" in out
    assert '"image":3' in out


def test_a_wrong_setting_is_reported_with_its_section(run, monkeypatch):
    monkeypatch.setenv("RECOLLECT_SERVE__PORTS", "1")

    code, _, err = run(HUB, "--dry-run")

    assert code == 2
    assert "did you mean port" in err


def test_without_vllm_one_line_says_how_to_get_it(run):
    code, out, err = run(HUB)

    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "recollect[serve]" in err
    assert "make serving-env" in err


def test_a_python_that_is_not_there_is_told(run):
    code, _, err = run(HUB, "--python", "/no/such/python")

    assert code == 2
    assert "/no/such/python" in err
    assert "No such file" in err


def test_no_model_is_told(run):
    code, _, err = run()

    assert code == 2
    assert "there is no model to serve" in err


@pytest.mark.parametrize("name", ["/no/such/folder", "./tiny", "tiny", "../a", "a/b/c"])
def test_a_model_that_is_nowhere_is_told(run, name):
    code, _, err = run(name)

    assert code == 2
    assert f"cannot serve {name!r}" in err


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_folder_without_a_model_is_told(run, tmp_path, content):
    if content is not None:
        (tmp_path / "config.json").write_text(content)

    code, _, err = run(str(tmp_path))

    assert code == 2
    assert len(err.splitlines()) == 1
    assert "config.json" in err


def test_a_port_in_use_is_told(run, stand_in, model, port):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()

        code, _, err = run(str(model), "--port", str(port))

    assert code == 2
    assert f"port {port}: Address already in use" in err


def test_a_build_without_a_working_command_is_run_as_a_module(stand_in):
    vllm = find_vllm()

    assert (vllm.version, vllm.for_cpu) == ("0.32.0", True)
    assert vllm.command[-2:] == ("vllm.entrypoints.openai.api_server", "--model")


def test_an_ordinary_build_is_run_by_its_command(stand_in):
    installed(stand_in, "vllm", "0.33.0")

    vllm = find_vllm()

    assert (vllm.version, vllm.for_cpu) == ("0.33.0", False)
    assert vllm.command[-2:] == ("vllm.entrypoints.cli.main", "serve")


def test_a_folder_named_vllm_is_not_mistaken_for_vllm(run):
    Path("vllm").mkdir()

    code, _, err = run(HUB)

    assert code == 2
    assert "no module named vllm" in err


def test_a_vllm_elsewhere_is_run_by_its_documented_command():
    assert launch(vllm=ELSEWHERE).command[:3] == ("vllm", "serve", HUB)
