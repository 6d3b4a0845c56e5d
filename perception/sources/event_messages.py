"""The events and facts of a source as JSON, for sources that are read in a decoder process.

    values = event_values(frame)              # ["Frame", [0.04, 1, "1/25", …]]: JSON, without the pictures
    event_from(values, thumb=thumb, small=small, read_picture=read)

The fields come from the dataclasses, so a new field travels without a change here. Values are checked against the
types of their fields, because the process that sends them has read an untrusted file.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping
from dataclasses import fields
from fractions import Fraction
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from .frame import Frame
from .source import Dropped, Event, Outage, SourceInfo

INVALID = (KeyError, TypeError, ValueError, ArithmeticError, AttributeError, IndexError)
"""What reading an invalid message may raise."""

_NOT_IN_JSON = ("thumb", "small", "read_picture", "rate")
"""Fields of a frame that travel as raw bytes, or are asked for later; and the rate, which no file reduces."""

_CLASSES: Mapping[str, type[Any]] = {kind.__name__: kind for kind in (Frame, Outage, Dropped, SourceInfo)}


def event_values(event: Event | SourceInfo) -> list[Any]:
    """The event as JSON values: the name of its class, and its fields in order, without pictures."""
    name = type(event).__name__
    return [name, [_plain(value) for value in _getter(name)(event)]]


def event_from(values: Any, **pictures: Any) -> Event | SourceInfo:
    """The event that ``values`` describe, with the pictures of a frame.

    Raises:
        KeyError, TypeError, ValueError, ArithmeticError: The values are invalid.
    """
    name, field_values = values
    readers = _readers(name)
    checked = {field: read(value) for (field, read), value in zip(readers.items(), field_values, strict=True)}
    event: Event | SourceInfo = _CLASSES[name](**checked, **pictures)
    return event


def _plain(value: Any) -> Any:
    return str(value) if type(value) is Fraction else value  # isinstance is slow for its abstract base


@cache
def _getter(name: str) -> Callable[[Event | SourceInfo], tuple[Any, ...]]:
    """The function that gets the values of all fields that travel as JSON."""
    return attrgetter(*_readers(name))


@cache
def _readers(name: str) -> dict[str, Callable[[Any], Any]]:
    """For each field that travels as JSON, the function that reads its value."""
    kind = _CLASSES[name]
    hints = get_type_hints(kind)
    return {
        field.name: _reader(hints[field.name]) for field in fields(kind) if field.name not in _NOT_IN_JSON
    }


def _reader(hint: Any) -> Callable[[Any], Any]:
    """The function that reads a value of the type ``hint``."""
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return lambda value: _checked(value, value in arguments)
    if origin in (Union, types.UnionType) and types.NoneType in arguments:
        (other,) = (argument for argument in arguments if argument is not types.NoneType)
        read = _reader(other)
        return lambda value: None if value is None else read(value)
    if origin is tuple and arguments[-1] is ...:
        read_item = _reader(arguments[0])
        return lambda value: tuple(map(read_item, value))
    if origin is tuple:
        item_readers = [_reader(argument) for argument in arguments]
        return lambda value: tuple(read(item) for read, item in zip(item_readers, value, strict=True))
    raise TypeError(f"events with a field of type {hint} cannot be sent by a decoder process")


@lru_cache(maxsize=64)
def _fraction(text: str) -> Fraction:
    return Fraction(text)


def _checked(value: Any, is_valid: bool) -> Any:
    if not is_valid:
        raise ValueError("a value has the wrong type")
    return value


def _number(value: Any) -> float:
    if type(value) is float and math.isfinite(value):  # nearly always, and much faster
        return value
    return float(_checked(value, isinstance(value, int | float) and math.isfinite(value)))


def _whole_number(value: Any) -> int:
    if type(value) is int:
        return value
    return int(_checked(value, isinstance(value, int) and not isinstance(value, bool)))


_SIMPLE: Mapping[Any, Callable[[Any], Any]] = {
    float: _number,
    int: _whole_number,
    bool: lambda value: _checked(value, isinstance(value, bool)),
    str: lambda value: _checked(value, isinstance(value, str)),
    Fraction: lambda value: _fraction(_checked(value, isinstance(value, str) and len(value) < 100)),
}
