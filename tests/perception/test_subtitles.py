from __future__ import annotations

import os
import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from recollect.memory.values import Span
from recollect.perception.observers.observer import Observer
from recollect.perception.observers.subtitles import Cue, SubtitleObserver, load_cues, read_cues

CLIPS = Path(os.environ.get("RECOLLECT_CLIPS", Path(__file__).parents[3] / "shared" / "clips"))

TWO_CUES = (
    "1\n00:00:01,000 --> 00:00:02,500\nGood morning.\n\n2\n00:00:04,000 --> 00:00:06,000\nWho is there?\n"
)


@pytest.fixture
def video(tmp_path):
    """A second of black without subtitles."""
    path = tmp_path / "talk.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cues_of(tmp_path, data, name="cues.srt"):
    """The cues of a file with the content ``data``."""
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_cues(path)


def test_a_subrip_file_gives_its_cues(tmp_path):
    cues = cues_of(tmp_path, TWO_CUES)

    assert cues == [Cue(1.0, 2.5, "Good morning."), Cue(4.0, 6.0, "Who is there?")]


def test_windows_line_ends_and_a_byte_order_mark_are_read(tmp_path):
    cues = cues_of(tmp_path, b"\xef\xbb\xbf" + TWO_CUES.replace("\n", "\r\n").encode())

    assert [cue.text for cue in cues] == ["Good morning.", "Who is there?"]


def test_utf_16_is_read(tmp_path):
    cues = cues_of(tmp_path, TWO_CUES.encode("utf-16"))

    assert [cue.text for cue in cues] == ["Good morning.", "Who is there?"]


def test_text_that_is_not_utf_8_is_read_as_windows_1252(tmp_path):
    cues = cues_of(tmp_path, "1\n00:00:01,000 --> 00:00:02,000\nCafé “Zoë”\n".encode("cp1252"))

    assert cues[0].text == "Café “Zoë”"


def test_numbers_and_empty_lines_may_be_missing(tmp_path):
    text = (
        "00:00:01,000 --> 00:00:02,000\nOne\n00:00:02,000 --> 00:00:03,000\nTwo\n"
        "3\n00:00:03,000 --> 00:00:04,000\nThree\n"
    )

    cues = cues_of(tmp_path, text)

    assert [cue.text for cue in cues] == ["One", "Two", "Three"]


def test_a_cue_whose_text_is_a_number_keeps_it(tmp_path):
    cues = cues_of(
        tmp_path, "1\n00:00:01,000 --> 00:00:02,000\n42\n\n2\n00:00:03,000 --> 00:00:04,000\nRight.\n"
    )

    assert [cue.text for cue in cues] == ["42", "Right."]


def test_webvtt_needs_no_hours_and_skips_notes_and_settings(tmp_path):
    text = (
        "WEBVTT - made by hand\nKind: captions\n\nNOTE this is\nnot spoken\n\nSTYLE\n::cue { color: red }\n\n"
        "intro\n00:01.500 --> 00:03.250 align:start position:10%\n<v Anna>Hello <00:02.000><i>there</i>\n\n"
        "01:00:00.000 --> 01:00:01.000\nLate\n"
    )

    cues = cues_of(tmp_path, text, "cues.vtt")

    assert cues == [Cue(1.5, 3.25, "Hello there"), Cue(3600.0, 3601.0, "Late")]


def test_markup_is_stripped_and_lines_are_joined(tmp_path):
    timing = "1\n00:00:01,000 --> 00:00:02,000\n"
    text = timing + '{\\an8}<font color="#ff0">Tom &amp; Ann</font>\n<b>say</b> 3 < 4\\Nloud\n'

    cues = cues_of(tmp_path, text)

    assert cues[0].text == "Tom & Ann say 3 < 4 loud"


def test_cues_are_sorted_and_repeated_ones_are_dropped(tmp_path):
    text = (
        "00:00:05,000 --> 00:00:06,000\nLater\n\n00:00:01,000 --> 00:00:02,000\nFirst\n\n"
        "00:00:01,000 --> 00:00:02,000\nFirst\n"
    )

    cues = cues_of(tmp_path, text)

    assert [cue.text for cue in cues] == ["First", "Later"]


def test_a_broken_file_gives_the_cues_that_can_be_parsed(tmp_path):
    noise = bytes(range(256)) * 4
    good = b"\n\n00:00:01,000 --> 00:00:02,000\nStill here\n\n"
    broken = (
        b"00:00:0x,000 --> never\nlost\n\n00:00:09,000 --> 00:00:03,000\nbackwards\n\n7\n00:00:10,000 -->"
    )

    cues = cues_of(tmp_path, noise + good + broken)

    assert [cue.text for cue in cues] == ["Still here"]


