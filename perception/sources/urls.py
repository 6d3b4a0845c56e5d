"""What of an address may be shown.

redact("rtsp://anna:s3cret@cam.local/ch1?token=abc")    # rtsp://cam.local/ch1?token=***
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

_SECRET_NAME = re.compile(r"(?i)pass|pwd|user|login|account|token|key|secret|auth|sig|session|cred|code")


def redact(url: str) -> str:
    """Return ``url`` without user, password and whatever in its query may be a secret."""
    try:
        parts = urlsplit(url)
        query = [(k, "***" if _SECRET_NAME.search(k) else v) for k, v in parse_qsl(parts.query, True)]
    except ValueError:  # such as an unclosed IPv6 bracket: no part of it can be trusted to be harmless
        return url.partition("://")[0] + "://…"
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, urlencode(query, safe="*/:,"), ""))
