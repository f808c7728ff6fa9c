"""Whether `generate` with scoring writes the same tokens, and scores them right."""

from collections.abc import Callable

import torch
from torch import Tensor
from transformers import PreTrainedModel

from measuring.oracle import WrongAnswer, exact_projection, scores_of_projection
from swift_bon.generation.scored_decoding import ScoredDecoding
from swift_kernels import RewardHead

# Two passes in different shapes round differently; a token too many or too few, or one layer's
# states in place of another's, is off by as much as candidates differ.
TOLERANCES = {torch.float32: 1e-3, torch.bfloat16: 0.5, torch.float16: 0.1}


@torch.no_grad()
def check_generated(
    model: PreTrainedModel, inputs: dict[str, Tensor], head: RewardHead, generate: Callable
) -> float:
    """The largest error of a score, in standard deviations of the scores of one random candidate.

    Raises:
        WrongAnswer: other tokens with scoring than without, or a score far from that of a forward
            over the finished text.
    """
    plain = generate()  # [N, prompt + response]
    scored = generate(custom_generate=ScoredDecoding(head))
    if not torch.equal(plain, scored.output):
        raise WrongAnswer("generate writes other tokens with scoring than without")
    exact, spread = scores_of_texts(model, inputs["attention_mask"], plain, head)
    error = ((scored.scores.double() - exact).abs().max() / spread).item()
    limit = TOLERANCES[model.dtype]
    if not error <= limit:
        raise WrongAnswer(
            f"scores while generating are off by {error:.2g} of their spread, expected <= {limit}"
        )
    return error


def scores_of_texts(
    model: PreTrainedModel, prompt_mask: Tensor, texts: Tensor, head: RewardHead
) -> tuple[Tensor, Tensor]:
    """float64 scores `[N]` from one forward over finished texts, and how far two may lie apart.

    Args:
        prompt_mask: `[P, length]`, the texts of a prompt side by side.
        texts: `[N, length + T]`, all of the same length.

    Returns:
        scores, and the standard deviation of the average of independent tokens' rewards.
    """
    prompt_length = prompt_mask.shape[1]
    fed = texts if head.scored_tokens == "response" else texts[:, :-1]
    prompt_mask = prompt_mask.repeat_interleave(len(texts) // len(prompt_mask), dim=0)
    mask = torch.ones_like(fed)
    mask[:, :prompt_length] = prompt_mask
    output = model(
        input_ids=fed,
        attention_mask=mask,
        position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
        use_cache=False,
        output_hidden_states=True,
        logits_to_keep=1,
    )
    states = [state[:, prompt_length:] for state in output.hidden_states]  # L of [N, T, H]
    projected = exact_projection(states, head)
    rewards = projected[..., 0]
    return scores_of_projection(projected), rewards.std() / rewards.shape[1] ** 0.5
