"""Diagnostics of an installation: what is installed, what works, and what to do about the rest.

    for check in examine(Path("recollect.lance")):
        print(check.state, check.name, check.detail)

Each check does a small piece of the real work: it decodes a clip, reads a word, stores a row.
"""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from .diagnostic_check import DiagnosticCheck, red_jpeg
from .lmm_diagnostics import examine_lmm

if TYPE_CHECKING:
    from ..settings import Settings


def examine(memory: Path) -> Iterator[DiagnosticCheck]:
    """Check the installation and, where they exist, the models and the memory."""
    yield DiagnosticCheck(
        "Python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    )
    for name, package, use in (
        ("storage", "lancedb", _stores),
        ("decoding", "av", _decodes),
        ("pictures", "opencv-python-headless", _sees_faces),
        ("reading text", "rapidocr", _reads),
        ("agent", "langgraph", _thinks),
    ):
        yield _tried(name, package, use)
    yield from examine_lmm()
    yield from examine_vision(memory=memory)
    free = shutil.disk_usage(memory.parent if memory.parent.exists() else Path.cwd()).free
    yield DiagnosticCheck("disk", "ok" if free > 1e9 else "broken", f"{free / 1e9:.1f} GB free beside {memory}",
                "" if free > 1e9 else "Free some space, or put the memory elsewhere with --memory.")  # fmt: skip
    yield _memory(memory)


def examine_vision(
    settings: Settings | None = None, *, memory: Path | None = None
) -> Iterator[DiagnosticCheck]:
    """Check the configured image–text model, and whether it made the memory's vectors.

    Args:
        settings: None reads them, and reports what is wrong with them.
        memory: The folder of a memory, which may be missing.
    """
    from ..common.errors import BadSettings, RecollectError  # noqa: PLC0415
    from ..memory.errors import EncoderMismatch, MemoryStoreError  # noqa: PLC0415
    from ..memory.store import MemoryStore  # noqa: PLC0415
    from ..perception.vision import open_encoder  # noqa: PLC0415
    from ..settings import read_settings  # noqa: PLC0415

    name = "image–text model"
    try:
        encoder = open_encoder((settings or read_settings()).vision)
    except BadSettings as error:
        yield DiagnosticCheck(name, "broken", str(error))
        return
    if encoder is None:
        yield DiagnosticCheck(
            name,
            "absent",
            "none is configured; search uses text, not pictures",
            "To search by pictures, set RECOLLECT_VISION__MODEL; docs/vision.md lists models.",
        )
        return
    try:
        vectors = encoder.encode_texts(["a plain red picture", "a plain blue picture"])
        red, blue = vectors @ encoder.encode_images([red_jpeg()])[0]
    except RecollectError as error:
        yield DiagnosticCheck(name, "broken", str(error))
        return
    label = "red" if red > blue else "blue, as by an untrained model"
    yield DiagnosticCheck(
        name, "ok", f"{encoder.name}, {encoder.dim} numbers a vector; it labels a red picture {label}"
    )
    if memory is not None and memory.exists():
        try:
            MemoryStore.open(memory, encoder=encoder).close()
            yield DiagnosticCheck("vectors", "ok", f"those in {memory} were made by this model")
        except EncoderMismatch as error:
            yield DiagnosticCheck("vectors", "broken", str(error))
        except MemoryStoreError:
            return  # the check of the memory reports it


def _tried(name: str, package: str, use: Callable[[], str]) -> DiagnosticCheck:
    try:
        installed = version(package)
    except PackageNotFoundError:
        return DiagnosticCheck(
            name, "broken", f"{package} is not installed", f"Run: {sys.executable} -m pip install {package}"
        )
    try:
        return DiagnosticCheck(name, "ok", f"{package} {installed}, {use()}")
    except Exception as error:
        # The user needs to see whatever the library raises.
        return DiagnosticCheck(
            name,
            "broken",
            f"{package} {installed} does not work: {error}",
            f"Reinstall it: pip install --force-reinstall {package}",
        )


def _stores() -> str:
    from ..memory.store import MemoryStore  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder, MemoryStore.open(Path(folder) / "probe.lance", write=True):
        return "a memory was created and opened"


def _decodes() -> str:
    av = import_module("av")
    codecs = [name for name in ("h264", "hevc", "av1", "vp9") if name in av.codecs_available]
    protocols = "rtsp and http" if "rtsp" in av.formats_available else "http only"
    return f"decodes {', '.join(codecs)}; live over {protocols}"


def _sees_faces() -> str:
    from ..perception.observers.faces import FaceObserver  # noqa: PLC0415

    return (
        "with its face cascade"
        if FaceObserver.available()
        else "without a face cascade: faces are not reported"
    )


def _reads() -> str:
    import cv2  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    from ..perception.observers.ocr import read_text  # noqa: PLC0415

    picture = np.full((80, 320, 3), 255, np.uint8)
    cv2.putText(picture, "RECOLLECT", (20, 55), cv2.FONT_HERSHEY_SIMPLEX, 1.4, (0, 0, 0), 3)
    lines = [line.text for line in read_text(picture)]
    if not any("RECOLLECT" in line.upper() for line in lines):
        raise RuntimeError(f"it read {lines} instead of RECOLLECT")
    return "a word was read"


def _thinks() -> str:
    from ..agent.graph import build_agent  # noqa: PLC0415

    build_agent()
    return "the agent's graph was built"


def _memory(path: Path) -> DiagnosticCheck:
    if not path.exists():
        return DiagnosticCheck("memory", "absent", f"{path} does not exist yet", "Run: recollect watch FILE")
    from ..memory.errors import MemoryStoreError  # noqa: PLC0415
    from ..memory.store import MemoryStore  # noqa: PLC0415

    try:
        with MemoryStore.open(path) as store:
            streams = store.streams()
    except MemoryStoreError as error:
        return DiagnosticCheck("memory", "broken", str(error))
    return DiagnosticCheck(
        "memory", "ok", f"{path} holds {len(streams)} stream{'' if len(streams) == 1 else 's'}"
    )
