"""What is asked of which act, for the kinds that go by acts.

kind, part, given = rng.choice(NEEDLES)     # "puts", "who", ("what", "where"): who put that there?
"""

from __future__ import annotations

from .event_log import Slot

Form = tuple[str, Slot, tuple[Slot, ...]]
"""Of an act: its kind, what is asked for, what is given."""

COUNTS = (1, 2, 3, 4, 5)
"""What a count can be; each is right as often."""
NEVER = 0.3
"""So often what somebody waits for does not come."""
FACTS = (3, 8)
"""A listing has no fewer and no more."""

NEEDLES: tuple[Form, ...] = (
    ("puts", "who", ("what", "where")),
    ("puts", "what", ("who", "where")),
    ("puts", "where", ("who", "what")),
    ("takes", "who", ("what", "where")),
    ("takes", "what", ("who", "where")),
    ("takes", "where", ("who", "what")),
    ("gives", "who", ("what", "to")),
    ("gives", "what", ("who", "to")),
    ("gives", "to", ("who", "what")),
    ("gives", "room", ("who", "what")),
    ("shows", "room", ("where",)),
)
ORDINALS: tuple[Form, ...] = (
    ("comes", "who", ("room",)),
    ("comes", "room", ("who",)),
    ("opens", "who", ("where",)),
    ("closes", "who", ("where",)),
    ("puts", "who", ("where",)),
    ("puts", "what", ("where",)),
    ("takes", "who", ("where",)),
    ("takes", "what", ("where",)),
    ("gives", "what", ("room",)),
    ("gives", "to", ("room",)),
    ("gives", "to", ("who",)),
)
NEIGHBOURS: tuple[Form, ...] = (
    ("comes", "who", ("room",)),
    ("puts", "what", ()),
    ("puts", "who", ("room",)),
    ("takes", "what", ()),
    ("gives", "to", ()),
    ("opens", "who", ()),
    ("closes", "who", ()),
)
COUNTED: tuple[tuple[str, Slot | None, Slot | None], ...] = (
    ("comes", "who", None),
    ("comes", "room", None),
    ("comes", "room", "who"),
    ("comes", None, None),
    ("puts", "room", None),
    ("puts", "what", None),
    ("puts", None, None),
    ("takes", "room", None),
    ("takes", None, None),
    ("gives", "room", None),
    ("gives", "who", None),
    ("opens", "where", None),
    ("shows", "room", "where"),
    ("shows", None, "where"),
)
"""Kind, what is given, and of what the different ones are counted."""
AWAITED: tuple[tuple[str, tuple[Slot, ...]], ...] = (
    ("puts", ("what",)),
    ("puts", ("what", "where")),
    ("takes", ("what",)),
    ("gives", ("what",)),
    ("gives", ("who",)),
    ("comes", ("who", "room")),
    ("opens", ("who", "where")),
    ("closes", ("where",)),
)
STANDING: tuple[tuple[str, Slot | None], ...] = (
    *(("opens", None), ("closes", None), ("puts", None), ("takes", None), ("gives", None)),
    *(("comes", "room"), ("comes", "who"), ("opens", "where"), ("gives", "room")),
)
AGAIN: tuple[tuple[str, Slot], ...] = (
    *(("comes", "room"), ("opens", "where"), ("puts", "where"), ("takes", "where")),
)
BEFORE: tuple[tuple[str, Slot], ...] = (
    ("comes", "room"),
    ("comes", "room"),
    ("gives", "room"),
    ("opens", "room"),
)
"""What somebody is known again by, and what they may have done before."""
