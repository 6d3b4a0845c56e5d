"""Redaction by structure: no secret of a URL is shown, in any part of the URL."""

from __future__ import annotations

import json
import string
from urllib.parse import quote, unquote, unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.perception.sources.urls import default_name, identity, redact, redact_text

SCHEMES = st.sampled_from(["rtsp", "rtsps", "http", "https", "rtmp", "HTTP"])
HOSTS = st.sampled_from(
    ["cam.local", "192.168.1.20", "[fe80::1]", "front-door", "cam.local:8554", "[::1]:554"]
)
PATH_WORDS = st.sampled_from(["live", "ch1", "Streaming", "main.sdp", "axis-media", "mp4:clip.mp4", ""])
KEYS = st.sampled_from(["user", "password", "token", "k", "x-auth", "channel", "stream", "a.b", "pwd"])
SECRETS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).map(lambda text: f"Zq{text}qZ7")
"""Each begins and ends with letters that nothing else in a generated URL has."""


def everywhere(secret: str) -> str:
    return quote(secret, safe="")


@st.composite
def urls_with_secrets(draw) -> tuple[str, str, list[str]]:
    """A URL, its scheme and host, and the secrets in it."""
    secrets = [draw(SECRETS) for _ in range(6)]
    user, password, query, bare_secret, pair, fragment = map(everywhere, secrets)
    # Cameras and users do not encode reserved characters that have no meaning in that part of a URL.
    password = draw(st.sampled_from([password, password.replace("%40", "@").replace("%3A", ":")]))
    query = draw(st.sampled_from([query, query.replace("%3D", "=").replace("%2F", "/").replace("%3F", "?")]))
    pair = draw(st.sampled_from([pair, pair.replace("%40", "@").replace("%3A", ":")]))
    scheme, host, key = draw(SCHEMES), draw(HOSTS), draw(KEYS)
    path_words = draw(st.lists(PATH_WORDS, max_size=3))
    path_words.insert(
        draw(st.integers(0, len(path_words))),
        draw(
            st.sampled_from(
                [
                    f"user={user}&{key}={pair}",
                    f"media.amp;{key}={pair}",
                    f"{key}%3D{pair}",
                    f"{key}:{pair}",
                    f"{key}={pair};channel=1",
                    f"{key}={bare_secret}&{pair}",
                ]
            )
        ),
    )
    userinfo = draw(
        st.sampled_from([f"{user}:{password}@", f"{password}@", f"{user}%3A{everywhere(bare_secret)}%40", ""])
    )
    query_part = draw(
        st.sampled_from([f"?{key}={query}&channel=2", f"?{bare_secret}", f"?a=1;{key}={query}", ""])
    )
    fragment_part = draw(st.sampled_from([f"#{fragment}", f"#{key}={fragment}", ""]))
    return (
        f"{scheme}://{userinfo}{host}/{'/'.join(path_words)}{query_part}{fragment_part}",
        f"{scheme}://{host}/",
        secrets,
    )


def assert_hides(shown: str, secrets: list[str]) -> None:
    for form in (shown, unquote(shown), unquote_plus(shown), unquote(unquote(shown))):
        for secret in secrets:
            assert secret not in form
            assert quote(secret) not in form
            assert quote(secret, safe="") not in form
        assert "Zq" not in form
        assert "qZ7" not in form


@given(urls_with_secrets())
def test_a_redacted_url_shows_its_host_and_no_secret(generated):
    url, beginning, secrets = generated

    shown = redact(url)

    assert_hides(shown, secrets)
    assert shown.startswith(beginning)
    assert redact(shown) == shown
    assert redact_text(shown) == shown


@given(
    urls_with_secrets(), st.sampled_from(["cannot open '{}': refused", 'error in "{}"', "{}", "x={}, again"])
)
def test_a_message_that_repeats_a_url_shows_no_secret(generated, template):
    url, beginning, secrets = generated

    shown = redact_text(template.format(url))

    assert_hides(shown, secrets)
    assert beginning in shown
    assert redact_text(shown) == shown


@given(urls_with_secrets())
def test_a_percent_encoded_url_in_a_message_is_redacted(generated):
    url, _, secrets = generated

    shown = redact_text(f"redirected to {quote(url, safe='')} and back")

    assert_hides(shown, secrets)
    assert shown.endswith("… and back")


