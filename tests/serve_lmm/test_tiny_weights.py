"""The weights of recollect-tiny: where they are found, and the error if they are not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from recollect.serve_lmm.errors import TinyNotInstalled
from recollect.serve_lmm.tiny_weights import find_tiny_weights

PACKAGE = Path(__file__).parents[2] / "models" / "recollect-tiny"


def test_missing_weights_are_an_error_that_names_the_remedy():
    with pytest.raises(TinyNotInstalled) as caught:
        find_tiny_weights("recollect_tiny_missing")

    assert "no package named recollect_tiny_missing" in str(caught.value)
    assert "pip install ./models/recollect-tiny" in str(caught.value)


def test_a_package_that_lacks_a_dependency_says_so_itself(tmp_path, monkeypatch):
    (tmp_path / "tiny_with_broken_import.py").write_text("import no_such_dependency")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        find_tiny_weights("tiny_with_broken_import")


@pytest.mark.slow
def test_the_installed_weights_are_served_under_their_name(nothing_set):
    done = subprocess.run(
        [sys.executable, "-m", "recollect.cli.main", "serve-lmm", "recollect-tiny", "--dry-run"],
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert str(PACKAGE / "recollect_tiny" / "weights") in done.stdout
    assert "--served-model-name recollect-tiny" in done.stdout
