"""Lexicon of the question parser: word classes of English questions about video.

It has the words for people, colours, clothes and sides, the words that ask for text, and the stop words. Any other
noun asks for something that no embedded observer can recognise. Phrases that ask for a finding kind are declared
with the kind, in the registry of finding kinds.
"""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


EXISTENCE = re.compile(
    r"\b(appear(s|ed|ing)?|visible|shown?|seen|see|there (is|are|was|were)|is there|are there|present|in (the )?(picture|view|frame))\b"
)
"""Words that only say that something is visible. The meaning is in the name of the thing."""

PEOPLE = _words(
    """
    person people man men woman women visitor visitors someone somebody anyone anybody customer
    customers pedestrian pedestrians worker workers child children boy girl guy lady figure figures he
    she they who
    """
)
"""Words for people. The embedded observers report them as tall moving shapes."""

THINGS = _words(
    """
    thing things object objects something anything item items shape shapes it one ones
    """
)

COLOURS = _words(
    """
    red orange yellow green blue purple pink brown black white grey gray teal cyan beige golden silver
    dark light
    """
)

GARMENTS = _words(
    """
    coat coats jacket jackets shirt shirts top tops sweater jumper pullover hoodie vest waistcoat blouse
    dress dresses skirt skirts suit suits uniform overall overalls apron robe cloak clothes clothing hat hats cap
    caps hood helmet scarf trousers pants jeans shorts shoes boots gloves
    """
)
"""Clothes. Observers do not recognise them, but report the colours of a tall shape."""

SIDES = _words(
    """
    left right top bottom middle centre center above below upper lower
    """
)

TEXT_CUES = re.compile(
    r"\b(texts?|reads?|says?|said|sign(s|ed)?|sign[- ]?in|titles?|captions?|words?|written|writes?|wrote|typ(e|ed|es|ing)|notes?|"
    r"labels?|pages?|messages?|commands?|files?|screens?|display(s|ed)?|names?|named|number ?plates?|url|errors?|buttons?|tabs?|"
    r"menus?|prompts?|outputs?|reply|replies|lists?|terminal|headline|boards?|notices?|letters?|subtitles?|called|"
    r"mention(s|ed)?|spoken|speaks?|narrator|narration|tells?|told|code|version|windows?|launcher)\b"
)
"""Words that ask for something that was read or heard."""

IN_PICTURE = re.compile(
    r"\b(signs?|boards?|notices?|posters?|pages?|screens?|terminal|buttons?|tabs?|menus?|labels?|titles?|"
    r"written|typed|displayed|number ?plates?)\b"
)
"""Words that ask for text that is visible, not heard."""

RELATED_TEXT: dict[str, tuple[str, ...]] = {
    "error": (
        "error",
        "forbidden",
        "failed",
        "failure",
        "denied",
        "exceeded",
        "exception",
        "invalid",
        "warning",
        "404",
        "403",
        "500",
    ),
    "login": ("login", "sign", "username", "password"),
    "sign-in": ("login", "signin", "username", "password"),
    "price": ("price", "eur", "usd", "total"),
    "closed": ("closed", "shut"),
    "finish": ("finished", "done", "complete", "completed"),
    "start": ("start", "starting", "started", "launch"),
    "reply": ("success", "ok", "done"),
}
"""Words that pictures show when a question uses the word on the left."""

_PAST_FORMS = {
    "begins": "began begun",
    "bends": "bent",
    "bites": "bitten",
    "blows": "blew blown",
    "breaks": "broke broken",
    "brings": "brought",
    "builds": "built",
    "buys": "bought",
    "catches": "caught",
    "chooses": "chose chosen",
    "comes": "came",
    "deals": "dealt",
    "draws": "drew drawn",
    "drinks": "drank drunk",
    "drives": "drove driven",
    "eats": "ate eaten",
    "falls": "fell fallen",
    "feeds": "fed",
    "fights": "fought",
    "finds": "found",
    "flies": "flew flown",
    "freezes": "froze frozen",
    "gives": "gave given",
    "goes": "went gone",
    "grows": "grew grown",
    "hangs": "hung",
    "hears": "heard",
    "hides": "hid hidden",
    "holds": "held",
    "keeps": "kept",
    "kneels": "knelt",
    "lays": "laid",
    "lends": "lent",
    "lights": "lit",
    "loses": "lost",
    "makes": "made",
    "meets": "met",
    "pays": "paid",
    "rides": "rode ridden",
    "rings": "rang rung",
    "runs": "ran",
    "says": "said",
    "sees": "saw seen",
    "sells": "sold",
    "sends": "sent",
    "shakes": "shook shaken",
    "shines": "shone",
    "shows": "shown",
    "sings": "sang sung",
    "sinks": "sank sunk",
    "sits": "sat",
    "sleeps": "slept",
    "slides": "slid",
    "speaks": "spoke spoken",
    "spends": "spent",
    "stands": "stood",
    "steals": "stole stolen",
    "strikes": "struck",
    "sweeps": "swept",
    "swims": "swam swum",
    "swings": "swung",
    "takes": "took taken",
    "teaches": "taught",
    "tears": "tore torn",
    "tells": "told",
    "thinks": "thought",
    "throws": "threw thrown",
    "wakes": "woke woken",
    "wears": "wore worn",
    "weeps": "wept",
    "wins": "won",
    "writes": "wrote written",
}
"""Verbs as captions have them, and their past forms, which have another stem."""
RELATED_TEXT |= {form: (verb,) for verb, forms in _PAST_FORMS.items() for form in forms.split()}

STOP_WORDS = _words(
    """
    a an the this that these those is are was were be been being am do does did done doing have has had
    having i you we he she it they me him her us them my your his its our their what when where which
    who whom whose why how and or but if then than so of in on at by for with about into from to up down
    out off over under again as not no can could will would shall should may might must there here any
    some all both each few more most other such only own same too very just also during while between
    through until much many long often ever once one ones video clip recording stream footage picture
    frame scene moment time times part whole entire give tell show shows shown see seen visible appear
    appears happen happens happened get gets got go goes going make makes made use used second seconds
    minute say says said saying mean means minutes after before away close front view back past hour
    hours s sec min please
    """
)
"""Words without content of their own in a question about video."""

GENERIC_WORDS = _words(
    """
    text word words page screen sign note name title command file symbol message user author document
    line reply list shown display displayed say says said read reads written write writes typed type
    mean means kind sort first last different number allowed place person people man woman somebody
    someone camera colour color run runs look looks doing wearing called named terminal narrator
    narration voice speaker organisation organization company window browser board
    """
)
"""Words that describe the question more than the picture. They count little in text matching."""

NUMBER_WORDS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8,
    "ninth": 9, "tenth": 10,
}  # fmt: skip
