"""Looks at an installation: what is there, what works, and what to do about the rest.

    for check in examine(Path("recollect.lance")):
        print(check.state, check.name, check.detail)

Every check does the thing itself, small: decodes a clip, reads a word, stores a row.
"""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "absent", "broken"]
    """``absent`` is something optional that is not there."""
    detail: str
    advice: str = ""


def examine(memory: Path) -> Iterator[Check]:
    """Check the installation and, where it exists, the memory."""
    yield Check("Python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    for name, package, use in (
        ("storage", "lancedb", _stores),
        ("decoding", "av", _decodes),
        ("pictures", "opencv-python-headless", _sees_faces),
        ("reading text", "rapidocr", _reads),
        ("agent", "langgraph", _thinks),
    ):
        yield _tried(name, package, use)
    yield Check(
        "video LMM",
        "absent",
        "none is configured; the extractive reasoner answers from what observers saw",
        "Questions about what things are (dog, car, handshake) are answered with the nearest moments only.",
    )
    free = shutil.disk_usage(memory.parent if memory.parent.exists() else Path.cwd()).free
    yield Check("disk", "ok" if free > 1e9 else "broken", f"{free / 1e9:.1f} GB free beside {memory}",
                "" if free > 1e9 else "Free some space, or put the memory elsewhere with --memory.")  # fmt: skip
    yield _memory(memory)


def _tried(name: str, package: str, use: Callable[[], str]) -> Check:
    try:
        found = version(package)
    except PackageNotFoundError:
        return Check(
            name, "broken", f"{package} is not installed", f"Run: {sys.executable} -m pip install {package}"
        )
    try:
        return Check(name, "ok", f"{package} {found}, {use()}")
    except Exception as error:
        # Whatever a library throws is what the user needs to hear here.
        return Check(
            name,
            "broken",
            f"{package} {found} does not work: {error}",
            f"Reinstall it: pip install --force-reinstall {package}",
        )


def _stores() -> str:
    from .memory.store import MemoryStore  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder, MemoryStore.open(Path(folder) / "probe.lance", write=True):
        return "a memory was made and opened"


def _decodes() -> str:
    av = import_module("av")
    wanted = [name for name in ("h264", "hevc", "av1", "vp9") if name in av.codecs_available]
    protocols = "rtsp and http" if "rtsp" in av.formats_available else "http only"
    return f"decodes {', '.join(wanted)}; live over {protocols}"


def _sees_faces() -> str:
    from .perception.observers.faces import FaceObserver  # noqa: PLC0415

    return (
        "with its face cascade"
        if FaceObserver.available()
        else "without a face cascade: faces are not reported"
    )


def _reads() -> str:
    import cv2  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    from .perception.ocr import read_text  # noqa: PLC0415

    picture = np.full((80, 320, 3), 255, np.uint8)
    cv2.putText(picture, "RECOLLECT", (20, 55), cv2.FONT_HERSHEY_SIMPLEX, 1.4, (0, 0, 0), 3)
    lines = [line.text for line in read_text(picture)]
    if not any("RECOLLECT" in line.upper() for line in lines):
        raise RuntimeError(f"it read {lines} where RECOLLECT stands")
    return "a word was read"


def _thinks() -> str:
    from .agent.graph import build_agent  # noqa: PLC0415

    build_agent()
    return "the agent's graph was built"


def _memory(path: Path) -> Check:
    if not path.exists():
        return Check("memory", "absent", f"{path} is not there yet", "Run: recollect watch FILE")
    from .errors import MemoryStoreError  # noqa: PLC0415
    from .memory.store import MemoryStore  # noqa: PLC0415

    try:
        with MemoryStore.open(path) as store:
            streams = store.streams()
    except MemoryStoreError as error:
        return Check("memory", "broken", str(error))
    return Check("memory", "ok", f"{path} holds {len(streams)} stream{'' if len(streams) == 1 else 's'}")
