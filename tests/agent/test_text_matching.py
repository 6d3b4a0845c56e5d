"""Text matching: which lines match the words of a question, and how well."""

import pytest

from recollect.agent.text_matching import choose_option, fit_lines, fits_verbatim, terms_of, word_fit
from recollect.memory.values import Finding, Span


def line(text, start_s=0.0, end_s=5.0):
    return Finding("visible_text", "line", text, Span(start_s, end_s), "ocr/1")


def test_words_match_by_their_stem():
    assert word_fit("upgrading", "upgrade") == 1.0


def test_a_shortened_word_matches_less():
    assert 0 < word_fit("initialised", "init") < 1


def test_a_misread_letter_still_matches():
    assert word_fit("optimizer", "optimlzer") > 0.5


def test_different_words_do_not_match():
    assert word_fit("server", "bottle") == 0.0


def test_words_written_together_match():
    terms = terms_of(["user", "name"], ["username: anna"])

    assert fit_lines(terms, [line("Username: anna")]).coverage > 0.7


def test_a_rare_word_tells_more_apart_than_a_common_one():
    documents = ["server one", "server two", "server three", "rollover server"]

    server, rollover = terms_of(["server", "rollover"], documents)

    assert rollover.rarity > server.rarity


def test_the_span_is_that_of_the_fitting_line():
    terms = terms_of(["taxi"], ["TAXI", "EXIT"])

    fit = fit_lines(terms, [line("EXIT", 0, 9), line("TAXI", 2, 3)])

    assert fit.span == Span(2, 3)
    assert fit.missing == ()


@pytest.mark.parametrize(
    ("query_word", "described"), [("gave", "gives"), ("taken", "takes"), ("sat", "is sitting")]
)
def test_past_forms_match_captions_in_the_present(query_word, described):
    fit = fit_lines(terms_of([query_word], []), [line(f"The woman in the blue coat {described} it.")])

    assert fit.coverage > 0.7
    assert not fit.missing


@pytest.mark.parametrize(
    ("phrase", "text", "fits"),
    [
        ("git push", "$ git push origin", True),
        ("git push", "$ git pull origin", False),
        ("35.93", "used 35.93 of 35.00", True),
        ("CLOSED", "closed: stocktaking", True),
        ("^", "use ^ for tasks", True),
    ],
)
def test_a_quotation_matches_only_its_own_text(phrase, text, fits):
    assert fits_verbatim(phrase, text) is fits


def test_the_option_that_the_evidence_supports_is_chosen():
    chosen = choose_option(["The sign says OPEN", "The sign says CLOSED"], {"CLOSED: STOCKTAKING": 0.9})

    assert chosen is not None
    assert chosen[0] == 1


def test_no_option_is_chosen_if_the_evidence_prefers_none():
    assert choose_option(["a cat", "a dog"], {"EXIT": 0.9}) is None