@given(SECRETS, st.sampled_from([str, quote, everywhere, json.dumps]))
def test_a_known_secret_is_removed_in_any_encoding(secret, written):
    url = f"rtsp://anna:{everywhere(secret)}@cam.local/live?token={everywhere(secret)}"

    shown = redact_text(f"401 for anna with {written(secret)}", [url])

    assert_hides(shown, [secret])


@given(SECRETS, st.sampled_from([str, quote, everywhere, json.dumps]))
def test_a_given_key_is_removed_in_any_encoding(secret, written):
    shown = redact_text(f"401 with {written(secret)}", secrets=[secret])

    assert_hides(shown, [secret])


@given(urls_with_secrets())
def test_a_default_name_holds_no_secret(generated):
    url, _, secrets = generated

    name = default_name(url)

    assert name
    assert_hides(name, secrets)


@given(urls_with_secrets(), st.data())
def test_a_camera_keeps_its_identity_when_secrets_change(generated, data):
    url, _, secrets = generated
    changed = url
    for number, secret in enumerate(secrets):
        for form in (everywhere(secret), everywhere(everywhere(secret))):
            changed = changed.replace(form, f"changed{number}-{data.draw(st.integers(10_000, 99_999))}-x")

    assert_hides(identity(url), secrets)
    assert identity(changed).replace("changed", "") == identity(changed)


@given(st.text(), st.text())
def test_redaction_never_raises_and_is_idempotent(text, more):
    for source in (text, f"{text}://{more}", f"rtsp://{text}@{more}", f"rtsp://{text}/{more}"):
        once = redact(source)
        assert redact(once) == once
        identity(source)
        default_name(source)
        redact_text(more, [source])


@given(st.text("ab:/@?#&;=%[]*.25340DF'\" …pws", max_size=40))
def test_redaction_is_idempotent_on_delimiters(text):
    for source in (text, f"rtsp://{text}", f"pass={text}", f"a%3A%2F%2F{text}"):
        once, as_text = redact(source), redact_text(source)
        assert redact(once) == once
        assert redact_text(as_text) == as_text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "rtsp://10.0.0.7:554/user=admin&password=x&channel=1&stream=0.sdp?real_stream",
            "rtsp://10.0.0.7:554/user=***&password=***&channel=***&stream=***?***",
        ),
        ("rtsp://u:p@cam.local/", "rtsp://cam.local/"),
        (
            "http://cam.local/video.cgi?pwd=x&resolution=vga",
            "http://cam.local/video.cgi?pwd=***&resolution=***",
        ),
        ("rtsp://host/vod/mp4:clip_115k.mov", "rtsp://host/vod/mp4:clip_115k.mov"),
        ("rtsp://user%3As3cret%40host/1", "rtsp://host/1"),
        ("rtsp://u:pa/ss@host/1", "rtsp://…"),
        ("http://host/token=c2VjcmV0MQ==/live.ts", "http://host/token=***/live.ts"),
        ("u:s3cret@cam.local/1?token=s3cret", "***@cam.local/1?token=***"),
        ("rtsp:/u:s3cret@cam.local/1", "***@cam.local/1"),
        ("kitchen & garden 10:30.mp4", "kitchen & garden 10:30.mp4"),
    ],
)
def test_words_stay_readable_and_values_do_not(url, shown):
    assert redact(url) == shown


def test_channels_of_one_server_are_different_cameras():
    urls = [f"rtsp://a:b@nvr/cam/realmonitor?channel={channel}&subtype=0" for channel in (1, 2)]

    assert identity(urls[0]) != identity(urls[1])
    assert redact(urls[0]) == redact(urls[1])


@given(st.text(string.ascii_letters + string.digits, min_size=1))
def test_an_address_without_secrets_is_unchanged(word):
    url = f"rtsp://{word}.local:554/live/{word}"

    assert redact(url) == identity(url) == redact_text(url) == url


def test_a_message_keeps_its_quotation_marks():
    assert redact_text("cannot watch 'ftp://host/a?key=b': it is refused") == (
        "cannot watch 'ftp://host/a?key=***': it is refused"
    )
