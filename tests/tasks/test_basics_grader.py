"""The grader of `basics` against answers written by hand."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from basics_cases import QUESTIONS, SUM
from swift_bon.tasks import Grade, Question
from swift_bon.tasks.basics import grade, questions
from swift_bon.tasks.capitals import COUNTRY_CAPITALS, STATE_CAPITALS


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        # nothing to read
        ("", None),
        (" \n\t", None),
        ("twenty-one", None),
        ("I do not know.", None),
        # the last number counts
        ("21", "21"),
        ("21.", "21"),
        ("21!\n", "21"),
        ("12 + 9 = 21.", "21"),
        ("12+9=21", "21"),
        ("12 + 9 equals 21. That is 3 more than 18", "18"),
        ("It is 20, or 21", "21"),
        ("21, I think; 12, then 9", "9"),
        ("The answer is 21.That is all.", "21"),
        ("**21**", "21"),
        ("_21_", "21"),
        ("$21$", "21"),
        (r"\boxed{21}", "21"),
        ("(21)", "21"),
        ("“21”", "21"),
        ("答案：21。", "21"),
        ("021", "21"),
        ("000", "0"),
        # thousands, lists
        ("1,234", "1234"),
        ("1,234,567.", "1234567"),
        ("1,234.50", "1234.5"),
        ("0,123", "123"),
        ("12,9,21", "21"),
        ("12,21", "21"),
        ("12, 9, 21", "21"),
        ("1,2345", "2345"),
        # decimals
        ("21.0", "21"),
        ("21.00.", "21"),
        ("21.5", "21.5"),
        ("66.50", "66.5"),
        ("0.21", "0.21"),
        ("it is .21", "0.21"),
        ("=.21", "0.21"),
        ("end.21", "21"),
        ("...21", "21"),
        ("21 and version 1.2.3", "21"),
        ("1.2.3", None),
        # signs and operators
        ("-21", "-21"),
        ("−21", "-21"),
        ("The answer is -21.", "-21"),
        ("12 - 33 = -21", "-21"),
        ("=-21", "-21"),
        ("(-21)", "-21"),
        ("$-21$", "-21"),
        ("-1,234.0", "-1234"),
        ("-.5", "-0.5"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("-007", "-7"),
        ("5\n-21", "-21"),
        ("5 * -21", "-21"),
        ("5 - -21", "-21"),
        ("23 -8", "8"),
        ("23-8", "8"),
        ("23 - 8", "8"),
        ("23−8", "8"),
        ("23\t-8", "8"),
        ("(23) -8", "8"),
        ("20–21", "21"),
        ("20--21", "21"),
        ("- 21", "21"),
        ("Answer-21", "21"),
        ("Answer—21", "21"),
        ("-12,9", "9"),
        # digits of words
        ("x1", None),
        ("COVID19", None),
        ("21st", None),
        ("21cm", None),
        ("é21", None),
        ("1e5", None),
        ("x1,234", None),
        ("12.5abc", None),
        ("x²", None),
        ("21 is A1", "21"),
        ("x = 21, not x1", "21"),
        # other scripts' digits are not ours
        ("٢١", None),
        ("２１", None),
    ],
)
def test_numbers_by_hand(text, answer):
    assert grade(SUM, text) == Grade(answer, answer == "21")


def test_numbers_longer_than_int_can_read():
    nines = "9" * 90_000
    assert grade(SUM, nines) == Grade(nines, False)
    assert grade(SUM, "0" * 90_000 + "21") == Grade("21", True)


@pytest.mark.parametrize(
    ("question_id", "text", "answer"),
    [
        ("capital/france/1", "", None),
        ("capital/france/1", "I do not know.", None),
        ("capital/france/1", "Paris", "Paris"),
        ("capital/france/1", "The capital of France is PARIS.", "Paris"),
        ("capital/france/1", "**Paris**", "Paris"),
        ("capital/france/1", "Paris's", "Paris"),
        ("capital/france/1", "Paris-based", "Paris"),
        ("capital/france/1", "Pa\u0301ris", "Paris"),
        ("capital/france/1", "法国的首都是Paris。", "Paris"),
        ("capital/france/1", "Parisian comparisons", None),
        ("capital/france/1", "Paris1", None),
        ("capital/peru/1", "Kolima", None),
        ("capital/france/1", "Lyon, then Paris, then Rome", "Paris"),
        ("capital/france/1", "Not Rome but Paris", "Rome"),
        # other spellings come back as the reference
        ("capital/ukraine/1", "Kiev", "Kyiv"),
        ("capital/kazakhstan/1", "It is Nur-Sultan (now Astana)", "Astana"),
        ("capital/switzerland/1", "Berne", "Bern"),
        ("capital/united-states/1", "Washington, D.C.", "Washington"),
        ("capital/united-states/1", "washington dc", "Washington"),
        ("capital/united-states/1", "George Washington's city", "Washington"),
        # accents, apostrophes, hyphens
        ("capital/brazil/1", "Brasilia", "Brasília"),
        ("capital/brazil/1", "Brasi\u0301lia", "Brasília"),
        ("capital/chad/1", "N’Djamena", "N'Djamena"),
        ("capital/chad/1", "NDJAMENA", "N'Djamena"),
        ("capital/tonga/1", "Nukuʻalofa", "Nuku'alofa"),
        ("capital/haiti/1", "Port au Prince", "Port-au-Prince"),
        ("capital/moldova/1", "Chişinău", "Chișinău"),
        ("capital/us-minnesota/1", "St. Paul", "Saint Paul"),
        ("capital/antigua-and-barbuda/1", "St. John’s", "St. John's"),
        ("capital/antigua-and-barbuda/1", "Saint Johns", "St. John's"),
        # names of several words, names within names
        ("capital/mauritius/1", "Port Louis", "Port Louis"),
        ("capital/us-new-mexico/2", "In New Mexico it is Santa Fe", "Santa Fe"),
        ("capital/us-utah/1", "Salt\nLake  City", "Salt Lake City"),
        ("capital/us-oklahoma/1", "Oklahoma City, Oklahoma", "Oklahoma City"),
        ("capital/us-oklahoma/1", "Oklahoma", None),
        ("capital/kiribati/1", "South Tarawa", "South Tarawa"),
        ("capital/jamaica/1", "Kingstown", "Kingstown"),
        ("capital/india/1", "Delhi", None),
        # the place that was asked about
        ("capital/us-washington/1", "The capital of Washington is Olympia", "Olympia"),
        ("capital/us-washington/1", "Washington", None),
        ("capital/us-washington/1", "Washington, D.C.", "Washington"),
        ("capital/us-georgia/1", "Georgia's capital: Atlanta", "Atlanta"),
        ("capital/us-georgia/1", "Tbilisi", "Tbilisi"),
        ("capital/georgia/1", "Tbilisi, Georgia", "Tbilisi"),
        ("capital/georgia/1", "Atlanta", "Atlanta"),
    ],
)
def test_capitals_by_hand(question_id, text, answer):
    question = QUESTIONS[question_id]
    assert grade(question, text) == Grade(answer, answer == question.reference)


def test_every_reference_is_correct():
    for question in questions("all"):
        for text in (question.reference, f"{question.prompt} It is {question.reference}."):
            assert grade(question, text) == Grade(question.reference, True), question


def test_every_accepted_name_is_correct():
    references = {q.reference: q for q in questions("all") if q.kind == "capital"}
    for accepted in (*COUNTRY_CAPITALS.values(), *STATE_CAPITALS.values()):
        for capital in accepted:
            for text in (capital, capital.upper(), f"({capital})"):
                assert grade(references[accepted[0]], text) == Grade(accepted[0], True), capital


def test_repeating_the_prompt_of_a_capital_is_no_answer():
    for question in questions("all"):
        if question.kind == "capital":
            assert grade(question, question.prompt) == Grade(None, False), question


ANY_TEXT = st.one_of(
    st.text(st.characters()),  # with lone surrogates
    st.text("0123456789.,-−– x(\n"),
    st.text("parisPARIS wahngto.'\u0301\u0327"),
)


@given(ANY_TEXT, st.sampled_from(["sum/12+9/1", "capital/us-washington/1"]))
def test_any_text_gets_a_grade(text, question_id):
    question = SUM if question_id == SUM.id else QUESTIONS[question_id]
    answer, correct = grade(question, text)
    assert correct == (answer == question.reference)


@given(st.integers(), st.sampled_from(["{}", "{}.", "= {}", "{:,}", "is {}.0, yes"]))
def test_any_integer_is_read_back(number, form):
    assert grade(SUM, form.format(number)).answer == str(number)


LONG_TEXTS = {
    "words": "the capital of Nowhere ",
    "letters": "s ",
    "one-word": "a",
    "digits": "1",
    "numbers": "1 ",
    "signs": "-",
    "signed": " -1",
    "list": "1,",
    "grouped": "111,",
    "points": "1.",
    "versions": "1.2.3 ",
    "half-names": "port ",
    "asked-place": "washington ",
    "accents": "\u0301\u0327",  # normalising a whole run of these takes quadratic time
    "wide": "\ufdfa",  # decomposes into 18 characters
    "spaces": " ",
}


@pytest.mark.parametrize("tail", ["", "x", "!"])
@pytest.mark.parametrize("piece", LONG_TEXTS.values(), ids=LONG_TEXTS.keys())
def test_long_texts_are_fast(piece, tail):
    text = (piece * (100_000 // len(piece) + 1))[:100_000] + tail
    for question in (SUM, QUESTIONS["capital/us-washington/1"]):
        start = time.process_time()
        grade(question, text)
        assert time.process_time() - start < 1.0, question.kind


def test_unknown_kind():
    question = Question("spelling/cat", "spelling", "How is cat spelled?", "c-a-t")
    with pytest.raises(ValueError, match="'spelling/cat' has kind 'spelling', expected 'capital'"):
        grade(question, "c-a-t")
