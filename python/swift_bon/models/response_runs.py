"""Two ways of running stored responses through a model, and the proof that they are one.

The fast one runs each prompt once and the decoder alone. The other one runs whole texts through the
model as it was given, which is right by construction, but for what `generate` does otherwise.
"""

import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import Cache

from swift_bon.models.capture import Capture
from swift_bon.models.identity import num_hidden_layers
from swift_bon.models.padding import pad_rows, position_ids
from swift_bon.models.prefix import CACHE_ARGUMENT, find_cache, repeat_cache
from swift_bon.models.proofs import MODEL_ERRORS, PLAINLY, agree, ask_generate, proven
from swift_bon.models.vocabulary import input_device, num_token_ids
from swift_bon.models.wrappers import bare_model, learns_prompts


class Texts(NamedTuple):
    """Responses behind their prompts."""

    prompts: Sequence[Sequence[int]]  # token ids of each, `[P]`
    rows: list[int]  # for each response the number of its prompt, `[N]`
    token_ids: Sequence[Sequence[int]]  # of each response, `[N]`
    pad_id: int = 0


def run_shared(model: Any, texts: Texts, layers: Sequence[int]) -> tuple[Tensor, ...]:
    """The states of responses, L tensors `[N, T, H]`, right-padded; each prompt runs once.

    It is the decoder that runs, not what stands around it: whether that is right must be proven.
    """
    prompts, rows, token_ids, pad_id = texts
    bare = bare_model(model)
    decoder, device = bare.get_decoder(), input_device(bare)
    padded = pad_rows(prompts, pad_id, device)
    response_ids = pad_rows(token_ids, pad_id, device, "right")["input_ids"]
    mask = padded["attention_mask"][rows]  # [N, T]
    mask = torch.cat([mask, torch.ones_like(response_ids)], dim=1)
    input_ids = torch.cat([padded["input_ids"][rows], response_ids], dim=1)
    filled = fill_prompts(decoder, **padded, rows=rows)
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


def fill_prompts(
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


def run_whole(model: Any, texts: Texts, layers: Sequence[int]) -> tuple[Tensor, ...]:
    """As `run_shared`, by the model as it was given: nothing before a prompt, nothing shared.

    Positions are those that `generate` gives, which some models would not make themselves.
    """
    prompts, rows, token_ids, pad_id = texts
    bare = bare_model(model)
    whole = [[*prompts[row], *ids] for row, ids in zip(rows, token_ids, strict=True)]
    inputs = pad_rows(whole, pad_id, input_device(bare), "right")
    if not learns_prompts(model) and proven(model, _is_given_positions):
        inputs["position_ids"] = position_ids(inputs["attention_mask"])
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


def shares_prompts(model: Any) -> bool:
    """Whether both ways of running a model give the same states, on short texts."""
    bare = bare_model(model)
    if bare.training or learns_prompts(model) or bare._is_stateful:
        return False
    ids = [number % num_token_ids(bare) for number in range(1, 80, 7)]
    special = _special_ids(bare)
    responses = [ids[9:], special, ids[3:6]]
    texts = Texts([ids[:2], ids[2:9]], [0, 0, 1], responses)
    layers = range(num_hidden_layers(bare) + 1)
    with contextlib.suppress(*MODEL_ERRORS):
        shared, whole = (run(model, texts, layers) for run in (run_shared, run_whole))
        return all(
            agree(mine[row, : len(ids)], other[row, : len(ids)], bare.dtype)
            for mine, other in zip(shared, whole, strict=True)
            for row, ids in enumerate(responses)
        )
    return False


def _special_ids(bare: Any) -> list[int]:
    """Tokens that the whole model may read otherwise than its decoder: those of pictures, say."""
    named = {
        value
        for config in (bare.config, bare.config.get_text_config(decoder=True))
        for name, value in vars(config).items()
        if name.endswith(("_token_id", "_token_index")) and isinstance(value, int)
    }
    return sorted(id for id in named if 0 <= id < num_token_ids(bare)) or [0]


def _is_given_positions(model: Any) -> bool:
    """Whether `generate` gives this model its positions, as it is asked itself."""
    return ask_generate(model).model_kwargs.get("position_ids") is not None


def check_same_states(model: Any) -> None:
    """A model with learned prompts has the same states in one forward as while it generates.

    Raises:
        ValueError: a head would be trained on other states than it scores.
    """
    if learns_prompts(model) and not proven(model, _gives_same_states):
        raise ValueError(
            f"the adapter ({model.active_peft_config.peft_type.value}) puts learned prompts before "
            "each text, and with this version of peft the states of a text are others while it is "
            "generated; candidates can be generated and scored, but not trained on"
        )


def _gives_same_states(model: Any) -> bool:
    bare = bare_model(model)
    ids = [number % num_token_ids(bare) for number in range(1, 60, 7)]
    layers = range(num_hidden_layers(bare) + 1)
    captured: list[tuple[Tensor, ...]] = []
    input_ids = torch.tensor([ids], dtype=torch.int64, device=input_device(bare))
    options = {**PLAINLY, "max_new_tokens": 4, "min_new_tokens": 4, "do_sample": False}
    with contextlib.suppress(*MODEL_ERRORS):
        with Capture(bare, captured.append, layers=layers, newest_only=True):
            output = model.generate(
                input_ids=input_ids,
                attention_mask=torch.ones_like(input_ids),
                return_dict_in_generate=False,
                **options,
            )
        written = output[0, len(ids) :].tolist()[:3]
        whole = run_whole(model, Texts([ids], [0], [written]), layers)
        return all(
            agree(torch.cat([step[index] for step in captured[1:]], dim=1), layer, bare.dtype)
            for index, layer in enumerate(whole)
        )
    return False
