"""Redaction of source addresses: removes secrets from URLs before they are shown, stored or compared.

redact("rtsp://anna:s3cret@cam.local/ch1?token=abc")       # rtsp://cam.local/ch1?token=***
redact("rtsp://cam.local/user=anna&password=x&channel=1")  # rtsp://cam.local/user=***&password=***&channel=***
redact_text("cannot open 'http://u:p@h/x'")                # cannot open 'http://h/x'

Redaction goes by structure, not by the names of parameters: no list of names is complete. It removes the
userinfo and the fragment, and masks every value in the query and every ``key=value`` and ``key:value`` in the
path. Scheme, host, port, path words and parameter names stay readable.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus, unquote, unquote_plus

MASK = "***"
_HIDDEN = "…"
"""Replaces all behind the scheme if the host cannot be distinguished from a password."""

_SCHEME = r"[A-Za-z][A-Za-z0-9+.\-]*"
_URL = re.compile(rf"({_SCHEME})://(.*)", re.DOTALL)
_AT = re.compile(r"@|%(?:25)*40")
_HOST = re.compile(r"(?:(?:(?!%(?:25)*3A)[^\s:/?#\[\]@\\])*|\[[\w:.%\-]*\])(?::[0-9]*)?", re.IGNORECASE)
_SEPARATOR = re.compile(r"([&;])")
_ASSIGNMENT = re.compile(r"=|:|%(?:25)*3[AD]", re.IGNORECASE)
_NAME = re.compile(r"[\w.~+\-\[\]$ ]{1,64}")
_MEDIA_PREFIXES = frozenset({"mp4", "flv", "mov", "mp3", "smil", "ngrp", "amlst", "id3"})
"""Media servers write the kind of a file before its name: ``/vod/mp4:sample.mp4``. That is no secret."""

_SELECTORS = frozenset(
    {
        "cam",
        "camera",
        "ch",
        "chan",
        "channel",
        "channelid",
        "chn",
        "dev",
        "device",
        "id",
        "index",
        "input",
        "no",
    }
    | {
        "number",
        "profile",
        "quality",
        "res",
        "resolution",
        "sub",
        "subtype",
        "stream",
        "streamid",
        "streamtype",
    }
    | {"track", "unit", "view"}
)
"""Parameters that select one camera or picture of a server. Compared without "_" and "-"."""
_CREDENTIALS = frozenset({"user", "username", "usr", "login", "password", "passwd", "pass", "pwd"})
"""Parameters that say who asks, and never which camera is wanted. A token or a key may belong to one camera."""
_SELECTOR_VALUE = re.compile(
    r"(?:main|sub|high|low|medium|hd|sd|profile|stream|media|channel|camera|cam|ch|track)*"
    r"[_\-]?[0-9]{0,4}p?(?:\.[a-z0-9]{2,4})?",
    re.IGNORECASE,
)
"""Numbers and common words only, so that a password under such a name does not enter the hash."""

_SECRET_NAME = r"(?:pass(?:word|wd|phrase)?|pwd|token|secret|api[_-]?key|auth|sig|signature|credentials?|login|user(?:name)?)"
_IN_TEXT = re.compile(
    rf"(?P<url>{_SCHEME}://\S*)"
    rf"|(?P<encoded>(?P<sign>{_SCHEME}%(?:25)*3A(?:%(?:25)*2F){{2}})\S*)"
    r"|(?P<userinfo>[^\s:/@'\"]+:(?!//)(?:(?!://)[^\s@])+@)"
    rf"|(?P<name>(?<![\w\-])[\w\-]*{_SECRET_NAME}(?:=|%(?:25)*3D))(?!{_SCHEME}(?:://|%(?:25)*3A(?:%(?:25)*2F){{2}}))\S+",
    re.IGNORECASE,
)
_SHORTEST_SECRET = 4
"""Shorter values are not searched for in messages: "0" and "on" are in most of them."""


def redact(source: str) -> str:
    """Return ``source``, a URL or a path, without its secrets. Never raises. Redacting twice changes nothing."""
    if _URL.fullmatch(source) is None:
        return redact_text(source)
    return _Redaction().url(source)


def redact_text(text: str, urls: Iterable[str] = (), secrets: Iterable[str] = ()) -> str:
    """Return ``text``, such as an error message, without the secrets of the addresses in it.

    Args:
        text: Any text.
        urls: Addresses that ``text`` may repeat in part. Their secrets are removed everywhere: raw,
            percent-encoded or escaped as in JSON.
        secrets: Further secrets that ``text`` may repeat, such as a key. They are removed in the same way, even if
            they are short.

    """
    for url in urls:
        text = text.replace(url, redact(url))
        for form in _secrets(url):
            text = text.replace(form, MASK)
    for form in _forms(secrets):
        text = text.replace(form, MASK)
    return _IN_TEXT.sub(_redact_match, text)


def identity(url: str) -> str:
    """Return the text that identifies the camera behind ``url``, for hashing. It must not be shown.

    It is the redacted URL with the values of parameters such as ``channel`` in it. It does not depend on
    credentials, so a camera keeps its identity when its password changes.
    """
    return _Redaction(keep_selectors=True).url(url)


def hides_selection(url: str) -> bool:
    """Whether ``identity`` leaves out a part of ``url`` that may select one of a server's cameras.

    Two URLs with the same identity may then be two cameras. Credentials select none: the userinfo, and values
    under names such as ``user`` and ``password``.
    """
    redaction = _Redaction(keep_selectors=True)
    redaction.url(url)
    return redaction.hides_selection


def default_name(url: str) -> str:
    """Make the name of a stream from the host and the path words of ``url``."""
    match = _URL.fullmatch(redact(url))
    host, _, path = (match[2] if match else "").partition("?")[0].partition("/")
    path_words = [piece for piece in re.split(r"[/&;]", path) if piece and MASK not in piece]
    name = "-".join([re.sub(r":[0-9]*$", "", host).lower(), *path_words])
    return re.sub(r"[^\w.-]+", "-", name).strip("-") or "live"


class _Redaction:
    """Redacts one URL, and records the masked secrets."""

    def __init__(self, *, keep_selectors: bool = False) -> None:
        self._keep_selectors = keep_selectors
        self.masked: list[str] = []
        self.hides_selection = False
        """Whether a part was masked that is not a credential."""

    def url(self, url: str) -> str:
        match = _URL.fullmatch(url)
        if match is None:
            return redact_text(url)
        scheme, rest = match.groups()
        rest, _, fragment = rest.partition("#")
        rest, question_mark, query = rest.partition("?")
        authority, slash, path = rest.partition("/")
        host = _AT.split(authority)[-1]
        userinfo = _AT.sub("@", authority)[: -len(host) - 1] if host != authority else ""
        self.masked += [userinfo, *userinfo.split(":", 1), fragment]
        if _HOST.fullmatch(host) is None:
            # A raw "/" in a password, or an unclosed bracket: no part of the rest can be shown.
            self._mask(rest)
            return f"{scheme}://{_HIDDEN}"
        shown_path = "/".join(self._segment(segment) for segment in path.split("/"))
        return f"{scheme}://{host}{slash}{shown_path}{question_mark}{self._query(query)}"

    def _segment(self, segment: str) -> str:
        """Redact the part between two slashes of the path."""
        pieces = _SEPARATOR.split(segment)
        has_pairs = any(_ASSIGNMENT.search(piece) for piece in pieces)
        for number in range(0, len(pieces), 2):
            is_rest_of_value = has_pairs and number > 0
            pieces[number] = self._path_piece(pieces[number], is_rest_of_value=is_rest_of_value)
        return "".join(pieces)

    def _path_piece(self, piece: str, *, is_rest_of_value: bool) -> str:
        # Behind "password=a" only a raw "=" begins a value: what is encoded may belong to a password with "&" in it.
        assignment = re.search("=", piece) if is_rest_of_value else _ASSIGNMENT.search(piece)
        if assignment is not None:
            key, sign, value = piece[: assignment.start()], assignment[0], piece[assignment.end() :]
            if sign == ":" and key.lower() in _MEDIA_PREFIXES:
                return key + sign + self._path_piece(value, is_rest_of_value=is_rest_of_value)
            return self._key(key) + sign + self._value(key, value)
        if is_rest_of_value and piece:
            return self._mask(piece)
        *userinfo, word = _AT.split(piece)
        if any(userinfo):
            self.masked += userinfo
            return f"{MASK}@{word}"
        return piece

    def _query(self, query: str) -> str:
        pieces = _SEPARATOR.split(query)
        for number in range(0, len(pieces), 2):
            key, sign, value = pieces[number].partition("=")
            if value.strip("="):
                pieces[number] = self._key(key) + sign + self._value(key, value)
            elif pieces[number]:
                # It may be a bare token, with the padding of base64.
                pieces[number] = self._mask(pieces[number])
        return "".join(pieces)

    def _key(self, key: str) -> str:
        return key if _NAME.fullmatch(key) or not key else self._mask(key)

    def _value(self, key: str, value: str) -> str:
        selector = re.sub(r"[_\-]", "", key).lower()
        if self._keep_selectors and selector in _SELECTORS and _SELECTOR_VALUE.fullmatch(value):
            return value
        return self._mask(value, is_credential=key.lower() in _CREDENTIALS) if value else ""

    def _mask(self, secret: str, *, is_credential: bool = False) -> str:
        self.masked.append(secret)
        self.hides_selection = self.hides_selection or not is_credential
        return MASK


def _secrets(url: str) -> list[str]:
    """The forms of the secrets that redaction removes from ``url``, the longest first."""
    redaction = _Redaction()
    redaction.url(url)
    return [form for form in _forms(redaction.masked) if len(form) >= _SHORTEST_SECRET]


def _forms(secrets: Iterable[str]) -> list[str]:
    """The secrets raw, decoded, percent-encoded, and escaped as in JSON. The longest first."""
    forms: set[str] = set()
    for secret in secrets:
        for decoded in (secret, unquote(secret), unquote_plus(secret)):
            # The text may come from an environment variable with bytes that are no UTF-8.
            encodings = (quote(decoded, errors="replace"), quote(decoded, safe="", errors="replace"))
            forms |= {decoded, *encodings, quote_plus(decoded, errors="replace"), json.dumps(decoded)[1:-1]}
    return sorted(forms - {""}, key=len, reverse=True)


def _redact_match(match: re.Match[str]) -> str:
    """Redact what ``_IN_TEXT`` matched."""
    if match["url"]:
        url = match["url"].rstrip("'\")>,.;:")
        return redact(url) + match["url"][len(url) :] if _URL.fullmatch(url) else match["url"]
    if match["encoded"]:
        decoded = match["encoded"]
        while _URL.match(decoded) is None:
            decoded = unquote(decoded)
        host = re.split(r"[/?]", redact(decoded).partition("://")[2])[0]
        return f"{match['sign']}{host}/{_HIDDEN}"
    return f"{MASK}@" if match["userinfo"] else f"{match['name']}{MASK}"
