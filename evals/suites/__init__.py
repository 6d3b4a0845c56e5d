"""Benchmarks: a world that is drawn here, and published ones, each read from a folder of its official files.

    open_suite("ovo", Path("OVO-Bench"))
    open_suite("videomme", Path("Video-MME"), length="long")      # with an option of its class

Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from ..errors import BadSuite
from .suite import Suite

PUBLISHED: Mapping[str, tuple[str, str]] = {
    "ovo": ("OvoBench", "OVO-Bench: what was, is and will be, while a video goes on"),
    "streamingbench": ("StreamingBench", "StreamingBench: questions while a video goes on"),
    "ovbench": ("OvBench", "OVBench (VideoChat-Online): past, present and future of streams"),
    "egolife": ("EgoLife", "EgoLifeQA: a week of a person's life"),
    "egomem": ("EgoMem", "EgoMem (VideoLucy): days of a person's life"),
    "xlebench": ("XLeBench", "X-LeBench: life logs of up to 16 hours"),
    "lvbench": ("LVBench", "LVBench: hour-long videos, with where the proof lies"),
    "videomme": ("VideoMme", "Video-MME: videos of seconds to an hour"),
    "hourvideo": ("HourVideo", "HourVideo: 20 minutes to two hours of a person's life"),
    "mlvu": ("Mlvu", "MLVU: nine tasks on long videos"),
    "longvideobench": ("LongVideoBench", "LongVideoBench: what refers to a scene or a subtitle"),
    "egoschema": ("EgoSchema", "EgoSchema: three minutes of a person's life"),
    "tempcompass": ("TempCompass", "TempCompass: what only the order of pictures tells"),
}
"""By the command's name, which is the module's too: the class, and what it is about."""


def open_suite(name: str, folder: Path, **options: object) -> Suite:
    """A published benchmark whose official files are in ``folder``; ``options`` are those of its class.

    Raises ``BadSuite`` where there is no such benchmark or folder.
    """
    if name not in PUBLISHED:
        raise BadSuite(name, folder, f"there is no such benchmark; there are world, {', '.join(PUBLISHED)}")
    if not folder.is_dir():
        raise BadSuite(name, folder, "there is no such folder")
    made: Suite = getattr(import_module(f".{name}", __package__), PUBLISHED[name][0])(folder, **options)
    return made
