"""Best-of-N as a decoding method of `generate`."""

import dataclasses
import inspect
from typing import Any

from torch import Tensor
from transformers import (
    GenerationConfig,
    GenerationMixin,
    LogitsProcessorList,
    PreTrainedModel,
    StoppingCriteriaList,
)
from transformers.generation import GenerateDecoderOnlyOutput

from swift_bon.generation.checks import refuse
from swift_bon.generation.scored_decoding import ScoredDecoding
from swift_bon.models.identity import check_head_fits
from swift_kernels import RewardHead, select_best

GENERATE_CODE = inspect.unwrap(GenerationMixin.generate).__code__


@dataclasses.dataclass
class BestOfNOutput(GenerateDecoderOnlyOutput):
    """`GenerateDecoderOnlyOutput` of the best candidates `[P, len]`, and all that were written.

    >>> import torch
    >>> from swift_bon import BestOfNOutput
    >>> written = torch.tensor([[1, 41, 2], [1, 42, 2]])  # two candidates of one prompt
    >>> best = torch.tensor([1])
    >>> scores = torch.tensor([0.25, 0.75])
    >>> output = BestOfNOutput(
    ...     written[best], candidate_sequences=written, candidate_scores=scores, best_indices=best
    ... )
    >>> output.candidate_scores[output.best_indices]
    tensor([0.7500])
    """

    candidate_sequences: Tensor | None = None  # [P * N, len]
    candidate_scores: Tensor | None = None  # [P * N]
    best_indices: Tensor | None = None  # [P] rows of the above


class BestOfNDecoding:
    """Best-of-N as a decoding method, scored in the pass that writes the text.

    `model.generate` then returns the best candidate of each prompt, `[P, len]`; with
    `return_dict_in_generate=True` a `BestOfNOutput` with all of them. Sampling and greedy decoding.
    Transformers hands no tokenizer to a callable, so `stop_strings` fail here: use `best_of_n`, or
    pass a `StopStringCriteria`.

    Args:
        head: a `RewardHead` trained for the model. It may be on any device.

    Raises:
        ValueError: the head does not fit the model, or beams, streams, assisted decoding or
            another method that cannot be scored was asked for.

    >>> from swift_bon import BestOfNDecoding, load_head, load_model
    >>> model, tokenizer = load_model()
    >>> inputs = tokenizer("The capital of France is", return_tensors="pt").to(model.device)
    >>> options = {"do_sample": True, "num_return_sequences": 4, "max_new_tokens": 4}
    >>> best = model.generate(**inputs, custom_generate=BestOfNDecoding(load_head()), **options)
    >>> len(best)  # of 4 candidates
    1
    """

    def __init__(self, head: RewardHead):
        self.head = head

    def __call__(
        self,
        model: PreTrainedModel,
        input_ids: Tensor,
        logits_processor: LogitsProcessorList,
        stopping_criteria: StoppingCriteriaList,
        generation_config: GenerationConfig,
        **model_kwargs: Any,
    ) -> Tensor | BestOfNOutput:
        _refuse_dropped_arguments()
        check_head_fits(self.head, model)
        method = ScoredDecoding(self.head)
        result = method(
            model, input_ids, logits_processor, stopping_criteria, generation_config, **model_kwargs
        )
        best = select_best(result.scores_or_nan(), generation_config.num_return_sequences)
        if isinstance(result.output, Tensor):
            return result.output[best]
        return BestOfNOutput(
            **{name: _select_rows(value, best) for name, value in result.output.items()},
            candidate_sequences=result.output.sequences,
            candidate_scores=result.scores,
            best_indices=best,
        )


def _select_rows(value: Any, rows: Tensor) -> Any:
    """The chosen candidates of anything `generate` returns: tensors, tuples of them, caches."""
    if isinstance(value, Tensor):
        return value[rows.to(value.device)]
    if isinstance(value, tuple):
        return tuple(_select_rows(item, rows) for item in value)
    if hasattr(value, "reorder_cache"):
        value.reorder_cache(rows)  # what beam search calls: every cache has it
    return value


def _refuse_dropped_arguments() -> None:
    """Refuse what `generate` drops in silence before it calls a callable `custom_generate`.

    A streamer that is never fed leaves its reader waiting for ever.
    """
    # Frames are the only way: `generate` names both arguments in its signature, hands a callable
    # only what is left in its **kwargs, and keeps neither in its config (transformers 5.17 to 5.24)
    frame = inspect.currentframe()
    while frame is not None and frame.f_code is not GENERATE_CODE:
        frame = frame.f_back
    if frame is None:
        return  # called by hand, not by `generate`
    for name in ("streamer", "assistant_model"):
        if (dropped := frame.f_locals.get(name)) is not None:
            refuse(name, dropped)
