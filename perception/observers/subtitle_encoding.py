"""Text encodings of subtitle files: Unicode, and the code pages that older files use.

    decode_unicode(data)                                          # None if it is not Unicode
    find_code_page("Привет, как дела?".encode("cp1251"), language="")     # "cp1251"

charset-normalizer judges which code page gives text that reads like a language. Western European pages often fit
equally well. Then the language in the file's name decides, and without one Windows-1252, the most common.
"""

from __future__ import annotations

from itertools import pairwise

_CODE_PAGES = (
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "koi8_r", "gb18030", "big5", "cp932", "cp949",
)  # fmt: skip
"""Windows' code pages, the Russian one of Unix, and those of Chinese, Japanese and Korean."""

_BY_LANGUAGE = {
    **dict.fromkeys(("pl", "pol", "cs", "cze", "ces", "sk", "hu", "hun", "hr", "sl", "ro", "rum", "ron"), "cp1250"),
    **dict.fromkeys(("tr", "tur", "az"), "cp1254"),
}  # fmt: skip
_TURKISH_OR_ICELANDIC = frozenset("þðýÞÐÝ")
"""Letters that Windows-1252 has where the Turkish page has others. Subtitles in Turkish are far more common."""

_SAMPLE_BYTES = 256 * 1024
_MOST_CHAOS = 0.1
"""The share of implausible text from which on no encoding fits."""
_TIE = 0.05


def decode_unicode(data: bytes) -> str | None:
    """The text of a file in UTF-8, or in UTF-16 with a byte-order mark. None if it is neither."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # A limit on the size may have cut a UTF-8 character in two.
        return data.decode("utf-8-sig", errors="ignore") if error.start >= len(data) - 3 else None


def find_code_page(sample: bytes, *, language: str) -> str | None:
    """The code page in which ``sample`` reads like text. None if none fits.

    ``language`` is the language in the file's name, such as ``pl``, or an empty string.
    """
    from charset_normalizer import from_bytes  # noqa: PLC0415 - needed for few files

    matches = from_bytes(sample[:_SAMPLE_BYTES], cp_isolation=list(_CODE_PAGES))
    best = matches.best()
    if best is None or best.chaos > _MOST_CHAOS:
        return None
    equal = {
        encoding
        for match in matches
        if match.chaos <= best.chaos + _TIE and match.coherence >= best.coherence - _TIE
        for encoding in (match.encoding, *match.could_be_from_charset)
    }
    by_language = _BY_LANGUAGE.get(language.partition("-")[0].partition("_")[0])
    if by_language in equal:
        return by_language
    order = (*_CODE_PAGES, best.encoding)
    chosen = min(equal & {*order}, key=lambda page: (_symbols_in_words(sample, page), order.index(page)))
    if chosen == "cp1252" and "cp1254" in equal:
        is_turkish = not _TURKISH_OR_ICELANDIC.isdisjoint(sample.decode("cp1252", errors="ignore"))
        return "cp1254" if is_turkish else chosen
    return chosen


def _symbols_in_words(sample: bytes, code_page: str) -> int:
    """The number of symbols beside a letter that no word has there, such as ³ in "by³eś"."""
    text = sample.decode(code_page, errors="replace")
    return sum(
        not symbol.isalpha() and not symbol.isascii() and symbol not in "’‘“”«»–—…·" and before.isalpha()
        for before, symbol in pairwise(text)
    )
