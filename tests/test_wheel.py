"""The built wheel is small and holds no training code, crash harness or weights of recollect-tiny."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
LIMIT_BYTES = 1_500_000


def built(project: Path, folder: Path) -> Path:
    """Build the wheel of a project's folder, without its dependencies."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "-w", folder, project], check=True
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recollect's wheel, built from a copy of the sources without an earlier ``build`` folder."""
    copy = tmp_path_factory.mktemp("sources")
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in sorted(set(setuptools["package-dir"].values())):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    return built(copy, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    return zipfile.ZipFile(wheel).namelist()


def test_the_wheel_is_small(wheel):
    assert wheel.stat().st_size < LIMIT_BYTES


def test_the_wheel_has_no_training_code_and_no_crash_harness(names):
    assert "recollect/serve_lmm/tiny_weights.py" in names
    assert not [
        name for name in names if name.startswith(("recollect/evals/tiny/", "recollect/testing/crash/"))
    ]


def test_the_wheel_has_no_weights(names):
    assert not [
        name for name in names if "weights/" in name or name.endswith((".safetensors", "tokenizer.json"))
    ]


def test_the_wheel_of_recollect_tiny_has_the_checkpoint(tmp_path):
    copy = tmp_path / "recollect-tiny"
    ignored = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
    shutil.copytree(ROOT / "models" / "recollect-tiny", copy, ignore=ignored)

    names = set(zipfile.ZipFile(built(copy, tmp_path / "wheel")).namelist())

    files = ("config.json", "model.safetensors", "tokenizer.json", "README.md")
    assert {f"recollect_tiny/weights/{file}" for file in files} <= names
