"""Rewards and gates by position while generating, and the text that each token wrote."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from swift_bon.generation.scored_decoding import ScoredDecoding
from swift_bon.generation.token_scores import TokenRecorder, rounded, token_lengths
from swift_kernels import RewardHead, RunningScore, score_candidates
from tiny_models import BOS, EOS, PAD, tiny_model, tiny_tokenizer

NAN = float("nan")
PROMPT = [BOS, 10, 20, 30]
ENDS = [EOS, *range(44, 64)]


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token for each byte, so that most characters outside ASCII take several."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {letter: index for index, letter in enumerate([*letters, "<end>"])}
    tokenizer = Tokenizer(models.BPE(vocab, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>")


BYTES = byte_tokenizer()


@pytest.mark.parametrize("gated", [True, False], ids=["gated", "no-gate"])
@pytest.mark.parametrize("scored_tokens", ["fed", "response"])
def test_token_scores_are_those_of_a_full_forward(gated, scored_tokens):
    model = tiny_model("llama")
    torch.manual_seed(0)
    head = RewardHead(4, 32, gated=gated, scored_tokens=scored_tokens)
    result = model.generate(
        torch.tensor([PROMPT] * 8),
        custom_generate=ScoredDecoding(head, seeds=range(8), with_token_scores=True),
        do_sample=True,
        max_new_tokens=9,
        eos_token_id=ENDS,
        pad_token_id=PAD,
    )
    rewards, gates = result.token_scores
    lengths = result.num_tokens.tolist()
    assert min(lengths) < max(lengths)
    for row, length in enumerate(lengths):
        num_scored = length - (scored_tokens == "fed")
        ids = result.output[row, : len(PROMPT) + length]
        with torch.no_grad():
            states = model(input_ids=ids[None], output_hidden_states=True).hidden_states
            expected = score_candidates(states, head, return_token_scores=True)
        for ours, theirs in ((rewards, expected.rewards), (gates, expected.gates)):
            wanted = theirs[0, len(PROMPT) : len(PROMPT) + num_scored]
            torch.testing.assert_close(ours[row, :num_scored], wanted, rtol=1e-4, atol=1e-4)
            assert ours[row, num_scored:].isnan().all()


def test_terms_keep_their_digits_after_a_long_text():
    """A gate of 1e-3 after 3,000 tokens: in plain float32 sums it would keep two digits."""
    head = RewardHead(1, 1)
    with torch.no_grad():
        head.reward_weight.fill_(1.0)
        head.gate_weight.fill_(1.0)
        head.reward_bias.zero_()
        head.gate_bias.zero_()
    running = RunningScore(head, 1)
    recorder = TokenRecorder(running)
    states = torch.cat([torch.rand(3000) * 9, torch.tensor([-7.0, -6.5, 2.0])])
    for state in states:
        running.update(state.reshape(1, 1, 1, 1), torch.tensor([True]))
        recorder.add(torch.tensor([True]))
    rewards, gates = recorder.token_scores()
    torch.testing.assert_close(rewards[0], states, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(gates[0], states.sigmoid(), rtol=1e-3, atol=1e-7)


def test_no_tokens_at_all():
    rewards, gates = TokenRecorder(RunningScore(RewardHead(1, 4), 3)).token_scores()
    assert rewards.shape == gates.shape == (3, 0)


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("ab", [1, 1]),
        ("é!", [0, 1, 1]),
        ("\U0001f600a", [0, 0, 0, 1, 1]),
        ("\U0001f469\u200d\U0001f467", [0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1]),
        ("", []),
        ("\n\n ", [1, 1, 1]),
    ],
    ids=["ascii", "two-bytes", "emoji", "joined-emoji", "empty", "blanks"],
)
def test_a_character_belongs_to_the_token_that_completes_it(text, lengths):
    ids = BYTES(text)["input_ids"]
    assert token_lengths(BYTES, ids, text) == lengths
    assert token_lengths(BYTES, [*ids, BYTES.eos_token_id], text) == [*lengths, 0]


@given(st.text(max_size=30))
def test_lengths_of_any_text(text):
    ids = BYTES(text)["input_ids"]
    assert BYTES.decode(ids) == text
    lengths = token_lengths(BYTES, ids, text)
    assert sum(lengths) == len(text)
    ends = torch.tensor([0, *lengths]).cumsum(0).tolist()
    for token in range(len(ids)):
        assert BYTES.decode(ids[: token + 1]).startswith(text[: ends[token + 1]])


@given(st.lists(st.integers(0, 256), max_size=40))
def test_lengths_of_any_tokens_add_up(ids):
    """Broken characters too: each is decoded as a replacement character, or several."""
    text = BYTES.decode(ids, skip_special_tokens=True)
    lengths = token_lengths(BYTES, ids, text)
    assert len(lengths) == len(ids)
    assert min(lengths, default=0) >= 0
    assert sum(lengths) == len(text)


class WordTokenizer:
    """Decodes as SentencePiece does: a space before each word, but not before the first one."""

    def __init__(self, words):
        self.words = words

    def decode(self, ids, skip_special_tokens):
        return " ".join(self.words[token] for token in ids)


def test_a_token_is_decoded_after_the_one_before():
    """Alone it would lose the space before it."""
    tokenizer = WordTokenizer(["one", "two", "three"])
    assert token_lengths(tokenizer, [0, 1, 2, 0], "one two three one") == [3, 4, 6, 4]


def test_a_text_that_is_shorter_than_its_tokens():
    """A decoder that tidies up: lengths never pass the text's."""
    tokenizer = WordTokenizer(["one", "two"])
    assert token_lengths(tokenizer, [0, 1, 0, 1], "one two") == [3, 4, 0, 0]
    assert token_lengths(tokenizer, [0, 1], "one two and more") == [3, 13]


def test_bytes_that_never_become_a_character_are_not_waited_for():
    """A run of them: each is shown where it stands, within four tokens."""
    broken = BYTES("é")["input_ids"][:1] * 40
    text = BYTES.decode(broken)
    lengths = token_lengths(BYTES, broken, text)
    assert sum(lengths) == len(text) == 40
    assert max(lengths) <= 5


def test_special_tokens_write_nothing():
    tokenizer = tiny_tokenizer()
    ids = [*tokenizer("ab")["input_ids"], EOS, *tokenizer("c")["input_ids"], EOS]
    assert token_lengths(tokenizer, ids, "abc") == [1, 1, 0, 1, 0]


def test_rounded():
    assert rounded([1.23456, -0.000123456, NAN, float("inf"), 0.0, 1234.5]) == (
        [1.23, -0.000123, None, None, 0.0, 1230.0]
    )
