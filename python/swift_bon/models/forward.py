"""One forward over stored candidates: the hidden states of their responses, token-packed."""

import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from swift_bon.candidates.records import PromptCandidates
from swift_bon.models.memory import run_or_free
from swift_bon.models.proofs import proven
from swift_bon.models.response_runs import (
    Texts,
    check_same_states,
    run_shared,
    run_whole,
    shares_prompts,
)
from swift_bon.models.rope_limit import rope_limit


class Response(NamedTuple):
    """One stored candidate, ready for a forward."""

    prompt: int  # position of its prompt among the rendered ones
    token_ids: list[int]
    num_scored: int  # its first tokens whose states count


class ResponseStates(NamedTuple):
    """Hidden states of the scored tokens of some responses, L tensors `[tokens, H]`."""

    responses: list[int]  # which, in packed order
    layers: tuple[Tensor, ...]
    batch_size: int  # what memory has allowed so far


def num_scored_tokens(num_tokens: int, scored_tokens: str) -> int:
    """How many tokens of a response have a state that counts: "fed" leaves the last one out."""
    return max(num_tokens - (scored_tokens == "fed"), 0)


def count_scored_tokens(prompts: Sequence[PromptCandidates], scored_tokens: str) -> int:
    """Those of all candidates of some prompts."""
    return sum(
        num_scored_tokens(len(candidate.token_ids), scored_tokens)
        for prompt in prompts
        for candidate in prompt.candidates
    )


def check_candidates(
    prompts: Sequence[PromptCandidates],
    rendered: Sequence[list[int]],
    num_embeddings: int,
    context: float,
) -> None:
    """Every token is one that the model has, and every text one that it can read.

    Args:
        rendered: token ids of each prompt.
        num_embeddings: tokens of the model.
        context: of its longest text, in tokens.

    Raises:
        ValueError: names the prompt and the candidate.
    """
    for prompt, prompt_ids in zip(prompts, rendered, strict=True):
        if min(prompt_ids) < 0 or max(prompt_ids) >= num_embeddings:
            raise ValueError(
                f"prompt {prompt.id!r} has token ids from {min(prompt_ids)} to {max(prompt_ids)}, "
                f"expected integers from 0 to {num_embeddings - 1}, those of the model; load the "
                "model and the tokenizer that wrote the candidates"
            )
        for number, candidate in enumerate(prompt.candidates):
            where = f"candidate {number} of prompt {prompt.id!r}"
            ids = candidate.token_ids
            if ids and (bool in set(map(type, ids)) or min(ids) < 0 or max(ids) >= num_embeddings):
                raise ValueError(
                    f"{where} has token ids from {min(ids)!r} to {max(ids)!r}, expected integers "
                    f"from 0 to {num_embeddings - 1}, those of the model; load the model and the "
                    "tokenizer that wrote the candidates"
                )
            if len(prompt_ids) + len(ids) > context:
                raise ValueError(
                    f"{where} has {len(ids)} tokens after {len(prompt_ids)} of the prompt, "
                    f"together more than the context of the model, {context}; leave it out"
                )


def response_states(
    model: PreTrainedModel,
    rendered: Sequence[list[int]],
    responses: Sequence[Response],
    *,
    layers: Sequence[int],
    pad_id: int,
    batch_size: int,
) -> Iterator[ResponseStates]:
    """The states of all responses that have a scored token, batched by length.

    Args:
        rendered: token ids of each prompt.
        layers: which hidden states.
        batch_size: responses at a time, halved when memory runs out.
    """
    lengths = [len(rendered[r.prompt]) + len(r.token_ids) for r in responses]
    longest: dict[int, int] = {}
    for response, length in zip(responses, lengths, strict=True):
        longest[response.prompt] = max(length, longest.get(response.prompt, 0))
    order = [index for index, response in enumerate(responses) if response.num_scored]
    # those of a prompt side by side, as they share its prefill
    order.sort(key=lambda index: (longest[responses[index].prompt], responses[index].prompt))
    check_same_states(model)
    limit = rope_limit(model)
    while order:
        sides = itertools.groupby(order, lambda index: lengths[index] > limit)
        batch = list(itertools.islice(next(sides)[1], batch_size))
        rows = [responses[index] for index in batch]
        forward = functools.partial(_forward, model, rendered, rows, layers, pad_id)
        states = run_or_free(forward, batch)
        if states is None:
            batch_size = len(batch) // 2
            continue
        yield ResponseStates(batch, states, batch_size)
        del states, order[: len(batch)]


@torch.no_grad()
def _forward(
    model: Any,
    rendered: Sequence[Sequence[int]],
    responses: Sequence[Response],
    layers: Sequence[int],
    pad_id: int,
) -> tuple[Tensor, ...]:
    """L tensors `[tokens, H]` of the scored tokens, one response after the other."""
    numbers = sorted({response.prompt for response in responses})
    rows = [numbers.index(response.prompt) for response in responses]
    prompts = [rendered[number] for number in numbers]
    texts = Texts(prompts, rows, [response.token_ids for response in responses], pad_id)
    longest = max(len(rendered[r.prompt]) + len(r.token_ids) for r in responses)
    shares = longest <= rope_limit(model) and proven(model, shares_prompts)
    run = run_shared if shares else run_whole
    states = run(model, texts, layers)
    num_scored = [response.num_scored for response in responses]
    counts = torch.tensor(num_scored, dtype=torch.int64, device="cpu")
    places = torch.arange(states[0].shape[1], dtype=torch.int64, device="cpu")
    scored = places < counts[:, None]  # [N, T]
    return tuple(layer[scored.to(layer.device)] for layer in states)
