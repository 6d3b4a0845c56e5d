"""Question forms: for each kind of question, the kinds of act, the part asked for, and the parts given.

kind, part, given = rng.choice(NEEDLES)     # "puts", "who", ("what", "where"): who put this thing on this place?
"""

from __future__ import annotations

from .event_log import Slot

Form = tuple[str, Slot, tuple[Slot, ...]]
"""The kind of an act, the part that is asked for, and the parts that are given."""

COUNTS = (1, 2, 3, 4, 5)
"""The possible counts. Each is the right one equally often."""
NEVER = 0.3
"""How often the awaited act does not happen."""
FACTS = (3, 8)
"""The least and the most facts of a listing."""

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
"""The kind of the act, the part that is given, and the slot whose different values are counted."""
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
"""``AGAIN`` identifies a person by an act. ``BEFORE`` is what that person may have done earlier."""
