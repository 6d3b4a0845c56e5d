"""Watch a file, ask a question, and print the evidence.

    python examples/watch_and_ask.py kitchen.mp4 "When does the sign say CLOSED?"

The memory is kept in ``kitchen.lance`` beside the video, so that a second question is answered at once.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from recollect import Recollect, RecollectError


def main() -> int:
    """Watch, ask, print."""
    parser = argparse.ArgumentParser(description="Watch a video and ask one question about it.")
    parser.add_argument("video", type=Path)
    parser.add_argument("question")
    arguments = parser.parse_args()
    try:
        with Recollect(arguments.video.with_suffix(".lance")) as memory:
            report = memory.watch(arguments.video)
            print(f"watched {report.until_s:.1f} s: {report.moments} new moments, {report.gaps} gaps")
            answer = memory.ask(arguments.question)
    except RecollectError as error:
        print(f"error: {error}")
        return 2
    print(answer.text)
    print(f"confidence {answer.confidence:.2f}, abstained: {answer.abstained}")
    for evidence in answer.evidence:
        print(f"  {evidence.stream} {evidence.start_s:.1f}-{evidence.end_s:.1f} s: {evidence.text}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
