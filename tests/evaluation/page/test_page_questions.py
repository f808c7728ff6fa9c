"""Questions as data: what is kept of them, in how many bytes, and with which levels."""

import math
import tracemalloc

import pytest

from page_cases import (
    NAN,
    Page,
    make_candidate,
    make_many,
    make_prompt,
    make_record,
    unpack_lengths,
)
from swift_bon.candidates.records import StoredCandidate, TokenScores
from swift_bon.evaluation.page import render_page


def render(prompts, picks=None, **options) -> Page:
    return Page(render_page(None, prompts, picks or {}, title="t", **options))


def with_scores(*scores: float, right: tuple[int, ...] = (), **fields) -> list[StoredCandidate]:
    return [
        make_candidate(correct=index in right, scores={"swift": score}, **fields)
        for index, score in enumerate(scores)
    ]


def shown_of(page: Page) -> list[int]:
    return [candidate["index"] for candidate in page.candidates()]


def test_tokens_of_a_text_with_surrogates_and_emoji():
    text = "a\ud83d😀b"
    tokens = TokenScores([2, 1, 1], [0.0, 1.0, None], [0.5, 1.0, None])
    prompt = make_prompt(candidates=[make_candidate(text, num_tokens=3, token_scores=tokens)])
    (candidate,) = render([prompt]).candidates()
    assert candidate["text"] == "a\ufffd😀b"
    assert unpack_lengths(candidate["lengths"]) == [2, 2, 1]
    assert candidate["rewards"] == "A_ " and candidate["gates"] == "A_ "


def test_one_scale_for_the_page():
    rows = [([0.0, 2.0], [0.1, 0.3]), ([4.0, None], [0.9, None])]
    prompts = [
        make_prompt(str(number), candidates=[make_candidate("ab", num_tokens=2, token_scores=s)])
        for number, s in enumerate(TokenScores([1, 1], *row) for row in rows)
    ]
    page = render(prompts)
    index = page.blocks["questions"]
    assert index["rewards"] == {"low": 0.0, "centre": 2.0, "high": 4.0}
    assert (index["gates"]["low"], index["gates"]["high"]) == (0.1, 0.9)
    assert [page.candidates(number)[0]["rewards"] for number in (0, 1)] == ["Ag", "_ "]
    assert [page.candidates(number)[0]["gates"] for number in (0, 1)] == ["AQ", "_ "]
    assert "≤ .00 +2.00 ≥ +4.00" in page.text and "≤ 0.10 ≥ 0.90" in page.text


def test_candidates_without_token_scores():
    page = render([make_prompt(candidates=[make_candidate(token_scores=None)])])
    assert not {"lengths", "rewards", "gates"} & page.candidates()[0].keys()
    assert page.blocks["questions"]["rewards"] is None
    assert "swift-bon score FILE --head HEAD" in page.text


def test_tokens_of_which_none_was_scored():
    tokens = TokenScores([5, 0], [None, None], [None, None])
    page = render([make_prompt(candidates=[make_candidate("words", token_scores=tokens)])])
    assert page.candidates()[0]["rewards"] == "  " == page.candidates()[0]["gates"]


def test_empty_text_and_missing_parts():
    bare = StoredCandidate("", [], False)
    odd = StoredCandidate("x", [1], True, None, {"swift": NAN, "length": 10, "mine": math.inf})
    page = render([make_prompt(prompt="", reference="", candidates=[bare, odd])], {"swift": [-1]})
    first, second = page.candidates()
    assert (first["text"], first["tokens"], first["answer"], first["scores"]) == ("", 0, None, {})
    assert second["scores"] == {"swift": None, "length": 10, "mine": None}
    assert page.questions[0]["swift"] is None
    assert first["picked"] == second["picked"] == []


def test_picked_candidates_come_first_then_the_best_scores():
    candidates = with_scores(0.1, 0.9, NAN, 0.5, 0.7, right=(1,))
    picks = {"swift": [1], "mean_logprob": [2], "majority_vote": [1]}
    page = render([make_prompt(candidates=candidates)], picks, max_candidates=3)
    assert shown_of(page) == [1, 4, 2]  # in the order of the score, NaN last
    assert [c["picked"] for c in page.candidates()] == [
        ["swift", "majority_vote"],
        [],
        ["mean_logprob"],
    ]
    assert page.questions[0]["of"] == 5 and page.questions[0]["right"] == 1
    page = render([make_prompt(candidates=candidates)], {"a": [3], "b": [0]}, max_candidates=1)
    assert shown_of(page) == [1]  # the right one takes the last place
    without = [make_candidate(scores={}) for _ in range(4)]
    assert shown_of(render([make_prompt(candidates=without)], max_candidates=3)) == [0, 1, 2]


def test_a_right_candidate_is_always_shown():
    candidates = with_scores(0.9, 0.8, 0.7, 0.6, 0.5, right=(3, 4))
    assert shown_of(render([make_prompt(candidates=candidates)], max_candidates=2)) == [0, 3]
    none_right = with_scores(0.9, 0.8, 0.7)
    assert shown_of(render([make_prompt(candidates=none_right)], max_candidates=2)) == [0, 1]


def test_filters_know_whose_pick_is_right():
    prompts = [make_prompt(str(n), candidates=with_scores(1, 0, right=(1,))) for n in range(3)]
    page = render(prompts, {"swift": [1, 0, -1], "mean_logprob": [0, 1, 1]})
    actual = [(entry["swift"], entry["rival"]) for entry in page.questions]
    assert actual == [(True, False), (False, True), (None, True)]


