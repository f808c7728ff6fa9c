"""What plain `generate` of transformers does wrong by itself, without a line of ours."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList
from transformers.generation import GenerateDecoderOnlyOutput

NUM_NEW_TOKENS = 8
PATIENCE_S = 60  # for the other thread
DIFFERENCE = 1e-5  # of the largest logit: more than rounding in float32


@torch.no_grad()
def differs_from_forward(model: Any, ids: Tensor) -> bool:
    """Whether tokens are chosen from other logits than one forward of the text gives.

    Args:
        ids: int64 `[1, T]`.
    """
    output = _greedy(model, ids)
    text = output.sequences
    forward = model(input_ids=text, attention_mask=torch.ones_like(text)).logits
    steps = zip(output.logits, forward[:, ids.shape[1] - 1 :].unbind(dim=1), strict=False)
    return any(_are_different(logits, expected) for logits, expected in steps)


def mixes_threads(model: Any, ids: Tensor, others: Tensor) -> bool:
    """Whether two threads that generate in turns get other logits than one after the other.

    Args:
        ids, others: int64 `[1, T]`.
    """
    prompts = (ids, others)
    expected = [_greedy(model, prompt).logits for prompt in prompts]
    barrier = threading.Barrier(len(prompts))
    with ThreadPoolExecutor(len(prompts)) as pool:
        in_turns = list(pool.map(lambda prompt: _greedy(model, prompt, InTurns(barrier)), prompts))
    return any(
        _are_different(logits, alone)
        for run, alone_run in zip(in_turns, expected, strict=True)
        for logits, alone in zip(run.logits, alone_run, strict=True)
    )


class InTurns(LogitsProcessor):
    """After each forward, waits for that of the other thread."""

    def __init__(self, barrier: threading.Barrier):
        self.barrier = barrier

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self.barrier.wait(PATIENCE_S)
        return scores


def _greedy(model: Any, ids: Tensor, *processors: LogitsProcessor) -> GenerateDecoderOnlyOutput:
    """A text of `NUM_NEW_TOKENS`, and the logits of each of them, `[1, V]`."""
    return model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        pad_token_id=0,
        min_new_tokens=NUM_NEW_TOKENS,
        max_new_tokens=NUM_NEW_TOKENS,
        logits_processor=LogitsProcessorList(processors),
        output_logits=True,
        return_dict_in_generate=True,
    )


def _are_different(logits: Tensor, expected: Tensor) -> bool:
    return bool((logits - expected).abs().max() > DIFFERENCE * expected.abs().max())
