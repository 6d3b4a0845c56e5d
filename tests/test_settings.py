"""Settings: their sources, their precedence, and the messages about wrong ones."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from recollect.common.errors import BadSettings
from recollect.memory.errors import BadBudget
from recollect.memory.keeping.byte_sizes import parse_bytes
from recollect.settings import read_settings


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """An empty current folder, with no environment variables set."""
    monkeypatch.chdir(tmp_path)
    for variable in [name for name in os.environ if name.startswith("RECOLLECT_")]:
        monkeypatch.delenv(variable)
    return tmp_path


def test_by_default_no_lmm_is_configured():
    assert read_settings().lmm.url is None


def test_arguments_precede_variables_and_variables_the_file(folder, monkeypatch):
    (folder / "recollect.toml").write_text(
        '[lmm]\nurl = "http://file/v1"\nmodel = "file"\ntimeout_s = 3\nvideo = "pictures"\n'
    )
    monkeypatch.setenv("RECOLLECT_LMM__MODEL", "environment")
    monkeypatch.setenv("RECOLLECT_LMM__TIMEOUT_S", "4")

    lmm = read_settings(lmm={"timeout_s": 5}).lmm

    assert (lmm.url, lmm.video, lmm.model, lmm.timeout_s) == ("http://file/v1", "pictures", "environment", 5)


def test_another_file_can_be_named(folder, monkeypatch):
    (folder / "recollect.toml").write_text('[lmm]\nmodel = "here"\n')
    (folder / "other.toml").write_text('[lmm]\nmodel = "other"\n')
    monkeypatch.setenv("RECOLLECT_CONFIG", str(folder / "other.toml"))

    assert read_settings().lmm.model == "other"


def test_by_default_no_image_text_model_is_configured():
    vision = read_settings().vision

    assert (vision.model, vision.device) == (None, "auto")


def test_an_empty_variable_unsets_the_value_of_the_file(folder, monkeypatch):
    (folder / "recollect.toml").write_text('[lmm]\nurl = "http://file/v1"\n')
    monkeypatch.setenv("RECOLLECT_LMM__URL", "")

    assert read_settings().lmm.url is None


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("RECOLLECT_LMM__TIMEOUT_S", "-1", "greater than 0"),
        ("RECOLLECT_LMM__CONCURENCY", "3", "did you mean concurrency"),
        ("RECOLLECT_LMM_URL", "http://h/v1", "did you mean RECOLLECT_LMM__URL"),
        ("RECOLLECT_LMM__URL", "localhost:8000", "not an address"),
        ("RECOLLECT_LMM__URL", "http://[::1/v1", "not an address"),
        ("RECOLLECT_LMM__VIDEO", "mp4", "'clip' or 'pictures'"),
        ("RECOLLECT_VISION__MODLE", "x/y", "did you mean model"),
        ("RECOLLECT_VISION_MODEL", "x/y", "did you mean RECOLLECT_VISION__MODEL"),
        ("RECOLLECT_MEMORY__DISK_BUDGET", "lots", "it is not a size"),
        ("RECOLLECT_MEMORY__MIN_FREE", "", "it is not a size"),
        ("RECOLLECT_MEMORY__MIN_FREE", "unbounded", "nothing could be written"),
        ("RECOLLECT_MEMORY__DISK_BUGDET", "20 GB", "did you mean disk_budget"),
        ("RECOLLECT_MEMORY_DISK_BUDGET", "20 GB", "did you mean RECOLLECT_MEMORY__DISK_BUDGET"),
        ("RECOLLECT_CONFIG", "no.toml", "no such file"),
    ],
)
def test_a_wrong_variable_is_named_and_explained_in_one_line(monkeypatch, name, value, message):
    monkeypatch.setenv(name, value)

    with pytest.raises(BadSettings, match=message) as bad:
        read_settings()

    assert name in str(bad.value)
    assert "\n" not in str(bad.value)


@pytest.mark.parametrize(
    ("text", "setting", "message"),
    [
        ('[lmm]\nurll = "x"\n', "lmm.urll in recollect.toml", "did you mean url"),
        ("[lmm]\nconcurrency = 0\n", "lmm.concurrency in recollect.toml", "greater than 0"),
        ("[llm]\n", "llm in recollect.toml", "did you mean lmm"),
        ('[vision]\nurl = "x"\n', "vision.url in recollect.toml", "there are model, device"),
        ('[memory]\ndisk_budget = "-3 GB"\n', "memory.disk_budget in recollect.toml", "it is not a size"),
        ('[memory]\nsize = "20 GB"\n', "memory.size in recollect.toml", "there are disk_budget, min_free"),
        ("lmm = 3\n", "lmm in recollect.toml", "dictionary"),
        ("[lmm\n", "recollect.toml", "not TOML"),
    ],
)
def test_a_mistake_in_the_file_is_named(folder, text, setting, message):
    (folder / "recollect.toml").write_text(text)

    with pytest.raises(BadSettings, match=message) as bad:
        read_settings()

    assert str(bad.value).startswith(f"cannot use {setting}: ")


def test_arguments_are_validated_too():
    with pytest.raises(BadSettings, match=r"^cannot use lmm.max_retries: "):
        read_settings(lmm={"max_retries": -1})


def test_a_key_is_never_shown(monkeypatch):
    monkeypatch.setenv("RECOLLECT_LMM__API_KEY", "sk-s3cret")

    settings = read_settings()

    assert settings.lmm.api_key is not None
    assert "s3cret" not in f"{settings!r} {settings} {settings.model_dump_json()}"


@pytest.mark.parametrize(
    ("name", "value"), [("api_key", "sk-s3cret\n2"), ("url", "http://anna:s3cret@h/v1"), ("url", "s3cret")]
)
def test_a_wrong_value_that_may_hold_a_secret_is_not_repeated(name, value):
    with pytest.raises(BadSettings) as bad:
        read_settings(lmm={name: value})

    assert "s3cret" not in str(bad.value)
    assert bad.value.__cause__ is None


# -- disk budget and min_free ------------------------------------------------------------------------------


def test_by_default_only_a_disk_reserve_is_set():
    memory = read_settings().memory

    assert memory.disk_budget is None
    assert parse_bytes(memory.min_free) == 64 << 20


def test_the_disk_budget_is_read_from_file_and_environment(folder, monkeypatch):
    (folder / "recollect.toml").write_text('[memory]\ndisk_budget = "20 GB"\nmin_free = "1 GiB"\n')
    from_file = read_settings().memory
    monkeypatch.setenv("RECOLLECT_MEMORY__DISK_BUDGET", "unbounded")
    from_environment = read_settings().memory
    monkeypatch.setenv("RECOLLECT_MEMORY__DISK_BUDGET", "")
    unset = read_settings().memory

    assert (from_file.disk_budget, from_file.min_free) == ("20 GB", "1 GiB")
    assert (from_environment.disk_budget, from_environment.min_free) == ("unbounded", "1 GiB")
    assert unset.disk_budget is None


@pytest.mark.parametrize(
    ("size", "size_bytes"),
    [
        ("20 GB", 20_000_000_000),
        ("500MB", 500_000_000),
        ("1.5 GiB", 1_610_612_736),
        ("2 tb", 2_000_000_000_000),
        (" 64 MiB ", 64 << 20),
        ("800", 800),
        ("0", 0),
        (1_000_000, 1_000_000),
        ("unbounded", sys.maxsize),
        (" Unbounded", sys.maxsize),
    ],
)
def test_a_size_is_a_number_of_bytes(size, size_bytes):
    assert parse_bytes(size) == size_bytes


@pytest.mark.parametrize(
    "size",
    ["", " ", "lots", "-3 GB", "-1", "20 GB of it", "GB", "1,5 GB", "nan", "inf", "1e9", "20 GBit/s", -1],
)
def test_an_invalid_size_is_refused_with_an_example(size):
    with pytest.raises(BadBudget, match="Give a size such as 20 GB") as bad:
        parse_bytes(size)

    assert repr(size) in str(bad.value)
