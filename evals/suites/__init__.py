"""Benchmarks: a synthetic world, and published benchmarks that are read from a folder of their official files.

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
    "ovo": ("OvoBench", "OVO-Bench: the past, the present and the future of a running video"),
    "streamingbench": ("StreamingBench", "StreamingBench: questions about a running video"),
    "ovbench": ("OvBench", "OVBench (VideoChat-Online): past, present and future of streams"),
    "egolife": ("EgoLife", "EgoLifeQA: a week of a person's life"),
    "egomem": ("EgoMem", "EgoMem (VideoLucy): days of a person's life"),
    "xlebench": ("XLeBench", "X-LeBench: life logs of up to 16 hours"),
    "lvbench": ("LVBench", "LVBench: hour-long videos, with the time of the evidence"),
    "videomme": ("VideoMme", "Video-MME: videos of seconds to an hour"),
    "hourvideo": ("HourVideo", "HourVideo: 20 minutes to two hours of a person's life"),
    "mlvu": ("Mlvu", "MLVU: nine tasks on long videos"),
    "longvideobench": ("LongVideoBench", "LongVideoBench: questions that refer to a scene or a subtitle"),
    "egoschema": ("EgoSchema", "EgoSchema: three minutes of a person's life"),
    "tempcompass": ("TempCompass", "TempCompass: questions that only the order of frames answers"),
}
"""By name, which is also the name of the module: the class, and a description."""


def open_suite(name: str, folder: Path, **options: object) -> Suite:
    """Open a published benchmark whose official files are in ``folder``. ``options`` go to its class.

    Raises ``BadSuite`` if there is no such benchmark or folder.
    """
    if name not in PUBLISHED:
        raise BadSuite(name, folder, f"there is no such benchmark; there are world, {', '.join(PUBLISHED)}")
    if not folder.is_dir():
        raise BadSuite(name, folder, "there is no such folder")
    suite: Suite = getattr(import_module(f".{name}", __package__), PUBLISHED[name][0])(folder, **options)
    return suite