def test_a_long_prompt_is_cut_in_the_list_alone():
    long = "word " * 400
    page = render([make_prompt(prompt=long), make_prompt("b", prompt=long[:1000])])
    assert page.questions[0]["prompt"] == long[:1000] + "…"
    assert page.blocks["question-0"]["prompt"] == long
    assert page.questions[1]["prompt"] == long[:1000]
    assert "prompt" not in page.blocks["question-1"]


def test_five_hundred_questions_are_small():
    prompts = make_many(500, 8, 300)
    picks = {"swift": [0] * 500, "mean_logprob": [1] * 500}
    source = render_page(make_record(), prompts, picks, title="many")
    assert len(source.encode()) < 12_000_000
    assert source.count('id="question-') == 500
    assert "without candidates" not in source


@pytest.mark.parametrize("max_bytes", [100_000, 150_000, 400_000])
def test_a_page_keeps_its_size(max_bytes):
    prompts = make_many(60, 4, 200)
    source = render_page(make_record(), prompts, {}, title="bounded", max_bytes=max_bytes)
    assert max_bytes - 2 * 6_000 < len(source.encode()) <= max_bytes  # room for one more at most
    page = Page(source)
    num_detailed = len(page.blocks) - 1
    assert 0 < num_detailed < 60 and len(page.questions) == 60
    assert f"{60 - num_detailed} of 60 questions are listed without candidates" in page.text
    assert "swift-bon inspect --file FILE --id ID" in page.text


def test_one_huge_question_does_not_empty_the_page():
    huge = make_prompt("huge", candidates=[make_candidate("x" * 300_000)])
    page = render([huge, *make_many(3, 2, 20)], max_bytes=200_000)
    assert list(page.blocks) == ["questions", *(f"question-{n}" for n in (1, 2, 3))]
    assert "1 of 4 questions are listed" in page.text


def test_a_question_whose_bytes_do_not_fit_is_listed():
    prompt = make_prompt(candidates=[make_candidate("é" * 120_000)])  # two bytes each
    source = render_page(None, [prompt], {}, title="t", max_bytes=200_000)
    assert len(source.encode()) < 100_000 and list(Page(source).blocks) == ["questions"]


def test_candidates_make_room_for_the_list():
    listed = [make_prompt(f"id-{n}", prompt="word " * 190) for n in range(100)]
    prompts = [*make_many(40, 2, 200), *listed]
    source = render_page(None, prompts, {}, title="t", max_bytes=200_000)
    page = Page(source)
    assert 190_000 < len(source.encode()) <= 200_000
    assert len(page.questions) == 140 and 2 < len(page.blocks) < 40


def test_a_list_that_is_too_long_ends_and_says_so():
    long, short = "é" * 900, "é"  # after the first that does not fit, none is listed
    prompts = (make_prompt(f"id-{n}", prompt=short if n % 2 else long) for n in range(400))
    source = render_page(None, prompts, {"swift": [0] * 400}, title="t", max_bytes=200_000)
    page = Page(source)
    assert len(source.encode()) <= 200_000
    assert 100 < len(page.questions) < 200 and list(page.blocks) == ["questions"]
    assert [entry["id"] for entry in page.questions] == [
        f"id-{n}" for n in range(len(page.questions))
    ]
    assert f"{400 - len(page.questions)} more questions are not listed" in page.text


def test_what_does_not_fit_is_not_kept():
    def prompts():
        for number in range(120):
            yield make_prompt(str(number), candidates=[make_candidate("é" * 250_000)])

    render([make_prompt()])  # loads what is loaded once
    tracemalloc.start()
    render(prompts(), max_bytes=1_500_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 25_000_000  # all texts take 30 million characters


def test_ten_thousand_tokens():
    text = "lorem ipsum " * 5_000
    candidate = make_candidate(text, num_tokens=10_000)
    source = render_page(None, [make_prompt(candidates=[candidate] * 8)], {}, title="long")
    assert len(source.encode()) < 900_000
    shown = Page(source).candidates()[7]
    assert sum(unpack_lengths(shown["lengths"])) == len(text) == len(shown["text"])
    assert len(shown["rewards"]) == len(shown["gates"]) == shown["tokens"] == 10_000


@pytest.mark.parametrize(
    ("picks", "message"),
    [
        ({"swift": [0]}, r"picks\['swift'\] has 1 entries, and there are more prompts"),
        ({"swift": [0, 0, 0]}, r"picks\['swift'\] has 3 entries, expected one for each of the 2"),
        ({"a": [0, 2]}, r"picks\['a'\]\[1\] is 2, expected -1 or one of the 2 candidates of 'y'"),
        ({"a": [-2, 0]}, r"picks\['a'\]\[0\] is -2"),
    ],
)
def test_picks_that_do_not_fit_are_refused(picks, message):
    with pytest.raises(ValueError, match=message):
        render([make_prompt("x"), make_prompt("y")], picks)


def test_limits_that_cannot_be_kept_are_refused():
    with pytest.raises(ValueError, match="max_candidates is 0, expected 1 or more"):
        render([], max_candidates=0)
    with pytest.raises(ValueError, match="max_bytes is 5000, expected [0-9]+ or more"):
        render([], max_bytes=5000)
