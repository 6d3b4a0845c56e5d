"""Four cameras on one core beside busy loops: what was not seen is told as not seen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recollect.testing.overload import OverloadScenario

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="binds processes to a core"),
    pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="the cameras need a core of their own"),
]


def test_an_overloaded_machine_tells_only_what_it_saw(tmp_path: Path) -> None:
    cameras = OverloadScenario(tmp_path, cameras=4, watch_s=50.0, fps=25.0, size=(640, 360)).run()

    assert [camera.stream for camera in cameras] == ["camera1", "camera2", "camera3", "camera4"]
    for camera in cameras:
        assert camera.frames > 0
        assert camera.untold_holes == []
        assert camera.faults == []
        assert camera.worst_lag_s < 10.0
    assert any(set(camera.rates) != {"full rate"} for camera in cameras)
