"""One forward over stored candidates: the hidden states of their responses, token-packed."""

import contextlib
import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import Cache, PreTrainedModel

from swift_bon.candidates.records import PromptCandidates
from swift_bon.models.capture import Capture
from swift_bon.models.identity import num_hidden_layers
from swift_bon.models.memory import run_or_free
from swift_bon.models.padding import pad_rows, position_ids
from swift_bon.models.prefix import CACHE_ARGUMENT, find_cache, repeat_cache
from swift_bon.models.proofs import MODEL_ERRORS, agree, proven
from swift_bon.models.vocabulary import input_device, num_token_ids
from swift_bon.models.wrappers import bare_model, learns_prompts


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
    while order:
        batch = order[:batch_size]
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
    token_ids = [response.token_ids for response in responses]
    run = _run_shared if proven(model, _shares_prompts) else _run_whole
    states = run(model, prompts, rows, token_ids, layers, pad_id)
    num_scored = [response.num_scored for response in responses]
    counts = torch.tensor(num_scored, dtype=torch.int64, device="cpu")
    places = torch.arange(states[0].shape[1], dtype=torch.int64, device="cpu")
    scored = places < counts[:, None]  # [N, T]
    return tuple(layer[scored.to(layer.device)] for layer in states)


def _run_shared(
    model: Any,
    prompts: Sequence[Sequence[int]],
    rows: list[int],
    token_ids: Sequence[Sequence[int]],
    layers: Sequence[int],
    pad_id: int,
) -> tuple[Tensor, ...]:
    """The states of responses, L tensors `[N, T, H]`, right-padded; each prompt runs once.

    It is the decoder that runs, not what stands around it: whether that is right must be proven.

    Args:
        prompts: `[P]`; rows: for each response the number of its prompt, `[N]`.
        token_ids: of each response.
    """
    bare = bare_model(model)
    decoder, device = bare.get_decoder(), input_device(bare)
    padded = pad_rows(prompts, pad_id, device)
    response_ids = pad_rows(token_ids, pad_id, device, "right")["input_ids"]
    mask = padded["attention_mask"][rows]  # [N, T]
    mask = torch.cat([mask, torch.ones_like(response_ids)], dim=1)
    input_ids = torch.cat([padded["input_ids"][rows], response_ids], dim=1)
    filled = _fill_prompts(decoder, **padded, rows=rows)
    start = padded["input_ids"].shape[1] - 1 if filled else 0
    captured: list[tuple[Tensor, ...]] = []
    with Capture(bare, captured.append, layers=layers):
        decoder(
            input_ids=input_ids[:, start:],
            attention_mask=mask,
            position_ids=position_ids(mask)[:, start:],
            use_cache=bool(filled),
            **filled,
        )
    return tuple(layer[:, -response_ids.shape[1] :] for layer in captured[0])


def _fill_prompts(
    decoder: Any, input_ids: Tensor, attention_mask: Tensor, rows: list[int]
) -> dict[str, Cache]:
    """The cache, by name, of all but the last token of each prompt, a row for each response."""
    if input_ids.shape[1] < 2 or len(rows) == len(input_ids):
        return {}
    mask = attention_mask[:, :-1]
    positions = position_ids(mask)
    cache = find_cache(
        decoder(
            input_ids=input_ids[:, :-1], attention_mask=mask, position_ids=positions, use_cache=True
        )
    )
    return {} if cache is None else {CACHE_ARGUMENT: repeat_cache(cache, rows, input_ids.device)}


def _run_whole(
    model: Any,
    prompts: Sequence[Sequence[int]],
    rows: list[int],
    token_ids: Sequence[Sequence[int]],
    layers: Sequence[int],
    pad_id: int,
) -> tuple[Tensor, ...]:
    """As `_run_shared`, by the model as it was given: nothing before a prompt, nothing shared."""
    bare = bare_model(model)
    device = input_device(bare)
    texts = [[*prompts[row], *ids] for row, ids in zip(rows, token_ids, strict=True)]
    inputs = pad_rows(texts, pad_id, device, "right")
    captured: list[tuple[Tensor, ...]] = []
    with Capture(bare, captured.append, layers=layers):
        model(**inputs, use_cache=False)
    length = max(map(len, token_ids))
    starts = torch.tensor([len(prompts[row]) for row in rows], dtype=torch.int64, device="cpu")
    taken = starts[:, None] + torch.arange(length, dtype=torch.int64, device="cpu")  # [N, T]
    taken = taken.clamp(max=inputs["input_ids"].shape[1] - 1)
    each = torch.arange(len(rows), dtype=torch.int64, device="cpu")[:, None]
    states = []
    for layer in captured[0]:
        learned = layer.shape[1] - inputs["input_ids"].shape[1]  # tokens that an adapter put first
        states.append(layer[each.to(layer.device), taken.to(layer.device) + learned])
    return tuple(states)


def _shares_prompts(model: Any) -> bool:
    """Whether both ways of running a model give the same states, on short texts."""
    bare = bare_model(model)
    if bare.training or learns_prompts(model) or bare._is_stateful:
        return False
    ids = [number % num_token_ids(bare) for number in range(1, 80, 7)]
    prompts, rows, responses = [ids[:2], ids[2:9]], [0, 0, 1], [ids[9:], ids[7:9], ids[3:6]]
    layers = range(num_hidden_layers(bare) + 1)
    with contextlib.suppress(*MODEL_ERRORS):
        shared = _run_shared(model, prompts, rows, responses, layers, 0)
        whole = _run_whole(model, prompts, rows, responses, layers, 0)
        return all(
            agree(mine[row, : len(ids)], other[row, : len(ids)], bare.dtype)
            for mine, other in zip(shared, whole, strict=True)
            for row, ids in enumerate(responses)
        )
    return False
