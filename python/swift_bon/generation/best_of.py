"""Best-of-N in one call: prompts in, the best candidate of each out."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from tqdm import tqdm
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteriaList,
    StopStringCriteria,
)

from swift_bon.generation.batches import Batches, Kept
from swift_bon.generation.checks import check_generate_kwargs
from swift_bon.generation.results import BestOfN, Candidate, pick_best
from swift_bon.models.chat_templates import text_tokenizer
from swift_bon.models.chats import Chat
from swift_bon.models.identity import check_head_fits, context_length
from swift_bon.models.media import (
    RenderedPrompt,
    media_arguments,
    render_with_media,
)
from swift_bon.models.memory import run_or_free
from swift_bon.models.model_checks import check_model_and_tokenizer
from swift_bon.models.prompts import (
    Prompts,
    check_prompt_length,
    check_prompt_tokens,
    check_prompts,
)
from swift_bon.models.vocabulary import choose_pad_token_id
from swift_bon.seeds import stream_seed
from swift_kernels import RewardHead
from swift_kernels.checks import check_count

DEFAULT_BATCH_SIZE = 64  # candidates
DEFAULT_MAX_NEW_TOKENS = 256  # the default of `generate` is 20, which cuts answers off


def best_of_n(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Prompts,
    head: RewardHead,
    num_return_sequences: int = 16,
    *,
    batch_size: int | None = DEFAULT_BATCH_SIZE,
    seed: int | None = None,
    show_progress: bool = True,
    chat_template_kwargs: Mapping[str, Any] | None = None,
    **generate_kwargs: Any,
) -> list[BestOfN]:
    """Sample N candidates per prompt, score them while they are written, return the best.

    Args:
        model, tokenizer: a decoder-only Hugging Face model and its tokenizer, or its processor,
            which reads pictures from chats.
        prompts: a string (one user message), chat messages, or a list of either. Where the last
            message is the assistant's it is continued, and a candidate is what comes after it.
        head: trained for this model.
        num_return_sequences: N, candidates per prompt.
        batch_size: candidates generated at a time, halved when memory runs out; None takes all.
        seed: of the random streams, one for each candidate, so that what is sampled does not
            depend on `batch_size`. None draws one from PyTorch's generator.
        show_progress: a bar on a terminal, where there is more than one batch.
        chat_template_kwargs: what else the chat template reads: `enable_thinking`, `tools`,
            `documents`... `chat_template` names one of several templates.
        **generate_kwargs: pass straight to `generate`. Unless given, `do_sample` is True and
            `max_new_tokens` 256, or what the context leaves.

    Returns:
        one `BestOfN` per prompt, in order.

    Raises:
        TypeError, ValueError: bad input, or a way of decoding that cannot be scored.

    >>> from swift_bon import best_of_n, load_head, load_model
    >>> model, tokenizer = load_model()
    >>> question = "What is the capital of France?"
    >>> (result,) = best_of_n(model, tokenizer, question, load_head(), 4, max_new_tokens=8)
    >>> len(result.candidates)
    4
    >>> result.score == max(candidate.score for candidate in result.candidates)
    True
    """
    chats = check_prompts(prompts)
    check_count(num_return_sequences, "num_return_sequences")
    check_head_fits(head, model)
    if seed is None:
        seed = int(torch.randint(2**62, (), dtype=torch.int64, device="cpu"))
    rows = sample_candidates(
        model,
        tokenizer,
        chats,
        head,
        num_return_sequences,
        stream_keys=[(seed, index) for index in range(len(chats))],
        batch_size=batch_size,
        show_progress=show_progress,
        chat_template_kwargs=chat_template_kwargs,
        **generate_kwargs,
    )
    return [pick_best(candidates) for candidates in rows]


def sample_candidates(
    model,
    tokenizer,
    chats: Sequence[Chat],
    head: RewardHead | None,
    num_return_sequences: int,
    *,
    stream_keys: Sequence,
    batch_size: int | None = None,
    show_progress: bool = False,
    confidence_window: int | None = None,
    with_token_scores: bool = False,
    chat_template_kwargs: Mapping[str, Any] | None = None,
    rendered: Sequence[list[int]] | None = None,
    **generate_kwargs: Any,
) -> list[list[Candidate]]:
    """N candidates of each chat, scored where there is a head.

    Args:
        stream_keys: one per chat; the same key samples the same candidates, whatever the batch.
        confidence_window: keep all free scores, with groups of so many tokens.
        with_token_scores: keep the reward and the gate of each token.
        rendered: token ids of each chat; None renders them.

    The other arguments are those of `best_of_n`.
    """
    check_model_and_tokenizer(model, tokenizer)
    check_generate_kwargs(generate_kwargs, len(chats))
    if batch_size is None:
        batch_size = max(1, len(chats) * num_return_sequences)
    check_count(batch_size, "batch_size")
    processor, tokenizer = tokenizer, text_tokenizer(tokenizer)
    generate_kwargs = _with_defaults(model, tokenizer, generate_kwargs, num_return_sequences)
    given = media_arguments(generate_kwargs)
    prompts = [RenderedPrompt(ids, {}) for ids in rendered or []]
    prompts = prompts or render_with_media(model, processor, chats, chat_template_kwargs, given)
    prompt_ids = [prompt.token_ids for prompt in prompts]
    max_new_tokens = _max_new_tokens(model, generate_kwargs)
    room = context_length(model) - max(map(len, prompt_ids), default=0)
    default = int(max(1, min(DEFAULT_MAX_NEW_TOKENS, room)))
    generate_kwargs["max_new_tokens"] = default if max_new_tokens is None else max_new_tokens
    for index, prompt in enumerate(prompts):
        check_prompt_length(len(prompt.token_ids), max_new_tokens, model, index)
        if not prompt.media:  # a picture may stand where the model has no row
            check_prompt_tokens(prompt.token_ids, model, tokenizer, index)
    kept = Kept(confidence_window, with_token_scores)
    options = {name: value for name, value in generate_kwargs.items() if name not in given}
    batches = Batches(model, tokenizer, prompts, head, kept, options)
    pairs = [(p, n) for p in range(len(chats)) for n in range(num_return_sequences)]
    candidates: dict[tuple[int, int], Candidate] = {}
    is_shown = show_progress and batch_size < len(pairs)
    disable = None if is_shown else True  # None: where there is no terminal
    progress = tqdm(total=len(pairs), desc="sampling", unit="candidate", disable=disable)
    while batch := batches.take(pairs, batch_size):
        seeds = [stream_seed(stream_keys[p], n) for p, n in batch]
        sampled = run_or_free(functools.partial(batches.sample, batch, seeds), batch)
        if sampled is None:
            batch_size = len(batch) // 2
            continue
        candidates |= zip(batch, sampled, strict=True)
        pairs = [pair for pair in pairs if pair not in candidates]
        progress.update(len(batch))
    progress.close()
    return [[candidates[p, n] for n in range(num_return_sequences)] for p in range(len(chats))]


def _with_defaults(model, tokenizer, generate_kwargs: dict, num_return_sequences: int) -> dict:
    """`generate`'s arguments with sampling on and stop strings as a criterion of their own."""
    kwargs = dict(generate_kwargs)
    config = kwargs.get("generation_config")
    do_sample = kwargs.get("do_sample", getattr(config, "do_sample", None))
    kwargs["do_sample"] = do_sample = True if do_sample is None else do_sample
    if not do_sample and num_return_sequences > 1:
        raise ValueError(
            f"do_sample is {do_sample} and num_return_sequences {num_return_sequences}: greedy "
            "decoding writes the same candidate every time; pass do_sample=True, or "
            "num_return_sequences=1"
        )
    if "stop_strings" not in kwargs:
        configured = [getattr(c, "stop_strings", None) for c in (config, model.generation_config)]
        kwargs["stop_strings"] = configured[1] if configured[0] is None else configured[0]
    stop_strings, kwargs["stop_strings"] = kwargs["stop_strings"], None  # None: not the configs'
    if stop_strings is not None:  # transformers hands no tokenizer to a callable decoding method
        criteria = StoppingCriteriaList(kwargs.get("stopping_criteria") or [])
        criteria.append(StopStringCriteria(tokenizer, stop_strings))
        kwargs["stopping_criteria"] = criteria
    constraint = kwargs.get("prefix_allowed_tokens_fn")
    if constraint is not None:  # of one prompt: all its candidates have the same, as its first row
        kwargs["prefix_allowed_tokens_fn"] = lambda row, ids: constraint(0, ids)
    kwargs["pad_token_id"] = choose_pad_token_id(model, tokenizer, kwargs)
    return kwargs


def _max_new_tokens(model, generate_kwargs: dict) -> int | None:
    """Where `generate` looks for it, in order. A `max_length` of the model's does not count."""
    configs = (generate_kwargs.get("generation_config"), model.generation_config)
    given = [generate_kwargs.get("max_new_tokens")]
    given += [getattr(config, "max_new_tokens", None) for config in configs]
    return next((value for value in given if value is not None), None)
