"""Hidden states of stored candidates, token-packed: one pass of the language model over them."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from swift_bon.candidates import PromptCandidates
from swift_bon.capture import Capture
from swift_bon.checks import check_prompts
from swift_bon.prefix import shared_prefix
from swift_bon.prompts import pad_left, pad_token_id, render_prompts

DTYPE = torch.bfloat16  # the range of float32: some hidden states exceed that of float16


@dataclass(frozen=True)
class Features:
    """States of all scored tokens; those of candidate m are rows `offsets[m]` to `offsets[m+1]`."""

    states: Tensor  # [total_tokens, L * H] bfloat16, mapped from a file
    offsets: Tensor  # [M + 1] int64
    num_layers: int
    hidden_size: int


def extract_features(
    model,
    tokenizer,
    prompts: Sequence[PromptCandidates],
    folder: Path,
    *,
    scored_tokens: str,
    batch_size: int = 64,
) -> Features:
    """Run the model once over the candidates, in order, and keep the states of the scored tokens.

    The candidates of a prompt share its prefill. The states lie in a file in `folder`, mapped into
    memory, so they may be larger than it.

    Raises:
        OSError: the disk has not enough space; nothing is written then.
    """
    num_scored = [
        max(len(candidate.token_ids) - (scored_tokens == "fed"), 0)
        for prompt in prompts
        for candidate in prompt.candidates
    ]
    offsets = torch.tensor([0, *num_scored]).cumsum(0)
    config = model.config.get_text_config(decoder=True)
    num_layers, hidden_size = config.num_hidden_layers + 1, config.hidden_size
    total, width = int(offsets[-1]), num_layers * hidden_size
    states = _map_file(folder / "states.bin", total, width)
    rendered = render_prompts(tokenizer, check_prompts([prompt.prompt for prompt in prompts]))
    prompts_per_batch = max(1, batch_size // max(len(prompt.candidates) for prompt in prompts))
    first = 0  # candidate
    for start in tqdm(range(0, len(prompts), prompts_per_batch), unit="batch", desc="extract"):
        batch = prompts[start : start + prompts_per_batch]
        responses = [c.token_ids for prompt in batch for c in prompt.candidates]
        rows = [p for p, prompt in enumerate(batch) for _ in prompt.candidates]
        counts = num_scored[first : first + len(responses)]
        captured = _forward(
            model, rendered[start : start + len(batch)], responses, rows, pad_token_id(tokenizer)
        )
        scored = torch.arange(captured[0].shape[1])[None] < torch.tensor(counts)[:, None]  # [N, T]
        scored = scored.to(captured[0].device)
        packed = torch.cat([layer[scored] for layer in captured], dim=1)  # [tokens, L * H]
        states[offsets[first] : offsets[first + len(responses)]] = packed.to(DTYPE)
        first += len(responses)
    return Features(states, offsets, num_layers, hidden_size)


def _map_file(path: Path, total: int, width: int) -> Tensor:
    if total == 0:
        raise ValueError("no candidate has a scored token; collect longer responses")
    num_bytes = total * width * DTYPE.itemsize
    path.parent.mkdir(parents=True, exist_ok=True)
    free_bytes = shutil.disk_usage(path.parent).free
    if num_bytes > free_bytes:
        raise OSError(
            f"the states of {total} tokens need {num_bytes / 1e9:.1f} GB in {path.parent}, which "
            f"has {free_bytes / 1e9:.1f} GB free; use fewer candidates or another folder"
        )
    return torch.from_file(str(path), shared=True, size=total * width, dtype=DTYPE).view(-1, width)


@torch.no_grad()
def _forward(
    model, prompt_ids: list[list[int]], responses: list[list[int]], rows: list[int], pad_id: int
) -> tuple[Tensor, ...]:
    """Hidden states of the responses, L tensors `[N, T, H]`; right-padded."""
    device = model.get_input_embeddings().weight.device
    padded = pad_left(prompt_ids, pad_id, device)
    length = max(map(len, responses))
    response_ids = torch.full((len(rows), length), pad_id)
    for index, ids in enumerate(responses):
        response_ids[index, : len(ids)] = torch.tensor(ids)
    prompt_mask = padded["attention_mask"][rows]  # [N, T]
    mask = torch.cat([prompt_mask, prompt_mask.new_ones(len(rows), length)], dim=1)
    input_ids = torch.cat([padded["input_ids"][rows], response_ids.to(device)], dim=1)
    prefix = shared_prefix(model, **padded, rows=rows, generate_kwargs={})
    num_cached = prompt_mask.shape[1] - 1 if prefix else 0
    position_ids = (mask.cumsum(dim=1) - 1).clamp(min=0)
    captured: list[tuple[Tensor, ...]] = []
    with Capture(model, captured.append):
        model.get_decoder()(
            input_ids=input_ids[:, num_cached:],
            attention_mask=mask,
            position_ids=position_ids[:, num_cached:],
            use_cache=bool(prefix),
            **prefix,
        )
    return tuple(layer[:, -length:] for layer in captured[0])
