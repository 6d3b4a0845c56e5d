"""Values of settings: an empty string unsets a setting, in every section."""

from __future__ import annotations


def none_if_empty(value: object) -> object:
    """Read an empty string as None, so that ``RECOLLECT_LMM__URL=`` overrides the file."""
    return (value.strip() or None) if isinstance(value, str) else value