def test_a_missing_file_and_a_folder_give_no_cues(tmp_path):
    assert read_cues(tmp_path / "missing.srt") == []
    assert read_cues(tmp_path) == []
    assert load_cues(tmp_path / "missing.mp4") == []


def test_a_video_without_subtitles_has_no_cues(video):
    assert load_cues(video) == []


def test_the_file_beside_the_video_is_found_by_its_name(video):
    video.with_name("other.srt").write_text(TWO_CUES)
    assert load_cues(video) == []

    video.with_name("talk.srt").write_text(TWO_CUES)
    assert len(load_cues(video)) == 2


def test_a_language_may_follow_the_name_and_english_goes_first(video):
    video.with_name("talk.de.srt").write_text("00:00:01,000 --> 00:00:02,000\nGuten Morgen\n")
    video.with_name("talk.en.srt").write_text("00:00:01,000 --> 00:00:02,000\nGood morning\n")
    video.with_name("talk.appendix.srt").write_text("00:00:01,000 --> 00:00:02,000\nno language\n")

    assert [cue.text for cue in load_cues(video)] == ["Good morning"]


def test_an_empty_file_beside_the_video_is_skipped(video):
    video.with_name("talk.srt").write_text("")
    video.with_name("talk.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.000\nFrom the other one\n")

    assert [cue.text for cue in load_cues(video)] == ["From the other one"]


def test_a_track_inside_the_file_is_read_without_its_markup(tmp_path):
    path = tmp_path / "film.mkv"
    with_subtitle_track(path, start_s=0.0)

    assert load_cues(path) == [Cue(1.0, 2.5, "Good morning."), Cue(4.0, 6.0, "Who is there?")]


def test_times_of_a_track_count_from_where_the_container_starts(tmp_path):
    path = tmp_path / "film.mkv"
    with_subtitle_track(path, start_s=10.0)

    assert [cue.start_s for cue in load_cues(path)] == [1.0, 4.0]


ITALIC_CUES = TWO_CUES.replace("Who is there?", "<i>Who is\nthere?</i>")


def with_subtitle_track(path, start_s, subtitles=ITALIC_CUES, suffix=".srt"):
    """A video with a subtitle track, in which everything starts at ``start_s``."""
    source = path.with_suffix(f".in{suffix}")
    source.write_text(subtitles)
    with av.open(str(source)) as track_file, av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=5)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        track = container.add_stream_from_template(track_file.streams.subtitles[0])
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="bgr24")
            frame.pts, frame.time_base = number + round(start_s * 5), Fraction(1, 5)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for packet in track_file.demux(track_file.streams.subtitles[0]):
            if packet.pts is not None:
                offset = round(start_s / packet.time_base)
                packet.pts, packet.dts = packet.pts + offset, packet.pts + offset
                packet.stream = track
                container.mux(packet)


