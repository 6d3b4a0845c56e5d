"""A remote file: the bytes behind a URL, and what is no file."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recollect.errors import SourceUnreachable
from recollect.perception.sources import remote_file
from recollect.perception.sources.content_identity import FileContent, Identity, content_id_of
from recollect.perception.sources.file_bytes import location_of
from recollect.perception.sources.remote_file import find_remote_file
from recollect.testing.file_server import FileServer
from recollect.testing.stream_servers import HttpStreamServer

SIZE = 3_000_000


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "noise.bin"
    path.write_bytes(random.Random(5).randbytes(SIZE))
    return path


@pytest.fixture(scope="module")
def server(path: Path):
    with FileServer({"/noise.bin": path, "/empty": path.with_name("empty")}) as server:
        yield server


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, SIZE + 10), st.integers(0, 400_000)), min_size=1, max_size=6))
def test_any_part_is_read_as_from_the_disk(path, server, reads):
    with location_of(server.url("/noise.bin")).open("rb") as remote, path.open("rb") as local:
        for position, size in reads:
            assert remote.seek(position) == local.seek(position)
            assert remote.read(size) == local.read(size)


def test_a_connection_that_breaks_is_opened_again(path, server):
    server.drop_after_bytes = 700_000
    try:
        with location_of(server.url("/noise.bin")).open("rb") as remote:
            assert remote.read() == path.read_bytes()
    finally:
        server.drop_after_bytes = None


@pytest.mark.parametrize("fault", ["refuse", "stall", "answer_with"])
def test_a_server_that_is_gone_is_an_error_and_no_end(path, monkeypatch, fault):
    monkeypatch.setattr(remote_file, "RETRY_S", 0.5)
    monkeypatch.setattr(remote_file, "TIMEOUT_S", 0.3)
    with (
        FileServer({"/noise.bin": path}) as server,
        location_of(server.url("/noise.bin")).open("rb") as remote,
    ):
        remote.read(100)
        getattr(server, fault)(*([503] if fault == "answer_with" else []))
        server.drop()
        remote.seek(2_000_000)

        with pytest.raises(SourceUnreachable, match=r"127\.0\.0\.1"):
            remote.read(100_000)


def test_a_file_that_changes_on_the_server_is_an_error(path, tmp_path):
    copy = tmp_path / "copy.bin"
    copy.write_bytes(path.read_bytes())
    with FileServer({"/copy.bin": copy}) as server, location_of(server.url("/copy.bin")).open("rb") as remote:
        remote.read(100)
        copy.write_bytes(b"another" * 200_000)
        remote.seek(1_000_000)

        with pytest.raises(SourceUnreachable, match="changed"):
            remote.read(10)


def test_credentials_are_used_and_not_shown(path):
    with FileServer({"/noise.bin": path}, credentials="anna:s3cret") as server:
        assert find_remote_file(server.url("/noise.bin")) is None
        with location_of(server.url("/noise.bin", credentials="anna:s3cret")).open("rb") as remote:
            assert len(remote.read()) == SIZE
        with pytest.raises(SourceUnreachable) as error:
            location_of(server.url("/noise.bin", credentials="anna:wrong")).open("rb")
    assert "wrong" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (b"x" * 10_000, {"ranges": False, "validators": False}),
        (b"x" * 10_000, {"content_type": "application/vnd.apple.mpegurl"}),
        (b"x" * 10_000, {"content_type": "multipart/x-mixed-replace; boundary=b"}),
        (b"http://host/1.ts\n" * 100, {"content_type": "text/plain"}),
        (b"#EXTM3U\n#EXT-X-VERSION:3\n", {}),
        (b"\xef\xbb\xbf\n<?xml version='1.0'?><MPD/>", {}),
        (b"", {}),
    ],
    ids=["no ranges", "playlist type", "multipart", "text", "playlist", "manifest", "empty"],
)
def test_what_is_no_finite_file_is_no_remote_file(tmp_path, content, options):
    (tmp_path / "thing").write_bytes(content)
    with FileServer({"/thing": tmp_path / "thing"}, **options) as server:
        assert find_remote_file(server.url("/thing")) is None


@pytest.mark.parametrize("content_type", ["text/vnd.trolltech.linguist", "text/plain; charset=UTF-8"])
def test_a_video_that_a_server_calls_text_is_a_file(path, content_type):
    with FileServer({"/a.ts": path}, content_type=content_type) as server:
        assert find_remote_file(server.url("/a.ts")) is not None


def test_a_camera_and_a_dead_server_are_no_remote_files():
    with HttpStreamServer() as camera:
        assert find_remote_file(camera.url) is None
    assert find_remote_file("http://127.0.0.1:1/clip.mp4") is None


# -- identity ------------------------------------------------------------------------------------------


def test_a_file_is_the_same_by_path_and_by_url(path, server, tmp_path):
    by_path, by_url = content_id_of(path), content_id_of(server.url("/noise.bin"))

    assert FileContent(path).relation(by_url) == "same"
    assert FileContent(location_of(server.url("/noise.bin"))).relation(by_path) == "same"
    assert FileContent(path).relation(by_path) == "same"
    assert Identity.parse(by_path) == Identity.parse(str(Identity.parse(by_path)))


def test_the_identity_of_a_url_costs_at_most_a_few_blocks(path, tmp_path):
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(400_000_000)
    with FileServer({"/large.bin": large}) as server:
        content_id_of(server.url("/large.bin"))

        assert server.sent_bytes < 10_000_000


def test_a_file_of_an_older_memory_is_known_by_its_hash(path):
    old_id = content_id_of(path).partition(" ")[0]

    assert old_id.startswith("blake2b:")
    assert FileContent(path).relation(old_id) == "same"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(st.integers(50, 3_000_000), st.integers(1, 400_000), st.integers())
def test_a_file_that_grew_is_known_by_its_first_bytes(tmp_path, size, more, seed):
    noise = random.Random(seed)
    path, first = tmp_path / "recording.ts", noise.randbytes(size)
    path.write_bytes(first)
    content_id = content_id_of(path)
    # The writer of a Matroska file puts its duration into the head at the end.
    head = min(len(first) // 2, 1000)
    path.write_bytes(noise.randbytes(head) + first[head:] + noise.randbytes(more))

    assert FileContent(path).relation(content_id) == "grown"
    assert FileContent(path).relation(content_id_of(path)) == "same"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(st.integers(50, 3_000_000), st.integers(0, 400_000), st.integers())
def test_another_file_is_never_one_that_grew(tmp_path, size, more, seed):
    noise = random.Random(seed)
    path = tmp_path / "recording.ts"
    path.write_bytes(noise.randbytes(size))
    content_id = content_id_of(path)
    path.write_bytes(noise.randbytes(size + more))

    assert FileContent(path).relation(content_id) == "other"
