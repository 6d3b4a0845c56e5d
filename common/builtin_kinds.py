"""The built-in finding kinds: one entry for each kind that a built-in observer or model reports.

Order matters in one respect: where a question asks for several kinds, they come in the order given here.
"""

from __future__ import annotations

from .finding_kinds import FindingKind, QuestionCue

BUILTIN_KINDS: tuple[FindingKind, ...] = (
    # Movement: perception/observers/motion.py
    FindingKind(
        "enters",
        "action",
        nouns=("arrival", "arrivals"),
        summary_rank=10,
        asked_by=(
            QuestionCue(
                r"\b(enter(s|ed|ing)?|arriv(e|es|ed|al|als|ing)|com(e|es|ing) (in|to|into|up|back)|came (in|to|into|up)|"
                r"walk(s|ed|ing)? (up|in|into|to)|approach(es|ed|ing)?|show(s|ed)? up|turn(s|ed)? up)\b"
            ),
        ),
        supersedes=("visit",),  # "the third visitor enters" asks about entering
        default_for=("appearance",),
        search_text="a tall {} shape enters",
        reliability=0.75,
        importance=0.5,
        traits=("moving_shape",),
        caption_rank=30,
    ),
    FindingKind(
        "leaves",
        "action",
        nouns=("departure", "departures"),
        summary_rank=20,
        asked_by=(
            QuestionCue(
                r"\b(leav(e|es|ing)|exit(s|ed|ing)?|depart(s|ed|ure|ures)?|go(es)? away|walk(s|ed|ing)? (away|out|off))\b"
            ),
        ),
        supersedes=("visit",),
        search_text="the tall {} shape leaves",
        reliability=0.75,
        importance=0.5,
        traits=("moving_shape",),
        caption_rank=40,
    ),
    FindingKind(
        "visit",
        "action",
        nouns=("visit", "visits"),
        summary_rank=30,
        asked_by=(
            QuestionCue(
                r"\bhow long\b.*\bstays?\b|\bvisit(s|ed|or|ors|ing)?\b|\bstay(s|ed|ing)?\b|\bat the \w+ (long|short)est\b"
            ),
            QuestionCue(
                r"\b(pass(es|ed|ing)?( by)?|cross(es|ed|ing)?|drive(s|n)?|driving|walk(s|ed|ing)? (past|by|along|across|through))\b",
                also=("moves",),
            ),
        ),
        combines=("enters", "leaves"),
        default_for=("people",),
        search_text="a tall {} shape is there",
        reliability=0.75,
        importance=0.5,
        traits=("moving_shape", "no_activity"),  # it is reported when it is over
        caption_rank=50,
    ),
    FindingKind(
        "removed",
        "action",
        nouns=("thing taken away", "things taken away"),
        summary_rank=50,
        asked_by=(
            QuestionCue(
                r"\b(tak(e|es|en|ing)|took|remov(e|es|ed|ing|al)|pick(s|ed|ing)? up|grab(s|bed)?|steal(s|ing)?|stolen)\b"
            ),
        ),
        search_text="something {} is taken away",
        reliability=0.75,
        importance=0.5,
        traits=("done_by_presence",),
        caption_rank=10,
    ),
    FindingKind(
        "placed",
        "action",
        nouns=("thing put down", "things put down"),
        summary_rank=40,
        asked_by=(
            QuestionCue(
                r"\b(put(s|ting)?(?=( [\w-]+){0,6}? (back|down|on|onto|in|into|under|beside|at|there)\b)|"
                r"plac(e|es|ed|ing) (on|back|down|at)|return(s|ed|ing)?|"
                r"set(s)? down|br(ing|ings|ought) back|deliver(s|ed)?|left behind|drop(s|ped)? off|is placed|are placed)\b"
            ),
        ),
        search_text="something {} is put down",
        reliability=0.75,
        importance=0.5,
        traits=("done_by_presence",),
        caption_rank=20,
    ),
    FindingKind(
        "appears",
        "action",
        nouns=("thing that appears", "things that appear"),
        summary_rank=52,
        asked_by=(QuestionCue(r"\bpop(s|ped|ping)? up\b", also=("enters",)),),
        default_for=("appearance",),
        search_text="something {} appears",
        reliability=0.65,
        importance=0.3,
        caption_rank=54,
    ),
    FindingKind(
        "disappears",
        "action",
        nouns=("thing that disappears", "things that disappear"),
        summary_rank=54,
        asked_by=(
            QuestionCue(r"\b(disappear(s|ed|ing|ance)?|vanish(es|ed|ing)?)\b", also=("leaves", "removed")),
        ),
        search_text="something {} disappears",
        reliability=0.65,
        importance=0.3,
        caption_rank=56,
    ),
    FindingKind(
        "empty",
        "attribute",
        answer_nouns=("empty stretch", "empty stretches"),
        asked_by=(
            QuestionCue(
                r"\b(nobody|no[- ]one|empty|nothing (is |was )?(there|mov\w+|happen\w*)|no (people|person|visitors?|movement))\b"
            ),
        ),
        search_text="nothing moves and nothing new is in the picture",
        reliability=0.8,
        traits=("same_when_repeated",),
        caption="if_quiet",
        caption_sentences=("Nothing moves.",),
    ),
    # The camera: perception/observers/camera_motion.py
    FindingKind(
        "camera_zoom_in",
        "action",
        nouns=("zoom in", "zooms in"),
        answer_nouns=("“camera_zoom_in”", "“camera_zoom_in”"),
        summary_rank=110,
        asked_by=(QuestionCue(r"\bzoom(s|ed|ing)?( in)?\b"),),
        reliability=0.75,
        importance=0.1,
        caption_rank=90,
    ),
    FindingKind(
        "camera_zoom_out",
        "action",
        nouns=("zoom out", "zooms out"),
        answer_nouns=("“camera_zoom_out”", "“camera_zoom_out”"),
        summary_rank=120,
        asked_by=(QuestionCue(r"\bzoom(s|ed|ing)? out\b"),),
        supersedes=("camera_zoom_in",),
        reliability=0.75,
        importance=0.1,
        caption_rank=100,
    ),
    FindingKind(
        "camera_pan",
        "action",
        nouns=("camera pan", "camera pans"),
        answer_nouns=("“camera_pan”", "“camera_pan”"),
        summary_rank=100,
        asked_by=(QuestionCue(r"\bpan(s|ned|ning)?\b|\bcamera (move|turn|swing)\w*"),),
        reliability=0.7,
        importance=0.1,
        caption_rank=110,
    ),
    FindingKind(
        "camera_shake",
        "action",
        nouns=("camera shake", "camera shakes"),
        answer_nouns=("“camera_shake”", "“camera_shake”"),
        summary_rank=130,
        asked_by=(QuestionCue(r"\bshak(e|es|y|ing)\b"),),
        reliability=0.65,
        caption_rank=140,
    ),
    # Changes of shot: perception/stages/shot_detection.py
    FindingKind(
        "cut",
        "action",
        nouns=("cut", "cuts"),
        summary_rank=140,
        asked_by=(QuestionCue(r"\b(cuts?|scene changes?|shots?|scenes?)\b"),),
        reliability=0.9,
        importance=0.4,
        traits=("shot_change", "no_activity", "counted_over_all"),
        caption="omitted",
    ),
    FindingKind(
        "dissolve",
        "action",
        nouns=("dissolve", "dissolves"),
        summary_rank=150,
        asked_by=(QuestionCue(r"\b(dissolv\w*|cross[- ]?fad\w*)\b"),),
        supersedes=(
            "cut",
        ),  # "dissolve from the wide shot to the close-up" asks about one change, not every cut
        reliability=0.8,
        importance=0.4,
        traits=("shot_change", "no_activity", "counted_over_all"),
        caption_rank=70,
    ),
    FindingKind(
        "fade",
        "action",
        nouns=("fade", "fades"),
        answer_nouns=("“fade”", "“fade”"),
        summary_rank=160,
        asked_by=(QuestionCue(r"\bfad(e|es|ed|ing)\b", also=("dissolve",)),),
        supersedes=("cut",),
        reliability=0.8,
        importance=0.4,
        traits=("shot_change", "no_activity"),
        caption_rank=80,
    ),
    # How the picture looks: perception/observers/picture_appearance.py
    FindingKind(
        "brightness",
        "attribute",
        asked_by=(
            QuestionCue(
                r"\b(brightest|darkest|bright(er|ness)?|dark(er|ness)?|dim(mer)?|light(est)?|night)\b"
            ),
        ),
        reliability=0.85,
        traits=("constant",),
        caption="appearance",
        caption_rank=20,
    ),
    FindingKind(
        "flash",
        "attribute",
        nouns=("flash", "flashes"),
        summary_rank=90,
        asked_by=(QuestionCue(r"\bflash(es|ed|ing)?\b"),),
        reliability=0.8,
        importance=0.1,
    ),
    # Text, faces, speech and codes: perception/observers/text_observer.py, faces.py, subtitles.py, barcodes.py
    FindingKind(
        "typed",
        "action",
        nouns=("text typed", "texts typed"),
        answer_nouns=("line typed", "lines typed"),
        summary_rank=60,
        asked_by=(QuestionCue(r"\b(typ(e|es|ed|ing))\b"),),
        reliability=0.85,
        importance=0.4,
        traits=("readable",),
        caption_rank=60,
    ),
    FindingKind(
        "face",
        "actor",
        nouns=("face", "faces"),
        answer_nouns=("sighting of a face", "sightings of a face"),
        summary_rank=80,
        asked_by=(QuestionCue(r"\bfaces?\b"),),
        reliability=0.7,
        importance=0.2,
        caption="counted",
        caption_sentences=("A face is seen from the front.", "{count} faces are seen from the front."),
    ),
    FindingKind("line", "visible_text", default_for=("text",), reliability=0.8),
    FindingKind(
        "subtitle",
        "speech",
        asked_by=(QuestionCue(r"\b(narrat\w+|subtitles?|spoken|speaks?|voice|hear(s|d)?)\b|\bis said\b"),),
        default_for=("text",),
        reliability=0.9,
        traits=("readable",),
    ),
    FindingKind(
        "qr",
        "visible_text",
        asked_by=(QuestionCue(r"\bqr[- ]?codes?\b"),),
        reliability=0.95,
        traits=("readable",),
    ),
    FindingKind(
        "barcode",
        "visible_text",
        asked_by=(QuestionCue(r"\bbar[- ]?codes?\b"),),
        reliability=0.95,
        traits=("readable",),
    ),
    # Movement again: these are asked for last
    FindingKind(
        "moves",
        "action",
        nouns=("movement", "movements"),
        answer_nouns=("“moves”", "“moves”"),
        summary_rank=70,
        asked_by=(QuestionCue(r"\b(mov(e|es|ed|ing|ement)|motion)\b", also=("moving",)),),
        search_text="a {} shape moves",
        reliability=0.65,
        importance=0.2,
        traits=("moving_shape",),
        caption_rank=120,
    ),
    FindingKind("moving", "attribute", reliability=0.7, activity_from=0.1),
    FindingKind("stays", "action", reliability=0.65, traits=("moving_shape",), caption_rank=130),
    FindingKind("shape", "actor", traits=("moving_shape", "presence")),
    FindingKind(
        "colour",
        "attribute",
        traits=("constant", "colour_shares"),
        caption="appearance",
        caption_rank=10,
    ),
    FindingKind(
        "blurred",
        "attribute",
        asked_by=(QuestionCue(r"\b(blurred|blurry|out of focus)\b"),),
        reliability=0.6,
        caption="appearance",
        caption_rank=30,
    ),
    # What a video LMM describes, and what a second look reads: perception/describing, agent/lmm_reasoner.py
    FindingKind("actor", "actor"),
    FindingKind("action", "action"),
    FindingKind("object", "object"),
    FindingKind("place", "place"),
    FindingKind("read", "visible_text"),
    FindingKind("seen", "attribute"),
    FindingKind("carried_over", "attribute"),
)


def builtin_kinds(*names: str) -> tuple[FindingKind, ...]:
    """The built-in kinds of these names, for the observer that reports them.

    Raises:
        KeyError: There is no such kind.
    """
    by_name = {kind.name: kind for kind in BUILTIN_KINDS}
    return tuple(by_name[name] for name in names)
