"""One forward of a reward model over texts of unequal lengths, as if each stood alone."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from swift_bon.models.identity import context_length
from swift_bon.models.interrupts import run_and_restore
from swift_bon.models.padding import pad_rows
from swift_bon.models.vocabulary import input_device, num_token_ids

# Padding changes their scores, as they mix all positions, read blocks, or read the last position.
# 87 other classes of transformers 5.24, each built small, gave the same scores with padding.
READS_PADDING = frozenset({"canine", "convbert", "fnet", "nystromformer", "xlnet", "yoso"})


def next_batch(
    model: PreTrainedModel, rows: Sequence[tuple[int, ...]], batch_size: int
) -> list[tuple[int, ...]]:
    """The first texts of some that are sorted by length: of one length where padding is read."""
    batch = list(rows[:batch_size])
    if model.config.model_type in READS_PADDING:
        batch = [ids for ids in batch if len(ids) == len(batch[0])]
    return batch


@torch.no_grad()
def reward_forward(model: PreTrainedModel, rows: Sequence[Sequence[int]]) -> list[float]:
    """The score of each text, given as token ids.

    Padding is on the right, whatever the tokenizer says: there a causal model does not see it, and
    positions count from the start of the text. An encoder is told by the mask.
    """
    device = input_device(model)
    pad_id = _pad_id(model, rows)
    inputs: dict[str, Any] = {**pad_rows(rows, pad_id, device, "right")}
    has_cache = "use_cache" in inspect.signature(model.forward).parameters
    if has_cache:
        inputs["use_cache"] = False
    logits = _padded_with(model, pad_id, lambda: model(**inputs).logits)  # [N, 1]
    return logits[:, 0].float().tolist()


def longest_text(model: PreTrainedModel) -> float:
    """In tokens; infinite where the model does not say."""
    lengths = [context_length(model)]
    for name, module in model.named_modules():
        is_offset = isinstance(module, nn.Embedding) and module.padding_idx is not None
        if is_offset and name.endswith("position_embeddings"):  # RoBERTa counts from pad + 1
            lengths.append(module.num_embeddings - module.padding_idx - 1)
    return min((length for length in lengths if length > 0), default=float("inf"))


def _pad_id(model: PreTrainedModel, rows: Sequence[Sequence[int]]) -> int:
    """The model's own. It reads the last token that is not this one, so where the model has none,
    as alone it reads the very last token, it must be one that no text ends with."""
    pad_id = getattr(model.config.get_text_config(), "pad_token_id", None)
    if pad_id is not None and 0 <= pad_id < num_token_ids(model):
        return pad_id
    return min(set(range(len(rows) + 1)) - {row[-1] for row in rows})


def _padded_with(model: PreTrainedModel, pad_id: int, run: Callable[[], Tensor]) -> Tensor:
    """What `run` gives where the model takes `pad_id` for padding; afterwards what it took before.

    Left behind, it would count as the model's own.
    """
    configs = (model.config, model.config.get_text_config())
    before = [getattr(config, "pad_token_id", None) for config in configs]

    def change() -> Tensor:
        for config in configs:
            config.pad_token_id = pad_id
        return run()

    def restore() -> None:
        for config, earlier in zip(configs, before, strict=True):
            config.pad_token_id = earlier

    return run_and_restore(change, restore)
