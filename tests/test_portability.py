"""The package imports on a system without the modules, functions and signals of POSIX."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import recollect

# Other packages are loaded first, because they need POSIX on POSIX. Then the package is imported a second time, and
# only its own imports of modules of POSIX fail.
IMPORT_WITHOUT_POSIX = """
import builtins, importlib, os, signal, sys

MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "posix", "spwd"}
FUNCTIONS = "getuid geteuid getgid fork killpg setsid getpgid uname mkfifo statvfs sched_getaffinity getloadavg wait4"
SIGNALS = "SIGKILL SIGSTOP SIGCONT SIGHUP SIGCHLD SIGUSR1 SIGUSR2 SIGALRM SIGPIPE"


def import_all():
    for name in sys.argv[1:]:
        importlib.import_module(name)


import_all()
for name in [name for name in sys.modules if name.partition(".")[0] == "recollect"]:
    del sys.modules[name]
for module, names in ((os, FUNCTIONS), (signal, SIGNALS)):
    for name in names.split():
        delattr(module, name)
usual_import = builtins.__import__


def import_without_posix(name, globals=None, locals=None, fromlist=(), level=0):
    importer = (globals or {}).get("__name__", "")
    if name in MODULES and importer.partition(".")[0] == "recollect":
        raise ModuleNotFoundError(f"{importer} imports {name}")
    return usual_import(name, globals, locals, fromlist, level)


builtins.__import__ = import_without_posix
import_all()
print("imported")
"""

ROOT = Path(recollect.__file__).parents[1]
FOLDERS: dict[str, str] = {
    package: package.removeprefix("recollect.").replace(".", "/")
    for package in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
}
MODULES = {
    f"{package}.{path.stem}": path
    for package, folder in FOLDERS.items()
    for path in (ROOT / folder).glob("*.py")
    if path.stem not in {"__init__", "__main__"}
}
"""The path of every module of the package, by its name."""


@pytest.mark.slow
def test_every_module_imports_without_posix(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_WITHOUT_POSIX, *MODULES],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.splitlines()[-1:] == ["imported"], done.stderr


def test_only_the_file_lock_deals_with_locks_of_the_system() -> None:
    importers = {
        name
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import)
        and {alias.name for alias in node.names} & {"fcntl", "msvcrt", "portalocker"}
    }

    assert importers == {"recollect.memory.storage.file_lock"}
