"""What the tests of `BestOfNDecoding` share: prompts, heads, and the score of an offline forward.

The oracle takes each candidate alone, without padding, and puts prompt and response through the
model once more with `output_hidden_states=True`.
"""

import torch
from transformers import LogitsProcessor

from swift_bon import BestOfNDecoding, BestOfNOutput
from swift_kernels import RewardHead, score_candidates
from tiny_models import BOS, EOS, PAD, SHAPE

NUM_LAYERS = SHAPE["num_hidden_layers"] + 1
HIDDEN_SIZE = SHAPE["hidden_size"]
PROMPTS = [[BOS, 10, 20, 30, 40, 50, 60], [BOS, 33, 44]]  # of different lengths: left padding
PROMPT_LENGTH = max(map(len, PROMPTS))
N = 3
SCORED_TOKENS = ["fed", "response"]
# A third of the tokens end a response, so that candidates end early and at different times.
MANY_EOS = list(range(EOS, 64, 3))


def make_head(scored_tokens="fed", seed=0, num_layers=NUM_LAYERS, **kwargs) -> RewardHead:
    """Random weights, wide enough that gates and rewards of tokens differ."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        head = RewardHead(num_layers, HIDDEN_SIZE, scored_tokens=scored_tokens, **kwargs)
        for parameter in head.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    return head


def pad_left(prompts):
    rows = [[PAD] * (PROMPT_LENGTH - len(prompt)) + prompt for prompt in prompts]
    masks = [[0] * (PROMPT_LENGTH - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return {"input_ids": torch.tensor(rows), "attention_mask": torch.tensor(masks)}


def generate(model, head, prompts=PROMPTS, **kwargs) -> BestOfNOutput:
    torch.manual_seed(1)
    arguments = {
        "do_sample": True,
        "num_return_sequences": N,
        "max_new_tokens": 8,
        "pad_token_id": PAD,
        "eos_token_id": None,
        "return_dict_in_generate": True,
    }
    return model.generate(
        **pad_left(prompts), custom_generate=BestOfNDecoding(head), **{**arguments, **kwargs}
    )


def responses(output, ends=lambda ids: False) -> list[list[int]]:
    """The tokens of each candidate up to the first one after which `ends` says so."""
    cut = []
    for row in output.candidate_sequences[:, PROMPT_LENGTH:].tolist():
        lengths = (length for length in range(1, len(row) + 1) if ends(row[:length]))
        cut.append(row[: next(lengths, len(row))])
    return cut


@torch.no_grad()
def offline_score(model, head, prompt: list[int], response: list[int]) -> torch.Tensor:
    scored = response if head.scored_tokens == "response" else response[:-1]
    input_ids = torch.tensor([prompt + response])
    mask = torch.tensor([[False] * len(prompt) + [True] * len(scored)])
    outputs = model(
        input_ids=input_ids[:, : mask.shape[1]], output_hidden_states=True, use_cache=False
    )
    return score_candidates(outputs.hidden_states, head, mask)[0]


def offline_scores(model, head, cut, prompts=PROMPTS) -> torch.Tensor:
    num_each = len(cut) // len(prompts)
    scores = [
        offline_score(model, head, prompts[row // num_each], response)
        for row, response in enumerate(cut)
    ]
    return torch.stack(scores)


def assert_scored(model, head, output, ends=lambda ids: False, prompts=PROMPTS, atol=1e-5):
    expected = offline_scores(model, head, responses(output, ends), prompts)
    finite = expected.isfinite()
    assert len(expected.unique()) > 1 or len(expected) == 1  # or nothing is shown
    torch.testing.assert_close(output.candidate_scores, expected, rtol=1e-5, atol=atol)
    assert finite.any()


def is_eos(ids) -> bool:
    return ids[-1] in MANY_EOS


class Raise(LogitsProcessor):
    def __call__(self, *args):
        raise KeyError("broken")
