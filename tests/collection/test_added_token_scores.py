"""Token scores beside added scores: those of one head, stored once."""

import dataclasses

import pytest

from added_cases import PROMPTS, TextScorer, TokenScorer, expected, write
from swift_bon.candidates.files import read_candidates, read_header, replace_candidates
from swift_bon.collection.added_scores import add_scores


def test_token_scores_are_those_of_the_first_head(path):
    scorer = TokenScorer()
    assert add_scores(path, "swift", scorer).has_token_scores
    first = read_candidates(path)
    for prompt in first:
        for candidate in prompt.candidates:
            assert candidate.token_scores == scorer.tokens(candidate)
    assert read_header(path)["added_scores"] == {"swift": {"head": "0"}}
    other = TokenScorer("1")
    other.tokens = lambda candidate: dataclasses.replace(scorer.tokens(candidate), gates=[9.0])
    assert not add_scores(path, "other", other).has_token_scores
    for prompt, earlier in zip(read_candidates(path), first, strict=True):
        for candidate, before in zip(prompt.candidates, earlier.candidates, strict=True):
            assert candidate.token_scores == before.token_scores
            assert ("other" in candidate.scores) == (candidate.text not in ("", " ab "))


def test_what_has_score_and_tokens_is_skipped(path):
    add_scores(path, "swift", TokenScorer())
    scorer = TokenScorer()
    add_scores(path, "swift", scorer)
    lacking = [p.id for p in PROMPTS if any(c.text == " ab " for c in p.candidates)]
    assert scorer.scored == lacking


def test_scores_of_collect_get_their_tokens(tmp_path):
    """Scores that are there stay as they are, to the last digit."""
    prompts = expected(name="swift")
    path = write(tmp_path, prompts, head="0", scores=["mean_logprob", "swift"])
    header = (tmp_path / "a.header.json").read_bytes()
    with pytest.raises(ValueError, match="has scores named 'swift' of {'head': '0'}, this run"):
        add_scores(path, "swift", TokenScorer("1"))
    assert not add_scores(path, "other", TokenScorer("1")).has_token_scores
    assert all(c.token_scores is None for p in read_candidates(path) for c in p.candidates)
    replace_candidates(path, prompts)
    (tmp_path / "a.header.json").write_bytes(header)
    add_scores(path, "swift", TokenScorer())
    scored = read_candidates(path)
    assert [[c.scores for c in p.candidates] for p in scored] == [
        [c.scores for c in p.candidates] for p in prompts
    ]
    assert all(c.token_scores is not None for p in scored for c in p.candidates)
    assert (tmp_path / "a.header.json").read_bytes() == header
    scorer = TokenScorer()
    add_scores(path, "swift", scorer)
    lacking = [
        p.id for p in prompts if any("swift" not in c.scores and c.text for c in p.candidates)
    ]
    assert scorer.scored == lacking  # an empty text has no score, and its tokens are there


def test_tokens_that_are_there_stay(tmp_path):
    """Those of the pass that wrote the text, where another forward gives other last digits."""
    first, second, *_ = expected(name="swift")[3].candidates
    tokens = dataclasses.replace(TokenScorer().tokens(second), gates=[0.3] * len(second.token_ids))
    candidates = [first, dataclasses.replace(second, token_scores=tokens)]
    path = write(tmp_path, [dataclasses.replace(PROMPTS[3], candidates=candidates)], head="0")
    assert add_scores(path, "swift", TokenScorer()).num_prompts == 1
    candidates = read_candidates(path)[0].candidates
    assert [c.token_scores for c in candidates] == [TokenScorer().tokens(first), tokens]


def test_token_scores_from_nowhere(tmp_path):
    (candidate,) = PROMPTS[0].candidates
    candidate = dataclasses.replace(candidate, token_scores=TokenScorer().tokens(candidate))
    path = write(tmp_path, [dataclasses.replace(PROMPTS[0], candidates=[candidate])])
    with pytest.raises(ValueError, match="or token scores, and a.header.json does not say"):
        add_scores(path, "swift", TokenScorer())
    add_scores(path, "rm", TextScorer())
    assert read_candidates(path)[0].candidates[0].token_scores == candidate.token_scores


def test_a_text_without_tokens_needs_none(tmp_path):
    candidate = dataclasses.replace(PROMPTS[0].candidates[0], token_ids=[])
    path = write(tmp_path, [dataclasses.replace(PROMPTS[0], candidates=[candidate])], head="0")
    assert add_scores(path, "swift", TokenScorer()).num_skipped == 1
