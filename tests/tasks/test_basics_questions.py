"""The task `basics`: its tables, its questions, its splits."""

import re
from collections import Counter, defaultdict
from hashlib import sha256

import pytest

from basics_cases import QUESTIONS, SUM
from swift_bon.tasks import Grade, Question
from swift_bon.tasks.basics import _fold, group, questions
from swift_bon.tasks.capitals import COUNTRY_CAPITALS, STATE_CAPITALS
from swift_bon.tasks.registry import TASKS, load_task


def test_sizes_per_kind_and_split():
    counts = {split: Counter(q.kind for q in questions(split)) for split in ("train", "test")}
    assert counts["train"].total() >= 1500
    assert counts["test"].total() >= 300
    assert counts["train"] + counts["test"] == {
        "capital": 3 * (len(COUNTRY_CAPITALS) + len(STATE_CAPITALS)),
        "times": 3 * 12 * 12,
        "sum": 3 * 15 * 15,
        "difference": 2 * (20 * 19 // 2),
    }
    for kind, total in (counts["train"] + counts["test"]).items():
        assert 0.1 < counts["test"][kind] / total < 0.3, kind


def test_ids_and_prompts_are_unique():
    every = questions("all")
    assert len({q.id for q in every}) == len(every)
    assert len({q.prompt for q in every}) == len(every)


def test_train_and_test_make_up_all():
    train, test = set(questions("train")), set(questions("test"))
    assert not train & test
    assert train | test == set(questions("all"))


def numbers_of(question: Question) -> tuple[int, int]:
    first, second = re.findall("[0-9]+", question.prompt)
    return int(first), int(second)


def fact_of(question: Question) -> tuple:
    """What one needs to know to answer, read from the prompt: the ids are not trusted here."""
    if question.kind == "capital":
        return question.kind, question.prompt.partition("the capital of ")[2].rstrip("?.")
    first, second = numbers_of(question)
    if question.kind == "difference":
        return question.kind, first, second
    return question.kind, *sorted((first, second))


def test_no_fact_stands_on_both_sides():
    train, test = ({fact_of(q) for q in questions(split)} for split in ("train", "test"))
    assert not train & test


def test_facts_have_the_wordings_they_should():
    prompts_by_kind = defaultdict(Counter)
    for question in questions("all"):
        prompts_by_kind[question.kind][fact_of(question)] += 1
    assert set(prompts_by_kind["capital"].values()) == {3}
    # 1x1 .. 12x12 stand once, the other products in two orders
    assert Counter(prompts_by_kind["times"].values()) == {3: 12, 6: 66}
    assert Counter(prompts_by_kind["sum"].values()) == {3: 15, 6: 105}
    assert set(prompts_by_kind["difference"].values()) == {2}


def test_group_is_the_fact():
    facts = defaultdict(set)
    for question in questions("all"):
        facts[group(question.id)].add(fact_of(question))
    assert all(len(members) == 1 for members in facts.values())
    assert len(facts) == len({fact_of(question) for question in questions("all")})
    with pytest.raises(ValueError, match="question 'sum/1000' is not one of the task 'basics'"):
        group("sum/1000")


def test_references_are_the_results():
    results = {"times": lambda a, b: a * b, "sum": lambda a, b: a + b}
    results["difference"] = lambda a, b: a - b
    for question in questions("all"):
        if question.kind != "capital":
            first, second = numbers_of(question)
            assert int(question.reference) == results[question.kind](first, second), question
            assert int(question.reference) > 0


@pytest.mark.parametrize("split", ["train", "test", "all"])
def test_any_few_questions_are_a_mix(split):
    assert Counter(q.kind for q in questions(split)[:24]).keys() == {
        "capital",
        "times",
        "sum",
        "difference",
    }


def test_ids_splits_and_order_never_change():
    # Scores of different days are compared over these splits: a new hash makes them incomparable.
    lines = [f"{split} {q.id}" for split in ("train", "test") for q in questions(split)]
    digest = sha256("\n".join(lines).encode()).hexdigest()
    assert digest == "f23a8402dec11fb03c1343e6a52381f49625cb0495d112890356f4893b664830"


def test_prompts_by_hand():
    assert QUESTIONS["capital/france/1"] == Question(
        "capital/france/1", "capital", "What is the capital of France?", "Paris"
    )
    assert QUESTIONS["capital/netherlands/2"].prompt == (
        "Which city is the capital of the Netherlands?"
    )
    assert QUESTIONS["capital/georgia/1"].prompt == "What is the capital of the country of Georgia?"
    assert QUESTIONS["capital/us-georgia/1"].prompt == (
        "What is the capital of the US state of Georgia?"
    )
    assert QUESTIONS["times/7x8/1"].prompt == "What is 7 times 8?"
    assert QUESTIONS["times/7x8/1"].reference == QUESTIONS["times/8x7/2"].reference == "56"


@pytest.mark.parametrize("split", ["", "Train", "validation", None])
def test_unknown_split(split):
    with pytest.raises(ValueError, match="expected one of: train, test, all"):
        questions(split)


def test_tables_are_complete_and_unambiguous():
    assert len(STATE_CAPITALS) == 50
    names = [
        _fold(capital)
        for accepted in (*COUNTRY_CAPITALS.values(), *STATE_CAPITALS.values())
        for capital in accepted
    ]
    assert len(set(names)) == len(names)  # one place each, and no spelling listed twice


def test_no_question_contains_its_answer():
    for place, accepted in COUNTRY_CAPITALS.items():
        for capital in accepted:
            assert f" {_fold(capital)} " not in f" {_fold(place)} "
            assert f" {_fold(place.removeprefix('the '))} " not in f" {_fold(capital)} "


def test_load_task():
    task = load_task("basics")
    assert task is TASKS["basics"]
    assert task.name == "basics"
    assert task.questions("all") == questions("all")
    assert task.grade(SUM, "21") == Grade("21", True)


def test_unknown_task():
    with pytest.raises(ValueError, match="task is 'bascis', expected one of: basics"):
        load_task("bascis")