SUBSTATION = r"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,20

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\k20}The {\k30}kettle\Nboils
Dialogue: 0,0:00:02.00,0:00:03.00,Default,,0,0,0,,{\p1}m 0 0 l 100 0 100 100 0 100{\p0}
Comment: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,check the spelling
Dialogue: 0,0:00:04.00,0:00:05.00,Default,,0,0,0,,Good night, dear
"""
SUBSTATION_CUES = [Cue(1.0, 2.0, "The kettle boils"), Cue(4.0, 5.0, "Good night, dear")]


def test_drawings_and_comments_of_substation_are_not_speech(video):
    video.with_name("talk.ass").write_text(SUBSTATION)

    assert load_cues(video) == SUBSTATION_CUES


def test_drawings_in_a_track_inside_the_file_are_not_speech(tmp_path):
    path = tmp_path / "film.mkv"
    with_subtitle_track(path, start_s=0.0, subtitles=SUBSTATION, suffix=".ass")

    assert load_cues(path) == SUBSTATION_CUES


def test_a_broken_line_of_substation_costs_no_other_line(tmp_path):
    broken = "Dialogue: 0,never,0:00:02.00,Default,,0,0,0,,lost\nDialogue: 0,0:00:01.00\n"

    assert cues_of(tmp_path, SUBSTATION + broken, "cues.ass") == SUBSTATION_CUES


def test_findings_are_the_cues_of_the_span_clipped_to_it():
    observer = SubtitleObserver([Cue(4.0, 6.0, "two"), Cue(1.0, 2.5, "one"), Cue(5.0, 9.0, "three")])

    findings = observer.findings(Span(2.0, 5.5))

    assert [(finding.text, finding.span) for finding in findings] == [
        ("one", Span(2.0, 2.5)),
        ("two", Span(4.0, 5.5)),
        ("three", Span(5.0, 5.5)),
    ]
    assert {(finding.field, finding.kind, finding.written_by) for finding in findings} == {
        ("speech", "subtitle", "subtitles/1")
    }


def test_a_long_cue_is_found_behind_shorter_ones():
    observer = SubtitleObserver([Cue(0.0, 100.0, "song"), Cue(1.0, 2.0, "a"), Cue(3.0, 4.0, "b")])

    assert [finding.text for finding in observer.findings(Span(50.0, 55.0))] == ["song"]


def test_the_subtitle_observer_is_an_observer():
    assert isinstance(SubtitleObserver([]), Observer)


@pytest.mark.skipif(not CLIPS.is_dir(), reason="the real clips are not here (set RECOLLECT_CLIPS)")
def test_the_narrator_of_a_real_film_is_quoted_in_time():
    observer = SubtitleObserver(load_cues(CLIPS / "c16_nasa_dissolves.mp4"))

    findings = observer.findings(Span(8.5, 12.0))

    assert ["Goddard Space Flight Center" in finding.text for finding in findings] == [True]


SENTENCES = {
    "cp1251": "Привет, как дела? Где ты был вчера вечером? Я ждал тебя у входа.",
    "koi8_r": "Сегодня мы едем в деревню, чтобы увидеть реку и старый мост.",
    "gb18030": "你好，你昨天晚上去哪里了？我在门口等你。我们走吧。",
    "big5": "你好，你昨天晚上去哪裡了？我在門口等你。",
    "cp932": "こんにちは。昨日の夜はどこにいたの？入口で待っていたよ。",
    "cp949": "어젯밤에 어디 있었어? 입구에서 기다렸어.",
    "cp1252": "Où étais-tu hier soir ? Je t’ai attendu à l’entrée. Ça va très bien.",
    "cp1250": "Gdzie byłeś wczoraj wieczorem? Czekałem na ciebie przy wejściu.",
    "cp1253": "Πού ήσουν χθες το βράδυ; Σε περίμενα στην είσοδο.",
    "cp1254": "Dün gece neredeydin? Seni girişte bekledim. Çok güzel şeyler.",
    "cp1256": "أين كنت البارحة؟ انتظرتك عند المدخل ولم تأت.",
}


@pytest.mark.parametrize("code_page", SENTENCES)
@pytest.mark.parametrize("count", [2, 30])
def test_an_older_code_page_is_read_or_gives_no_cue(tmp_path, code_page, count):
    sentence = SENTENCES[code_page]
    blocks = [f"{n}\n00:00:{n:02},000 --> 00:00:{n:02},900\n{sentence}\n\n" for n in range(1, count + 1)]

    cues = cues_of(tmp_path, "".join(blocks).encode(code_page))

    assert {cue.text for cue in cues} == {sentence}


def test_the_language_in_the_name_decides_between_code_pages(video):
    sentence = "Bună seara, ce mai faci?"
    block = f"1\n00:00:01,000 --> 00:00:02,000\n{sentence}\n".encode("cp1250")
    video.with_name("talk.ro.srt").write_bytes(block)

    assert [cue.text for cue in load_cues(video)] == [sentence]


def test_text_in_no_known_encoding_gives_no_cue_and_a_warning(tmp_path, caplog):
    noise = bytes(range(128, 160)) * 3
    block = b"1\n00:00:01,000 --> 00:00:02,000\n" + noise + b"\n\n"

    assert cues_of(tmp_path, block) == []
    assert "encoding is unknown" in caplog.text


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this platform has no named pipes")
def test_a_pipe_beside_the_video_does_not_block(video):
    os.mkfifo(video.with_name("talk.srt"))

    assert load_cues(video) == []


def test_a_moment_takes_a_bounded_number_of_cues(caplog):
    observer = SubtitleObserver([Cue(0.0, 3600.0, f"line {number}") for number in range(5000)])

    findings = [observer.findings(Span(start_s, start_s + 10.0)) for start_s in (0.0, 10.0)]

    assert [len(in_moment) for in_moment in findings] == [40, 40]
    assert caplog.text.count("too many") == 1


@pytest.mark.parametrize("name", ["concat:a.mkv", "subfile,,start,0,end,0,,:film.mkv", "http:evil.mkv"])
def test_the_name_of_a_video_never_becomes_a_protocol(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with_subtitle_track(tmp_path / "a.mkv", start_s=0.0)
    shutil.copy(tmp_path / "a.mkv", tmp_path / name)
    (tmp_path / "a.mkv").write_bytes(b"not a video")

    assert load_cues(Path(name))
